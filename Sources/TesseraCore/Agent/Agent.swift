/// The whole agent as one value: events in, directives out.
///
/// `handle` is the only way in. It neither reads a clock nor waits; what must happen later comes back
/// as `Event.woke`. The parts know nothing of each other: each appends directives and notes changes,
/// and the agent carries the changes from part to part (`settle`) until none is left.
public struct Agent: Sendable {
    /// What an agent is told about itself.
    public struct Settings: Sendable {
        /// The node and this run of it.
        public var me: NodeBoot
        /// The name for people.
        public var name: String
        /// Where it listens, as others can reach it.
        public var address: Address
        /// How many fragments the engine runs at once.
        public var executionSlots: Int
        /// Seeds every random choice.
        public var seed: UInt64
        /// Times of the failure detector.
        public var membership: MembershipSettings

        /// Makes settings.
        public init(
            me: NodeBoot, name: String, address: Address, executionSlots: Int, seed: UInt64,
            membership: MembershipSettings = MembershipSettings()
        ) {
            self.me = me
            self.name = name
            self.address = address
            self.executionSlots = executionSlots
            self.seed = seed
            self.membership = membership
        }
    }

    /// The node and its run.
    public let me: NodeBoot
    var membership: Membership
    var mesh: MeshState
    var placement: BlobPlacement
    var agreement: Agreement
    var host: FragmentHost
    var attempts: AttemptTable
    var gate = Gate()
    var requests: RequestTable
    var clock = FragmentClock()
    var ledger = PayloadLedger()
    var codecs = LinkCodecs()

    /// Layouts of every model's current plan and its alternates.
    var layouts: [PlanID: PlanLayout] = [:]
    /// The plan for new attempts of each model, worked out when something it rests on changed.
    var routings: [ManifestID: RequestTable.Routing] = [:]
    /// When agreement wants to look at a model again.
    var agreementWakes: [ManifestID: Timestamp] = [:]
    /// Models whose plans must be looked at before this event is done.
    var dirty: Set<ManifestID> = []
    /// When this host last tried to hold a model's current plan again after it gave it up.
    var heldAgainAt: [ManifestID: Timestamp] = [:]
    /// Since when, or since they were told last, peers follow an older decision than this node.
    var behindSince: [ManifestID: Timestamp] = [:]
    /// Planning that is under way, by token.
    var planning: [UInt64: ManifestID] = [:]
    /// Needs for blobs, and the fragments that wait for them.
    var needs: [NeedID: FragmentKey] = [:]
    var fragmentNeeds: [FragmentKey: NeedID] = [:]
    /// What may be left out of models, worked out when it was first asked for.
    var allowances: [ManifestID: BranchAllowance] = [:]
    /// Alternates that were reported as armed.
    var armed: Set<PlanID> = []
    var leaving: Leaving?
    /// Grows whenever a name may stand for another model, or a model becomes known.
    public internal(set) var modelsVersion: UInt64 = 0
    /// Whether the disk has told what it holds; before, a model that is not known may well be there.
    var isRestored = false
    private var lastWake = Timestamp.never

    /// What the engine was doing when the last process of this node ended.
    var crashes: [CrashMark] = []

    /// How far a leaving agent is.
    struct Leaving: Sendable {
        /// It goes then at the latest.
        var deadline: Timestamp
        /// Since when nothing is left to do here.
        var idleSince: Timestamp?
        var isDone = false
    }

    /// An agent in its first state.
    ///
    /// Call `start` once before any event.
    public init(_ settings: Settings) {
        me = settings.me
        let generator = SeededGenerator(seed: settings.seed)
        membership = Membership(
            me: settings.me, address: settings.address, settings: settings.membership,
            generator: generator.derived(name: "membership"))
        mesh = MeshState(
            own: NodeRecord(
                member: settings.me, version: 0, name: settings.name,
                addresses: [settings.address], capability: nil, holdings: [], plans: [], links: [],
                times: [], isLeaving: false),
            generator: generator.derived(name: "mesh"))
        placement = BlobPlacement(
            me: settings.me, generator: generator.derived(name: "placement"))
        agreement = Agreement(me: settings.me, generator: generator.derived(name: "agreement"))
        host = FragmentHost(me: settings.me, executionSlots: settings.executionSlots)
        attempts = AttemptTable(me: settings.me, executionSlots: settings.executionSlots)
        requests = RequestTable(me: settings.me)
    }

    /// Begins: the first probes and the first record.
    public mutating func start(at now: Timestamp, into output: inout [Directive]) {
        var pending: [Directive] = []
        membership.onStart(now: now, into: &pending)
        mesh.onStart(now: now, into: &pending)
        finish(&pending, now: now, into: &output)
    }

    /// Handles one event.
    ///
    /// Directives are to be carried out in their order.
    public mutating func handle(
        _ event: Event, at now: Timestamp, into output: inout [Directive]
    ) {
        var pending: [Directive] = []
        if case .woke = event, lastWake != .never, now - lastWake > .milliseconds(500) {
            membership.onStalled(for: now - lastWake, now: now, into: &pending)
            requests.onStalled(for: now - lastWake)
            attempts.onStalled(for: now - lastWake)
        }
        dispatch(event, now: now, into: &pending)
        finish(&pending, now: now, into: &output)
    }

