// The JSON of the control API, shared by the agent's server and the command line. Every document
// carries `version`, so that a reader can tell what it does not know.

/// The version of every document of the control API.
public let controlVersion = 1

/// One member of the mesh, as one agent sees it.
public struct MemberDocument: Codable, Sendable, Equatable {
    /// The name that its owner gave it.
    public var name: String
    /// The node's identity, in hexadecimal.
    public var id: String
    /// Which run of it.
    public var boot: UInt64
    /// Where it listens.
    public var address: String
    /// `alive`, `suspect`, `dead` or `left`.
    public var status: String
    /// Whether this is the agent that answers.
    public var isSelf: Bool
    /// Whether the answering agent has a connection to it.
    public var isConnected: Bool
    /// Whether it is leaving.
    public var isLeaving: Bool
    /// Round trip in microseconds, if measured.
    public var roundTripMicroseconds: Int64?
    /// Bytes per second towards it, if measured.
    public var bytesPerSecond: UInt64?
    /// Threads of its engine, if known.
    public var threads: Int?
    /// Its memory budget, if known.
    public var memoryBytes: Int?
    /// Its measured speed, if known.
    public var operationsPerMicrosecond: UInt64?
    /// What decides the bits of its results, if known.
    public var fingerprint: String?
    /// Watts that it draws beyond idle while its engine works, if it says so.
    public var powerWatts: Double?
    /// What its release calls itself, if it tells.
    public var release: String?
    /// The newest version of the protocol that it speaks, if the answering agent has a connection.
    public var protocolVersion: Int?
    /// Microseconds that its clock is ahead of the answering agent's, if it tells.
    public var clockOffsetMicroseconds: Int64?
    /// The offset is right within so many microseconds.
    public var clockUncertaintyMicroseconds: Int64?

    /// Makes a member document.
    public init(
        name: String, id: String, boot: UInt64, address: String, status: String, isSelf: Bool,
        isConnected: Bool, isLeaving: Bool, roundTripMicroseconds: Int64? = nil,
        bytesPerSecond: UInt64? = nil, threads: Int? = nil, memoryBytes: Int? = nil,
        operationsPerMicrosecond: UInt64? = nil, fingerprint: String? = nil
    ) {
        self.name = name
        self.id = id
        self.boot = boot
        self.address = address
        self.status = status
        self.isSelf = isSelf
        self.isConnected = isConnected
        self.isLeaving = isLeaving
        self.roundTripMicroseconds = roundTripMicroseconds
        self.bytesPerSecond = bytesPerSecond
        self.threads = threads
        self.memoryBytes = memoryBytes
        self.operationsPerMicrosecond = operationsPerMicrosecond
        self.fingerprint = fingerprint
    }
}

/// `GET /tessera/v1/members`.
public struct MembersDocument: Codable, Sendable, Equatable {
    /// `controlVersion`.
    public var version = controlVersion
    /// The members, this one included, by name.
    public var members: [MemberDocument]

    /// Makes the document.
    public init(members: [MemberDocument]) { self.members = members }
}

/// One model of the mesh.
public struct ModelDocument: Codable, Sendable, Equatable {
    /// The name that clients use.
    public var name: String
    /// The manifest, in hexadecimal.
    public var manifest: String
    /// Whether requests are served now.
    public var isReady: Bool
    /// If not: why.
    public var reason: String?
    /// Bytes of all weights.
    public var weightBytes: Int?
    /// How many nodes hold the blob that the fewest nodes hold.
    public var copies: Int
    /// How many nodes the plan uses.
    public var nodes: Int
    /// How the operator wants it planned.
    public var settings: ModelSettingsDocument?

    /// Makes a model document.
    public init(
        name: String, manifest: String, isReady: Bool, reason: String?, weightBytes: Int?,
        copies: Int, nodes: Int, settings: ModelSettingsDocument? = nil
    ) {
        self.settings = settings
        self.name = name
        self.manifest = manifest
        self.isReady = isReady
        self.reason = reason
        self.weightBytes = weightBytes
        self.copies = copies
        self.nodes = nodes
    }
}

