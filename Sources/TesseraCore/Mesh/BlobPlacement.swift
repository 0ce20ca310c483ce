/// Which models and blobs this node has, who else has them, and what to fetch and to throw away.
///
/// Two kinds of wishes: a *need* is what a plan's staging waits for and goes first; in the background
/// every blob of every model of the catalogue is fetched while the disk allows, rarest first, so that
/// no death takes the last copy of anything.
struct BlobPlacement {
    /// Something that the agent must act on.
    enum Change: Hashable, Sendable {
        /// The model's outline is here.
        case manifestReady(ManifestID)
        /// Every blob of the model is here.
        case blobsReady(ManifestID)
        /// All blobs of the need are here.
        case needSatisfied(NeedID)
        /// No reachable node has so many of the need's blobs, or the disk has no room for them.
        case needFailed(NeedID, missing: Int)
        /// `holdings` belongs into the own record again.
        case holdingsChanged
        /// The model was thrown away here.
        case discarded(ManifestID)
    }

    /// How soon blobs are wanted.
    enum Urgency: UInt8, Hashable, Comparable, Sendable {
        /// A plan's staging waits.
        case staging
        /// A plan may want it later, such as an alternate.
        case background

        static func < (left: Urgency, right: Urgency) -> Bool { left.rawValue < right.rawValue }
    }

    /// What placement may take at most, and how patient it is.
    enum Limits {
        /// Fetches at once: enough to fill a local network, few enough to leave room for tensors.
        static let fetches = 4
        /// Fetches at once that nobody waits for: one place is always left for a need.
        static let backgroundFetches = 3
        /// Needs at once.
        static let needs = 256
        /// Models with an outline in memory: those of a full catalogue and as many being replaced.
        static let models = 2 * Catalogue.namesMax
        /// Failures remembered; more would mean that everything fails.
        static let failures = 256
        /// How long a blob is not asked from the node that failed to give it.
        static let sourceAvoided = TimeSpan.seconds(5)
        /// The first pause of a blob after a failure; doubles.
        static let retryPauseMin = TimeSpan.milliseconds(100)
        /// The longest pause of a blob.
        static let retryPauseMax = TimeSpan.seconds(5)
        /// So many failures of one blob in a row fail the needs that want it.
        static let failuresPerNeed = 6
        /// How long a need waits for a holder to appear: records may be on their way.
        static let sourcePatience = TimeSpan.seconds(1)
        /// How long a model whose name was removed is kept.
        static let removedGrace = TimeSpan.seconds(60)
        /// How long a model that never had a name in this run is kept.
        static let namelessGrace = TimeSpan.seconds(600)
        /// While many blobs arrive, the own record changes this often at most.
        static let holdingsPause = TimeSpan.milliseconds(250)
        /// Copies of each blob elsewhere without which a named model is never thrown away.
        static let copiesKept = 2
    }

    struct Model {
        var outline: ModelOutline
        /// One bit per blob that is here.
        var held: Holding
        var heldCount = 0
        /// How many other live nodes have each blob.
        var copies: [Int]
        /// Where each blob stands in the outline.
        var places: [BlobID: Int]
        /// Since when the model has no name; nil while it has one.
        var namelessSince: Timestamp?
        var grace = Limits.namelessGrace
        /// When a plan or a request last stopped using it here; until one did, when it came.
        var lastUse: Timestamp

        var isComplete: Bool { heldCount == outline.blobs.count }
    }

    struct Peer {
        var member: NodeBoot
        var holdings: [Holding] = []
        var isReachable = false

        func has(_ blob: Int, of manifest: ManifestID) -> Bool {
            holding(of: manifest)?.contains(blob) ?? false
        }

        func holding(of manifest: ManifestID) -> Holding? {
            holdings.first { $0.manifest == manifest }
        }
    }

    struct Need {
        var id: NeedID
        var manifest: ManifestID
        var blobs: [Int]
        var urgency: Urgency
        /// Since when nobody reachable has what is missing.
        var lackingSince: Timestamp?
    }

    struct Fetch {
        var blob: BlobID
        var source: NodeBoot
        var byteCount: Int
        var isUrgent: Bool
    }

