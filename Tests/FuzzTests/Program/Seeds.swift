import Foundation
import InferenceProtocol
import NIOCore
import SwiftProtobuf
import TesseraCodec
import TesseraCore

@testable import TesseraModel
@testable import TesseraNode
@testable import TesseraWire
@testable import tessera

/// What the fuzzers begin with: messages and files as the tests make them.
enum Seeds {
    /// Writes them into the folders of their parsers; run in the repository's root.
    static func write(to folder: String) throws {
        for (parser, name, bytes) in try all() {
            let directory = "\(folder)/\(parser)"
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true)
            try Data(bytes).write(to: URL(fileURLWithPath: "\(directory)/seed-\(name)"))
        }
    }

    private typealias Seed = (parser: Parser, name: String, bytes: [UInt8])

    private static func all() throws -> [Seed] {
        var generator = SampleGenerator(seed: 1)
        return try frames(&generator) + gossip(&generator) + codecs() + journal() + models()
            + texts() + calls()
    }

    private static func bytes(_ buffer: ByteBuffer) -> [UInt8] { Array(buffer.readableBytesView) }

    // MARK: Agents

    private static func frames(_ generator: inout SampleGenerator) throws -> [Seed] {
        let greeting = Greeting(
            meshTag: "0011223344556677", member: generator.member(), listenPort: 8_701,
            purpose: .data, name: "küche", release: "0.1.0")
        let payload = ByteBuffer(bytes: (0..<60).map { UInt8($0) })
        let blob = generator.identity(BlobID.self)
        var header = generator.sliceHeader()
        header.type = .uint8
        header.shape = [60]
        let rest: [Frame] = [
            .keepalive, .message(RandomMessages.all(seed: 1)[8]),
            .sliceBegin(SliceBegin(stream: 3, header: header, totalBytes: 60)),
            .sliceBytes(stream: 3, payload), .sliceAbort(stream: 7),
            .blobRequest(BlobRequest(id: blob, isManifest: true, offset: 7, length: 1 << 20)),
            .blobChunk(BlobChunk(id: blob, offset: 100, total: 200, bytes: payload)),
            .blobRefusal(BlobRefusal(id: blob, reason: .busy)), .probe(1),
            .probeReply(ProbeReply(number: .max, timeOfDayMicroseconds: 1_795_000_000_000_000)),
            .transferred(bytes: 60, microseconds: 1_234_567), .trial(left: 3, payload),
            .goodbye(Goodbye(.leaving, detail: "SIGTERM")),
        ]
        let encoder = FrameEncoder(version: Version.wireProtocol)
        var seeds: [Seed] = []
        let welcome = Welcome(version: Version.wireProtocol, greeting: greeting)
        for (name, mode, first) in [
            ("listener", UInt8(0), Frame.hello(greeting)), ("dialer", 1, .welcome(welcome)),
            ("bytewise", 20, .hello(greeting)),
        ] {
            var buffer = ByteBuffer()
            for frame in [first] + rest { try encoder.write(frame, into: &buffer) }
            seeds.append((.frames, name, [mode] + bytes(buffer)))
        }
        return seeds
    }

    private static func codecs() -> [Seed] {
        var tensor = ByteBuffer()
        for index in 0..<256 {
            tensor.writeInteger(Float(index % 7).bitPattern, endianness: .little)
        }
        return Codec.allCases.compactMap { codec in
            TensorCodec.pack(tensor, type: .float32, shape: [1, 4, 64], by: codec).map {
                // The element type is the eleventh of the list, from 0.
                (.codecs, "\(codec)", [codec.rawValue | 11 << 3, 3, 64] + bytes($0))
            }
        }
    }

    private static func gossip(_ generator: inout SampleGenerator) throws -> [Seed] {
        var seeds: [Seed] = []
        for (index, message) in RandomMessages.all(seed: 3).enumerated() {
            seeds.append((.gossip, "message-\(index)", [0] + bytes(try message.encodedBytes())))
        }
        for (index, message) in RandomMessages.membership(&generator).enumerated() {
            let encoded = bytes(try message.encodedBytes())
            guard encoded.count <= SealedDatagram.payloadBytesMax else { continue }
            seeds.append((.datagrams, "membership-\(index)", encoded))
        }
        let record = generator.signedRecord()
        seeds += [
            (.gossip, "signed", [5] + bytes(try record.encodedBytes())),
            (.gossip, "record", [6] + bytes(try record.record.encodedBytes())),
            (.gossip, "bundle", [7] + bytes(try generator.bundle().encodedBytes())),
            (.gossip, "name", [8] + bytes(try generator.catalogueEntry(1).encodedBytes())),
        ]
        let beacon = Beacon(member: generator.member(), listenPort: 8_701)
        let text = ServiceText(
            version: 1, node: generator.identity(), mesh: "0011223344556677",
            boot: Boot(counter: 3, random: 5))
        return seeds + [
            (.datagrams, "beacon", bytes(try beacon.encodedBytes())),
            (.datagrams, "service", text.encoded), (.datagrams, "preamble", Preamble.bytes(.data)),
        ]
    }

    private static func journal() throws -> [Seed] {
        var generator = SampleGenerator(seed: 2)
        let settings = Agent.Settings(
            me: generator.member(), name: "küche", address: generator.address(), executionSlots: 2,
            seed: 7)
        let front = [
            JournalRecord.header(JournalHeader(settings)), .start(at: Timestamp(nanoseconds: 5)),
            .directives(DirectiveFingerprint(value: 1, count: 2)),
        ]
        var seeds: [Seed] = []
        for (index, event) in RandomEvents.all(seed: 2).enumerated() where index % 3 == 0 {
            var buffer = JournalFormat.front
            for record in front + [.event(event, at: Timestamp(nanoseconds: 9))] {
                buffer.writeImmutableBuffer(try JournalFormat.encode(record))
            }
            // The long ones say nothing that shorter ones do not.
            guard buffer.readableBytes <= 6_000 else { continue }
            seeds.append((.journal, "event-\(index)", bytes(buffer)))
        }
        return seeds
    }

    // MARK: Models

    private static func models() throws -> [Seed] {
        let fixtures = "Tests/TesseraModelTests/Fixtures/"
        var seeds: [Seed] = []
        for name in ["several", "residual-cnn"] {
            let path = fixtures + name
            let model = try ModelImport.make(xmlPath: path + ".xml", binPath: path + ".bin")
            seeds.append((.manifest, name, model.manifest.encoded))
        }
        let xml = try Data(contentsOf: URL(fileURLWithPath: fixtures + "several.xml"))
        let small = """
            <net name="n" version="11"><layers>
            <layer id="0" name="x" type="Parameter" version="opset1">
            <data shape="1,2" element_type="f32" />
            <output><port id="0" precision="FP32" names="x"><dim>1</dim><dim>2</dim></port></output>
            </layer>
            <layer id="1" name="r" type="ReLU" version="opset1">
            <input><port id="0" precision="FP32"><dim>1</dim><dim>2</dim></port></input>
            <output><port id="1" precision="FP32"><dim>1</dim><dim>2</dim></port></output></layer>
            <layer id="2" name="y" type="Result" version="opset1">
            <input><port id="0" precision="FP32"><dim>1</dim><dim>2</dim></port></input></layer>
            </layers><edges>
            <edge from-layer="0" from-port="0" to-layer="1" to-port="0" />
            <edge from-layer="1" from-port="1" to-layer="2" to-port="0" />
            </edges><rt_info /></net>
            """
        seeds += [(.ir, "several", Array(xml)), (.ir, "small", Array(small.utf8))]
        for (name, file) in ReferenceImages.files { seeds.append((.image, name, file)) }
        return seeds
    }

    // MARK: Texts

    private static func texts() throws -> [Seed] {
        var seeds: [Seed] = []
        for type in ElementType.allCases {
            let array = NpyArray(
                type: type, shape: [1, 2],
                bytes: [UInt8](repeating: 1, count: 2 * type.byteCount)[...])
            seeds.append((.npy, "\(type)", array.file))
        }
        let files = seeds.prefix(2).map { ("\($0.name).npy", $0.bytes) }
        seeds.append((.npz, "two", NpzArchive.bytes(files)))
        let topologies = "Topologies"
        for name in try FileManager.default.contentsOfDirectory(atPath: topologies).sorted() {
            guard name.hasSuffix(".yaml") else { continue }
            let text = try Data(contentsOf: URL(fileURLWithPath: "\(topologies)/\(name)"))
            guard text.count < 4_096 else { continue }
            seeds.append((.topology, String(name.dropLast(5)), Array(text)))
        }
        for (name, text) in [
            ("trace", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("later", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more"),
            ("seed", "kitchen.lan:8701"), ("seed6", "[fe80::1]:8701"),
            ("secret", "tessera-" + String(repeating: "0123456789abcdef", count: 4)),
            ("coding", "gzip;q=0.8, deflate, *;q=0"),
        ] {
            seeds.append((.texts, name, Array(text.utf8)))
        }
        return seeds
    }

    // MARK: Calls

    private static func calls() throws -> [Seed] {
        let json = """
            {"id":"7","parameters":{"timeout":1000,"binary_data_output":true},"inputs":[{"name":"x",\
            "shape":[1,4],"datatype":"FP32","data":[[1,-2.5e3,0,4]]}],\
            "outputs":[{"name":"y","parameters":{"binary_data":false}}]}
            """
        let binary = """
            {"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32",\
            "parameters":{"binary_data_size":16}}]}
            """
        let settings = """
            {"objective":"latency","allowed_modes":["single"],"a":[1,null,true,"\\u00e4",-1e9]}
            """
        let length = binary.utf8.count
        var seeds: [Seed] = [
            (.tensors, "json", [0xFF, 0xFF] + Array(json.utf8)),
            (
                .tensors, "binary",
                [UInt8(length >> 8), UInt8(length & 0xFF)] + Array(binary.utf8)
                    + [UInt8](repeating: 1, count: 16)
            ),
            (.json, "settings", Array(settings.utf8)), (.json, "call", Array(json.utf8)),
        ]
        for number in 0..<13 {
            seeds.append((.tensors, "values-\(number)", [0, UInt8(number)] + Array("[1,0]".utf8)))
        }
        var message = Inference_ModelInferRequest()
        message.modelName = "s"
        message.id = "7"
        message.inputs = [
            .with {
                $0.name = "x"
                $0.datatype = "FP32"
                $0.shape = [1, 4]
            }
        ]
        var contents = message
        contents.inputs[0].contents.fp32Contents = [1, 2, 3, 4]
        message.rawInputContents = [Data(repeating: 1, count: 16)]
        seeds.append((.grpc, "raw", try message.serializedBytes()))
        seeds.append((.grpc, "contents", try contents.serializedBytes()))
        let gzip: [UInt8] = [
            31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 75, 76, 74, 78, 73, 77, 195, 64, 0, 60, 186, 199, 21,
            14, 0, 0, 0,
        ]
        let deflate: [UInt8] = [120, 156, 75, 4, 0, 0, 98, 0, 98]
        return seeds + [(.inflate, "gzip", [254] + gzip), (.inflate, "deflate", [5] + deflate)]
    }
}