/// `GET /tessera/v1/models`.
public struct ModelsDocument: Codable, Sendable, Equatable {
    /// `controlVersion`.
    public var version = controlVersion
    /// The models by name.
    public var models: [ModelDocument]

    /// Makes the document.
    public init(models: [ModelDocument]) { self.models = models }
}

/// `POST /tessera/v1/models`: gives a manifest that is stored at this agent a name.
public struct AddModelDocument: Codable, Sendable, Equatable {
    /// The name that clients will use.
    public var name: String
    /// The manifest, in hexadecimal.
    public var manifest: String
    /// How the model is to be planned; nil for the best plan there is.
    public var settings: ModelSettingsDocument?

    /// Makes the document.
    public init(name: String, manifest: String, settings: ModelSettingsDocument? = nil) {
        self.name = name
        self.manifest = manifest
        self.settings = settings
    }
}

/// One stage of a plan.
public struct StageDocument: Codable, Sendable, Equatable {
    /// `single`, `replicas`, `rows` or `branches`.
    public var mode: String
    /// The names of the nodes.
    public var nodes: [String]
    /// First operator, counted from 0.
    public var first: Int
    /// Last operator.
    public var last: Int
    /// The names of the first and the last operator.
    public var operators: [String]
    /// What the planner expects one item to take in the stage, on the slowest node of a group, in
    /// microseconds.
    public var predictedMicroseconds: Int64
    /// What was measured, in microseconds: the slowest of those nodes that have measured it.
    public var measuredMicroseconds: Int64?
    /// How long the busiest side of a node is expected to be busy, for each item, with what comes from
    /// the stages before, in microseconds.
    public var linkMicroseconds: Int64
    /// Reserved memory.
    public var memoryBytes: Int

    /// Makes a stage document.
    public init(
        mode: String, nodes: [String], first: Int, last: Int, operators: [String],
        predictedMicroseconds: Int64, measuredMicroseconds: Int64?, linkMicroseconds: Int64,
        memoryBytes: Int
    ) {
        self.mode = mode
        self.nodes = nodes
        self.first = first
        self.last = last
        self.operators = operators
        self.predictedMicroseconds = predictedMicroseconds
        self.measuredMicroseconds = measuredMicroseconds
        self.linkMicroseconds = linkMicroseconds
        self.memoryBytes = memoryBytes
    }
}

/// One alternate of a plan.
public struct AlternateDocument: Codable, Sendable, Equatable {
    /// The plan, in hexadecimal; nil if there is none for the loss of this node.
    public var plan: String?
    /// The node whose loss it answers.
    public var without: String
    /// Whether every node of it is ready.
    public var isArmed: Bool
    /// The names of the nodes that it waits for: they have not said yet that they are ready.
    public var waitsFor: [String]
    /// What other nodes do in it than in the plan, for people.
    public var changes: [String]
    /// Why it is not armed, or why there is none.
    public var reason: String?
    /// Bytes of weights that its nodes still lack.
    public var fetchBytes: Int
    /// How long it takes to arm it from where its nodes are now, or to arm it anew, in microseconds;
    /// nil if nothing was measured from which it could be told.
    public var rearmMicroseconds: Int64?

    /// Makes an alternate document.
    public init(
        plan: String?, without: String, isArmed: Bool, waitsFor: [String], changes: [String],
        reason: String? = nil, fetchBytes: Int = 0, rearmMicroseconds: Int64? = nil
    ) {
        self.reason = reason
        self.fetchBytes = fetchBytes
        self.rearmMicroseconds = rearmMicroseconds
        self.plan = plan
        self.without = without
        self.isArmed = isArmed
        self.waitsFor = waitsFor
        self.changes = changes
    }
}