    /// A blob that a node failed to give.
    struct Failure {
        var blob: BlobID
        var source: NodeID
        var ends: Timestamp
    }

    /// A blob that waits after a failure.
    struct Retry {
        var blob: BlobID
        var at: Timestamp
        var pause: TimeSpan
        var count: Int
    }

    /// When `onWake` wants to be called.
    private(set) var nextWake = Timestamp.never

    let me: NodeBoot
    var generator: SeededGenerator
    /// Ascending by manifest.
    var models: [Model] = []
    /// Ascending by node.
    var peers: [Peer] = []
    /// What the catalogue names, ascending by manifest, with the author of each entry.
    var named: [(manifest: ManifestID, author: NodeID)] = []
    /// Ascending.
    var inUse: [ManifestID] = []
    /// Named models that had to go for lack of room: not fetched again while others keep them.
    var shed: [ManifestID] = []
    /// By urgency, then by age.
    var needs: [Need] = []
    var fetches: [Fetch] = []
    var failures: [Failure] = []
    var retries: [Retry] = []
    /// How many models here hold each blob that is here.
    ///
    /// Looked up, never iterated.
    var references: [BlobID: Int] = [:]
    var usedBytes = 0
    /// Bytes that blobs may take; nil until the node measured itself.
    var diskBudget: Int?
    var needCounter: UInt64 = 0
    var holdingsAt = Timestamp.never
    var lastHoldings: Timestamp?
    var changes: [Change] = []

    /// Makes the placement of a node that has nothing.
    init(me: NodeBoot, generator: SeededGenerator) {
        self.me = me
        self.generator = generator.derived(name: "placement")
    }

    // MARK: Disk

    /// The node knows how many bytes blobs may take.
    mutating func onDiskBudget(_ bytes: Int, now: Timestamp, into directives: inout [Directive]) {
        defer { settle(now: now, into: &directives) }
        diskBudget = bytes
    }

    /// A manifest is complete on disk, with these of its blobs.
    mutating func onManifestStored(
        _ outline: ModelOutline, blobs: [Int], now: Timestamp, into directives: inout [Directive]
    ) {
        defer { settle(now: now, into: &directives) }
        let manifest = outline.manifest
        let blob = BlobID(manifest: manifest)
        fetches.removeAll { $0.blob == blob }
        forgetFailures(of: blob)
        if index(of: manifest) == nil {
            guard insert(outline, now: now, into: &directives) else { return }
            changes.append(.manifestReady(manifest))
        }
        guard let index = index(of: manifest) else { return }
        for place in blobs { hold(place, of: index) }
        // Blobs that another model brought are here as well.
        for place in outline.blobs.indices where references[outline.blobs[place].id] != nil {
            hold(place, of: index)
        }
        if models[index].isComplete { changes.append(.blobsReady(manifest)) }
        holdingsAt = now
    }

    /// A blob is complete and verified on disk.
    mutating func onBlobStored(
        _ blob: BlobID, now: Timestamp, into directives: inout [Directive]
    ) {
        defer { settle(now: now, into: &directives) }
        fetches.removeAll { $0.blob == blob }
        forgetFailures(of: blob)
        for index in models.indices {
            guard let place = models[index].places[blob],
                !models[index].held.contains(place)
            else { continue }
            let isFirst = models[index].heldCount == 0
            hold(place, of: index)
            let earliest = lastHoldings.map { max($0 + Limits.holdingsPause, now) } ?? now
            holdingsAt = min(holdingsAt, isFirst ? now : earliest)
            if models[index].isComplete {
                changes.append(.blobsReady(models[index].outline.manifest))
                holdingsAt = now
            }
        }
    }

    /// A blob on disk was damaged and is gone.
    mutating func onBlobLost(_ blob: BlobID, now: Timestamp, into directives: inout [Directive]) {
        defer { settle(now: now, into: &directives) }
        directives.append(.report(.blob(blob, "was damaged on disk; fetched again")))
        for index in models.indices {
            guard let place = models[index].places[blob], models[index].held.contains(place) else {
                continue
            }
            release(place, of: index)
            holdingsAt = now
        }
    }

