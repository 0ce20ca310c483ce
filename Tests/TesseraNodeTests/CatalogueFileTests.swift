import Foundation
import NIOCore
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

@Suite("The file of the catalogue")
struct CatalogueFileTests {
    private let entry = CatalogueEntry(
        name: "digits", manifest: ManifestID(1, 2, 3, 4), version: 7, author: NodeID(5, 6, 7, 8),
        settings: ModelSettings(
            allowedModes: [.single, .branches], keepInputLocal: 2,
            exits: [ModelExit(output: "early", threshold: 1, share: 2)]))

    @Test("what was written is read")
    func written() throws {
        try inFolder { file in
            #expect(try file.read().isEmpty)
            try file.write([entry])
            #expect(try file.read() == [entry])
            try file.write([])
            #expect(try file.read().isEmpty)
        }
    }

    @Test("a build of version 2 left no version in its file, and no model is lost by an upgrade")
    func ofVersionTwo() throws {
        try inFolder { file in
            var writer = WireWriter()
            writer.version = 2
            MeshMessage.update(records: [], catalogue: [entry]).encode(into: &writer)
            try StoredFile.replace(
                file.path, bytes: Array(try writer.finish().readableBytesView))
            var old = entry
            old.settings = entry.settings.asVersion2PassesOn
            #expect(old.settings.allowedModes == .single)
            #expect(try file.read() == [old])
        }
    }

    @Test("a file of a newer build, a cut one and a damaged one are refused")
    func refused() throws {
        try inFolder { file in
            try file.write([entry])
            let bytes = try StoredFile.read(file.path, bytesMax: 1 << 20).bytes
            var newer = bytes
            newer[1] = 0xFF
            let damaged: [[UInt8]] = [
                [], [0], [0, 0, 0], newer, Array(bytes.dropLast()), bytes + [0],
            ]
            for other in damaged {
                try StoredFile.replace(file.path, bytes: other)
                #expect(throws: WireError.self) { try file.read() }
            }
        }
    }

    private func inFolder(_ body: (CatalogueFile) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/catalogue-\(UUID())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        // What is left of a test's folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(CatalogueFile(path: folder + "/catalogue"))
    }
}
