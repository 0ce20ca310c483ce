/// Everything that the core can ask of its shell.
///
/// The shell carries directives out in order and decides nothing.
public enum Directive: Hashable, Sendable {
    // MARK: Time

    /// Send `Event.woke` at this time. Replaces the wish before it.
    case wake(at: Timestamp)

    // MARK: Peers

    /// Open a connection to the address unless there is one. Ends in `connected` or `unreachable`.
    case connect(Address)
    /// Close the connections to a run of a peer that is dead or gone.
    case disconnect(NodeBoot)
    /// Heed datagrams of a run that never connected: a member vouches for it.
    case hear(NodeBoot)
    /// Send over the control connection.
    case send(Message, to: NodeBoot)
    /// Send as one sealed datagram.
    case sendDatagram(MembershipMessage, to: NodeBoot, at: Address)
    /// Sign this record of ours; ends in `signed`.
    case sign(NodeRecord)

    // MARK: Models

    /// Fetch a blob from a peer, in chunks, resuming what is there; verify; store. Ends in
    /// `blobStored`, in `manifestStored` if it is a manifest, or in `fetchFailed`.
    case fetch(BlobID, isManifest: Bool, from: NodeBoot)
    /// Write the catalogue to disk.
    case storeCatalogue([CatalogueEntry])
    /// Throw the model's blobs away that no other model here needs.
    case discard(ManifestID)

    // MARK: Engine

    /// Cut, compile and warm a fragment for so many concurrent runs. Ends in `compiled` or
    /// `compileFailed`.
    case compile(FragmentKey, concurrency: Int)
    /// Free a compiled fragment.
    case unload(FragmentKey)
    /// Run a fragment on these inputs: one for each input tensor, in ascending order of tensor
    /// index. Ends in `executed` or `executionFailed`. The trace is the attempt's.
    case execute(
        attempt: AttemptID, fragment: Int, key: FragmentKey, inputs: [JoinedTensor],
        trace: TraceContext? = nil)

    // MARK: Planning

    /// Plan on a worker; ends in `planned` with the token.
    case plan(token: UInt64, PlanningProblem)

    // MARK: Requests

    /// Send a payload, or rows of it, as a slice to a peer over the data connection, packed by the
    /// codec if that makes it smaller. The payload stays ours. Ends in `sliceSent` if the slice is of
    /// `LinkCodecs.bytesMin` and the peer unpacks.
    case sendSlice(SliceHeader, TensorPiece, codec: Codec = .none, to: NodeBoot)
    /// The core is done with the payload.
    case release(PayloadID)
    /// The client's answer: one tensor per model output, in the model's order, or only that of the
    /// exit that the detail says was taken. The shell takes the bytes at once; the payloads are
    /// released right after.
    case answer(ClientID, outputs: [JoinedTensor], AnswerDetail)
    /// Measure how sure an exit's values are; ends in `judged`. The shell takes the bytes at once.
    case judge(
        attempt: AttemptID, exit: Int, tensor: JoinedTensor, type: ElementType,
        measure: ExitMeasure)
    /// Make a tensor that stands for the one which a route would have brought: the mean of these, all
    /// of its type and shape, element by element, or zeros if there are none. Ends in `filled`. The
    /// shell takes the bytes at once.
    case fill(attempt: AttemptID, route: Int, TensorDescriptor, from: [JoinedTensor])
    /// The client's error.
    case reject(ClientID, RequestError)

    /// Hash the inputs, one after the other, on a worker; ends in `digested`. The shell takes the
    /// bytes at once; the payloads may be released right after.
    case digest(ClientID, inputs: [PayloadID])

    // MARK: Reporting

    /// What an attempt of a traced request does. It asks for nothing.
    case trace(AttemptTrace)
    /// Something worth telling a person.
    case report(Report)
    /// Everything is handed over; stop.
    case leave
}

/// How an answer came about; response metadata.
public struct AnswerDetail: Hashable, Sendable {
    /// The request.
    public var attempt: AttemptID
    /// How many attempts were started.
    public var attempts: Int
    /// What was seen of the model's exits; nil if it has none, or the client wanted none.
    public var exit: ExitDetail?
    /// The branches that the answer does without, ascending; empty for that of the whole model.
    public var leftOut: [MissingBranch]

    /// Makes the detail.
    public init(
        attempt: AttemptID, attempts: Int, exit: ExitDetail? = nil, leftOut: [MissingBranch] = []
    ) {
        self.leftOut = leftOut
        self.attempt = attempt
        self.attempts = attempts
        self.exit = exit
    }
}

/// Why a request got no result.
public enum RequestError: Error, Hashable, Sendable {
    /// The mesh has no such model.
    case unknownModel
    /// No plan serves the model: why.
    case unavailable(reason: String)
    /// Too much is waiting already; try again after the span.
    case overloaded(retryAfter: TimeSpan)
    /// The deadline passed.
    case deadlineExceeded
    /// Every attempt failed: the last reason.
    case failed(reason: String)
    /// The input killed or failed on more than one node.
    case refused(reason: String)
    /// The node is leaving.
    case leaving
}
