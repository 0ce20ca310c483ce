import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import InferenceProtocol
import Logging
import SwiftProtobuf
import Synchronization

@testable import TesseraAPI

/// A live server of gRPC over the test backend, and a client of it.
struct GRPCHarness: Sendable {
    typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

    let backend: TestBackend
    let ports: APIPorts
    let client: Client

    /// Runs the whole service on free ports, with a client.
    static func run(
        _ configuration: APIConfiguration = APIHarness.configuration(), authority: String? = nil,
        _ operation: @escaping @Sendable (GRPCHarness) async throws -> Void
    ) async throws {
        var configuration = configuration
        configuration.grpcPort = 0
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let backend = TestBackend()
        let (running, isRunning) = AsyncStream.makeStream(of: APIPorts.self)
        let service = APIService(
            backend: backend, configuration: configuration, logger: logger
        ) { ports in
            isRunning.yield(ports)
            isRunning.finish()
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { isRunning.finish() }
                try await service.run()
            }
            var iterator = running.makeAsyncIterator()
            guard let ports = await iterator.next(), let port = ports.grpc else {
                try await tasks.next()
                return
            }
            try await withClient(port: port, authority: authority) { client in
                try await operation(
                    GRPCHarness(backend: backend, ports: ports, client: client))
            }
            tasks.cancelAll()
            // What the cancelled service ends with does not matter.
            while let result = await tasks.nextResult() { _ = result }
        }
    }

    static func withClient(
        port: Int, authority: String? = nil,
        _ operation: @escaping @Sendable (Client) async throws -> Void
    ) async throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext,
            config: .defaults {
                $0.http2.authority = authority
                $0.compression.enabledAlgorithms = [.gzip, .deflate]
            })
        try await withGRPCClient(transport: transport) { try await operation($0) }
    }

    /// One call with one request and one answer.
    func call<Input: Message, Output: Message>(
        _ method: MethodDescriptor, _ message: Input, as _: Output.Type = Output.self,
        metadata: Metadata = [:], options: CallOptions = .defaults
    ) async throws -> Output {
        try await client.unary(
            request: ClientRequest(message: message, metadata: metadata), descriptor: method,
            serializer: ProtobufSerializer<Input>(), deserializer: ProtobufDeserializer<Output>(),
            options: options
        ) { try $0.message }
    }

    /// One inference.
    func infer(
        _ message: Inference_ModelInferRequest, metadata: Metadata = [:],
        options: CallOptions = .defaults
    ) async throws -> Inference_ModelInferResponse {
        try await call(
            Inference_GRPCInferenceService.Method.ModelInfer.descriptor, message,
            metadata: metadata, options: options)
    }

    /// The error that a call ends with.
    func error(_ operation: () async throws -> some Any) async -> RPCError? {
        do {
            _ = try await operation()
            return nil
        } catch {
            return error as? RPCError
        }
    }

    /// A request for a model with one input of four floats.
    static func request(
        _ model: String = "identity", values: [Float] = [1, 2.5, -3, 0.1]
    ) -> Inference_ModelInferRequest {
        .with { request in
            request.modelName = model
            request.inputs = [
                .with {
                    $0.name = "x"
                    $0.datatype = "FP32"
                    $0.shape = [Int64(values.count / 4), 4]
                }
            ]
            request.rawInputContents = [.init(InferenceTests.floats(values))]
        }
    }
}

extension GRPCHarness {
    static let serializer = ProtobufSerializer<Inference_ModelInferRequest>()
    static let deserializer = ProtobufDeserializer<Inference_ModelStreamInferResponse>()
}

extension RPCError {
    /// When the client is to try again, in seconds.
    var retryAfter: [String] { Array(metadata[stringValues: "retry-after"]) }
}
