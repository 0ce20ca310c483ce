import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct CompressionTests {
    private static let body =
        #"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}"#

    private func send(
        _ api: APIHarness, _ body: ByteBuffer, coding: String, accepts: String? = nil,
        model: String = "identity"
    ) async throws -> TestResponse {
        var headers: HTTPFields = [.contentEncoding: coding]
        if let accepts { headers[.acceptEncoding] = accepts }
        return try await api.client.execute(
            uri: "/v2/models/\(model)/infer", method: .post, headers: headers, body: body)
    }

    private func inflated(_ body: ByteBuffer, _ coding: ContentCoding) throws -> [UInt8] {
        var result = ByteBuffer()
        let inflater = try #require(try coding.inflater())
        try inflater.inflate(body, into: &result, limit: 1 << 20) { _ in }
        try inflater.finish()
        return Array(result.readableBytesView)
    }

    @Test("compressed requests are read, and answers are compressed for whom asks")
    func both() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for coding in [ContentCoding.gzip, .deflate] {
                let packed = try coding.compress([ByteBuffer(string: Self.body)])
                let plain = try await send(api, packed, coding: coding.rawValue)
                #expect(plain.status == .ok, "\(plain.text)")
                #expect(plain.headers[.contentEncoding] == nil)
                let answer = try await send(
                    api, packed, coding: coding.rawValue.uppercased(), accepts: coding.rawValue)
                #expect(answer.headers[.contentEncoding] == coding.rawValue)
                #expect(answer.headers[.vary] == "Accept-Encoding")
                #expect(try inflated(answer.body, coding) == Array(plain.body.readableBytesView))
            }
        }
    }

    @Test("binary tensors are compressed behind their JSON, whose length is that before")
    func binary() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let json = """
                {"inputs":[{"name":"x","shape":[1,100000],"datatype":"FP32",
                 "parameters":{"binary_data_size":400000}}],"parameters":{"binary_data_output":true}}
                """
            let values = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let packed = try ContentCoding.gzip.compress([
                ByteBuffer(string: json), ByteBuffer(), ByteBuffer(bytes: values),
            ])
            let length = try #require(APIHarness.headerLength)
            let answer = try await api.client.execute(
                uri: "/v2/models/large/infer", method: .post,
                headers: [
                    .contentEncoding: "gzip", .acceptEncoding: "gzip", length: "\(json.utf8.count)",
                ], body: packed)
            #expect(answer.status == .ok, "\(answer.text)")
            let bytes = try inflated(answer.body, .gzip)
            let headerBytes = try #require(answer.headers[length].flatMap { Int($0) })
            #expect(bytes[headerBytes...] == values[...])
            let address = try #require(api.backend.state.withLock { $0.requests.last })
                .inputs[0].bytes.withUnsafeReadableBytes { Int(bitPattern: $0.baseAddress) }
            #expect(address % 16 == 0)
        }
    }

    @Test("what inflates to more than is allowed, or is not what it says, is refused")
    func hostile() async throws {
        var configuration = APIHarness.configuration()
        configuration.inferenceBytesMax = 1 << 20
        configuration.heldBytesMax = 2 << 20
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            let zeros = ByteBuffer(repeating: UInt8(ascii: " "), count: 64 << 20)
            let bomb = try ContentCoding.gzip.compress([zeros])
            #expect(bomb.readableBytes < 1 << 20)
            #expect(try await send(api, bomb, coding: "gzip").status == .contentTooLarge)
            let packed = try ContentCoding.gzip.compress([ByteBuffer(string: Self.body)])
            var short = packed
            short.moveWriterIndex(to: packed.writerIndex - 3)
            let cut = try await send(api, short, coding: "gzip")
            #expect(cut.status == .badRequest && cut.error.contains("ends too soon"))
            let empty = try await send(api, ByteBuffer(), coding: "gzip")
            #expect(empty.status == .badRequest && empty.error.contains("ends too soon"))
            let plain = try await send(api, ByteBuffer(string: Self.body), coding: "deflate")
            #expect(plain.status == .badRequest && plain.error.contains("is not deflate"))
            var doubled = try ContentCoding.deflate.compress([ByteBuffer(string: Self.body)])
            doubled.writeString("x")
            let behind = try await send(api, doubled, coding: "deflate")
            #expect(behind.status == .badRequest && behind.error.contains("bytes follow"))
            for coding in ["br", "gzip, gzip", "zstd"] {
                let other = try await send(api, packed, coding: coding)
                #expect(other.status == .unsupportedMediaType, "\(coding)")
            }
            // Two files of gzip behind each other are one body.
            let middle = Self.body.utf8.count / 2
            var two = try ContentCoding.gzip.compress([
                ByteBuffer(bytes: Self.body.utf8.prefix(middle))
            ])
            two.writeImmutableBuffer(
                try ContentCoding.gzip.compress([
                    ByteBuffer(bytes: Self.body.utf8.dropFirst(middle))
                ]))
            #expect(try await send(api, two, coding: "gzip").status == .ok)
        }
    }

    @Test(
        "the coding that the client likes best is chosen",
        arguments: [
            ("", ContentCoding.identity), ("gzip", .gzip), ("deflate, gzip", .gzip),
            ("deflate, gzip;q=0.5", .deflate), ("gzip;q=0", .identity), ("br, zstd", .identity),
            ("gzip;q=0.5, identity", .identity), ("GZIP ; q=0.9", .gzip), ("*", .identity),
        ])
    func accepted(field: String, coding: ContentCoding) {
        #expect(ContentCoding.accepted(by: [field]) == coding)
    }
}