/// `GET /tessera/v1/models/{name}/plan`.
public struct PlanDocument: Codable, Sendable, Equatable {
    /// `controlVersion`.
    public var version = controlVersion
    /// The model.
    public var model: String
    /// The plan, in hexadecimal.
    public var plan: String
    /// The round of its ballot.
    public var epoch: UInt64
    /// The name of the node that proposed it.
    public var proposer: String
    /// How many operators the model has.
    public var operators: Int
    /// The stages in order.
    public var stages: [StageDocument]
    /// Attempts that may be in flight.
    public var window: Int
    /// Expected time per item in a stream.
    public var predictedPeriodMicroseconds: Int64
    /// Expected time of one item alone.
    public var predictedLatencyMicroseconds: Int64
    /// What no plan can beat on these nodes, for the period.
    public var boundMicroseconds: Int64
    /// What binds.
    public var binding: String
    /// What limits the plan.
    public var bottleneck: String
    /// Whether the answer is bit for bit that of one node, and why or why not.
    public var exactness: String
    /// What keeping the input at the entry costs; nil if the model's settings do not want it.
    public var local: LocalDocument?
    /// The model's early exits; nil if it has none.
    public var exits: [ExitShareDocument]?
    /// The alternates.
    public var alternates: [AlternateDocument]
    /// Nodes with a part, with the reason.
    public var used: [NoteDocument]
    /// Nodes without a part, with the reason.
    public var leftOut: [NoteDocument]
    /// Routes that are expected to be packed, or are packed by the agent that was asked.
    public var packing: [PackingDocument]?
    /// What an item takes; nil if an older agent answered.
    public var energy: EnergyDocument?

    /// An early exit, or the end of the model, and the requests that it answers.
    public struct ExitShareDocument: Codable, Sendable, Equatable {
        /// The output.
        public var output: String
        /// The measure of its confidence; nil for the end.
        public var measure: String?
        /// The least confidence with which it answers; nil for the end.
        public var threshold: Double?
        /// The share of requests that plans count with.
        public var share: Double
        /// Requests that it answered at the entry that was asked.
        public var answered: Int

        /// Makes the document.
        public init(
            output: String, measure: String?, threshold: Double?, share: Double, answered: Int
        ) {
            self.output = output
            self.measure = measure
            self.threshold = threshold
            self.share = share
            self.answered = answered
        }
    }

    /// What keeping the input at the entry costs.
    public struct LocalDocument: Codable, Sendable, Equatable {
        /// How many of the first operators run at the entry, those that read an input among them.
        public var operators: Int
        /// The names of the nodes where requests may come in.
        public var entries: [String]
        /// Expected time per item in a stream of the best plan that keeps nothing at the entry.
        public var otherwisePeriodMicroseconds: Int64?
        /// Likewise, of one item alone.
        public var otherwiseLatencyMicroseconds: Int64?

        /// Makes the document.
        public init(
            operators: Int, entries: [String], otherwisePeriodMicroseconds: Int64?,
            otherwiseLatencyMicroseconds: Int64?
        ) {
            self.operators = operators
            self.entries = entries
            self.otherwisePeriodMicroseconds = otherwisePeriodMicroseconds
            self.otherwiseLatencyMicroseconds = otherwiseLatencyMicroseconds
        }
    }

    /// Why a node got what it got.
    public struct NoteDocument: Codable, Sendable, Equatable {
        /// The node's name.
        public var node: String
        /// Why.
        public var reason: String

        /// Makes the note.
        public init(node: String, reason: String) {
            self.node = node
            self.reason = reason
        }
    }

