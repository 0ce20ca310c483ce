struct MeshState {
    enum Change: Hashable, Sendable {
        case recordChanged(NodeID)
        case catalogueChanged(CatalogueEntry, loser: CatalogueEntry?)
    }
    /// What this node says of itself, changes that are not signed yet included.
    private(set) var own: NodeRecord
    private(set) var nextWake = Timestamp.never
    var catalogue: Catalogue { Catalogue() }
    init(own: NodeRecord, generator: SeededGenerator) { self.own = own }
    mutating func takeChanges() -> [Change] { [] }

    mutating func onStart(now: Timestamp, into directives: inout [Directive]) {}
    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {}
    mutating func updateOwn(
        now: Timestamp, into directives: inout [Directive], _ change: (inout NodeRecord) -> Void
    ) {}
    mutating func onSigned(
        _ record: SignedRecord, now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onConnected(
        _ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onDisconnected(_ peer: NodeBoot) {}
    /// The member is dead or left: its record stays, marked.
    mutating func onGone(_ member: NodeBoot) {}
    /// The member is alive (again).
    mutating func onAlive(_ member: NodeBoot) {}
    /// `unreachable` is not for here: give it to `Membership.onTold`.
    mutating func onReceived(
        _ message: MeshMessage, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {}
    mutating func onCatalogueRestored(
        _ entries: [CatalogueEntry], now: Timestamp, into directives: inout [Directive]
    ) {}
    /// `manifest` nil removes the name.
    mutating func name(
        _ name: String, manifest: ManifestID?, now: Timestamp, into directives: inout [Directive]
    ) throws(CatalogueError) {}

    func record(of node: NodeID) -> NodeRecord? { nil }
    /// Only if the record is of this very run.
    func record(of member: NodeBoot) -> NodeRecord? { nil }
    /// Records of members that are not dead or left, this node's included, ascending by member.
    var liveRecords: [NodeRecord] { [] }
}

public enum CatalogueError: Error, Hashable, Sendable {
    case invalidName(String)
    case unknownName(String)
    case tooManyNames(limit: Int)
}

struct Catalogue {
    /// Tombstones included, ascending by name.
    var entries: [CatalogueEntry] { [] }
    /// Without tombstones, ascending by name.
    var models: [CatalogueEntry] { [] }
    func manifest(named name: String) -> ManifestID? { nil }
    static func isValid(name: String) -> Bool { true }
}

struct NeedID: Hashable, Comparable, Sendable {
    var number: UInt64
    static func < (left: NeedID, right: NeedID) -> Bool { left.number < right.number }
}

struct BlobPlacement {
    enum Change: Hashable, Sendable {
        /// The outline is here.
        case manifestReady(ManifestID)
        /// Every blob of the model is here.
        case blobsReady(ManifestID)
        case needSatisfied(NeedID)
        case needFailed(NeedID, missing: Int)
        /// Put `holdings` into the own record.
        case holdingsChanged
        /// The model was thrown away here.
        case discarded(ManifestID)
    }
    enum Urgency: Hashable, Sendable { case staging, background }
    private(set) var nextWake = Timestamp.never
    init(me: NodeBoot, generator: SeededGenerator) {}
    mutating func takeChanges() -> [Change] { [] }

    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {}
    mutating func onDiskBudget(_ bytes: Int, now: Timestamp, into directives: inout [Directive]) {}
    mutating func onManifestStored(
        _ outline: ModelOutline, blobs: [Int], now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onBlobStored(
        _ blob: BlobID, now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onBlobLost(_ blob: BlobID, now: Timestamp, into directives: inout [Directive]) {}
    mutating func onFetchFailed(
        _ blob: BlobID, from source: NodeID, reason: String, now: Timestamp,
        into directives: inout [Directive]
    ) {}
    /// What a live peer holds, after `MeshState.Change.recordChanged`.
    mutating func onHoldings(
        _ holdings: [Holding], of peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {}
    /// Whether blobs can be fetched from the peer: after connected and disconnected.
    mutating func onReachable(
        _ peer: NodeBoot, _ isReachable: Bool, now: Timestamp, into directives: inout [Directive]
    ) {}
    /// The peer is dead or left.
    mutating func onGone(_ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]) {}
    mutating func onCatalogue(
        _ models: [CatalogueEntry], now: Timestamp, into directives: inout [Directive]
    ) {}
    /// The models that a plan or an open request on this node uses: never discarded.
    mutating func onInUse(
        _ manifests: [ManifestID], now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func need(
        _ manifest: ManifestID, blobs: [Int], urgency: Urgency, now: Timestamp,
        into directives: inout [Directive]
    ) -> NeedID { NeedID(number: 0) }
    /// Nobody waits for the need any more.
    mutating func cancel(_ need: NeedID) {}

    func missing(_ manifest: ManifestID, _ blobs: [Int]) -> [Int] { [] }
    func replication(_ manifest: ManifestID) -> Int { 0 }
    func outline(of manifest: ManifestID) -> ModelOutline? { nil }
    /// For the own record, ascending by manifest.
    var holdings: [Holding] { [] }
}
