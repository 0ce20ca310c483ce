import Hummingbird
import NIOCore
import TesseraCore
import TesseraImage

/// `POST /tessera/v1/models/{name}/classify`: what a model sees in an image.
struct ClassificationHandler: Sendable {
    /// The longest image file.
    static let fileBytesMax = 32 << 20
    /// Classes in an answer if the caller does not say.
    static let usualCount = 5
    /// The most classes in an answer.
    static let countMax = 100

    private let service: InferenceService
    private let budget: BodyBudget

    init(service: InferenceService, budget: BodyBudget) {
        self.service = service
        self.budget = budget
    }

    /// Answers with the likeliest classes; the body is a PNG or JPEG file.
    func classify(
        _ name: String, request: Request, context: APIContext
    ) async throws -> Response {
        let count = try Self.count(request)
        let model = try await service.interface(of: name)
        guard let image = await service.backend.imageInput(of: model) else {
            throw APIError.badRequest(
                "model \(model.name) does not say how an image becomes its input; add it with "
                    + "tessera model add FILE --image rgb, and send tensors to "
                    + "/v2/models/NAME/infer until then")
        }
        if let fault = image.fault(inputs: model.inputs, outputs: model.outputs) {
            throw APIError.badRequest("model \(model.name) cannot take an image: \(fault)")
        }
        let begin = ContinuousClock.now
        let reader = BodyReader(budget: budget, limit: Self.fileBytesMax)
        let input = try await reader.withBody(of: request) { body in
            try await tensor(of: body, image, model.inputs[0])
        }
        let trace = TraceContext(fields: request.headers[values: .traceparent])
        let response = try await ClientWatch.cancelling(on: context.channel) {
            try await service.answer(
                InferenceRequest(
                    model: model.name, manifest: model.manifest, inputs: [input],
                    outputs: model.outputs, deadline: nil, trace: trace))
        }
        // Where exits were looked at, what they stand for is the answer.
        let output = response.outputs[response.exit?.answer ?? 0].bytes
        let classes = image.classes(of: output.readableBytesView, atMost: count)
        return try .document(
            ClassificationDocument(
                model: model.name,
                classes: classes.map {
                    ClassificationDocument.Class(
                        index: $0.index, label: $0.label, probability: $0.probability)
                }, request: response.request, plan: response.plan.hexadecimal, node: response.node,
                attempts: response.attempts,
                leftOut: response.leftOut.isEmpty ? nil : response.leftOut.map(\.name),
                milliseconds: begin.duration(to: .now) / .milliseconds(1)))
    }

    /// The model's input for a file, made on a thread that holds up no other request.
    private func tensor(
        of body: ByteBuffer, _ image: ImageInput, _ input: TensorDescriptor
    ) async throws -> InferenceTensor {
        let file = Array(body.readableBytesView)
        let size: (width: Int, height: Int)
        do {
            size = try DecodedImage.size(of: file)
        } catch {
            throw Self.refusal(error)
        }
        // The pixels, once more as they are narrowed, and the input.
        let held = size.width * size.height * 3 * 2 + input.byteCount
        guard budget.take(held) else { throw BodyBudget.isFull }
        defer { budget.give(held) }
        let bytes = try await withTaskExecutorPreference(globalConcurrentExecutor) {
            () async throws -> ByteBuffer in
            do throws(ImageError) {
                return ByteBuffer(bytes: image.tensor(of: try DecodedImage(file: file), for: input))
            } catch {
                throw Self.refusal(error)
            }
        }
        return InferenceTensor(descriptor: input, bytes: bytes)
    }

    private static func refusal(_ error: ImageError) -> APIError {
        switch error {
        case .unknownFormat:
            APIError(status: .unsupportedMediaType, message: error.description)
        case .tooLarge: APIError(status: .contentTooLarge, message: error.description)
        case .damaged: .badRequest(error.description)
        }
    }

    private static func count(_ request: Request) throws(APIError) -> Int {
        guard let text = ControlHandler.query(of: request)["top"] else { return usualCount }
        guard let count = Int(text), (1...countMax).contains(count) else {
            throw .badRequest("the parameter top is not a number from 1 to \(countMax)")
        }
        return count
    }
}

/// `POST /tessera/v1/models/{name}/classify`.
public struct ClassificationDocument: Codable, Sendable, Equatable {
    /// One class.
    public struct Class: Codable, Sendable, Equatable {
        /// Its place in the model's output.
        public var index: Int
        /// Its name, if the model has names.
        public var label: String?
        /// How likely it is, from 0 to 1.
        public var probability: Double

        /// Makes a class.
        public init(index: Int, label: String?, probability: Double) {
            self.index = index
            self.label = label
            self.probability = probability
        }
    }

    /// `controlVersion`.
    public var version = controlVersion
    /// The model.
    public var model: String
    /// The likeliest classes, the likeliest first.
    public var classes: [Class]
    /// What the request is called in logs and traces of all agents.
    public var request: String?
    /// The plan that the answer was computed under, in hexadecimal.
    public var plan: String
    /// The name of the node where the image came in.
    public var node: String
    /// How many attempts were started.
    public var attempts: Int
    /// The branches that the answer does without; nil for that of the whole model.
    public var leftOut: [String]?
    /// From the whole file to the answer.
    public var milliseconds: Double

    /// Makes the document.
    public init(
        model: String, classes: [Class], request: String? = nil, plan: String, node: String,
        attempts: Int,
        leftOut: [String]? = nil, milliseconds: Double
    ) {
        self.model = model
        self.classes = classes
        self.request = request
        self.plan = plan
        self.node = node
        self.attempts = attempts
        self.leftOut = leftOut
        self.milliseconds = milliseconds
    }
}
