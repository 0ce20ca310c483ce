import Hummingbird
import NIOCore
import TesseraCore

/// The name of a header field.
typealias HeaderName = HTTPFields.Element.Name

extension HeaderName {
    /// Where a call stands in a trace.
    static let traceparent: HeaderName = {
        guard let name = HeaderName(TraceContext.fieldName) else {
            fatalError("a header name of letters is not accepted")
        }
        return name
    }()

    /// Whom the client means to talk to.
    static let host: HeaderName = {
        guard let name = HeaderName("Host") else {
            fatalError("a header name of letters is not accepted")
        }
        return name
    }()

    /// How many bytes of the body are JSON, in the binary tensor extension.
    static let inferenceHeaderContentLength: HeaderName = {
        guard let name = HeaderName("Inference-Header-Content-Length") else {
            fatalError("a header name of letters and hyphens is not accepted")
        }
        return name
    }()
}

/// The Open Inference Protocol (KServe v2).
struct InferenceHandler: Sendable {
    private let service: InferenceService
    private let configuration: APIConfiguration
    private let budget: BodyBudget

    init(service: InferenceService, configuration: APIConfiguration, budget: BodyBudget) {
        self.service = service
        self.configuration = configuration
        self.budget = budget
    }

    /// Answers the calls that only read.
    func read(_ route: APIRoute) async throws -> Response {
        switch route {
        case .live: return .json(["live": .boolean(true)])
        case .ready: return try await ready()
        case .model(let name): return .json(metadata(of: try await service.model(name)))
        case .modelConfiguration(let name):
            return .json(configuration(of: try await service.model(name)))
        case .modelReady(let name):
            try await service.checkReady(name)
            return .json(["name": .string(name), "ready": .boolean(true)])
        default: return await server()
        }
    }

    private func server() async -> Response {
        let information = await service.backend.serverInformation()
        return .json([
            "name": .string("tessera"), "version": .string(information.version),
            "extensions": .array(InferenceService.extensions.map { .string($0) }),
        ])
    }

    private func ready() async throws -> Response {
        if let error = await service.notReady() { throw error }
        return .json(["ready": .boolean(true)])
    }

    private func metadata(of model: ModelInformation) -> JSONValue {
        [
            "name": .string(model.name),
            "versions": .array([.string(ModelVersion.only)]),
            "platform": .string(InferenceService.platform),
            "inputs": .array(model.inputs.map(Self.description(of:))),
            "outputs": .array(model.outputs.map(Self.description(of:))),
        ]
    }

    static func description(of tensor: TensorDescriptor) -> JSONValue {
        [
            "name": .string(tensor.name), "datatype": .string(tensor.type.protocolName),
            "shape": .array(tensor.shape.map { .integer($0) }),
        ]
    }

    /// The least of Triton's model configuration that its clients look at.
    private func configuration(of model: ModelInformation) -> JSONValue {
        func tensors(_ descriptors: [TensorDescriptor]) -> JSONValue {
            .array(
                descriptors.map { descriptor in
                    let name = descriptor.type.protocolName
                    return [
                        "name": .string(descriptor.name), "data_type": .string("TYPE_\(name)"),
                        "dims": .array(descriptor.shape.map { .integer($0) }),
                    ]
                })
        }
        return [
            "name": .string(model.name), "platform": .string(InferenceService.platform),
            "backend": .string("openvino"),
            "max_batch_size": .integer(0), "input": tensors(model.inputs),
            "output": tensors(model.outputs),
        ]
    }

    // MARK: The repository

    /// The models that there are.
    func repositoryIndex(_ request: Request) async throws -> Response {
        let body = try await repositoryBody(of: request)
        var readyOnly = false
        if let value = body["ready"], value != .null {
            guard let flag = value.booleanValue else {
                throw APIError.badRequest("ready is neither true nor false")
            }
            readyOnly = flag
        }
        return .json(
            .array(
                await service.repositoryIndex(readyOnly: readyOnly).map { entry in
                    [
                        "name": .string(entry.name), "version": .string(ModelVersion.only),
                        "state": .string(entry.state), "reason": .string(entry.reason ?? ""),
                    ]
                }))
    }

    /// Gives the mesh a model.
    func load(_ name: String, request: Request) async throws -> Response {
        var manifest: String?
        if let parameters = try await repositoryBody(of: request)["parameters"] {
            guard case .object(let members) = parameters else {
                throw APIError.badRequest("the parameters are not an object")
            }
            try InferenceService.checkLoadParameters(members.map(\.name))
            if let value = parameters[InferenceService.manifestParameter] {
                guard let text = value.stringValue else {
                    throw APIError.badRequest("the manifest is not a text")
                }
                manifest = text
            }
        }
        try await service.load(name, manifest: manifest)
        return .json([:])
    }

    /// Takes a model out of the mesh.
    func unload(_ name: String, request: Request) async throws -> Response {
        _ = try await repositoryBody(of: request)
        try await service.unload(name)
        return .json([:])
    }

    /// The body of a call to the repository, which may be empty.
    private func repositoryBody(of request: Request) async throws -> JSONValue {
        try await BodyReader(budget: budget, limit: ControlHandler.bodyBytesMax)
            .withBody(of: request) { body in
                guard body.readableBytes > 0 else { return [:] }
                do {
                    let value = try JSONReader.read(Array(body.readableBytesView))
                    guard case .object = value else {
                        throw APIError.badRequest("the request is not a JSON object")
                    }
                    return value
                } catch let error as JSONError {
                    throw APIError.badRequest("the request is not valid JSON: \(error)")
                }
            }
    }

    // MARK: Inference

    /// Answers an inference call.
    func infer(
        _ name: String, request: Request, context: APIContext
    ) async throws -> Response {
        let model = try await service.interface(of: name)
        let headerLength = try headerLength(of: request)
        let coding = ContentCoding.accepted(by: request.headers[values: .acceptEncoding])
        let limit = configuration.inferenceBytesMax
        let trace = TraceContext(fields: request.headers[values: .traceparent])
        return try await BodyReader(budget: budget, limit: limit)
            .withBody(of: request, headerLength: headerLength ?? 0) { body -> Response in
                guard (headerLength ?? body.readableBytes) <= configuration.jsonBytesMax else {
                    throw APIError(
                        status: .contentTooLarge,
                        message: "the JSON is longer than \(configuration.jsonBytesMax) bytes are "
                            + "allowed; send large tensors as binary data")
                }
                var call = try await LongWork.run(textBytes: headerLength ?? body.readableBytes) {
                    try InferenceCallReader(model).read(body, headerLength: headerLength)
                }
                call.trace = trace
                let traced = call
                let result = try await ClientWatch.cancelling(on: context.channel) {
                    try await service.infer(traced, model: model)
                }
                let answer = InferenceAnswer(result)
                let work = coding == .identity ? answer.textBytes : answer.byteCount
                return try await LongWork.run(textBytes: work) {
                    try answer.response(coding: coding)
                }
            }
    }

    private func headerLength(of request: Request) throws(APIError) -> Int? {
        guard let text = request.headers[.inferenceHeaderContentLength] else { return nil }
        guard let length = Int(text), length > 0 else {
            throw .badRequest(
                "the Inference-Header-Content-Length \"\(text.prefix(40))\" is not the length of "
                    + "a JSON text; raw requests without one are not supported")
        }
        guard length <= configuration.jsonBytesMax else {
            throw APIError(
                status: .contentTooLarge,
                message: "the JSON is longer than \(configuration.jsonBytesMax) bytes are allowed")
        }
        return length
    }
}
