/// What decides the bits of a result: nodes with equal fingerprints promise equal bits.
public struct EngineFingerprint: Hashable, Sendable {
    /// Engine version, instruction set and settings, as one line of text.
    public var text: String

    /// Makes a fingerprint.
    public init(text: String) { self.text = text }
}

/// What a node can do, measured by itself at start.
public struct Capability: Hashable, Sendable {
    /// Threads that the engine may use.
    public var threads: Int
    /// Bytes that fragments (weights and buffers) may take.
    public var memoryBytes: Int
    /// Bytes that blobs may take on disk.
    public var diskBytes: Int
    /// Arithmetic operations per microsecond that the engine reaches on this node.
    public var operationsPerMicrosecond: UInt64
    /// The same for families of operators of which it is known, ascending by family.
    public var rates: [OperatorRate]
    /// Bytes per microsecond that the node's memory moves.
    public var movedBytesPerMicrosecond: UInt64
    /// What handing tensors over takes; nil if it is not known.
    public var handover: HandoverCost?
    /// What the device draws beyond idle while its engine works, as its owner says; nil if nobody
    /// said, or while a peer is connected whose version of the protocol does not know the figure.
    public var milliwatts: Int?
    /// What decides the bits of its results.
    public var fingerprint: EngineFingerprint

    /// Makes a capability.
    public init(
        threads: Int, memoryBytes: Int, diskBytes: Int, operationsPerMicrosecond: UInt64,
        rates: [OperatorRate] = [], movedBytesPerMicrosecond: UInt64,
        handover: HandoverCost? = nil, milliwatts: Int? = nil, fingerprint: EngineFingerprint
    ) {
        self.threads = threads
        self.memoryBytes = memoryBytes
        self.diskBytes = diskBytes
        self.operationsPerMicrosecond = operationsPerMicrosecond
        self.rates = rates
        self.movedBytesPerMicrosecond = movedBytesPerMicrosecond
        self.handover = handover
        self.milliwatts = milliwatts
        self.fingerprint = fingerprint
    }

    /// The highest power that a node may have, in milliwatts: a node that draws more than a megawatt
    /// is a mistake.
    public static let milliwattsMax = 1_000_000_000

    /// Operations per microsecond of operators of a kind.
    public func operationsPerMicrosecond(ofKind kind: String) -> UInt64 {
        let family = OperatorFamily(kind: kind)
        return rates.first { $0.family == family }?.operationsPerMicrosecond
            ?? operationsPerMicrosecond
    }
}

/// How much of a model a node has on its disk.
public struct Holding: Hashable, Sendable {
    /// The model.
    public var manifest: ManifestID
    /// One bit per blob of the outline, lowest bit of the first word first.
    public var blobs: [UInt64]

    /// Makes a holding.
    public init(manifest: ManifestID, blobs: [UInt64]) {
        self.manifest = manifest
        self.blobs = blobs
    }

    /// Whether the blob with this index is there.
    public func contains(_ index: Int) -> Bool {
        let word = index / 64
        return word < blobs.count && blobs[word] >> UInt64(index % 64) & 1 == 1
    }

    /// Notes that the blob with this index is there.
    public mutating func insert(_ index: Int) {
        while blobs.count <= index / 64 { blobs.append(0) }
        blobs[index / 64] |= 1 << UInt64(index % 64)
    }
}

/// What a node measured of its link to another one.
public struct LinkMeasurement: Hashable, Sendable {
    /// The other end.
    public var peer: NodeID
    /// Bytes per second from this node to the peer; 0 if not known yet.
    public var bytesPerSecond: UInt64
    /// Round trip.
    public var roundTripMicroseconds: Int64

    /// Makes a measurement.
    public init(peer: NodeID, bytesPerSecond: UInt64, roundTripMicroseconds: Int64) {
        self.peer = peer
        self.bytesPerSecond = bytesPerSecond
        self.roundTripMicroseconds = roundTripMicroseconds
    }
}

/// A measured time of a fragment on the node of the record.
public struct FragmentTime: Hashable, Sendable {
    /// The fragment.
    public var key: FragmentKey
    /// Median time of one run.
    public var microseconds: Int64

    /// Makes a measurement.
    public init(key: FragmentKey, microseconds: Int64) {
        self.key = key
        self.microseconds = microseconds
    }
}

