/// What an agent says of itself and its mesh at `GET /metrics`, as values.
///
/// Spans are in seconds and sizes in bytes, as the names of metrics have them. Lists are in the order
/// in which they are shown.
public struct AgentMetrics: Sendable {
    /// A count with a name of a small, known set.
    public struct Named: Hashable, Sendable {
        /// Of what.
        public var name: String
        /// How many.
        public var count: Int

        /// Makes a count.
        public init(_ name: String, _ count: Int) {
            self.name = name
            self.count = count
        }
    }

    /// One model of the mesh.
    public struct Model: Hashable, Sendable {
        /// The name that clients use.
        public var name: String
        /// Whether a plan serves it.
        public var isReady: Bool
        /// Bytes of all weights; nil if that is not known yet.
        public var weightBytes: Int?
        /// How many nodes hold the blob that the fewest nodes hold.
        public var copies: Int
        /// How many nodes its plan uses.
        public var nodes: Int
        /// Plans that this agent saw decided for it.
        public var plansDecided: Int
        /// What the plan's time per item is expected to be; nil without a plan.
        public var periodSeconds: Double?
        /// What the plan's time of one item alone is expected to be; nil without a plan.
        public var latencySeconds: Double?
        /// What an item is expected to take, in joules; nil where the power of a node of the plan is not
        /// known.
        public var joulesPerItem: Double?
        /// By what answered, an exit or the output for which exits stand: requests of this entry.
        public var exits: [Named]
        /// Answers of this entry that did without branches.
        public var leftOut: Int

        /// Makes a model's figures.
        public init(
            name: String, isReady: Bool, weightBytes: Int?, copies: Int, nodes: Int,
            plansDecided: Int, periodSeconds: Double?, latencySeconds: Double?,
            exits: [Named] = [], leftOut: Int = 0
        ) {
            self.exits = exits
            self.leftOut = leftOut
            self.name = name
            self.isReady = isReady
            self.weightBytes = weightBytes
            self.copies = copies
            self.nodes = nodes
            self.plansDecided = plansDecided
            self.periodSeconds = periodSeconds
            self.latencySeconds = latencySeconds
        }
    }

    /// One fragment that this agent holds.
    public struct Fragment: Hashable, Sendable {
        /// The model's name.
        public var model: String
        /// The operators, such as `0-12`.
        public var operators: String
        /// The rows that it makes, such as `0-56`; `all`.
        public var rows: String
        /// Runs that ended.
        public var runs: Int
        /// Runs that failed.
        public var failures: Int
        /// How long all runs took together.
        public var ranSeconds: Double
        /// How long they waited together for a thread of the engine.
        public var waitedSeconds: Double

        /// Makes a fragment's figures.
        public init(
            model: String, operators: String, rows: String, runs: Int, failures: Int,
            ranSeconds: Double, waitedSeconds: Double
        ) {
            self.model = model
            self.operators = operators
            self.rows = rows
            self.runs = runs
            self.failures = failures
            self.ranSeconds = ranSeconds
            self.waitedSeconds = waitedSeconds
        }
    }

    /// One other node.
    public struct Peer: Hashable, Sendable {
        /// What its owner calls it.
        public var name: String
        /// The first digits of its identity: names may be equal.
        public var node: String
        /// Whether there is a connection.
        public var isConnected: Bool
        /// Bytes sent to it.
        public var sentBytes: Int
        /// Bytes that came from it.
        public var receivedBytes: Int
        /// What the link to it was measured to carry; nil if it was not.
        public var bytesPerSecond: UInt64?
        /// Round trip; nil if it was not measured.
        public var roundTripSeconds: Double?

        /// Makes a peer's figures.
        public init(
            name: String, node: String, isConnected: Bool, sentBytes: Int, receivedBytes: Int,
            bytesPerSecond: UInt64?, roundTripSeconds: Double?
        ) {
            self.name = name
            self.node = node
            self.isConnected = isConnected
            self.sentBytes = sentBytes
            self.receivedBytes = receivedBytes
            self.bytesPerSecond = bytesPerSecond
            self.roundTripSeconds = roundTripSeconds
        }
    }

    /// What the process takes; nil where the system does not say.
    public struct Process: Hashable, Sendable {
        /// Memory in use.
        public var residentBytes: Int?
        /// Open file descriptors.
        public var descriptors: Int?
        /// Processor time since the start.
        public var processorSeconds: Double?

        /// Makes the figures.
        public init(residentBytes: Int?, descriptors: Int?, processorSeconds: Double?) {
            self.residentBytes = residentBytes
            self.descriptors = descriptors
            self.processorSeconds = processorSeconds
        }
    }

    /// The agent's version.
    public var release: String
    /// The version of the protocol between agents.
    public var wireProtocol: Int
    /// What its owner calls it.
    public var name: String
    /// The mesh.
    public var mesh: String
    /// What decides the bits of its results; nil until it was measured.
    public var engine: String?
    /// How long it runs.
    public var uptimeSeconds: Double
    /// Whether it takes requests.
    public var isReady: Bool
    /// Members by status.
    public var members: [Named] = []
    /// The models of the mesh.
    public var models: [Model] = []
    /// Requests that are open at this entry.
    public var openRequests = 0
    /// Attempts, of all entries, that are open here.
    public var openAttempts = 0
    /// Runs that wait for the engine, and runs that it has.
    public var queuedRuns = 0
    /// Runs that the engine has.
    public var runningRuns = 0
    /// Attempts that this entry started.
    public var attempts = 0
    /// Attempts beyond the first of their request.
    public var retries = 0
    /// Attempts that ended without an answer, by cause.
    public var attemptLosses: [Named] = []
    /// Requests that were refused at once, by reason.
    public var refusals: [Named] = []
    /// The fragments that it holds.
    public var fragments: [Fragment] = []
    /// The other nodes.
    public var peers: [Peer] = []
    /// Bytes that fragments reserve.
    public var reservedBytes = 0
    /// The memory budget.
    public var memoryBytes = 0
    /// Bytes of blobs on disk.
    public var storedBytes = 0
    /// The disk quota.
    public var diskBytes = 0
    /// Members that were lost while something relied on them.
    public var losses = 0
    /// Recoveries from losses.
    public var recoveries = 0
    /// How long they took together.
    public var recoverySeconds = 0.0
    /// Rounds that ended without a decision.
    public var roundsFailed = 0
    /// Runs that took longer than their clocks allow.
    public var lateRuns = 0
    /// Limits of the mesh that were reached.
    public var limits: [Named] = []
    /// What the transport counted, by the names of metrics without `tessera_` and `_total`.
    public var transport: [Named] = []
    /// What is known of energy.
    public var energy = Energy()
    /// What codecs did to slices.
    public var codecs: [CodecWork] = []
    /// Spans by what became of them; empty if none are written.
    public var traceSpans: [Named] = []
    /// What the process takes.
    public var process = Process(residentBytes: nil, descriptors: nil, processorSeconds: nil)

    /// Makes the figures of an agent that has done nothing yet.
    public init(
        release: String, wireProtocol: Int, name: String, mesh: String, engine: String?,
        uptimeSeconds: Double, isReady: Bool
    ) {
        self.release = release
        self.wireProtocol = wireProtocol
        self.name = name
        self.mesh = mesh
        self.engine = engine
        self.uptimeSeconds = uptimeSeconds
        self.isReady = isReady
    }
}