    /// Makes a plan document.
    public init(
        model: String, plan: String, epoch: UInt64, proposer: String, operators: Int,
        stages: [StageDocument], window: Int, predictedPeriodMicroseconds: Int64,
        predictedLatencyMicroseconds: Int64, boundMicroseconds: Int64, binding: String,
        bottleneck: String, exactness: String, local: LocalDocument? = nil,
        exits: [ExitShareDocument]? = nil,
        alternates: [AlternateDocument],
        used: [NoteDocument], leftOut: [NoteDocument]
    ) {
        self.model = model
        self.plan = plan
        self.epoch = epoch
        self.proposer = proposer
        self.operators = operators
        self.stages = stages
        self.window = window
        self.predictedPeriodMicroseconds = predictedPeriodMicroseconds
        self.predictedLatencyMicroseconds = predictedLatencyMicroseconds
        self.boundMicroseconds = boundMicroseconds
        self.binding = binding
        self.bottleneck = bottleneck
        self.exactness = exactness
        self.local = local
        self.exits = exits
        self.alternates = alternates
        self.used = used
        self.leftOut = leftOut
    }
}

/// `GET /tessera/v1/status`.
public struct StatusDocument: Codable, Sendable, Equatable {
    /// `controlVersion`.
    public var version = controlVersion
    /// The agent's own version.
    public var release: String
    /// The node's name.
    public var name: String
    /// The node, in hexadecimal.
    public var id: String
    /// The mesh's name.
    public var mesh: String
    /// Where it listens for peers.
    public var listen: String
    /// How it finds peers now.
    public var discovery: String
    /// Microseconds since it started.
    public var uptimeMicroseconds: Int64
    /// Addresses that discovery found and where nobody has answered so far; nil if there are none.
    public var unanswered: [String]?
    /// Whether it takes requests.
    public var isReady: Bool
    /// If not: why.
    public var reason: String?
    /// Members alive, this one included.
    public var membersAlive: Int
    /// Requests that are open at this entry.
    public var openRequests: Int
    /// Bytes reserved by fragments.
    public var reservedBytes: Int
    /// The memory budget.
    public var memoryBytes: Int
    /// Named counters since start.
    public var counters: [String: UInt64]
    /// What is wrong, one line each; empty if nothing is.
    public var health: [String]

    /// Makes a status document.
    public init(
        release: String, name: String, id: String, mesh: String, listen: String,
        discovery: String, uptimeMicroseconds: Int64, isReady: Bool, reason: String?,
        membersAlive: Int, openRequests: Int, reservedBytes: Int, memoryBytes: Int,
        counters: [String: UInt64], health: [String]
    ) {
        self.release = release
        self.name = name
        self.id = id
        self.mesh = mesh
        self.listen = listen
        self.discovery = discovery
        self.uptimeMicroseconds = uptimeMicroseconds
        self.isReady = isReady
        self.reason = reason
        self.membersAlive = membersAlive
        self.openRequests = openRequests
        self.reservedBytes = reservedBytes
        self.memoryBytes = memoryBytes
        self.counters = counters
        self.health = health
    }
}

/// One line of `GET /tessera/v1/events` (newline-delimited JSON).
public struct EventDocument: Codable, Sendable, Equatable {
    /// `controlVersion`.
    public var version = controlVersion
    /// Counts the agent's events from 1.
    public var number: UInt64
    /// Microseconds since the agent started.
    public var atMicroseconds: Int64
    /// The kind, such as `member`, `decided`, `lossDetected`.
    public var kind: String
    /// The node that the event is about, by name, if there is one.
    public var node: String?
    /// The model that the event is about, by name, if there is one.
    public var model: String?
    /// The plan that the event is about, in hexadecimal, if there is one.
    public var plan: String?
    /// For people.
    public var text: String
    /// A figure in milliseconds, for the kinds that have one.
    public var milliseconds: Double?

    /// Makes an event document.
    public init(
        number: UInt64, atMicroseconds: Int64, kind: String, node: String?, model: String?,
        plan: String?, text: String, milliseconds: Double?
    ) {
        self.number = number
        self.atMicroseconds = atMicroseconds
        self.kind = kind
        self.node = node
        self.model = model
        self.plan = plan
        self.text = text
        self.milliseconds = milliseconds
    }
}
