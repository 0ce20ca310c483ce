import Hummingbird
import HummingbirdTesting
import NIOCore
import TesseraCore
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct InferenceTests {
    static func floats(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) }
        }
    }

    @Test("JSON tensors, flat and nested, come back as JSON with id and parameters")
    func json() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for data in [
                "[1,2.5,-3e2,0.1]", "[[1, 2.5, -300, 1e-1]]", "[[[1],[2.5]],[[-300,0.1]]]",
            ] {
                let response = try await api.infer(
                    """
                    {"id":"q-7","inputs":[{"name":"x","shape":[1,4],"datatype":"FP32",
                     "data":\(data)}]}
                    """)
                #expect(response.status == .ok, "\(response.text)")
                let json = response.json
                #expect(json["id"] == .string("q-7"))
                #expect(json["model_name"] == .string("identity"))
                #expect(json["model_version"] == .string("1"))
                let parameters = json["parameters"]
                #expect(parameters?["tessera_plan"] == .string(TestBackend.plan.hexadecimal))
                #expect(parameters?["tessera_request"] == .string("0a1b2c3d-1-2"))
                #expect(parameters?["tessera_node"] == .string("here"))
                #expect(parameters?["tessera_attempts"] == .integer(Int64(1)))
                let output = json["outputs"]?.arrayValue?.first
                #expect(output?["name"] == .string("y"))
                #expect(output?["datatype"] == .string("FP32"))
                #expect(output?["shape"] == .array([.integer(1), .integer(4)]))
                #expect(
                    output?["data"]
                        == .array([.number(1), .number(2.5), .number(-300), .number(0.1)]))
            }
        }
    }

    @Test("binary tensors go in and out byte by byte as they are")
    func binary() async throws {
        let values = Self.floats([1, -.infinity, .nan, 0.1])
        try await APIHarness.run { (api: APIHarness) async throws in
            let request = """
                {"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32",
                 "parameters":{"binary_data_size":16}}],
                 "outputs":[{"name":"y","parameters":{"binary_data":true}}],
                 "parameters":{"timeout":1500000}}
                """
            let response = try await api.infer(request, binary: values)
            #expect(response.status == .ok, "\(response.text)")
            let name = try #require(APIHarness.headerLength)
            let length = try #require(response.headers[name].flatMap { Int($0) })
            let bytes = Array(response.body.readableBytesView)
            #expect(Array(bytes[length...]) == values)
            let json = try JSONReader.read(Array(bytes[..<length]))
            let output = json["outputs"]?.arrayValue?.first
            #expect(output?["parameters"]?["binary_data_size"] == .integer(Int64(16)))
            #expect(output?["data"] == nil)
            let seen = try #require(api.backend.state.withLock { $0.requests.last })
            #expect(seen.deadline == .microseconds(1_500_000))
            #expect(seen.manifest == TestBackend.manifest)
        }
    }

    @Test("tensors of a binary body begin where an engine can take them")
    func alignment() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for spaces in 0..<20 {
                let json =
                    String(repeating: " ", count: spaces)
                        + """
                        {"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32",
                         "parameters":{"binary_data_size":16}}]}
                        """
                let response = try await api.infer(json, binary: Self.floats([1, 2, 3, 4]))
                #expect(response.status == .ok)
                let seen = try #require(api.backend.state.withLock { $0.requests.last })
                let address = seen.inputs[0].bytes.withUnsafeReadableBytes {
                    Int(bitPattern: $0.baseAddress)
                }
                #expect(address % 16 == 0)
            }
        }
    }

    @Test("every element type goes through as binary data and as JSON")
    func types() async throws {
        let texts: [(ElementType, String)] = [
            (.boolean, "true,false"), (.int8, "-128,127"), (.int16, "-32768,32767"),
            (.int32, "-2147483648,2147483647"),
            (.int64, "-9223372036854775808,9223372036854775807"), (.uint8, "0,255"),
            (.uint16, "0,65535"), (.uint32, "0,4294967295"), (.uint64, "0,18446744073709551615"),
            (.float16, "65504,6e-8"), (.bfloat16, "3.39e+38,-1e-40"),
            (.float32, "3.4028235e+38,1e-45"), (.float64, "1.7976931348623157e+308,5e-324"),
        ]
        for (type, text) in texts {
            let bytes = try TensorText.read(Array("[\(text)]".utf8)[...], type: type, count: 2)
            #expect(bytes.readableBytes == 2 * type.byteCount)
            let tensor = InferenceTensor(
                descriptor: TestBackend.tensor("t", type, [2]), bytes: bytes)
            let back = try TensorText.write(tensor)
            let again = try TensorText.read(back[...], type: type, count: 2)
            #expect(again == bytes, "\(type): \(String(decoding: back, as: UTF8.self))")
        }
        try await APIHarness.run { (api: APIHarness) async throws in
            let inputs = ElementType.allCases.map { type in
                """
                {"name":"in-\(type)","shape":[1,2],"datatype":"\(type.protocolName)",
                 "parameters":{"binary_data_size":\(2 * type.byteCount)}}
                """
            }.joined(separator: ",")
            let size = ElementType.allCases.reduce(0) { $0 + 2 * $1.byteCount }
            let values = (0..<size).map { UInt8($0 % 2) }
            let json = """
                {"inputs":[\(inputs)],"parameters":{"binary_data_output":true}}
                """
            let response = try await api.infer(json, binary: values, model: "mixed")
            #expect(response.status == .ok, "\(response.text)")
            #expect(Array(response.body.readableBytesView).suffix(size) == values[...])
            let asJSON = try await api.infer(
                #"{"inputs":[\#(inputs)],"outputs":[{"name":"out-float16"}]}"#, binary: values,
                model: "mixed")
            #expect(asJSON.status == .ok, "\(asJSON.text)")
        }
    }

    @Test("halves are rounded to the nearest, ties to even, and never to infinity")
    func halves() throws {
        func bits(_ text: String, _ type: ElementType) -> UInt16? {
            // Values that do not fit give nil.
            var bytes = try? TensorText.read(Array("[\(text)]".utf8)[...], type: type, count: 1)
            return bytes?.readInteger(endianness: .little)
        }
        let halves: [(String, UInt16?)] = [
            ("1", 0x3C00), ("-2", 0xC000), ("1.00048828125", 0x3C00), ("1.0004882813", 0x3C01),
            ("65504", 0x7BFF), ("65520", nil), ("1e999", nil),
        ]
        for (text, expected) in halves { #expect(bits(text, .float16) == expected, "\(text)") }
        let brain: [(String, UInt16?)] = [
            ("1", 0x3F80), ("-2", 0xC000), ("1.00390625", 0x3F80), ("1.01171875", 0x3F82),
            // Just above a tie, by less than a 32-bit float can tell.
            ("1.0039062500000001", 0x3F80), ("1.00390625000001", 0x3F81),
            ("3.3895313892515355e38", 0x7F7F), ("3.4e38", nil), ("1e300", nil),
        ]
        for (text, expected) in brain { #expect(bits(text, .bfloat16) == expected, "\(text)") }
    }

    @Test("a batch is split into items that keep their order, and joined again")
    func batch() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let numbers = (0..<400).map { "\($0)" }.joined(separator: ",")
            let response = try await api.infer(
                #"{"inputs":[{"name":"x","shape":[100,4],"datatype":"FP32","data":[\#(numbers)]}]}"#
            )
            #expect(response.status == .ok, "\(response.text)")
            let output = response.json["outputs"]?.arrayValue?.first
            #expect(output?["shape"] == .array([.integer(100), .integer(4)]))
            #expect(output?["data"] == .array((0..<400).map { .number(Double($0)) }))
            let seen = api.backend.state.withLock { $0.requests }
            #expect(seen.count == 100)
            #expect(seen.allSatisfy { $0.inputs[0].bytes.readableBytes == 16 })

            let binary = try await api.infer(
                """
                {"inputs":[{"name":"x","shape":[3,4],"datatype":"FP32",
                 "parameters":{"binary_data_size":48}}],"parameters":{"binary_data_output":true}}
                """, binary: Self.floats((0..<12).map(Float.init)))
            #expect(
                Array(binary.body.readableBytesView).suffix(48)
                    == Self.floats((0..<12).map(Float.init))[...])

            let unjoinable = try await api.infer(
                #"{"inputs":[{"name":"x","shape":[2,4],"datatype":"FP32","data":[1,2,3,4,5,6,7,8]}]}"#,
                model: "reduced")
            #expect(unjoinable.status == .badRequest)
            #expect(unjoinable.error.contains("cannot be joined"))
        }
    }

    @Test("a large answer is sent whole")
    func large() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let values = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let response = try await api.infer(
                """
                {"inputs":[{"name":"x","shape":[1,100000],"datatype":"FP32",
                 "parameters":{"binary_data_size":400000}}],
                 "parameters":{"binary_data_output":true}}
                """, binary: values, model: "large")
            #expect(response.status == .ok)
            #expect(Array(response.body.readableBytesView).suffix(400_000) == values[...])
        }
    }

    @Test("only the outputs asked for come back, in that order")
    func outputs() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let response = try await api.infer(
                """
                {"inputs":[{"name":"s","shape":[],"datatype":"UINT8","data":[9]},
                 {"name":"x","shape":[2,3],"datatype":"INT32","data":[[1,2,3],[4,5,6]]}],
                 "outputs":[{"name":"t"},{"name":"y","parameters":{"binary_data":false}}]}
                """, model: "fixed")
            #expect(response.status == .ok, "\(response.text)")
            let outputs = response.json["outputs"]?.arrayValue ?? []
            #expect(outputs.map { $0["name"] } == [.string("t"), .string("y")])
            #expect(outputs.first?["data"] == .array([.integer(Int64(9))]))
            #expect(outputs.first?["shape"] == .array([]))
        }
    }

    @Test("values that JSON cannot carry are refused with what to do")
    func notFinite() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let out = try await api.infer(
                """
                {"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32",
                 "parameters":{"binary_data_size":16}}]}
                """, binary: Self.floats([1, .nan, 0, 0]))
            #expect(out.status == .badRequest)
            #expect(out.error.contains("element 1 is not finite"))
            for word in ["NaN", "Infinity", "-Infinity", "1e999", "1e39"] {
                let response = try await api.infer(
                    #"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[0,0,0,\#(word)]}]}"#
                )
                #expect(response.status == .badRequest, "\(word)")
                #expect(!response.error.contains("no error"))
            }
        }
    }

    @Test("errors of the core have their status")
    func errors() async throws {
        let expected: [String: Int] = [
            "unknown-to-core": 404, "unavailable": 503, "overloaded": 429, "late": 504,
            "failed": 500, "refused": 400, "leaving": 503, "nothing": 404,
        ]
        try await APIHarness.run { (api: APIHarness) async throws in
            for (model, status) in expected.sorted(by: { $0.key < $1.key }) {
                let response = try await api.infer(
                    #"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}"#,
                    model: model)
                #expect(response.status.code == status, "\(model)")
                #expect(!response.error.contains("no error"))
                if model == "overloaded" { #expect(response.headers[.retryAfter] == "3") }
            }
        }
    }

    @Test("a client that goes away cancels its request")
    func cancellation() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let body =
                #"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}"#
            let head = """
                POST /v2/models/slow/infer HTTP/1.1\r\nHost: localhost\r\n\
                Content-Length: \(body.utf8.count)\r\n\r\n
                """
            // The half close after the request is the end of the client for a server of HTTP.
            async let answer = api.raw(head + body)
            var signals = api.backend.signals.makeAsyncIterator()
            #expect(await signals.next() == "infers")
            #expect(await signals.next() == "cancelled")
            _ = await answer
            #expect(api.backend.state.withLock { $0.cancelledCount } == 1)
        }
    }

    @Test("metadata, health and configuration are as the protocol says")
    func metadata() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let server = try await api.send(.get, "/v2")
            #expect(server.json["name"] == .string("tessera"))
            #expect(server.json["extensions"]?.arrayValue?.first == .string("binary_tensor_data"))
            #expect(try await api.send(.get, "/v2/health/live").status == .ok)
            #expect(try await api.send(.get, "/v2/health/ready").status == .ok)
            for path in [
                "/v2/models/identity", "/v2/models/identity/versions/1/", "/v2/models/identity/",
            ] {
                let model = try await api.send(.get, path)
                #expect(model.json["versions"] == .array([.string("1")]))
                let input = model.json["inputs"]?.arrayValue?.first
                #expect(input?["datatype"] == .string("FP32"))
                #expect(input?["shape"] == .array([.integer(1), .integer(4)]))
            }
            let configuration = try await api.send(.get, "/v2/models/identity/config")
            #expect(configuration.json["max_batch_size"] == .integer(Int64(0)))
            #expect(try await api.send(.get, "/v2/models/identity/ready").status == .ok)
            #expect(try await api.send(.get, "/v2/models/identity/versions/1/ready").status == .ok)
            #expect(try await api.send(.get, "/v2/models/with%20space/ready").status == .ok)
            let waiting = try await api.send(.get, "/v2/models/waiting/ready")
            #expect(waiting.status == .serviceUnavailable)
            #expect(waiting.error.contains("3 blobs are missing"))
            #expect(try await api.send(.get, "/v2/models/none").status == .notFound)
            #expect(try await api.send(.get, "/v2/models/identity/versions/2").status == .notFound)
            let index = try await api.send(.post, "/v2/repository/index", "{}")
            #expect(index.json.arrayValue?.count == 2)
            api.backend.state.withLock { $0.isReady = false }
            #expect(try await api.send(.get, "/v2/health/ready").status == .serviceUnavailable)
            #expect(try await api.send(.get, "/v2/health/live").status == .ok)
        }
    }

    @Test("bodies that ask the repository for what it does not do are refused with the reason")
    func repositoryBodies() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let headers = ControlTests.admin
            for (body, reason) in [
                ("[]", "not a JSON object"), ("{", "not valid JSON"),
                (#"{"parameters":[]}"#, "parameters are not an object"),
                (#"{"parameters":{"config":"{}"}}"#, "\"config\" of a load is not supported"),
                (#"{"parameters":{"file:1/model.onnx":""}}"#, "is not supported"),
                (#"{"parameters":{"manifest":7}}"#, "manifest is not a text"),
                (#"{"parameters":{"manifest":"7f"}}"#, "not 64 hexadecimal digits"),
            ] {
                let answer = try await api.send(
                    .post, "/v2/repository/models/identity/load", body, headers: headers)
                #expect(answer.status == .badRequest)
                #expect(answer.error.contains(reason), "\(body): \(answer.error)")
            }
            for (body, reason) in [("7", "not a JSON object"), ("{]", "not valid JSON")] {
                let answer = try await api.send(
                    .post, "/v2/repository/models/identity/unload", body, headers: headers)
                #expect(answer.status == .badRequest)
                #expect(answer.error.contains(reason), "\(body): \(answer.error)")
            }
            let none = try await api.send(
                .post, "/v2/repository/models/none/unload", "{}", headers: headers)
            #expect(none.status == .notFound)
            // Nothing of this took the model away.
            #expect(try await api.send(.get, "/v2/models/identity/ready").status == .ok)
        }
    }

    @Test("what an agent cannot know yet is 503 with when to come again, not 404 or 400")
    func notKnownYet() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let unread = try await api.infer("{}", model: "unread")
            #expect(unread.status == .serviceUnavailable)
            #expect(unread.error.contains("its manifest has not arrived"))
            #expect(unread.headers[.retryAfter] == "1")
            #expect(try await api.infer("{}", model: "none").status == .notFound)
            api.backend.state.withLock { $0.isReady = false }
            let unknown = try await api.infer("{}", model: "none")
            #expect(unknown.status == .serviceUnavailable)
            #expect(unknown.headers[.retryAfter] == "1")
            let metadata = try await api.send(.get, "/v2/models/none")
            #expect(metadata.status == .serviceUnavailable)
        }
    }
}
