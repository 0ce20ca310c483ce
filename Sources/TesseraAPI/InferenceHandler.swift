import Hummingbird
import NIOCore
import TesseraCore

/// The name of a header field.
typealias HeaderName = HTTPFields.Element.Name

extension HeaderName {
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
    /// So many items of one batch are under way at once; the others wait.
    static let itemsAtOnce = 16

    /// What the protocol calls the thing that runs models.
    private static let platform = "tessera_openvino"

    private let backend: any AgentBackend
    private let configuration: APIConfiguration
    private let budget: BodyBudget

    init(backend: any AgentBackend, configuration: APIConfiguration) {
        self.backend = backend
        self.configuration = configuration
        budget = BodyBudget(limit: configuration.heldBytesMax)
    }

    /// Answers the calls that only read.
    func read(_ route: APIRoute) async throws -> Response {
        switch route {
        case .live: return .json(["live": .boolean(true)])
        case .ready: return try await ready()
        case .repositoryIndex: return await repositoryIndex()
        case .model(let name): return .json(metadata(of: try await model(name)))
        case .modelConfiguration(let name): return .json(configuration(of: try await model(name)))
        case .modelReady(let name): return try await modelReady(name)
        default: return await server()
        }
    }

    private func server() async -> Response {
        let information = await backend.serverInformation()
        return .json([
            "name": .string("tessera"), "version": .string(information.version),
            "extensions": .array([
                .string("binary_tensor_data"), .string("model_configuration"),
                .string("model_repository"),
            ]),
        ])
    }

    private func ready() async throws -> Response {
        if let error = await notReady() { throw error }
        return .json(["ready": .boolean(true)])
    }

    private func notReady() async -> APIError? {
        await backend.readiness().reason.map { reason in
            APIError(
                status: .serviceUnavailable, message: "this agent is not ready: \(reason)",
                retryAfterSeconds: 1)
        }
    }

    /// An agent that has just started cannot tell which models there are.
    private func unknown(_ name: String) async -> APIError {
        await notReady() ?? .notFound("the mesh has no model \"\(name.prefix(200))\"")
    }

    private func modelReady(_ name: String) async throws -> Response {
        let model = try await model(name)
        if let reason = model.readiness.reason {
            throw APIError(
                status: .serviceUnavailable, message: "model \(name) is not ready: \(reason)",
                retryAfterSeconds: 1)
        }
        return .json(["name": .string(name), "ready": .boolean(true)])
    }

    private func repositoryIndex() async -> Response {
        let models = await backend.models().models
        return .json(
            .array(
                models.map { model in
                    [
                        "name": .string(model.name), "version": .string(ModelVersion.only),
                        "state": .string(model.isReady ? "READY" : "UNAVAILABLE"),
                        "reason": .string(model.reason ?? ""),
                    ]
                }))
    }

    private func model(_ name: String) async throws -> ModelInformation {
        guard let model = await backend.model(named: name) else {
            throw await unknown(name)
        }
        return model
    }

    private func metadata(of model: ModelInformation) -> JSONValue {
        [
            "name": .string(model.name),
            "versions": .array([.string(ModelVersion.only)]),
            "platform": .string(Self.platform),
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
            "name": .string(model.name), "platform": .string(Self.platform),
            "backend": .string("openvino"),
            "max_batch_size": .integer(0), "input": tensors(model.inputs),
            "output": tensors(model.outputs),
        ]
    }

    /// Answers an inference call.
    func infer(
        _ name: String, request: Request, context: APIContext
    ) async throws -> Response {
        guard let model = await backend.interface(of: name) else {
            throw await unknown(name)
        }
        guard !model.outputs.isEmpty else {
            throw APIError(
                status: .serviceUnavailable,
                message: "this agent does not know model \(model.name) yet: "
                    + (model.readiness.reason ?? "its manifest has not arrived"),
                retryAfterSeconds: 1)
        }
        let coding = request.headers[.contentEncoding] ?? "identity"
        guard coding.lowercased() == "identity" else {
            throw APIError(
                status: .unsupportedMediaType,
                message: "the body is compressed (\(coding.prefix(40))); send it as it is")
        }
        let headerLength = try headerLength(of: request)
        let limit = configuration.inferenceBytesMax
        return try await BodyReader(budget: budget, limit: limit)
            .withBody(of: request, headerLength: headerLength ?? 0) { body -> Response in
                guard (headerLength ?? body.readableBytes) <= configuration.jsonBytesMax else {
                    throw APIError(
                        status: .contentTooLarge,
                        message: "the JSON is longer than \(configuration.jsonBytesMax) bytes are "
                            + "allowed; send large tensors as binary data")
                }
                let call = try await LongWork.run(textBytes: headerLength ?? body.readableBytes) {
                    try InferenceCallReader(model).read(body, headerLength: headerLength)
                }
                let answers = try await ClientWatch.cancelling(on: context.channel) {
                    try await inferAll(call, model: model)
                }
                let answer = InferenceAnswer(model: model, call: call, answers: answers)
                return try await LongWork.run(textBytes: answer.textBytes) {
                    try answer.response()
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

    /// Infers the items, some at once; the first error ends them all.
    private func inferAll(
        _ call: InferenceCall, model: ModelInformation
    ) async throws -> [InferenceResponse] {
        @Sendable func answer(_ item: Int) async throws -> InferenceResponse {
            do {
                return try await backend.infer(
                    InferenceRequest(
                        model: model.name, manifest: model.manifest, inputs: call.items[item],
                        outputs: model.outputs,
                        deadline: call.deadline))
            } catch {
                throw APIError(error, model: model.name)
            }
        }
        guard call.isBatch else { return [try await answer(0)] }
        return try await withThrowingTaskGroup(of: (Int, InferenceResponse).self) { group in
            var answers = [InferenceResponse?](repeating: nil, count: call.items.count)
            var next = 0
            while next < min(Self.itemsAtOnce, call.items.count) {
                let item = next
                group.addTask { (item, try await answer(item)) }
                next += 1
            }
            while let (item, response) = try await group.next() {
                answers[item] = response
                guard next < call.items.count else { continue }
                let item = next
                group.addTask { (item, try await answer(item)) }
                next += 1
            }
            return answers.compactMap { $0 }
        }
    }
}