    /// A fetch came to nothing.
    mutating func onFetchFailed(
        _ blob: BlobID, from source: NodeID, reason: String, now: Timestamp,
        into directives: inout [Directive]
    ) {
        defer { settle(now: now, into: &directives) }
        fetches.removeAll { $0.blob == blob && $0.source.node == source }
        directives.append(.report(.blob(blob, "not fetched from \(source): \(reason)")))
        failures.removeAll { $0.blob == blob && $0.source == source }
        if failures.count >= Limits.failures { failures.removeFirst() }
        failures.append(
            Failure(blob: blob, source: source, ends: now + Limits.sourceAvoided))
        if let place = retries.firstIndex(where: { $0.blob == blob }) {
            retries[place].pause = min(retries[place].pause * 2, Limits.retryPauseMax)
            retries[place].at = now + retries[place].pause
            retries[place].count += 1
        } else {
            if retries.count >= Limits.failures { retries.removeFirst() }
            retries.append(
                Retry(
                    blob: blob, at: now + Limits.retryPauseMin, pause: Limits.retryPauseMin,
                    count: 1))
        }
    }

    // MARK: The others

    /// A live peer's record says what it holds.
    mutating func onHoldings(
        _ holdings: [Holding], of peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard peer.node != me.node, !isOutdated(peer) else { return }
        defer { settle(now: now, into: &directives) }
        let place = place(of: peer)
        let old = peers[place].holdings
        peers[place].holdings = holdings
        for holding in holdings {
            let before = old.first { $0.manifest == holding.manifest }
            recount(holding.manifest, from: before?.blobs ?? [], to: holding.blobs)
        }
        for holding in old where !holdings.contains(where: { $0.manifest == holding.manifest }) {
            recount(holding.manifest, from: holding.blobs, to: [])
        }
    }

    /// Whether blobs can be fetched from a peer: its connection is up, or gone.
    mutating func onReachable(
        _ peer: NodeBoot, _ isReachable: Bool, now: Timestamp, into directives: inout [Directive]
    ) {
        guard peer.node != me.node, !isOutdated(peer) else { return }
        defer { settle(now: now, into: &directives) }
        let place = place(of: peer)
        if isReachable, !peers[place].isReachable {
            // What failed with the connection may work over the next one.
            for failure in failures where failure.source == peer.node {
                for index in retries.indices where retries[index].blob == failure.blob {
                    retries[index].at = now
                }
            }
            failures.removeAll { $0.source == peer.node }
        }
        peers[place].isReachable = isReachable
    }

