public import TesseraCore

/// What an agent is.
public struct ServerInformation: Hashable, Sendable {
    /// The node.
    public var node: NodeID
    /// The name that its owner gave it.
    public var name: String
    /// The name of its mesh.
    public var mesh: String
    /// The version of the program.
    public var version: String
    /// How long it has been running.
    public var uptime: TimeSpan

    /// Makes the information.
    public init(node: NodeID, name: String, mesh: String, version: String, uptime: TimeSpan) {
        self.node = node
        self.name = name
        self.mesh = mesh
        self.version = version
        self.uptime = uptime
    }
}

/// Whether something can be used, and if not, why.
public enum Readiness: Hashable, Sendable {
    /// It can.
    case ready
    /// It cannot, for this reason.
    case notReady(reason: String)

    /// The reason; nil if it is ready.
    public var reason: String? {
        switch self {
        case .ready: nil
        case .notReady(let reason): reason
        }
    }
}

/// A model as clients see it.
public struct ModelInformation: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Which model the name stands for.
    public var manifest: ManifestID
    /// Its inputs for one item.
    public var inputs: [TensorDescriptor]
    /// Its outputs for one item.
    public var outputs: [TensorDescriptor]
    /// The bytes of its weights.
    public var weightBytes: Int
    /// Whether a plan serves it.
    public var readiness: Readiness

    /// Makes the information.
    public init(
        name: String, manifest: ManifestID, inputs: [TensorDescriptor],
        outputs: [TensorDescriptor], weightBytes: Int, readiness: Readiness
    ) {
        self.name = name
        self.manifest = manifest
        self.inputs = inputs
        self.outputs = outputs
        self.weightBytes = weightBytes
        self.readiness = readiness
    }
}

/// How an agent and its mesh are.
public struct StatusInformation: Hashable, Sendable {
    /// Requests that are being answered here.
    public var openRequests: Int
    /// Requests that wait for a ticket here.
    public var queuedRequests: Int
    /// Bytes of the memory budget.
    public var memoryBytes: Int
    /// Bytes of it that fragments and reservations take.
    public var usedMemoryBytes: Int
    /// Bytes of the disk budget.
    public var diskBytes: Int
    /// Bytes of it that blobs take.
    public var usedDiskBytes: Int
    /// What is wrong, one line each; empty if nothing is.
    public var health: [String]

    /// Makes the information.
    public init(
        openRequests: Int, queuedRequests: Int, memoryBytes: Int, usedMemoryBytes: Int,
        diskBytes: Int, usedDiskBytes: Int, health: [String]
    ) {
        self.openRequests = openRequests
        self.queuedRequests = queuedRequests
        self.memoryBytes = memoryBytes
        self.usedMemoryBytes = usedMemoryBytes
        self.diskBytes = diskBytes
        self.usedDiskBytes = usedDiskBytes
        self.health = health
    }
}

/// A member of the mesh as this agent sees it.
public struct MemberInformation: Hashable, Sendable {
    /// The node and its run.
    public var member: NodeBoot
    /// The name that its owner gave it; empty if not known yet.
    public var name: String
    /// Where it listens.
    public var address: Address?
    /// How it is seen.
    public var status: MemberStatus
    /// Whether it is this agent.
    public var isSelf: Bool
    /// Whether it wants no new work.
    public var isLeaving: Bool
    /// What it can do; nil if not known.
    public var capability: Capability?
    /// Round trip to it; nil if not measured.
    public var roundTripMicroseconds: Int64?

    /// Makes the information.
    public init(
        member: NodeBoot, name: String, address: Address?, status: MemberStatus, isSelf: Bool,
        isLeaving: Bool, capability: Capability?, roundTripMicroseconds: Int64?
    ) {
        self.member = member
        self.name = name
        self.address = address
        self.status = status
        self.isSelf = isSelf
        self.isLeaving = isLeaving
        self.capability = capability
        self.roundTripMicroseconds = roundTripMicroseconds
    }
}

/// What runs for a model.
public struct PlanInformation: Hashable, Sendable {
    /// One stage.
    public struct Stage: Hashable, Sendable {
        /// How its nodes share the work.
        public var mode: StageMode
        /// Its nodes.
        public var nodes: [NodeID]
        /// The names of its nodes, in the same order.
        public var nodeNames: [String]
        /// Its operators.
        public var operators: Range<Int>
        /// The name of its first operator.
        public var firstOperator: String
        /// The name of its last operator.
        public var lastOperator: String
        /// Expected time of computing one item, its slices included.
        public var predictedMicroseconds: Int64
        /// Measured time of computing one item; nil if not measured yet.
        public var measuredMicroseconds: Int64?
        /// Expected time that its slices take to arrive.
        public var linkMicroseconds: Int64
        /// Bytes that it takes on each node.
        public var memoryBytes: Int