    /// Carries changes and this node's messages to itself around until all is settled, hands the
    /// rest out, and says when to wake.
    private mutating func finish(
        _ pending: inout [Directive], now: Timestamp, into output: inout [Directive]
    ) {
        var next = 0
        // Each turn either ends or works off a change or a message to ourselves; a cycle would be
        // a bug, and a loop that never ends is the worst way to show it.
        var turns = 0
        repeat {
            turns += 1
            invariant(turns < 10_000, "an event does not settle")
            while next < pending.count {
                let directive = pending[next]
                next += 1
                switch directive {
                case .send(let message, to: let target) where target == me:
                    dispatch(.received(message, from: me), now: now, into: &pending)
                case .sendSlice(let header, let piece, _, to: let target) where target == me:
                    // It stays where it is, also if only some rows of it are meant.
                    ledger.retain(piece.payload.id)
                    onSlice(header, piece, from: me, now: now, into: &pending)
                case .sendSlice(let header, _, _, to: let target)
                where !membership.isConnected(target):
                    if isLeftOut(header, to: target) { continue }
                    // Nothing would arrive, and the entry would wait for it in vain.
                    pending.append(
                        .send(
                            .request(
                                .failed(
                                    attempt: header.attempt, fragment: nil, reason: .unreachable)),
                            to: header.attempt.request.entry))
                case .sendSlice(let header, let piece, _, to: let target):
                    let codec = codec(of: header, to: target, now: now, into: &output)
                    output.append(.sendSlice(header, piece, codec: codec, to: target))
                case .release(let payload):
                    if ledger.release(payload) { output.append(directive) }
                default:
                    output.append(directive)
                }
            }
            pending.removeAll(keepingCapacity: true)
            next = 0
            settle(now: now, into: &pending)
        } while !pending.isEmpty
        // A wish that cannot be met yet must not become a busy loop.
        let wake = max(nextWake, now + Self.shortestSleep)
        if wake != lastWake {
            lastWake = wake
            if wake != .never { output.append(.wake(at: wake)) }
        }
    }

    private static let shortestSleep = TimeSpan.milliseconds(1)

    private var nextWake: Timestamp {
        var wake = min(membership.nextWake, mesh.nextWake)
        wake = min(wake, placement.nextWake)
        wake = min(wake, host.nextWake)
        wake = min(wake, attempts.nextWake)
        wake = min(wake, requests.nextWake)
        for time in agreementWakes.values { wake = min(wake, time) }
        if let leaving, !leaving.isDone {
            wake = min(wake, leaving.deadline)
            if let since = leaving.idleSince { wake = min(wake, since + Self.leaveGrace) }
        }
        return wake
    }

    // MARK: Events

    private mutating func dispatch(
        _ event: Event, now: Timestamp, into directives: inout [Directive]
    ) {
        switch event {
        case .woke:
            onWoke(now: now, into: &directives)
        case .discovered, .connected, .disconnected, .unreachable, .signed, .linkMeasured,
            .unpacks, .sliceSent:
            onPeerEvent(event, now: now, into: &directives)
        case .received(let message, let sender):
            onReceived(message, from: sender, now: now, into: &directives)
        case .catalogueRestored, .manifestStored, .blobStored, .fetchFailed, .blobLost,
            .modelAdded, .modelRemoved:
            onModelEvent(event, now: now, into: &directives)
        case .crashesFound, .capabilityMeasured, .codecsMeasured, .compiled, .compileLacks,
            .compileFailed, .executed, .executionFailed:
            onEngineEvent(event, now: now, into: &directives)
        case .planned(let token, let result):
            onPlanned(token, result, now: now, into: &directives)
        case .submitted(let client, let manifest, let inputs, let deadline, let wish, let trace):
            if membership.keepsSomeSessions { reach(manifest, now: now) }
            let routing = routing(manifest)
            requests.onSubmitted(
                client, manifest: manifest, inputs: inputs, deadline: deadline,
                exits: exitTable(manifest)?.wished(wish), trace: trace, routing: routing, now: now,
                into: &directives)
        case .judged(let attempt, let exit, let confidence):
            let answered = requests.onJudged(
                attempt, exit: exit, confidence: confidence, now: now, into: &directives)
            if let answered { advance(answered, now: now, into: &directives) }
        case .filled(let attempt, let route, let payload):
            attempts.onFilled(attempt, route: route, payload, now: now, into: &directives)
        case .digested(let client, let digest):
            onDigested(client, digest, now: now, into: &directives)
        case .abandoned(let client):
            requests.onAbandoned(client, into: &directives)
        case .sliceArrived(let header, let payload, let sender):
            onSlice(
                header, TensorPiece(payload: payload), from: sender, now: now, into: &directives)
        case .leaveRequested:
            onLeaveRequested(now: now, into: &directives)
        }
    }

    private mutating func onWoke(now: Timestamp, into directives: inout [Directive]) {
        if membership.nextWake <= now { membership.onWake(now: now, into: &directives) }
        if mesh.nextWake <= now { mesh.onWake(now: now, into: &directives) }
        if placement.nextWake <= now { placement.onWake(now: now, into: &directives) }
        if host.nextWake <= now { host.onWake(now: now, into: &directives) }
        attempts.onWake(now: now, into: &directives)
        if requests.nextWake <= now {
            let routings = requests.manifests.map { ($0, routing($0)) }
            requests.onWake(
                now: now,
                routing: { manifest in
                    routings.first { $0.0 == manifest }?.1
                        ?? RequestTable.Routing(usable: nil, reason: "no plan")
                }, into: &directives)
            for manifest in requests.manifests { advance(manifest, now: now, into: &directives) }
        }
        for (manifest, wake) in agreementWakes where wake <= now { dirty.insert(manifest) }
        // Whoever asked for this moment has had it; a new wish is made even for the same time.
        lastWake = .never
    }
}
