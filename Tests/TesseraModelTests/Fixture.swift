import Foundation
import TesseraCore

@testable import TesseraModel

/// A model of `Fixtures`, imported.
struct Fixture {
    /// The names of all fixtures.
    static let names = ["residual-cnn", "transformer", "several"]

    let xml: [UInt8]
    let weights: [UInt8]
    let imported: ModelImport

    /// The graph's text.
    var text: String { String(decoding: xml, as: UTF8.self) }
    var manifest: Manifest { imported.manifest }

    init(_ name: String) throws {
        let path = Self.path(name)
        xml = Array(try Data(contentsOf: URL(filePath: path + ".xml")))
        weights = Array(try Data(contentsOf: URL(filePath: path + ".bin")))
        imported = try ModelImport.make(xmlPath: path + ".xml", binPath: path + ".bin")
    }

    /// The path of a fixture without its ending.
    static func path(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().path + "/Fixtures/" + name
    }

    /// Reads the graph after an edit of its text, which must change it.
    func read(replacing old: String, with new: String) throws -> ModelGraph {
        guard let range = text.range(of: old) else { throw NotFound(text: old) }
        let edited = text.replacingCharacters(in: range, with: new)
        return try IRReader.read(xml: Array(edited.utf8), weightByteCount: weights.count)
    }

    /// An edit found nothing to change: the test is wrong.
    struct NotFound: Error {
        var text: String
    }
}

/// A new folder that goes with the test.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "tessera-model-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        // A folder that stays behind harms no test.
        try? FileManager.default.removeItem(atPath: path)
    }
}

extension Array where Element == UInt8 {
    /// Bytes that repeat only after a long time.
    static func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    /// The name of these bytes as a blob.
    var blobID: BlobID { Digest.identity(of: self) }
}
