/// Everything that one core says to another.
///
/// Tensor bytes and blobs travel beside it, see `SliceHeader` and `Directive.fetch`.
public enum Message: Hashable, Sendable {
    /// Who is there and alive.
    case membership(MembershipMessage)
    /// What the nodes say of themselves, and the list of models.
    case mesh(MeshMessage)
    /// Which plan a model runs under.
    case agreement(AgreementMessage)
    /// The course of attempts.
    case request(RequestMessage)
}

/// What is said of a member (SWIM §4.1: rumours ride on probes).
public struct Rumour: Hashable, Sendable {
    /// The member.
    public var member: NodeBoot
    /// Where it listens.
    public var address: Address
    /// What is said.
    public var status: MemberStatus
    /// The member's own number: only the member raises it.
    public var incarnation: UInt64
    /// Who suspects, for `suspect`: independent accusers shorten a suspicion (Lifeguard §IV-B).
    public var accuser: NodeID?

    /// Makes a rumour.
    public init(
        member: NodeBoot, address: Address, status: MemberStatus, incarnation: UInt64,
        accuser: NodeID? = nil
    ) {
        self.member = member
        self.address = address
        self.status = status
        self.incarnation = incarnation
        self.accuser = accuser
    }
}

/// How a member is seen, in rising order at one incarnation: alive < suspect < dead < left.
public enum MemberStatus: UInt8, Hashable, Comparable, CaseIterable, Sendable {
    case alive = 1
    case suspect
    case dead
    case left

    /// The order in which one status overrides another at one incarnation.
    public static func < (left: MemberStatus, right: MemberStatus) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// SWIM's messages.
///
/// Probes and their answers are datagrams; `sync` goes over the connection.
public enum MembershipMessage: Hashable, Sendable {
    /// Are you there? Answered with `ack` of the same sequence.
    case ping(sequence: UInt64, rumours: [Rumour])
    /// Please ping `target` for me and pass its `ack` on under my sequence.
    case pingRequest(sequence: UInt64, target: NodeBoot, address: Address, rumours: [Rumour])
    /// I am here (or the member that you asked me to ping is).
    case ack(sequence: UInt64, rumours: [Rumour])
    /// I could not reach the member that you asked me to ping (Lifeguard §IV-A).
    case nack(sequence: UInt64)
    /// All that I know of members; `isReply` ends the exchange.
    case sync(rumours: [Rumour], isReply: Bool)
    /// Folds of all that I know of members, by ranges of identities. Whoever knows something else of
    /// a range tells it, and compares once more; `isReply` ends the exchange.
    case compare(folds: [UInt64], isReply: Bool)
    /// I do without this connection; close it if you do too. Sent in large meshes.
    case part
}

/// How far a node's knowledge of another one's record goes.
public struct RecordVersion: Hashable, Sendable {
    /// The owner and its run.
    public var member: NodeBoot
    /// The version held.
    public var version: UInt64

    /// Makes a version.
    public init(member: NodeBoot, version: UInt64) {
        self.member = member
        self.version = version
    }
}

/// The part of all records that a digest is about: in large meshes two nodes find out by folds where
/// they differ, and speak of that alone.
public struct DigestScope: Hashable, Sendable {
    /// Into how many ranges of identities the records are divided.
    public var count: Int
    /// The ranges, ascending.
    public var ranges: [Int]
    /// Whether it is about the catalogue too.
    public var hasCatalogue: Bool

    /// Makes a scope.
    public init(count: Int, ranges: [Int], hasCatalogue: Bool) {
        self.count = count
        self.ranges = ranges
        self.hasCatalogue = hasCatalogue
    }

    /// Whether it is about nothing.
    var isEmpty: Bool { ranges.isEmpty && !hasCatalogue }

    /// Whether records can be divided so.
    var isLegal: Bool { TableFolds.isLegal(count: count) }

    /// Whether a node's record is meant.
    func contains(_ node: NodeID) -> Bool {
        let range = TableFolds.range(of: node, count: count)
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle] < range { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low] == range
    }
}

/// The exchange of records and of the catalogue, always over the connection.
public enum MeshMessage: Hashable, Sendable {
    /// What I hold; answered with `update` of what you lack, and with a digest if I lack something.
    case digest(records: [RecordVersion], catalogue: [CatalogueEntry], isReply: Bool)
    /// Records and entries that you may not have.
    case update(records: [SignedRecord], catalogue: [CatalogueEntry])
    /// Like `digest`, of some ranges of records only.
    case difference(
        scope: DigestScope, records: [RecordVersion], catalogue: [CatalogueEntry], isReply: Bool)
    /// Folds of the records and the catalogue that I hold; answered with a `difference` if others are
    /// held.
    case compare(records: [UInt64], catalogue: UInt64)
    /// My connection to this run of a member broke or timed out.
    case unreachable(NodeBoot)
}

/// What an acceptor tells of its register when it promises.
public struct BallotPlan: Hashable, Sendable {
    /// The ballot.
    public var ballot: Ballot
    /// The plan of that ballot.
    public var plan: PlanID

    /// Makes the pair.
    public init(ballot: Ballot, plan: PlanID) {
        self.ballot = ballot
        self.plan = plan
    }
}

