import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct HostileInputTests {
    private func input(_ members: String) -> String { "{\"inputs\":[{\(members)}]}" }

    @Test("wrong requests get 400 with what is wrong, and the agent goes on")
    func wrongJSON() async throws {
        let cases: [(String, String)] = [
            ("", "not valid JSON"),
            ("[]", "not a JSON object"),
            ("{}", "no array of inputs"),
            (#"{"inputs":3}"#, "no array of inputs"),
            (#"{"inputs":[]}"#, "input x is missing"),
            (#"{"inputs":[7]}"#, "an input has no name"),
            (input(#""name":"z""#), "no input \"z\"; it has x"),
            (input(#""name":"x""#), "no datatype"),
            (input(#""name":"x","datatype":"FP64""#), "the model takes FP32"),
            (input(#""name":"x","datatype":"BYTES""#), "not supported"),
            (input(#""name":"x","datatype":"FP32""#), "no shape"),
            (input(#""name":"x","datatype":"FP32","shape":[4]"#), "has shape [4]"),
            (input(#""name":"x","datatype":"FP32","shape":[1,5]"#), "has shape [1, 5]"),
            (input(#""name":"x","datatype":"FP32","shape":[0,4]"#), "has shape [0, 4]"),
            (input(#""name":"x","datatype":"FP32","shape":[1.5,4]"#), "has shape [?, 4]"),
            (
                input(#""name":"x","datatype":"FP32","shape":[9223372036854775807,4]"#),
                "has shape [9223372036854775807, 4]"
            ),
            (input(#""name":"x","datatype":"FP32","shape":[1,4]"#), "neither data nor"),
            (input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3]"#), "have 3 elem"),
            (
                input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4,5]"#),
                "have more elements"
            ),
            (input(#""name":"x","datatype":"FP32","shape":[1,4],"data":7"#), "not an array"),
            (input(#""name":"x","datatype":"FP32","shape":[1,4],"data":"abcd""#), "not an array"),
            (
                input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1,"a",3,4]"#),
                "expected a value"
            ),
            (
                input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1,true,3,4]"#),
                "element 1 of the data is not a value of FP32"
            ),
            (input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1,,3,4]"#), "expected"),
            (input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4,]"#), "expected"),
            (input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1 2 3 4]"#), "expected"),
            (input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[01,2,3,4]"#), "expected"),
            (
                input(
                    #""name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4],"data":[1]"#),
                "stands twice"
            ),
            (
                input(
                    #""name":"x","datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":16}"#
                ), "no Inference-Header-Content-Length"
            ),
            (
                input(
                    #""name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4],"parameters":{"shared_memory_region":"r"}"#
                ), "shared memory"
            ),
        ]
        try await APIHarness.run { (api: APIHarness) async throws in
            for (body, part) in cases {
                let response = try await api.infer(body)
                #expect(response.status == .badRequest, "\(body)")
                #expect(response.error.contains(part), "\(body): \(response.error)")
            }
            let good = try await api.infer(
                input(#""name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]"#))
            #expect(good.status == .ok)
        }
    }

    @Test("wrong parameters and outputs get 400")
    func wrongParameters() async throws {
        let data = #""inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]"#
        let cases: [(String, String)] = [
            (#""id":5"#, "the id"),
            (#""parameters":5"#, "not an object"),
            (#""parameters":{"timeout":-1}"#, "timeout"),
            (#""parameters":{"timeout":"soon"}"#, "timeout"),
            (#""parameters":{"binary_data_output":1}"#, "binary_data_output"),
            (#""outputs":{}"#, "not an array"),
            (#""outputs":[]"#, "is empty"),
            (#""outputs":[{"name":"q"}]"#, "no output \"q\"; it has y"),
            (#""outputs":[{"name":"y"},{"name":"y"}]"#, "asked for twice"),
            (#""outputs":[{"name":"y","parameters":{"classification":3}}]"#, "classification"),
            (#""outputs":[{"name":"y","parameters":{"binary_data":"yes"}}]"#, "binary_data"),
        ]
        try await APIHarness.run { (api: APIHarness) async throws in
            for (member, part) in cases {
                let response = try await api.infer("{\(data),\(member)}")
                #expect(response.status == .badRequest, "\(member)")
                #expect(response.error.contains(part), "\(member): \(response.error)")
            }
            let many = #"{"inputs":[{"name":"x","datatype":"FP32","shape":[4097,4],"data":[]}]}"#
            #expect(try await api.infer(many).status == .badRequest)
            let zero = try await api.infer("{\(data),\"parameters\":{\"timeout\":0}}")
            #expect(zero.status == .ok)
            #expect(api.backend.state.withLock { $0.requests.last?.deadline } == nil)
        }
    }

    @Test("wrong binary sizes and header lengths get 400, oversize ones 413")
    func wrongBinary() async throws {
        @Sendable func request(_ size: String) -> String {
            input(
                #""name":"x","datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":\#(size)}"#
            )
        }
        let bytes = [UInt8](repeating: 0, count: 16)
        try await APIHarness.run { (api: APIHarness) async throws in
            for size in ["15", "17", "-16", "16.5", "\"16\"", "9223372036854775807", "1e40"] {
                let response = try await api.infer(request(size), binary: bytes)
                #expect(response.status == .badRequest, "\(size)")
                #expect(response.error.contains("binary_data_size"), "\(size): \(response.error)")
            }
            let beyond = try await api.infer(request("1e400"), binary: bytes)
            #expect(beyond.status == .badRequest)
            #expect(beyond.error.contains("beyond the range"), "\(beyond.error)")
            let short = try await api.infer(request("16"), binary: [1, 2, 3])
            #expect(short.status == .badRequest)
            #expect(short.error.contains("the body ends within input x"))
            let long = try await api.infer(request("16"), binary: bytes + [1])
            #expect(long.status == .badRequest)
            #expect(long.error.contains("1 bytes follow"))
            for length in [1_000_000, 5, 0, -3] {
                let response = try await api.infer(
                    request("16"), binary: bytes, headerLength: length)
                #expect(response.status == .badRequest, "\(length)")
            }
            let huge = try await api.infer(request("16"), binary: bytes, headerLength: .max)
            #expect(huge.status == .contentTooLarge)
            let name = try #require(APIHarness.headerLength)
            let text = try await api.infer(request("16"), headers: [name: "many"])
            #expect(text.status == .badRequest)
            let packed = try await api.infer(request("16"), headers: [.contentEncoding: "br"])
            #expect(packed.status == .unsupportedMediaType)
        }
    }

    @Test("deep nesting and floods of values end in 400")
    func nesting() async throws {
        let deep = String(repeating: "[", count: 200_000)
        let objects = String(repeating: "{\"a\":", count: 100_000)
        let flood = "[" + String(repeating: "0,", count: 200_000) + "0]"
        try await APIHarness.run { (api: APIHarness) async throws in
            for body in [
                deep, objects, "{\"inputs\":\(flood)}",
                input("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,4],\"data\":\(deep)"),
                input("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":\(flood)"),
            ] {
                let response = try await api.infer(body)
                #expect(response.status == .badRequest, "\(body.prefix(80))")
            }
        }
    }

    @Test("a body over the limit is refused before it is held, with and without a length")
    func oversize() async throws {
        var configuration = APIHarness.configuration()
        configuration.inferenceBytesMax = 10_000
        configuration.jsonBytesMax = 1_000
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            let long = String(repeating: " ", count: 20_000)
            #expect(try await api.infer(long).status == .contentTooLarge)
            let json = String(repeating: " ", count: 2_000)
            #expect(try await api.infer(json).status == .contentTooLarge)
            let chunk = String(repeating: "x", count: 4_096)
            let chunks = String(repeating: "1000\r\n\(chunk)\r\n", count: 4) + "0\r\n\r\n"
            let answer = await api.raw(
                "POST /v2/models/identity/infer HTTP/1.1\r\nHost: localhost\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n" + chunks, halfClose: false,
                until: "\"}")
            #expect(answer.hasPrefix("HTTP/1.1 413"), "\(answer)")
        }
    }

    @Test("bodies that together would fill the memory are refused with 429")
    func heldBytes() async throws {
        var configuration = APIHarness.configuration()
        configuration.heldBytesMax = 100
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            let response = try await api.infer(String(repeating: " ", count: 200))
            #expect(response.status == .tooManyRequests)
            #expect(response.headers[.retryAfter] == "1")
            #expect(try await api.infer("{}").status == .badRequest)
        }
    }

    @Test("a truncated body, garbage and endless heads end in 400, never in silence")
    func truncated() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let short = await api.raw(
                "POST /v2/models/identity/infer HTTP/1.1\r\nHost: localhost\r\n"
                    + "Content-Length: 500\r\n\r\n{\"inputs\":")
            #expect(short.hasPrefix("HTTP/1.1 400"), "\(short)")
            let garbage = await api.raw("\u{16}\u{03}\u{01} hello\r\n\r\n", halfClose: false)
            #expect(garbage.isEmpty || garbage.hasPrefix("HTTP/1.1 400"), "\(garbage)")
            let field = String(repeating: "a", count: 20_000)
            let head = await api.raw(
                "GET /v2 HTTP/1.1\r\nHost: localhost\r\nX-A: \(field)\r\n\r\n", halfClose: false)
            #expect(head.isEmpty || head.hasPrefix("HTTP/1.1 4"), "\(head)")
            let fields = String(repeating: "X-A: 1\r\n", count: 200)
            let many = await api.raw(
                "GET /v2 HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n", halfClose: false)
            #expect(many.isEmpty || many.hasPrefix("HTTP/1.1 4"), "\(many)")
            #expect(try await api.send(.get, "/v2").status == .ok)
        }
    }

    @Test("paths and methods that do not exist get JSON errors")
    func paths() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for path in [
                "//", "/v2//models", "/v2/models", "/v2/models/a/b/c", "/v2/models/%zz",
                "/v2/models/%ff", "/tessera", "/tessera/v1/", "/tessera/v1/x", "/v3", "/..",
                "/v2/health",
            ] {
                let response = try await api.send(.get, path)
                #expect(response.status == .notFound, "\(path)")
                #expect(response.error.contains("there is nothing"), "\(path)")
            }
            let wrong = try await api.send(.get, "/v2/models/identity/infer")
            #expect(wrong.status == .methodNotAllowed)
            #expect(wrong.headers[.allow] == "POST")
            let head = try await api.send(.head, "/v2/models/none")
            #expect(head.status == .notFound)
            #expect(head.body.readableBytes == 0)
        }
    }
}