/// The plan that a node holds as current for a model, and which plans it is ready to run.
///
/// Names only: whoever does not know the plan is told it by any node that follows it when they
/// connect.
public struct PlanStatus: Hashable, Sendable {
    /// The model.
    public var manifest: ManifestID
    /// The decided plan that the node follows; nil if it knows none.
    public var current: BallotPlan?
    /// Plans whose fragments on this node are all compiled and reserved, ascending.
    public var ready: [PlanID]
    /// The oldest plan that a request which came in at this node still uses.
    public var oldestInUse: PlanID?

    /// Makes a status.
    public init(
        manifest: ManifestID, current: BallotPlan?, ready: [PlanID], oldestInUse: PlanID?
    ) {
        self.manifest = manifest
        self.current = current
        self.ready = ready
        self.oldestInUse = oldestInUse
    }
}

/// What one node says of itself.
///
/// Only the node itself replaces its record, with a higher version, and signs it; everybody passes
/// it on.
public struct NodeRecord: Hashable, Sendable {
    /// The node and the run that speaks.
    public var member: NodeBoot
    /// Grows with every change within a boot.
    public var version: UInt64
    /// The name that its owner gave the node; for people only.
    public var name: String
    /// Where it listens.
    public var addresses: [Address]
    /// What it can do; nil until it has measured itself.
    public var capability: Capability?
    /// What it has on its disk, ascending by manifest.
    public var holdings: [Holding]
    /// Its view of each model's plan, ascending by manifest.
    public var plans: [PlanStatus]
    /// What it measured of its links, ascending by peer.
    public var links: [LinkMeasurement]
    /// What it measured of fragments, ascending by key.
    public var times: [FragmentTime]
    /// Whether it is leaving and wants no new work.
    public var isLeaving: Bool

    /// Makes a record.
    public init(
        member: NodeBoot, version: UInt64, name: String, addresses: [Address],
        capability: Capability?, holdings: [Holding], plans: [PlanStatus],
        links: [LinkMeasurement], times: [FragmentTime], isLeaving: Bool
    ) {
        self.member = member
        self.version = version
        self.name = name
        self.addresses = addresses
        self.capability = capability
        self.holdings = holdings
        self.plans = plans
        self.links = links
        self.times = times
        self.isLeaving = isLeaving
    }
}

/// A record with its owner's signature, so that anybody may pass it on.
public struct SignedRecord: Hashable, Sendable {
    /// What is said.
    public var record: NodeRecord
    /// The owner's public signing key; its SHA-256 is the record's node.
    public var publicKey: [UInt8]
    /// The owner's signature over the record's canonical encoding.
    public var signature: [UInt8]

    /// Pairs a record with its signature.
    public init(record: NodeRecord, publicKey: [UInt8], signature: [UInt8]) {
        self.record = record
        self.publicKey = publicKey
        self.signature = signature
    }
}

/// One name in the mesh's list of models.
///
/// Of two entries for a name the one with the higher (version, author) wins everywhere.
public struct CatalogueEntry: Hashable, Sendable {
    /// The name that clients use.
    public var name: String
    /// The model; nil is a tombstone: the name was removed.
    public var manifest: ManifestID?
    /// A Lamport clock: one more than the highest version seen when the entry was made.
    public var version: UInt64
    /// Who made the entry.
    public var author: NodeID
    /// How the model is to be planned.
    public var settings: ModelSettings

    /// Makes an entry.
    public init(
        name: String, manifest: ManifestID?, version: UInt64, author: NodeID,
        settings: ModelSettings = ModelSettings()
    ) {
        self.name = name
        self.manifest = manifest
        self.version = version
        self.author = author
        self.settings = settings
    }

    /// Whether this entry wins over `other`, which has the same name.
    public func wins(over other: CatalogueEntry) -> Bool {
        (version, author) > (other.version, other.author)
    }

    /// Whether this is the very entry `other`, with the settings that it lost on its way.
    ///
    /// Peers of an older version of the protocol pass entries on without them.
    public func completes(_ other: CatalogueEntry) -> Bool {
        guard self != other else { return false }
        var passedOn = self
        passedOn.settings = settings.asVersion2PassesOn
        return passedOn == other
    }
}
