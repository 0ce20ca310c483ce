public import Hummingbird
import Logging
import NIOCore
import TesseraCore

/// What belongs to one request beside the request itself.
public struct APIContext: InitializableFromSource, Sendable {
    let channel: any Channel

    /// Takes the request's connection.
    public init(source: ApplicationRequestContextSource) {
        channel = source.channel
    }
}

/// Answers the requests of the API: checks access, finds the route, turns errors into responses.
public struct APIResponder: HTTPResponder {
    /// What belongs to a request.
    public typealias Context = APIContext

    private let access: AccessControl
    private let inference: InferenceHandler
    private let control: ControlHandler
    private let metrics: RequestMetrics
    private let stream: StreamHandler
    private let classification: ClassificationHandler

    init(service: InferenceService, configuration: APIConfiguration, usage: APIUsage) {
        access = AccessControl(configuration, metrics: service.metrics)
        inference = InferenceHandler(
            service: service, configuration: configuration, budget: usage.inference)
        metrics = service.metrics
        control = ControlHandler(
            backend: service.backend, configuration: configuration, usage: usage)
        classification = ClassificationHandler(service: service, budget: usage.inference)
        stream = StreamHandler(
            backend: service.backend, configuration: configuration, slots: usage.streams)
    }

    /// Answers one request.
    public func respond(to request: Request, context: APIContext) async throws -> Response {
        do {
            return try await answer(request, context: context)
        } catch let error as APIError {
            metrics.noteLimit(of: error)
            let response = error.response()
            return request.method == .head ? response.createHeadResponse() : response
        }
    }

    private func answer(_ request: Request, context: APIContext) async throws -> Response {
        let route = APIRoute(path: Self.path(of: request))
        let call = route.flatMap { Call(route: $0, method: request.method) }
        // What is not there is told only to those who may read.
        try access.check(request, needs: call.map(\.right) ?? .read)
        guard let route else {
            throw APIError.notFound("there is nothing at \(request.uri.path.prefix(200))")
        }
        guard let call else {
            let methods = Call.methods(of: route)
            throw APIError(
                status: .methodNotAllowed,
                message: "\(request.method.rawValue) is not for this path; it takes "
                    + methods.map(\.rawValue).joined(separator: ", "),
                allowedMethods: methods)
        }
        let response = try await answer(
            call, try AwaitedBody.prepared(request, on: context.channel), context: context)
        return request.method == .head ? response.createHeadResponse() : response
    }

    /// The path as it was sent: a server must not guess at what `//` or an absolute form means.
    private static func path(of request: Request) -> String {
        let path = request.head.path ?? ""
        return String(path.prefix { $0 != "?" })
    }

    private func answer(
        _ call: Call, _ request: Request, context: APIContext
    ) async throws -> Response {
        switch call {
        case .read(let route):
            switch route {
            case .dashboard(let file): return file.response(to: request)
            case .stream: return try stream.stream(request, context: context)
            case .server, .live, .ready, .model, .modelReady, .modelConfiguration,
                .repositoryIndex, .repositoryLoad, .repositoryUnload, .infer:
                return try await inference.read(route)
            case .status, .members, .models, .catalogueModel, .plan, .blob,
                .manifest, .events, .drain, .classify, .metrics:
                return try await control.read(route, request: request, context: context)
            }
        case .infer(let model):
            return try await inference.infer(model, request: request, context: context)
        case .classify(let model):
            return try await classification.classify(model, request: request, context: context)
        case .index: return try await inference.repositoryIndex(request)
        case .load(let model): return try await inference.load(model, request: request)
        case .unload(let model): return try await inference.unload(model, request: request)
        case .addModel: return try await control.addModel(request)
        case .removeModel(let name): return try await control.removeModel(name)
        case .storeBlob(let hash): return try await control.storeBlob(hash, request: request)
        case .storeManifest(let hash):
            return try await control.storeManifest(hash, request: request)
        case .drain: return try await control.drain()
        }
    }
}

/// A route with a method that it has.
private enum Call {
    case read(APIRoute)
    case infer(String)
    case classify(String)
    case index
    case load(String)
    case unload(String)
    case addModel
    case removeModel(String)
    case storeBlob(String)
    case storeManifest(String)
    case drain

    /// The right that the call needs; nil if it gives what everybody has who has the program.
    ///
    /// A browser can send no token with its first request: the page asks for one.
    var right: APIRight? {
        switch self {
        case .read(.dashboard): nil
        case .read, .index: .read
        case .infer, .classify: .infer
        case .load, .unload, .addModel, .removeModel, .storeBlob, .storeManifest, .drain: .admin
        }
    }

    init?(route: APIRoute, method: HTTPRequest.Method) {
        guard Self.methods(of: route).contains(method) else { return nil }
        switch (route, method) {
        case (.infer(let model), _): self = .infer(model)
        case (.classify(let model), _): self = .classify(model)
        case (.repositoryIndex, _): self = .index
        case (.repositoryLoad(let model), _): self = .load(model)
        case (.repositoryUnload(let model), _): self = .unload(model)
        case (.models, .post): self = .addModel
        case (.catalogueModel(let name), .delete): self = .removeModel(name)
        case (.blob(let hash), .put): self = .storeBlob(hash)
        case (.manifest(let hash), .put): self = .storeManifest(hash)
        case (.drain, _): self = .drain
        default: self = .read(route)
        }
    }

    static func methods(of route: APIRoute) -> [HTTPRequest.Method] {
        switch route {
        case .server, .live, .ready, .model, .modelReady, .modelConfiguration, .status, .members,
            .plan, .events, .stream, .dashboard, .metrics:
            [.get, .head]
        case .infer, .classify, .repositoryIndex, .repositoryLoad, .repositoryUnload, .drain:
            [.post]
        case .models: [.get, .head, .post]
        case .catalogueModel: [.get, .head, .delete]
        case .blob, .manifest: [.get, .head, .put]
        }
    }
}
