import TesseraCore
import Testing

@testable import TesseraModel

@Suite("A manifest has one encoding, and its hash names the model")
struct ManifestTests {
    @Test("Reading what was written gives the same", arguments: Fixture.names)
    func roundTrip(name: String) throws {
        let manifest = try Fixture(name).manifest
        let read = try Manifest(encoded: manifest.encoded)
        #expect(read == manifest)
        #expect(read.id == manifest.id)
        #expect(try Manifest(graph: read.graph, blobs: read.blobs) == manifest)
    }

    private static let image = ImageInput(
        channels: .bgr, layout: .nhwc, fit: .crop, mean: [1.5, 0, -2], scale: [255, 1, 0.25],
        scores: .probabilities, labels: ["", "cat", "größer"])

    @Test("What is said of images is a part of the manifest and of its name")
    func describesImages() throws {
        let plain = try Fixture("several").manifest
        #expect(plain.image == nil)
        let manifest = try Manifest(graph: plain.graph, blobs: plain.blobs, image: Self.image)
        #expect(manifest.id != plain.id && manifest.image == Self.image)
        let read = try Manifest(encoded: manifest.encoded)
        #expect(read == manifest && read.image == Self.image)
        // The same graph, so the same outline.
        #expect(
            try ModelCutter(manifest).outline.operators.count
                == ModelCutter(plain).outline.operators.count)
        for length in plain.encoded.count..<manifest.encoded.count {
            #expect(throws: ModelError.self) {
                try Manifest(encoded: Array(manifest.encoded[..<length]))
            }
        }
        for position in plain.encoded.count..<manifest.encoded.count {
            for value in [0, 1, 3, 0x7F, 0x80, 0xFF] as [UInt8]
            where value != manifest.encoded[position] {
                var edited = manifest.encoded
                edited[position] = value
                guard let other = try? Manifest(encoded: edited) else {
                    // Refused, as many edits are.
                    continue
                }
                #expect(other.id != manifest.id)
                #expect(
                    try Manifest(graph: other.graph, blobs: other.blobs, image: other.image).encoded
                        == edited)
            }
        }
    }

    @Test("The encoding does not change by accident")
    func golden() throws {
        let ids = try Fixture.names.map { try Fixture($0).manifest.id.hexadecimal }
        #expect(ids == Self.goldenIDs)
    }

    /// Whoever changes the encoding or the cutting rules raises `ManifestEncoding.version`.
    private static let goldenIDs = [
        "42263b6b4fff156c32455d1d1f41cedfca6f7f49f2373016e0a9ff26a858fc36",
        "4d2525de9706c40f7d68fb5544f37b7676a3bd5e64c17281ef147dbac1da112f",
        "cf79afd28f58e0b601e9fbdcf91bef569029f6eabab4d727f34429322f238c13",
    ]

    @Test("Small constants are inline, large ones are blobs without doubles")
    func placesConstants() throws {
        let fixture = try Fixture("residual-cnn")
        let constants = fixture.manifest.graph.layers.compactMap(\.constant)
        var uses = 0
        for constant in constants {
            switch constant {
            case .range: Issue.record("a range is left")
            case .inline(let bytes): #expect(bytes.count <= ModelLimits.inlineBytesMax)
            case .blob(let index):
                uses += 1
                #expect(fixture.manifest.blobs[index].byteCount > ModelLimits.inlineBytesMax)
            }
        }
        #expect(uses >= fixture.manifest.blobs.count)
        #expect(Set(fixture.manifest.blobs.map(\.id)).count == fixture.manifest.blobs.count)
    }

    @Test("Blobs have the bytes of the weights file", arguments: Fixture.names)
    func blobBytes(name: String) throws {
        let fixture = try Fixture(name)
        for (index, blob) in fixture.manifest.blobs.enumerated() {
            let bytes = fixture.imported.withBlob(at: index) { Array($0) }
            #expect(bytes.blobID == blob.id && bytes.count == blob.byteCount)
        }
    }

    @Test("Every cut-off manifest is refused", arguments: Fixture.names)
    func refusesTruncation(name: String) throws {
        let encoded = try Fixture(name).manifest.encoded
        for length in stride(from: 0, to: encoded.count, by: 3) {
            #expect(throws: ModelError.self) { try Manifest(encoded: Array(encoded[..<length])) }
        }
        #expect(throws: ModelError.self) { try Manifest(encoded: encoded + [0]) }
    }

    @Test("A changed byte is refused or gives another model that is valid and canonical")
    func singleByteCorruption() throws {
        let manifest = try Fixture("several").manifest
        for position in manifest.encoded.indices {
            for value in [0, 1, 0x7F, 0x80, 0xFF, manifest.encoded[position] ^ 1] as [UInt8]
            where value != manifest.encoded[position] {
                var edited = manifest.encoded
                edited[position] = value
                guard let other = try? Manifest(encoded: edited) else {
                    // Refused, as most edits are.
                    continue
                }
                #expect(other.id != manifest.id)
                #expect(try Manifest(graph: other.graph, blobs: other.blobs).encoded == edited)
                // Whatever is accepted can be cut without a trap.
                let cutter = try? ModelCutter(other)
                if let cutter {
                    _ = try cutter.fragment(operators: 0..<cutter.outline.operators.count)
                }
            }
        }
    }

    @Test("A manifest of another version is refused in words")
    func refusesOtherVersion() throws {
        var encoded = try Fixture("several").manifest.encoded
        encoded[4] = 3
        #expect(
            throws: ModelError.invalidManifest(
                reason: "its version is 3, and this build reads 1 and 2", offset: 5)
        ) {
            try Manifest(encoded: encoded)
        }
    }

    @Test("A number in a longer form than needed is refused")
    func refusesLongNumbers() throws {
        var reader = ManifestReader([0x80, 0x00])
        #expect(throws: ModelError.self) { try reader.count(10, "things") }
        var zero = ManifestReader([0x00])
        #expect(try zero.count(10, "things") == 0)
        var large = ManifestReader([UInt8](repeating: 0xFF, count: 12))
        #expect(throws: ModelError.self) { try large.count(.max, "things") }
    }

    @Test("A graph with ranges or negative numbers makes no manifest")
    func refusesUnfinishedGraphs() throws {
        let fixture = try Fixture("several")
        let graph = try IRReader.read(
            xml: fixture.xml, weightByteCount: fixture.weights.count)
        #expect(throws: ModelError.self) { try Manifest(graph: graph, blobs: []) }
        var negative = fixture.manifest.graph
        negative.layers[0].outputs[0].shape[0] = -2
        #expect(throws: ModelError.self) { try Manifest(graph: negative, blobs: []) }
    }
}
