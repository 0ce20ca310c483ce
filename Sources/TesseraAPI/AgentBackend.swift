public import NIOCore
public import TesseraCore

/// A tensor of a request or an answer: what it is and its bytes, row by row without gaps, least
/// significant byte first.
public struct InferenceTensor: Hashable, Sendable {
    /// Name, type and shape.
    public var descriptor: TensorDescriptor
    /// The values; exactly `descriptor.byteCount` readable bytes.
    public var bytes: ByteBuffer

    /// Pairs a descriptor with its values.
    public init(descriptor: TensorDescriptor, bytes: ByteBuffer) {
        self.descriptor = descriptor
        self.bytes = bytes
    }
}

/// One item to infer: checked against the model's inputs and in their order.
public struct InferenceRequest: Sendable {
    /// The model's name.
    public var model: String
    /// The manifest that the inputs were checked against.
    public var manifest: ManifestID
    /// One tensor for each input of the model, in the model's order.
    public var inputs: [InferenceTensor]
    /// What the model gives back.
    public var outputs: [TensorDescriptor]
    /// How long the answer is worth waiting for; nil if the client did not say.
    public var deadline: TimeSpan?
    /// What the client says of early exits.
    public var exits: ExitWish
    /// The client's trace, if it has one.
    public var trace: TraceContext?

    /// Makes a request.
    public init(
        model: String, manifest: ManifestID, inputs: [InferenceTensor],
        outputs: [TensorDescriptor], deadline: TimeSpan?, exits: ExitWish = .usual,
        trace: TraceContext? = nil
    ) {
        self.exits = exits
        self.trace = trace
        self.model = model
        self.manifest = manifest
        self.inputs = inputs
        self.outputs = outputs
        self.deadline = deadline
    }
}

/// The answer to one item.
public struct InferenceResponse: Sendable {
    /// One tensor for each output of the model, in the model's order; if exits were looked at, that of
    /// the output for which they stand is the answer.
    public var outputs: [InferenceTensor]
    /// What the request is called in logs and traces of all agents.
    public var request: String
    /// The plan that the answer was computed under.
    public var plan: PlanID
    /// The name of the node where the request came in.
    public var node: String
    /// How many attempts were started.
    public var attempts: Int
    /// What was seen of the model's exits; nil if it has none, or the client wanted none.
    public var exit: ExitDetail?
    /// The branches that the answer does without; empty for that of the whole model.
    public var leftOut: [MissingBranch]

    /// Makes an answer.
    public init(
        outputs: [InferenceTensor], request: String, plan: PlanID, node: String, attempts: Int,
        exit: ExitDetail? = nil, leftOut: [MissingBranch] = []
    ) {
        self.exit = exit
        self.leftOut = leftOut
        self.outputs = outputs
        self.request = request
        self.plan = plan
        self.node = node
        self.attempts = attempts
    }
}

/// Why a control call was not carried out.
public enum ControlError: Error, Hashable, Sendable {
    /// What the call names is not there.
    case notFound(reason: String)
    /// The call is wrong in itself: bytes that do not have their hash, a manifest that names blobs
    /// that nobody has.
    case invalid(reason: String)
    /// The disk has no room.
    case noRoom(reason: String)
    /// It cannot be done now.
    case unavailable(reason: String)
    /// It went wrong on this node.
    case failed(reason: String)
}

/// The bytes of an upload as they arrive.
public typealias UploadStream = any AsyncSequence<ByteBuffer, any Error> & Sendable

/// The answer to the question what runs for a model.
public enum PlanAnswer: Sendable {
    /// This runs.
    case plan(PlanDocument)
    /// Nothing runs: why.
    case none(reason: String)
    /// There is no such model.
    case unknownModel
}

/// The stream of events, oldest first.
public typealias EventStream = any AsyncSequence<EventDocument, Never> & Sendable

/// The agent as the API sees it.
///
/// All calls may come at once from many tasks. Cancelling the task that runs a call means that the
/// client went away.
public protocol AgentBackend: Sendable {
    // MARK: Serving

    /// What this agent is.
    func serverInformation() async -> ServerInformation
    /// Whether requests can be answered now: the agent is a member and not leaving.
    func readiness() async -> Readiness
    /// The model that the mesh has under a name; nil if it has none.
    func model(named name: String) async -> ModelInformation?
    /// The model under a name, for a call to it; nil if there is none.
    ///
    /// Its inputs and outputs are right; its readiness may be an older one.
    func interface(of name: String) async -> ModelInformation?
    /// Every model of the mesh, ascending by name.
    func models() async -> ModelsDocument
    /// How an image becomes a model's input; nil if the model does not say.
    func imageInput(of model: ModelInformation) async -> ImageInput?
    /// Why an item's inputs cannot be computed with, whatever the model; nil if they can.
    func fault(of inputs: [InferenceTensor]) -> String?
    /// Answers one item. A cancelled task abandons the request.
    func infer(_ request: InferenceRequest) async throws(RequestError) -> InferenceResponse

    // MARK: Reading the mesh

    /// How this agent and its mesh are.
    func status() async -> StatusDocument
    /// What this agent and its mesh did, in figures.
    func metrics() async -> AgentMetrics
    /// Every member that the agent knows of, itself included, ascending by name, then node.
    func members() async -> MembersDocument
    /// What runs for a model.
    func plan(model name: String) async -> PlanAnswer
    /// The mesh at this moment, with the traffic of so many of the last seconds.
    func overview(trafficSeconds: Int) async -> OverviewDocument
    /// The events after number `sequence` that are kept, and with `follow` those that come. The
    /// stream ends when the kept ones are given, or with `follow` when the agent leaves.
    func events(after sequence: UInt64, follow: Bool) async -> EventStream

    // MARK: Changing the mesh

    /// Whether a blob is stored here, whole and verified.
    func hasBlob(_ id: BlobID) async -> Bool
    /// Stores a blob of so many bytes; throws if the bytes do not have the hash.
    func storeBlob(
        _ id: BlobID, byteCount: Int, body: UploadStream
    ) async throws(ControlError)
    /// Whether a manifest is stored here.
    func hasManifest(_ id: ManifestID) async -> Bool
    /// Stores a manifest; throws if it is not one, or does not have the hash.
    func storeManifest(_ id: ManifestID, bytes: ByteBuffer) async throws(ControlError)
    /// Gives a manifest, stored here with all its blobs, a name in the mesh, and says how it is to be
    /// planned.
    func addModel(
        named name: String, manifest: ManifestID, settings: ModelSettings
    ) async throws(ControlError)
    /// Takes a name out of the mesh.
    func removeModel(named name: String) async throws(ControlError)
    /// Makes the agent leave the mesh in order; returns before it has.
    func drain() async throws(ControlError)
}

extension AgentBackend {
    /// Nobody said.
    public func imageInput(of model: ModelInformation) async -> ImageInput? { nil }

    /// Refuses: not every backend is an agent that can go.
    public func drain() async throws(ControlError) {
        throw .unavailable(reason: "this server cannot leave a mesh")
    }
}
