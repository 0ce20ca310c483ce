import Foundation
import Testing

/// What the fuzzers began with, and what they found.
@Suite struct CorpusTests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "Corpus")

    private static func files(of folder: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: corpus.appending(path: folder), includingPropertiesForKeys: nil
        ).sorted { $0.path < $1.path }
    }

    @Test("every folder of the corpus is that of a parser, and has something in it")
    func folders() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
        #expect(!folders.isEmpty)
        for folder in folders {
            #expect(Parser(rawValue: folder) != nil, "no parser \(folder)")
            #expect(try !Self.files(of: folder).isEmpty)
        }
    }

    @Test("every parser takes what is in the corpus of any of them", arguments: Parser.allCases)
    func everything(parser: Parser) throws {
        for folder in try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path) {
            for file in try Self.files(of: folder) {
                parser.feed(Array(try Data(contentsOf: file)))
            }
        }
    }
}
