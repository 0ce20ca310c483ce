import GRPCCore
import InferenceProtocol
import Logging
import NIOCore
import SwiftProtobuf
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct GRPCAccessTests {
    private func code(_ api: GRPCHarness, token: String? = nil) async -> RPCError.Code? {
        let metadata: Metadata = token.map { ["authorization": .string($0)] } ?? [:]
        return await api.error {
            try await api.infer(GRPCHarness.request(), metadata: metadata)
        }?.code
    }

    /// How a compressed request ends.
    private func packedCode(
        _ api: GRPCHarness, _ request: Inference_ModelInferRequest
    ) async -> RPCError.Code? {
        var options = CallOptions.defaults
        options.compression = .gzip
        do {
            _ = try await api.infer(request, options: options)
            return nil
        } catch {
            return (error as? RPCError)?.code
        }
    }

    @Test("without an anonymous right a call needs a token with the right for it")
    func tokens() async throws {
        var configuration = APIHarness.configuration()
        configuration.anonymousRight = nil
        try await GRPCHarness.run(configuration) { (api: GRPCHarness) async throws in
            #expect(await code(api) == .unauthenticated)
            #expect(await code(api, token: "Bearer shut") == .unauthenticated)
            #expect(await code(api, token: "Basic open") == .unauthenticated)
            #expect(await code(api, token: "Bearer look") == .permissionDenied)
            #expect(await code(api, token: "Bearer open") == nil)
            #expect(await code(api, token: "Bearer admin-token") == nil)
            #expect(api.backend.state.withLock { $0.requests.count } == 2)
            let reading: Metadata = ["authorization": "Bearer look"]
            func live(_ metadata: Metadata) async -> RPCError? {
                await api.error {
                    try await api.call(
                        Inference_GRPCInferenceService.Method.ServerLive.descriptor,
                        Inference_ServerLiveRequest(), as: Inference_ServerLiveResponse.self,
                        metadata: metadata)
                }
            }
            #expect(await live(reading) == nil)
            #expect(await live([:])?.code == .unauthenticated)
            let unload = await api.error {
                try await api.call(
                    Inference_GRPCInferenceService.Method.RepositoryModelUnload.descriptor,
                    Inference_RepositoryModelUnloadRequest.with { $0.modelName = "identity" },
                    as: Inference_RepositoryModelUnloadResponse.self,
                    metadata: ["authorization": "Bearer open"])
            }
            #expect(unload?.code == .permissionDenied)
            #expect(unload?.message.contains("the right to admin") == true)
        }
    }

    @Test(
        "only loopback and configured names are accepted as authority",
        arguments: [
            ("localhost:1", true), ("box.local", true), ("evil.example", false),
            ("127.0.0.1.evil.example:80", false),
        ])
    func authority(name: String, isAccepted: Bool) async throws {
        try await GRPCHarness.run(authority: name) { (api: GRPCHarness) async throws in
            #expect(await code(api) == (isAccepted ? nil : .permissionDenied))
        }
    }

    @Test("requests that are too long, or for which there is no memory, are refused")
    func limits() async throws {
        var configuration = APIHarness.configuration()
        configuration.heldBytesMax = 4_000_000
        try await GRPCHarness.run(configuration) { (api: GRPCHarness) async throws in
            let large = GRPCHarness.request(values: [Float](repeating: 1, count: 1_100_000))
            let error = await api.error { try await api.infer(large) }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("fill the memory") == true)
            #expect(error?.retryAfter == ["1"])
            // What was held is given back.
            for _ in 0..<4 {
                let batch = [Float](repeating: 1, count: 400_000)
                _ = await api.error { try await api.infer(GRPCHarness.request(values: batch)) }
            }
            #expect(await code(api) == nil)
        }
        configuration = APIHarness.configuration()
        configuration.inferenceBytesMax = 1_000
        try await GRPCHarness.run(configuration) { (api: GRPCHarness) async throws in
            // A megabyte more is for names and parameters.
            let large = GRPCHarness.request(values: [Float](repeating: 1, count: 300_000))
            #expect(
                await api.error { try await api.infer(large) }?.code == .resourceExhausted)
            // Zeros deflate to a thousandth: the bound is on what comes out.
            #expect(await packedCode(api, large) == .resourceExhausted)
            #expect(api.backend.state.withLock { $0.requests.isEmpty })
            #expect(await code(api) == nil)
        }
    }

    @Test("what is not gRPC is ended, and the others are served on")
    func garbage() async throws {
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            let port = UInt16(api.ports.grpc ?? 0)
            for text in [
                "GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n", "", "PRI", preface + "garbage here",
                preface + "\u{0}\u{0}\u{8}\u{6}\u{0}\u{0}\u{0}\u{0}\u{1}12345678",
            ] {
                let answer = await APIHarness.raw(text, port: port)
                #expect(!answer.contains("HTTP/1.1"))
                #expect(await code(api) == nil)
            }
        }
    }

    @Test("beyond the most connections further ones are closed")
    func connections() async throws {
        var configuration = APIHarness.configuration()
        configuration.connectionsMax = 1
        try await GRPCHarness.run(configuration) { (api: GRPCHarness) async throws in
            #expect(await code(api) == nil)
            let port = UInt16(api.ports.grpc ?? 0)
            // The client's connection is the one that may be; this one gets no settings.
            #expect(
                await APIHarness.raw(
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", port: port, halfClose: false) == "")
            #expect(await code(api) == nil)
        }
    }

    @Test("a port that is taken is named")
    func takenPort() async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            var configuration = APIHarness.configuration()
            configuration.grpcPort = api.ports.grpc
            let service = APIService(
                backend: api.backend, configuration: configuration, logger: .init(label: "test"))
            do {
                try await service.run()
                Issue.record("two servers on one port")
            } catch let error as APIServiceError {
                #expect(error.port == api.ports.grpc)
                #expect(error.description.contains("another program uses the port"))
                #expect(error.description.contains("--grpc-port"))
            }
        }
    }

    @Test("texts of errors are sent in printable ASCII")
    func errorTexts() {
        #expect(GRPCStreamGuard.percentEncoded("a \"b\" 5 %\né") == "a \"b\" 5 %25%0A%C3%A9")
    }

    @Test("deadlines of every unit are read")
    func timeouts() {
        let expected: [(String, Int64?)] = [
            ("2H", 7_200_000_000), ("1M", 60_000_000), ("3S", 3_000_000), ("4m", 4_000),
            ("5u", 5), ("1n", 1), ("1001n", 2), ("0S", 0), ("99999999H", 359_999_996_400_000_000),
            ("", nil), ("S", nil), ("-1S", nil), ("123456789S", nil), ("1x", nil), ("1.5S", nil),
        ]
        for (text, microseconds) in expected {
            #expect(GRPCTimeout.microseconds(text) == microseconds, "\(text)")
        }
    }
}
