import GRPCCore
import InferenceProtocol
import NIOCore
import SwiftProtobuf
import TesseraCore

/// The Open Inference Protocol (KServe v2) over gRPC.
struct GRPCInference: Inference_GRPCInferenceService.ServiceProtocol {
    /// So many requests of one stream are under way at once; further ones wait to be read.
    static let streamWindow = 16

    private let service: InferenceService
    private let guardian: GRPCGuardian

    init(service: InferenceService, guardian: GRPCGuardian) {
        self.service = service
        self.guardian = guardian
    }

    // MARK: Health and metadata

    func serverLive(
        request: ServerRequest<Inference_ServerLiveRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ServerLiveResponse> {
        ServerResponse(message: .with { $0.live = true })
    }

    func serverReady(
        request: ServerRequest<Inference_ServerReadyRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ServerReadyResponse> {
        let isReady = await service.notReady() == nil
        return ServerResponse(message: .with { $0.ready = isReady })
    }

    func modelReady(
        request: ServerRequest<Inference_ModelReadyRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ModelReadyResponse> {
        let wanted = request.message
        let isReady: Bool
        do {
            try await service.checkReady(wanted.name, version: wanted.version)
            isReady = true
        } catch {
            // Whether a model is ready has an answer also for a model that is not there.
            isReady = false
        }
        return ServerResponse(message: .with { $0.ready = isReady })
    }

    func serverMetadata(
        request: ServerRequest<Inference_ServerMetadataRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ServerMetadataResponse> {
        let information = await service.backend.serverInformation()
        return ServerResponse(
            message: .with {
                $0.name = "tessera"
                $0.version = information.version
                $0.extensions = InferenceService.extensions
            })
    }

    func modelMetadata(
        request: ServerRequest<Inference_ModelMetadataRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ModelMetadataResponse> {
        let wanted = request.message
        let model = try await service.model(wanted.name, version: wanted.version)
        return ServerResponse(message: Inference_ModelMetadataResponse(model))
    }

    func modelConfig(
        request: ServerRequest<Inference_ModelConfigRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ModelConfigResponse> {
        let wanted = request.message
        let model = try await service.model(wanted.name, version: wanted.version)
        return ServerResponse(message: .with { $0.config = Inference_ModelConfig(model) })
    }

    // MARK: Inference

    func modelInfer(
        request: ServerRequest<Inference_ModelInferRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ModelInferResponse> {
        let timeout = GRPCTimeout.microseconds(in: request.metadata)
        let trace = Self.trace(in: request.metadata)
        do {
            return ServerResponse(
                message: try await answer(
                    request.message, timeout: timeout, trace: trace, context: context))
        } catch is CancellationError {
            throw GRPCTimeout.ended(after: timeout)
        }
    }

    /// The client's trace.
    private static func trace(in metadata: Metadata) -> TraceContext? {
        TraceContext(fields: Array(metadata[stringValues: TraceContext.fieldName]))
    }

    /// Answers one request, unless the client goes away or its time is over.
    private func answer(
        _ request: Inference_ModelInferRequest, timeout: Int64?, trace: TraceContext?,
        context: ServerContext
    ) async throws -> Inference_ModelInferResponse {
        let model = try await service.interface(
            of: request.modelName, version: request.modelVersion)
        let call = try await LongWork.run(textBytes: request.typedBytes) {
            var draft = try request.draft()
            draft.transportMicroseconds = timeout
            var call = try InferenceCallChecker(model).check(draft)
            call.trace = trace
            return call
        }
        let service = service
        let cancellation = context.cancellation
        let result = try await ClientWatch.cancelling {
            // Ends by cancellation of the task when the answer is there first.
            try? await cancellation.cancelled
        } _: {
            try await service.infer(call, model: model)
        }
        return Inference_ModelInferResponse(result)
    }

    func modelStreamInfer(
        request: StreamingServerRequest<Inference_ModelInferRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Inference_ModelStreamInferResponse> {
        let ledger = guardian.ledger(of: request.metadata)
        let timeout = GRPCTimeout.microseconds(in: request.metadata)
        let trace = Self.trace(in: request.metadata)
        return StreamingServerResponse { writer in
            let (turns, turn) = AsyncStream.makeStream(of: Turn.self)
            let (places, place) = AsyncStream.makeStream(of: Void.self)
            for _ in 0..<Self.streamWindow { place.yield() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    // A client that is gone must not keep the reader waiting for a place.
                    defer { place.finish() }
                    for await turn in turns {
                        guard let response = await turn.response() else { continue }
                        try await writer.write(response)
                        ledger?.finishOne()
                        place.yield()
                    }
                }
                var free = places.makeAsyncIterator()
                for try await message in request.messages {
                    let mine = Turn()
                    turn.yield(mine)
                    group.addTask {
                        mine.end(
                            await reply(
                                to: message, timeout: timeout, trace: trace, context: context))
                    }
                    // Read on when there is a place for one more.
                    guard await free.next() != nil else { break }
                }
                turn.finish()
                while try await group.next() != nil {}
            }
            return [:]
        }
    }

    /// The reply to one request of a stream: errors do not end the stream.
    private func reply(
        to request: Inference_ModelInferRequest, timeout: Int64?, trace: TraceContext?,
        context: ServerContext
    ) async -> Inference_ModelStreamInferResponse {
        do {
            let response = try await answer(
                request, timeout: timeout, trace: trace, context: context)
            return .with { $0.inferResponse = response }
        } catch {
            let reason = (error as? APIError)?.message ?? "the request was cancelled"
            return .with {
                $0.errorMessage = reason
                $0.inferResponse.id =
                    request.id.utf8.count <= InferenceCall.idBytesMax
                    ? request.id : ""
            }
        }
    }

    /// A place in the order of a stream's replies.
    private final class Turn: Sendable {
        private let stream: AsyncStream<Inference_ModelStreamInferResponse>
        private let continuation: AsyncStream<Inference_ModelStreamInferResponse>.Continuation

        init() { (stream, continuation) = AsyncStream.makeStream() }

        func end(_ response: Inference_ModelStreamInferResponse) {
            continuation.yield(response)
            continuation.finish()
        }

        /// The reply, when it is there; nil if the task is cancelled.
        func response() async -> Inference_ModelStreamInferResponse? {
            var iterator = stream.makeAsyncIterator()
            return await iterator.next()
        }
    }

    // MARK: The repository

    func repositoryIndex(
        request: ServerRequest<Inference_RepositoryIndexRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_RepositoryIndexResponse> {
        let entries = await service.repositoryIndex(readyOnly: request.message.ready)
        return ServerResponse(
            message: .with { response in
                response.models = entries.map { entry in
                    .with {
                        $0.name = entry.name
                        $0.version = ModelVersion.only
                        $0.state = entry.state
                        $0.reason = entry.reason ?? ""
                    }
                }
            })
    }

    func repositoryModelLoad(
        request: ServerRequest<Inference_RepositoryModelLoadRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_RepositoryModelLoadResponse> {
        let parameters = request.message.parameters
        try InferenceService.checkLoadParameters(parameters.keys.sorted())
        try await service.load(
            request.message.modelName,
            manifest: parameters[InferenceService.manifestParameter]?.stringParam)
        return ServerResponse(message: Inference_RepositoryModelLoadResponse())
    }

    func repositoryModelUnload(
        request: ServerRequest<Inference_RepositoryModelUnloadRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_RepositoryModelUnloadResponse> {
        try await service.unload(request.message.modelName)
        return ServerResponse(message: Inference_RepositoryModelUnloadResponse())
    }
}