/// Why a node refuses in agreement.
public enum AgreementRefusal: Hashable, Sendable {
    /// It promised a higher ballot already.
    case promisedHigher(Ballot)
    /// Its own run is not in the view.
    case notInView
    /// It holds a member of the view dead.
    case holdsDead(NodeBoot)
    /// A live staging of another proposer goes first.
    case leased(until: TimeSpan, by: Ballot)
    /// It does not know the model (yet).
    case unknownModel
    /// The plan does not cover the model, or its routes are not the canonical ones.
    case invalidPlan
    /// The plan is clearly worse than the usable current one.
    case worse(currentPeriodMicroseconds: Int64, proposedPeriodMicroseconds: Int64)
}

/// Why a node cannot host what a plan gives it.
public enum HostRefusal: Hashable, Sendable {
    /// Its memory budget does not allow it.
    case memory(neededBytes: Int, freeBytes: Int)
    /// Blobs are missing and nobody reachable has them.
    case missingBlobs(count: Int)
    /// The engine cannot compile the fragment, or a crash marker forbids to try.
    case engine(String)
    /// The fragment is for another run of this node.
    case otherBoot
    /// The node is leaving.
    case leaving
    /// A higher ballot took over.
    case superseded
    /// It had lost the proposer, and may have it again.
    case proposerLost
}

/// The agreement on one model's plan; all over the connection.
public enum AgreementMessage: Hashable, Sendable {
    /// Phase 1: may I propose under `ballot` to the nodes of `view`?
    case prepare(manifest: ManifestID, ballot: Ballot, view: [NodeBoot])
    /// Yes; this is my register.
    case promise(
        manifest: ManifestID, ballot: Ballot, accepted: BallotPlan?, current: BallotPlan?)
    /// No, to `prepare` or `accept`.
    case refuse(manifest: ManifestID, ballot: Ballot, reason: AgreementRefusal)
    /// Reserve, fetch, compile and warm your part of the primary plan; then arm the alternates.
    case stage(manifest: ManifestID, ballot: Ballot, bundle: PlanBundle)
    /// My part of this plan is ready.
    case ready(manifest: ManifestID, ballot: Ballot, plan: PlanID)
    /// I cannot host my part.
    case cannot(manifest: ManifestID, ballot: Ballot, plan: PlanID, reason: HostRefusal)
    /// Phase 2: every host is ready; accept.
    case accept(manifest: ManifestID, ballot: Ballot, bundle: PlanBundle, view: [NodeBoot])
    /// I accepted.
    case accepted(manifest: ManifestID, ballot: Ballot)
    /// A majority of the view accepted: this is the current plan. `isFresh` if it was decided just
    /// now; else it is told to a peer that connected later.
    case decided(manifest: ManifestID, ballot: Ballot, bundle: PlanBundle, isFresh: Bool)
    /// The round is over without a decision: drop what you staged for it.
    case abandon(manifest: ManifestID, ballot: Ballot)
}

/// Why a host could not do its part of an attempt.
public enum AttemptFailure: Hashable, Sendable {
    /// The host does not hold the plan (any more); its own current one is given.
    case gone(current: PlanID?)
    /// The host's reservation for the plan is full.
    case full
    /// The engine failed.
    case engine(String)
    /// A slice did not fit its route: wrong size or kind.
    case malformedSlice
    /// The host is leaving.
    case leaving
    /// The host has no connection to the node that its slice is for.
    case unreachable
}

/// The course of attempts; all over the connection.
public enum RequestMessage: Hashable, Sendable {
    /// I have this many requests that want a ticket of the plan (the whole wish, not an increase).
    case ticketWish(plan: PlanID, count: Int)
    /// These tickets are yours until you return them or your boot ends.
    case tickets(plan: PlanID, numbers: [UInt64])
    /// Back to the gate.
    case ticketReturn(plan: PlanID, numbers: [UInt64])
    /// Not the gate of that plan, or the plan is not held.
    case ticketRefusal(plan: PlanID, current: PlanID?)
    /// The fragment began to run.
    case started(attempt: AttemptID, fragment: Int)
    /// The fragment ran and its slices are on their way.
    case passed(attempt: AttemptID, fragment: Int, microseconds: Int64)
    /// The fragment will not deliver.
    case failed(attempt: AttemptID, fragment: Int?, reason: AttemptFailure)
    /// Forget the attempt: drop its slices and its reservation.
    case cancel(attempt: AttemptID)
    /// An earlier run of mine crashed while it executed for this request of yours.
    case crashed(request: RequestID, host: NodeBoot)
    /// Two nodes died of these inputs: do not run them for so long.
    case refuse(manifest: ManifestID, digest: InputDigest, remaining: TimeSpan)
}

/// What goes before the bytes of one slice on the data connection.
public struct SliceHeader: Hashable, Sendable {
    /// The attempt, with its plan.
    public var attempt: AttemptID
    /// Index into `Plan.routes`.
    public var route: Int
    /// Type and shape of what follows.
    public var type: ElementType
    /// The extents of the slice.
    public var shape: [Int]
    /// What is left of the request's deadline.
    public var remaining: TimeSpan
    /// Where the attempt stands in a trace, if its request is traced.
    public var trace: TraceContext?
    /// The tensors that were left out of what this was computed from, ascending.
    public var leftOut: [Int]

    /// Makes a header.
    public init(
        attempt: AttemptID, route: Int, type: ElementType, shape: [Int], remaining: TimeSpan,
        trace: TraceContext? = nil, leftOut: [Int] = []
    ) {
        self.trace = trace
        self.leftOut = leftOut
        self.attempt = attempt
        self.route = route
        self.type = type
        self.shape = shape
        self.remaining = remaining
    }

    /// How many bytes follow.
    public var byteCount: Int { shape.reduce(type.byteCount, *) }
}
