import Foundation
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import TesseraCore
import Testing

@testable import TesseraAPI

@Suite struct ClassificationTests {
    /// 2 × 1 pixels: black, and one of 153 in each channel.
    private static let png = Data(
        base64Encoded: "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR42mNgYGCYOXMm"
            + "AAOdAcwQISrNAAAAAElFTkSuQmCC")

    private func ask(
        _ api: APIHarness, _ bytes: some Sequence<UInt8>, model: String = "seeing",
        query: String = "", headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await api.client.execute(
            uri: "/tessera/v1/models/\(model)/classify\(query)", method: .post, headers: headers,
            body: ByteBuffer(bytes: bytes))
    }

    @Test("an image becomes the model's input, and its output classes")
    func classes() async throws {
        let png = try #require(Self.png)
        try await APIHarness.run { (api: APIHarness) async throws in
            let response = try await ask(api, png)
            #expect(response.status == .ok, "\(response.text)")
            #expect(response.json["version"] == .integer(Int64(1)))
            #expect(response.json["model"] == .string("seeing"))
            let classes = try #require(response.json["classes"]?.arrayValue)
            #expect(classes.map { $0["label"] } == [.string("right"), .string("left <b>")])
            #expect(classes.map { $0["index"] } == [.integer(Int64(1)), .integer(Int64(0))])
            let top = try await ask(api, png, query: "?top=1")
            #expect(top.json["classes"]?.arrayValue?.count == 1)
            #expect(try await ask(api, png, query: "?top=0").status == .badRequest)
            #expect(try await ask(api, png, query: "?top=x").status == .badRequest)
        }
    }

    @Test("a classification is counted, named and traced as every request is")
    func counted() async throws {
        let png = try #require(Self.png)
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        try await APIHarness.run { (api: APIHarness) async throws in
            let response = try await ask(api, png, headers: [.traceparent: trace])
            #expect(response.json["request"] == .string("0a1b2c3d-1-2"))
            let seen = try #require(api.backend.state.withLock { $0.requests.last })
            #expect(seen.trace == TraceContext(traceparent: trace))
            let metrics = try await api.send(.get, "/metrics").text
            let count = "tessera_requests_total{model=\"seeing\",outcome=\"answered\"} 1"
            #expect(metrics.contains(count))
        }
    }

    @Test("what is no image, or goes to a model that takes none, is refused with a reason")
    func refusals() async throws {
        let png = try #require(Self.png)
        try await APIHarness.run { (api: APIHarness) async throws in
            let text = try await ask(api, Array("hello".utf8))
            #expect(text.status == .unsupportedMediaType)
            #expect(text.error.contains("PNG nor a JPEG"))
            let half = try await ask(api, png.prefix(45))
            #expect(half.status == .badRequest && half.error.contains("cannot be read"))
            #expect(try await ask(api, [UInt8]()).status == .unsupportedMediaType)
            let blind = try await ask(api, png, model: "identity")
            #expect(blind.status == .badRequest && blind.error.contains("--image rgb"))
            let misled = try await ask(api, png, model: "misled")
            #expect(misled.status == .badRequest && misled.error.contains("shape is [1, 4]"))
            #expect(try await ask(api, png, model: "none").status == .notFound)
            let get = try await api.send(.get, "/tessera/v1/models/seeing/classify")
            #expect(get.status == .methodNotAllowed)
            let foreign = try await api.send(
                .post, "/tessera/v1/models/seeing/classify", "x",
                headers: [.origin: "http://evil.example"])
            #expect(foreign.status == .forbidden)
        }
    }
}