    /// A peer is dead or left: its copies do not count.
    mutating func onGone(_ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]) {
        defer { settle(now: now, into: &directives) }
        guard let place = peers.firstIndex(where: { $0.member == peer }) else { return }
        for holding in peers[place].holdings {
            recount(holding.manifest, from: holding.blobs, to: [])
        }
        peers.remove(at: place)
        fetches.removeAll { $0.source == peer }
    }

    // MARK: Wishes

    /// The catalogue is this now.
    mutating func onCatalogue(
        _ entries: [CatalogueEntry], now: Timestamp, into directives: inout [Directive]
    ) {
        defer { settle(now: now, into: &directives) }
        named = []
        for entry in entries {
            guard let manifest = entry.manifest,
                !named.contains(where: { $0.manifest == manifest })
            else { continue }
            named.append((manifest, entry.author))
        }
        named.sort { $0.manifest < $1.manifest }
        shed = shed.filter { isNamed($0) }
        for index in models.indices {
            if isNamed(models[index].outline.manifest) {
                models[index].namelessSince = nil
                models[index].grace = Limits.removedGrace
            } else if models[index].namelessSince == nil {
                models[index].namelessSince = now
            }
        }
    }

    /// The models that a plan or an open request on this node uses: never thrown away.
    mutating func onInUse(
        _ manifests: [ManifestID], now: Timestamp, into directives: inout [Directive]
    ) {
        defer { settle(now: now, into: &directives) }
        for index in models.indices where inUse.contains(models[index].outline.manifest) {
            models[index].lastUse = now
        }
        inUse = manifests.sorted()
    }

    /// Somebody here waits for these blobs.
    ///
    /// Ends in `needSatisfied` or `needFailed`, also if all are here already.
    mutating func need(
        _ manifest: ManifestID, blobs: [Int], urgency: Urgency, now: Timestamp,
        into directives: inout [Directive]
    ) -> NeedID {
        defer { settle(now: now, into: &directives) }
        needCounter += 1
        let id = NeedID(number: needCounter)
        guard needs.count < Limits.needs else {
            directives.append(.report(.limit("blob needs", count: needs.count)))
            changes.append(.needFailed(id, missing: missing(manifest, blobs).count))
            return id
        }
        let place = needs.firstIndex { $0.urgency > urgency } ?? needs.count
        needs.insert(
            Need(id: id, manifest: manifest, blobs: blobs, urgency: urgency), at: place)
        return id
    }

    /// Nobody waits for the need any more.
    mutating func cancel(_ need: NeedID) { needs.removeAll { $0.id == need } }

    /// The time `nextWake` has come.
    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {
        settle(now: now, into: &directives)
    }

    /// Hands the changes over, in their order.
    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    // MARK: Frame of every handler

    private mutating func settle(now: Timestamp, into directives: inout [Directive]) {
        failures.removeAll { now >= $0.ends }
        discardNameless(now: now, into: &directives)
        endNeeds(now: now, into: &directives)
        fetchNext(now: now, into: &directives)
        if now >= holdingsAt {
            holdingsAt = .never
            lastHoldings = now
            changes.append(.holdingsChanged)
        }
        var wake = holdingsAt
        for failure in failures { wake = min(wake, failure.ends) }
        for retry in retries where retry.at > now { wake = min(wake, retry.at) }
        for need in needs {
            wake = min(wake, need.lackingSince.map { $0 + Limits.sourcePatience } ?? .never)
        }
        for model in models where !isKept(model.outline.manifest) {
            wake = min(wake, model.namelessSince.map { $0 + model.grace } ?? .never)
        }
        nextWake = wake == .never ? .never : max(wake, now)
    }
}

/// Names a wish for blobs within one run of a node.
struct NeedID: Hashable, Comparable, Sendable {
    /// Counts the wishes.
    var number: UInt64

    static func < (left: NeedID, right: NeedID) -> Bool { left.number < right.number }
}

extension Identity where Kind == BlobKind {
    /// The manifest as a blob: its bytes are fetched like any other ones.
    init(manifest: ManifestID) {
        self.init(
            manifest.words.0, manifest.words.1, manifest.words.2, manifest.words.3)
    }
}

// MARK: - Queries

extension BlobPlacement {
    /// Those of the blobs that are not here; all of them if the model is not known.
    func missing(_ manifest: ManifestID, _ blobs: [Int]) -> [Int] {
        guard let index = index(of: manifest) else { return blobs }
        return blobs.filter { !models[index].held.contains($0) }
    }

    /// How many live nodes, this one included, have the model's rarest blob; 0 if the model is not
    /// known.
    func replication(_ manifest: ManifestID) -> Int {
        guard let index = index(of: manifest) else { return 0 }
        let model = models[index]
        let counts = model.copies.indices.map {
            model.copies[$0] + (model.held.contains($0) ? 1 : 0)
        }
        // A model without constants is wherever its manifest is.
        return counts.min() ?? 1 + peers.count { $0.holding(of: manifest) != nil }
    }

    /// The blobs that no live node has, as far as is known here.
    func lost(_ manifest: ManifestID) -> [Int] {
        guard let index = index(of: manifest) else { return [] }
        let model = models[index]
        return model.copies.indices.filter { model.copies[$0] == 0 && !model.held.contains($0) }
    }

    /// The model's outline, if its manifest is here.
    func outline(of manifest: ManifestID) -> ModelOutline? {
        index(of: manifest).map { models[$0].outline }
    }

    /// What the own record should say, ascending by manifest.
    var holdings: [Holding] { models.map(\.held) }

    func index(of manifest: ManifestID) -> Int? {
        models.firstIndex { $0.outline.manifest == manifest }
    }

    func isNamed(_ manifest: ManifestID) -> Bool {
        named.contains { $0.manifest == manifest }
    }

    /// Whether a plan, a request or a need wants the model.
    func isKept(_ manifest: ManifestID) -> Bool {
        inUse.contains(manifest) || needs.contains { $0.manifest == manifest }
    }
}