        /// Makes the stage.
        public init(
            mode: StageMode, nodes: [NodeID], nodeNames: [String], operators: Range<Int>,
            firstOperator: String, lastOperator: String, predictedMicroseconds: Int64,
            measuredMicroseconds: Int64?, linkMicroseconds: Int64, memoryBytes: Int
        ) {
            self.mode = mode
            self.nodes = nodes
            self.nodeNames = nodeNames
            self.operators = operators
            self.firstOperator = firstOperator
            self.lastOperator = lastOperator
            self.predictedMicroseconds = predictedMicroseconds
            self.measuredMicroseconds = measuredMicroseconds
            self.linkMicroseconds = linkMicroseconds
            self.memoryBytes = memoryBytes
        }
    }

    /// The plan that answers the loss of a node.
    public struct Alternate: Hashable, Sendable {
        /// The node.
        public var without: NodeID
        /// The name of the node.
        public var nodeName: String
        /// The plan; nil if there is none.
        public var plan: PlanID?
        /// Whether all its nodes are ready.
        public var isArmed: Bool
        /// Why it is not armed; nil if it is.
        public var reason: String?
        /// Expected time per item in a stream under it.
        public var periodMicroseconds: Int64?

        /// Makes the alternate.
        public init(
            without: NodeID, nodeName: String, plan: PlanID?, isArmed: Bool, reason: String?,
            periodMicroseconds: Int64?
        ) {
            self.without = without
            self.nodeName = nodeName
            self.plan = plan
            self.isArmed = isArmed
            self.reason = reason
            self.periodMicroseconds = periodMicroseconds
        }
    }

    /// The model's name.
    public var model: String
    /// Which model it is.
    public var manifest: ManifestID
    /// The plan that was decided; nil if none is.
    public var plan: PlanID?
    /// The round of its decision.
    public var round: UInt64
    /// Attempts that may be in flight.
    public var window: Int
    /// Its stages, in order.
    public var stages: [Stage]
    /// Expected time per item in a stream.
    public var periodMicroseconds: Int64
    /// Expected time of one item alone.
    public var latencyMicroseconds: Int64
    /// What sets the period.
    public var bottleneck: String
    /// The least time per item that no plan can beat; nil if not known.
    public var boundMicroseconds: Int64?
    /// What sets the bound.
    public var boundBinding: String?
    /// Its alternates.
    public var alternates: [Alternate]
    /// The nodes that it does not use, with the reason.
    public var leftOut: [LeftOut]
    /// Why no plan is there; nil if one is.
    public var reason: String?

    /// Makes the information.
    public init(
        model: String, manifest: ManifestID, plan: PlanID?, round: UInt64, window: Int,
        stages: [Stage], periodMicroseconds: Int64, latencyMicroseconds: Int64,
        bottleneck: String, boundMicroseconds: Int64?, boundBinding: String?,
        alternates: [Alternate], leftOut: [LeftOut], reason: String?
    ) {
        self.model = model
        self.manifest = manifest
        self.plan = plan
        self.round = round
        self.window = window
        self.stages = stages
        self.periodMicroseconds = periodMicroseconds
        self.latencyMicroseconds = latencyMicroseconds
        self.bottleneck = bottleneck
        self.boundMicroseconds = boundMicroseconds
        self.boundBinding = boundBinding
        self.alternates = alternates
        self.leftOut = leftOut
        self.reason = reason
    }
}

/// How safely a model is stored.
public struct ReplicationInformation: Hashable, Sendable {
    /// How many blobs it has.
    public var blobCount: Int
    /// On how many nodes the rarest of them is.
    public var fewestCopies: Int
    /// On how many nodes all of them are.
    public var wholeCopies: Int
    /// How many nodes could hold them.
    public var nodeCount: Int

    /// Makes the information.
    public init(blobCount: Int, fewestCopies: Int, wholeCopies: Int, nodeCount: Int) {
        self.blobCount = blobCount
        self.fewestCopies = fewestCopies
        self.wholeCopies = wholeCopies
        self.nodeCount = nodeCount
    }
}

/// Something that happened in the mesh.
public struct EventInformation: Hashable, Sendable {
    /// A named detail of an event.
    public struct Detail: Hashable, Sendable {
        /// What it is.
        public var name: String
        /// Its value.
        public var value: String

        /// Makes the detail.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Counts the agent's events, from 1.
    public var sequence: UInt64
    /// Microseconds since 1970 by the agent's clock; for people only.
    public var unixMicroseconds: Int64
    /// Microseconds since the agent began: what intervals are computed from.
    public var agentMicroseconds: Int64
    /// A word for what happened, such as `decided`.
    public var kind: String
    /// A line for people.
    public var message: String
    /// Details for programs; no two with one name.
    public var details: [Detail]

    /// Makes the event.
    public init(
        sequence: UInt64, unixMicroseconds: Int64, agentMicroseconds: Int64, kind: String,
        message: String, details: [Detail]
    ) {
        self.sequence = sequence
        self.unixMicroseconds = unixMicroseconds
        self.agentMicroseconds = agentMicroseconds
        self.kind = kind
        self.message = message
        self.details = details
    }
}
