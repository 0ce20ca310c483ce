import TesseraAPI
import TesseraCore
import TesseraNode
import Testing

@testable import tessera

@Suite struct FailoverTimelineTests {
    private func event(
        _ kind: EventKind, at milliseconds: Int64, node: String? = nil
    ) -> EventDocument {
        EventDocument(
            number: 1, atMicroseconds: milliseconds * 1_000, kind: kind.rawValue, node: node,
            model: nil, plan: nil, text: "", milliseconds: nil)
    }

    private func timeline(_ events: EventDocument...) -> [FailoverDocument] {
        var timeline = FailoverTimeline()
        for event in events { timeline.take(event) }
        return timeline.losses
    }

    @Test("a loss and what followed, in milliseconds since it was noticed")
    func whole() {
        let losses = timeline(
            event(.decided, at: 50), event(.lossDetected, at: 100, node: "b"),
            event(.redispatched, at: 103, node: "b"), event(.lossTold, at: 104, node: "b"),
            event(.recovered, at: 120, node: "b"), event(.staging, at: 150),
            event(.decided, at: 200), event(.decided, at: 900))
        #expect(
            losses == [
                FailoverDocument(
                    node: "b", atMicroseconds: 100_000, isOwnDetection: true, detected: 0, told: 4,
                    redispatched: 3, staged: 50, decided: 100, firstAnswer: 20)
            ])
    }

    @Test("a loss that another agent told first counts from then")
    func told() {
        let losses = timeline(
            event(.lossTold, at: 10, node: "b"), event(.lossDetected, at: 30, node: "b"))
        #expect(losses.count == 1)
        #expect(losses.first?.isOwnDetection == false)
        #expect(losses.first?.told == 0)
        #expect(losses.first?.detected == 20)
    }

    @Test("a loss that shows in its requests before its connection breaks counts from then")
    func silent() {
        let losses = timeline(
            event(.redispatched, at: 10, node: "b"), event(.recovered, at: 40, node: "b"),
            event(.decided, at: 60), event(.lossDetected, at: 1_010, node: "b"))
        #expect(
            losses == [
                FailoverDocument(
                    node: "b", atMicroseconds: 10_000, isOwnDetection: true, detected: 1_000,
                    redispatched: 0, decided: 50, firstAnswer: 30)
            ])
    }

    @Test("a node that is lost again is another loss, and two nodes are two")
    func several() {
        let losses = timeline(
            event(.lossDetected, at: 10, node: "b"), event(.lossDetected, at: 12, node: "c"),
            event(.decided, at: 40), event(.lossDetected, at: 5_000, node: "b"),
            event(.decided, at: 5_100))
        #expect(losses.map(\.node) == ["b", "c", "b"])
        #expect(losses.map(\.decided) == [30, 28, 100])
    }

    @Test("what comes half a minute later has another cause")
    func late() {
        let losses = timeline(
            event(.lossDetected, at: 0, node: "b"), event(.decided, at: 31_000))
        #expect(losses.first?.decided == nil)
    }
}

@Suite struct ConfigurationTests {
    private func settings(
        flags: [AgentSetting: [String]] = [:], environment: [String: String] = [:]
    ) throws -> AgentConfiguration {
        try AgentConfiguration(
            AgentSettings(flags: flags, environment: { environment[$0] }, file: nil))
    }

    @Test(
        "bytes have units of 1024",
        arguments: [
            ("0", 0), ("1500000", 1_500_000), ("1K", 1_024), ("512M", 512 << 20), ("2g", 2 << 30),
            ("3GiB", 3 << 30), ("7B", 7), ("1T", 1 << 40), ("", nil), ("M", nil), ("-1", nil),
            ("1.5G", nil), ("9999999999T", nil), ("1 G", nil),
        ] as [(String, Int?)])
    func bytes(text: String, expected: Int?) {
        #expect(AgentConfiguration.bytes(text) == expected)
    }

    @Test(
        "places have a host and a port",
        arguments: [
            ("127.0.0.1:8700", "127.0.0.1:8700"), ("[::1]:0", "[::1]:0"),
            ("host:65535", "host:65535"),
            ("http://127.0.0.1:8700/", "127.0.0.1:8700"), ("host", nil), ("host:", nil),
            (":1", nil), ("::1:8700", nil), ("host:65536", nil), ("a b:1", nil), ("a/b:1", nil),
        ] as [(String, String?)])
    func places(text: String, expected: String?) {
        #expect(HostPort(text)?.description == expected)
    }

