/// How fast and how careful membership is.
///
/// The start values suit a local network; tests and topologies may change them.
public struct MembershipSettings: Hashable, Sendable {
    /// Between the starts of two probes of one healthy node (SWIM §3, "protocol period").
    public var probePeriod = TimeSpan.milliseconds(200)
    /// The least time that a direct probe is given.
    public var probeTimeoutMin = TimeSpan.milliseconds(100)
    /// The most time that a direct probe is given, so that slow answers do not blind a node.
    public var probeTimeoutMax = TimeSpan.milliseconds(1_200)
    /// The times of a suspicion hold for a member whose probes are given this much at most; they
    /// grow with the time that others are given: a slow device also contradicts slowly.
    public var steadyTimeout = TimeSpan.milliseconds(400)
    /// A probe is given so many times the slowest recent round trip.
    public var roundTripFactor: Int64 = 4
    /// How many members are asked to probe for us when a direct probe gets no answer.
    public var indirectProbes = 3
    /// From suspicion to death if one accuser stands alone (Lifeguard §IV-B).
    public var suspicionMax = TimeSpan.milliseconds(1_000)
    /// From suspicion to death if several members suspect independently.
    public var suspicionMin = TimeSpan.milliseconds(500)
    /// From a refused redial to death: the process is gone, and only an answer that another member
    /// gets can save it.
    public var refusedSuspicion = TimeSpan.milliseconds(200)
    /// A refused redial counts as evidence only this soon after the connection broke.
    public var refusedWindow = TimeSpan.seconds(2)
    /// Between two exchanges of all that is known with a random member.
    public var syncPeriod = TimeSpan.seconds(2)
    /// The first pause between two attempts to connect to a member; doubles with each failure.
    public var dialPauseMin = TimeSpan.milliseconds(100)
    /// The longest pause between two attempts to connect to a member.
    public var dialPauseMax = TimeSpan.seconds(2)
    /// How long a node waits for a member that it heard of to connect first, if the member's
    /// identity is the lower one: else both would dial at once.
    public var dialPatience = TimeSpan.milliseconds(150)
    /// Between two dials of discovered addresses, whoever proposes them.
    public var discoveryDialPeriod = TimeSpan.milliseconds(100)
    /// Between two probes of dead members, all together.
    public var deadProbePeriod = TimeSpan.seconds(1)
    /// How long the dead and the gone are remembered.
    public var deadRemembered = TimeSpan.seconds(24 * 3_600)
    /// How long a member that is known by hearsay only is left alone by probes: datagrams of a run
    /// that never connected are not read.
    public var hearsayGrace = TimeSpan.seconds(2)
    /// How long a connection to a member that was declared dead is kept, so that it can refute.
    public var deadConnectionGrace = TimeSpan.seconds(1)
    /// In a mesh of more nodes than this, nobody keeps sessions with everybody.
    public var fullMeshMax = 64
    /// How long a session in a larger mesh is kept after its last use.
    public var sessionKept = TimeSpan.seconds(60)
    /// A loop that was this late blames no one.
    public var stallMin = TimeSpan.milliseconds(500)
    /// How long a member that came back once is not used; doubles with each return.
    public var flapPause = TimeSpan.seconds(10)
    /// Members that come back from dead within this time of each other come back together.
    public var returnWindow = TimeSpan.seconds(5)
    /// A member that stayed alive this long has no past.
    public var flapForgiven = TimeSpan.seconds(600)

    /// The start values.
    public init() {}
}

/// What membership may take at most.
enum MembershipLimits {
    /// Remembered nodes, the dead included: a sync of all fits one control frame.
    static let members = 2_048
    /// Discovered addresses that wait for their turn.
    static let candidates = 256
    /// Attempts to reach a discovered address before it must be discovered again.
    static let candidateAttempts = 6
    /// With so many other nodes, what all know is compared by folds before it is exchanged: from here
    /// on the exchange of whole tables would be most of the traffic.
    static let comparedMin = 32
    /// Rumours in one datagram: ten of about 110 bytes stay below the smallest usual MTU.
    static let rumoursPerDatagram = 10
    /// Rumours in one `sync` that is accepted: what a full peer sends, and no more.
    static let rumoursPerSync = members + 1
    /// Rumours in the short answer to an empty `sync`.
    static let rumoursPerShortSync = 20
    /// A rumour is passed on this often times log2 of the mesh's size (SWIM §4.1: λ log n).
    static let retransmitFactor = 3
    /// Up to this many connected members are told of suspicion and death directly; in larger meshes
    /// a broadcast by everyone would cost more than gossip.
    static let directlyTold = 64
    /// Members chosen by lot to keep a session with in a large mesh; as many choose this node.
    ///
    /// Eight random neighbours of each keep a mesh of thousands in one part though many of them are
    /// lost.
    static let neighbours = 8
    /// Sessions in a large mesh up to which none is ended that might be used again.
    static let sessionsKept = 32
    /// Between two choices of whom to keep sessions with.
    static let choicePause = TimeSpan.milliseconds(250)
    /// A session that ends this soon after this node asked for it ended in good order.
    static let partingSpan = TimeSpan.seconds(5)
    /// Own probes that wait for an answer: more would mean that everybody is silent.
    static let probes = 64
    /// Probes for others that wait for an answer.
    static let relays = 256
    /// Incarnations are below this: a peer must not drive ours to its end.
    static let incarnation: UInt64 = 1 << 62
    /// Accusers that count: the first one and three independent ones (Lifeguard §IV-B, K = 3).
    static let accusers = 4
    /// Highest value of Lifeguard's local health multiplier (Lifeguard §IV-A, S = 8).
    static let healthMax = 8
    /// How long an attempt to connect may stay open before it counts as failed.
    static let dialPatience = TimeSpan.seconds(10)
    /// Doublings of the pause of a flapping member.
    static let flapDoublings = 5
    /// Addresses known to be our own.
    static let ownAddresses = 16
    /// Round trips remembered of each member.
    static let roundTrips = 32
}
