import GRPCCore
import Hummingbird
import HummingbirdTesting
import Synchronization
import TesseraCore
import Testing

@testable import TesseraAPI

@Suite("Traces of clients")
struct TraceTests {
    private static let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    private static let body = """
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
        """

    @Test("the traceparent of a call over HTTP goes with its request")
    func http() async throws {
        try await APIHarness.run { api in
            let right = try await api.infer(Self.body, headers: [.traceparent: Self.text])
            #expect(right.status == .ok)
            let wrong = try await api.infer(
                Self.body, headers: [.traceparent: Self.text.uppercased()])
            #expect(wrong.status == .ok)
            var twice: HTTPFields = [:]
            twice.append(.init(name: .traceparent, value: Self.text))
            twice.append(.init(name: .traceparent, value: Self.text))
            #expect(try await api.infer(Self.body, headers: twice).status == .ok)
            let traces = api.backend.state.withLock { $0.requests.map(\.trace) }
            #expect(traces == [TraceContext(traceparent: Self.text), nil, nil])
        }
    }

    @Test("the traceparent in gRPC's metadata goes with its request")
    func grpc() async throws {
        try await GRPCHarness.run { api in
            _ = try await api.infer(
                GRPCHarness.request(), metadata: ["traceparent": .string(Self.text)])
            _ = try await api.infer(
                GRPCHarness.request(), metadata: ["traceparent": "00-bad"])
            let traces = api.backend.state.withLock { $0.requests.map(\.trace) }
            #expect(traces == [TraceContext(traceparent: Self.text), nil])
        }
    }
}
