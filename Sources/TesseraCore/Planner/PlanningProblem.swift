/// All that a plan is made of: a pure function of this value gives the plan, the same everywhere.
public struct PlanningProblem: Hashable, Sendable {
    /// A node that may host fragments.
    public struct Node: Hashable, Sendable {
        /// The node and its run.
        public var member: NodeBoot
        /// The name people know it by.
        public var name: String
        /// What it can do.
        public var capability: Capability
        /// Bytes that are free for this model: the budget less what other models reserve.
        public var freeMemoryBytes: Int
        /// Measured times, which override the estimate from `capability`.
        public var times: [FragmentTime]

        /// Makes a node.
        public init(
            member: NodeBoot, name: String, capability: Capability, freeMemoryBytes: Int,
            times: [FragmentTime]
        ) {
            self.member = member
            self.name = name
            self.capability = capability
            self.freeMemoryBytes = freeMemoryBytes
            self.times = times
        }
    }

    /// A directed link.
    public struct Link: Hashable, Sendable {
        /// From.
        public var source: NodeID
        /// To.
        public var destination: NodeID
        /// Bytes per second; 0 is unknown and counts as a fast local network.
        public var bytesPerSecond: UInt64
        /// Time that the first byte takes.
        public var latencyMicroseconds: Int64

        /// Makes a link.
        public init(
            source: NodeID, destination: NodeID, bytesPerSecond: UInt64,
            latencyMicroseconds: Int64
        ) {
            self.source = source
            self.destination = destination
            self.bytesPerSecond = bytesPerSecond
            self.latencyMicroseconds = latencyMicroseconds
        }
    }

    /// The model.
    public var outline: ModelOutline
    /// The nodes, ascending by member.
    public var nodes: [Node]
    /// The links that are known, ascending by source, then destination.
    public var links: [Link]
    /// The ballot that the plan is made for.
    public var ballot: Ballot
    /// The plan that runs now, if any: ties go to what is warm.
    public var current: Plan?
    /// The members that `current`'s plan uses and that are lost.
    public var lost: [NodeBoot]
    /// What the plan is to be best at, and its limits.
    public var goal: PlanGoal
    /// The modes that stages may have.
    public var allowedModes: ModeSet
    /// The baseline whose plan is wanted instead of the best one.
    public var baseline: PlanBaseline?
    /// The node where requests come in; nil if they come in everywhere, and the ways to and from
    /// the entry do not count.
    public var entry: NodeID?
    /// The rate of a medium that all links share; nil if they do not disturb each other.
    public var mediumBitsPerSecond: Int?
    /// How many of the first operators run at the entry of each request; 0 for no such wish.
    public var keepInputLocal: Int
    /// What was measured of packing the model's tensors; nil if nothing was.
    public var codecs: CodecAllowance?
    /// The shares of requests that exits answer, in the order of the model: who is answered early
    /// does not need the rest.
    public var exits: [ExitShare]

    /// Makes a problem.
    public init(
        outline: ModelOutline, nodes: [Node], links: [Link], ballot: Ballot, current: Plan?,
        lost: [NodeBoot], goal: PlanGoal = PlanGoal(), allowedModes: ModeSet = .single,
        baseline: PlanBaseline? = nil, entry: NodeID? = nil, mediumBitsPerSecond: Int? = nil,
        keepInputLocal: Int = 0, codecs: CodecAllowance? = nil, exits: [ExitShare] = []
    ) {
        self.outline = outline
        self.nodes = nodes
        self.links = links
        self.ballot = ballot
        self.current = current
        self.lost = lost
        self.goal = goal
        self.allowedModes = allowedModes
        self.baseline = baseline
        self.entry = entry
        self.mediumBitsPerSecond = mediumBitsPerSecond
        self.keepInputLocal = keepInputLocal
        self.codecs = codecs
        self.exits = exits
    }

    /// The share of requests, in millionths, that no exit before a position of the model answered.
    func share(atOperator position: Int) -> Int {
        exits.reduce(ModelExit.unit) { $1.producer < position ? max($0 - $1.share, 0) : $0 }
    }
}

/// Why a node has no part in a plan.
public struct LeftOut: Hashable, Sendable {
    /// The node.
    public var node: NodeID
    /// Why.
    public var reason: String

    /// Makes the note.
    public init(node: NodeID, reason: String) {
        self.node = node
        self.reason = reason
    }
}

/// What planning gives: a bundle whose plans the worker has named, or the reason why there is none.
public enum PlanningResult: Hashable, Sendable {
    /// The best plan and its alternates.
    case bundle(PlanBundle, leftOut: [LeftOut])
    /// No plan: the limit that binds, in words with figures.
    case impossible(reason: String)
}
