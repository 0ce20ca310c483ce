/// Everything that can happen to an agent.
///
/// The shell turns the world into events and hands them, one at a time and with the time, to
/// `Agent.handle`.
public enum Event: Hashable, Sendable {
    // MARK: Time

    /// The time that the last `Directive.wake` asked for has come.
    case woke

    // MARK: Peers

    /// Discovery (mDNS, beacon, a seed) proposes an address.
    case discovered(Address)
    /// The control connection to a peer's run is up and authenticated. `address` is where it listens.
    case connected(NodeBoot, address: Address)
    /// The control or data connection to a peer's run broke, timed out, or could not be restored.
    case disconnected(NodeBoot)
    /// An attempt to connect failed; nobody answers at the address.
    case unreachable(Address)
    /// A peer says something. Authenticated, decoded and checked for form.
    case received(Message, from: NodeBoot)
    /// The shell signed the record that `Directive.sign` gave it.
    case signed(SignedRecord)
    /// The shell measured a link from real traffic.
    case linkMeasured(LinkMeasurement)
    /// Slices to this run of a peer may be packed from now on, until it is disconnected.
    case unpacks(NodeBoot)
    /// A slice that may be packed was handed to the link.
    case sliceSent(SentSlice)

    // MARK: Models

    /// The catalogue as it was on disk, at start.
    case catalogueRestored([CatalogueEntry])
    /// A manifest is complete on disk (fetched, added by the operator, or found at start); `blobs`
    /// are the indices of the outline's blobs that the disk has.
    case manifestStored(ModelOutline, blobs: [Int])
    /// A blob is complete and verified on disk.
    case blobStored(BlobID)
    /// A fetch failed: the peer has it not, or the connection broke, or the bytes were wrong.
    case fetchFailed(BlobID, from: NodeID, reason: String)
    /// A blob on disk was found damaged and was thrown away; it must be fetched again.
    case blobLost(BlobID)
    /// The operator names a model, or says anew how it is to be planned. Its manifest and blobs are
    /// stored here already.
    case modelAdded(name: String, manifest: ManifestID, settings: ModelSettings)
    /// The operator removes a name.
    case modelRemoved(name: String)

    // MARK: Engine

    /// What the engine was doing when the process before this one ended, at start.
    case crashesFound([CrashMark])
    /// The engine measured this node.
    case capabilityMeasured(Capability)
    /// This node's speeds of packing and unpacking were measured.
    case codecsMeasured([CodecSpeed])
    /// A fragment is compiled and warm. `memoryBytes` is what it takes.
    case compiled(FragmentKey, memoryBytes: Int)
    /// A fragment waits for a blob that was found damaged or missing on disk; it must be fetched
    /// again.
    case compileLacks(FragmentKey, BlobID)
    /// A fragment cannot be compiled.
    case compileFailed(FragmentKey, reason: String)
    /// A run that `Directive.execute` asked for ended: one payload per output route tensor, in
    /// ascending order of tensor index.
    case executed(attempt: AttemptID, fragment: Int, outputs: [Payload], microseconds: Int64)
    /// The run failed.
    case executionFailed(attempt: AttemptID, fragment: Int, reason: String)

    // MARK: Planning

    /// The planner's answer to `Directive.plan` with this token.
    case planned(token: UInt64, PlanningResult)

    // MARK: Requests

    /// A client wants an answer: one payload per model input, in the model's order. `deadline` is
    /// how long it is worth waiting. The trace decides nothing; a journal does not have it.
    case submitted(
        client: ClientID, manifest: ManifestID, inputs: [Payload], deadline: TimeSpan,
        exits: ExitWish = .usual, trace: TraceContext? = nil)
    /// The client went away.
    case abandoned(ClientID)
    /// A slice arrived whole on the data connection.
    case sliceArrived(SliceHeader, Payload, from: NodeBoot)

    /// The confidence in millionths that `Directive.judge` asked for.
    case judged(attempt: AttemptID, exit: Int, confidence: Int)
    /// The payload that `Directive.fill` asked for.
    case filled(attempt: AttemptID, route: Int, Payload)
    /// The digest that `Directive.digest` asked for.
    case digested(ClientID, InputDigest)

    // MARK: Operator

    /// Finish what is here, take nothing new, hand over, go.
    case leaveRequested
}

/// The shell's handle on one waiting client.
public struct ClientID: Hashable, Comparable, Sendable {
    /// Counts the clients of one run.
    public var number: UInt64

    /// Makes the handle.
    public init(number: UInt64) { self.number = number }

    /// By number.
    public static func < (left: ClientID, right: ClientID) -> Bool { left.number < right.number }
}