    @Test("flags go before variables, and lists in variables have commas")
    func precedence() throws {
        let configuration = try settings(
            flags: [.name: ["flag"]],
            environment: [
                "TESSERA_NAME": "variable", "TESSERA_MESH": "m", "TESSERA_SEED": "a:1,b:2",
                "TESSERA_DATA_DIR": "/d",
            ])
        #expect(configuration.name == "flag")
        #expect(configuration.mesh == "m")
        #expect(configuration.seeds.map(\.description) == ["a:1", "b:2"])
        #expect(configuration.secretFile == "/d/mesh.secret")
        #expect(configuration.yaml.contains("name: \"flag\"  # flag"))
    }

    @Test(
        "wrong values are refused with their source",
        arguments: [
            (AgentSetting.listen, "nowhere"), (.memory, "much"), (.memory, "1K"), (.threads, "0"),
            (.discovery, "magic"), (.name, "a b"), (.name, ""), (.seed, "x"), (.logLevel, "loud"),
        ])
    func wrong(setting: AgentSetting, text: String) {
        #expect(throws: CommandFailure.self) { try settings(flags: [setting: [text]]) }
        guard !text.isEmpty else { return }
        let error = #expect(throws: CommandFailure.self) {
            try settings(environment: [setting.variable: text])
        }
        #expect(error?.code == .usage)
    }
}

@Suite struct OutputTests {
    @Test("tables align their columns and end without blanks")
    func table() {
        var table = Table("NAME", ">COUNT", "NOTE")
        table.add("a", "10", "")
        table.add("long", "7", "x\u{1B}[31m\ny")
        #expect(table.lines == ["NAME  COUNT  NOTE", "a        10", "long      7  x [31m y"])
    }

    @Test("figures are rounded and have units")
    func figures() {
        #expect(Figures.bytes(1_023) == "1023 B")
        #expect(Figures.bytes(1_536) == "1.5 KiB")
        #expect(Figures.bytes(5 << 30) == "5.0 GiB")
        #expect(Figures.decimal(1.005, places: 1) == "1.0")
        #expect(Figures.decimal(-0.04, places: 1) == "0.0")
        #expect(Figures.decimal(9.999, places: 2) == "10.00")
        #expect(Figures.milliseconds(microseconds: 1_234) == "1.23")
        #expect(Figures.span(microseconds: 3_700_000_000) == "1 h 1 min")
        #expect(Figures.span(microseconds: 10) == "0 s")
    }

    @Test("names of tensors become names of files that stay in their folder")
    func fileNames() {
        var taken: Set<String> = []
        let names = ["logits", "a/b", "../x", "", "logits", ".hidden", "ü"]
        #expect(
            names.map { InferOutputs.fileName($0, &taken) }
                == ["logits", "a_b", "_.._x", "_", "logits-2", "_.hidden", "_-2"])
    }

    @Test("a model's usual name is its file's")
    func modelName() {
        #expect(ModelAddCommand.name(of: "/a/b.c/resnet-50.v2.onnx") == "resnet-50.v2")
        #expect(ModelAddCommand.name(of: "plain") == "plain")
    }

    @Test(
        "addresses of APIs",
        arguments: [
            ("http://127.0.0.1:8700/", "http://127.0.0.1:8700"), ("[::1]:1", "http://[::1]:1"),
            ("https://x", "https://x"),
            ("ftp://x", nil), ("", nil), ("http://a/b", nil), ("a b", nil),
        ] as [(String, String?)])
    func addresses(text: String, expected: String?) {
        // Nil stands for any failure.
        #expect((try? APIClient.base(of: text)) == expected)
    }
}

@Suite struct InferInputTests {
    private static let metadata = KServe.TensorMetadata(
        name: "x", datatype: "FP32", shape: [1, 2])

    private func input(_ type: ElementType, _ shape: [Int]) throws -> InferInputs.Input {
        let bytes = [UInt8](repeating: 0, count: shape.reduce(type.byteCount, *))
        return try InferInputs.input(
            NpyArray(type: type, shape: shape, bytes: bytes[...]), metadata: Self.metadata,
            path: "f")
    }

    @Test("more items along the first axis are cut into items")
    func items() throws {
        #expect(try input(.float32, [1, 2]).itemCount == 1)
        let many = try input(.float32, [5, 2])
        #expect(many.itemCount == 5)
        #expect(many.itemByteCount == 8)
        #expect(many.bytes(ofItem: 4).count == 8)
    }

    @Test("other types and shapes are refused")
    func refused() {
        for shape in [[2], [1, 3], [0, 2], [1, 1, 2], []] {
            #expect(throws: CommandFailure.self) { try input(.float32, shape) }
        }
        #expect(throws: CommandFailure.self) { try input(.int32, [1, 2]) }
    }
}
