/// What the nodes say of themselves, and the list of models.
///
/// Each record is replaced by its owner only, and everybody ends up with the newest ones
/// (anti-entropy after Demers and others, 1987).
///
/// News goes to all connected peers at once; a digest with a random peer every two seconds repairs
/// what was lost and carries news over nodes that are not connected to their owner.
struct MeshState {
    /// Something that the agent must act on.
    enum Change: Hashable, Sendable {
        /// A node's record is a newer one.
        case recordChanged(NodeID)
        /// The entry is the winner for its name; `loser` is set if two were made at the same time.
        case catalogueChanged(CatalogueEntry, loser: CatalogueEntry?)
    }

    /// What the mesh state may take at most, and how often it speaks.
    enum Limits {
        /// Records, those of the dead included.
        static let records = MembershipLimits.members
        /// Records in one update: with their plans and times they must fit a control frame.
        static let recordsPerUpdate = 16
        /// Structural changes that come together are signed and sent together.
        static let structuralPause = TimeSpan.milliseconds(5)
        /// Measurements that plans may have to follow at once are told no more often than this.
        static let newsPause = TimeSpan.seconds(1)
        /// Measurements change all the time; the planner does not need them more often.
        static let measuredPause = TimeSpan.seconds(5)
        /// Measurements that moved too little to matter go out with others, or after so long.
        static let driftPause = TimeSpan.seconds(60)
        /// Records and names of one message that are news to others too.
        static let newsPassedOn = 2
        /// Whom news is passed on to: with three each, one in twenty misses it, and asks later.
        static let receiversOfNews = 3
        /// Between two digests.
        static let digestPeriod = TimeSpan.seconds(2)
        /// How long the shell may take to sign before it is asked again.
        static let signPatience = TimeSpan.seconds(1)
        /// Between two looks for old tombstones.
        static let prunePeriod = TimeSpan.seconds(3_600)
    }

    struct Entry {
        var signed: SignedRecord
        /// Which record it is: quicker to look at than the whole.
        var version: RecordVersion
        /// Whether the member is dead or left: its record says what was.
        var isGone: Bool
        var since: Timestamp

        init(signed: SignedRecord, isGone: Bool, since: Timestamp) {
            self.signed = signed
            version = MeshState.version(of: signed.record)
            self.isGone = isGone
            self.since = since
        }
    }

    /// What this node says of itself, changes that are not signed yet included.
    private(set) var own: NodeRecord
    /// The list of models.
    private(set) var catalogue = Catalogue()
    /// When `onWake` wants to be called.
    private(set) var nextWake = Timestamp.never

    var generator: SeededGenerator
    /// The others' records, ascending by node.
    var entries: [Entry] = []
    /// The last signed own record.
    var signedOwn: SignedRecord?
    private var signAt = Timestamp.never
    private var lastSigned: Timestamp?
    /// The record that the shell signs now, and until when it may take.
    private var signing: (version: UInt64, patienceEnds: Timestamp)?
    var peers: [NodeBoot] = []
    private var nextDigestAt = Timestamp.never
    private var nextPruneAt = Timestamp.never
    private var refusedRecords = 0
    private var changes: [Change] = []

    /// Makes the state of a node that knows only itself.
    init(own: NodeRecord, generator: SeededGenerator) {
        self.own = own
        self.generator = generator.derived(name: "mesh")
    }

    // MARK: Handlers

    /// The node began to run: says who it is.
    mutating func onStart(now: Timestamp, into directives: inout [Directive]) {
        signAt = now
        nextDigestAt = now + generator.next(below: Limits.digestPeriod)
        nextPruneAt = now + Limits.prunePeriod
        sign(now: now, into: &directives)
        end(now: now)
    }

    /// The time `nextWake` has come.
    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {
        defer { end(now: now) }
        if let open = signing, now >= open.patienceEnds {
            signing = nil
            signAt = min(signAt, now)
        }
        sign(now: now, into: &directives)
        if now >= nextDigestAt {
            nextDigestAt = now + Limits.digestPeriod
            if let peer = generator.pick(peers) { ask(peer, into: &directives) }
        }
        if now >= nextPruneAt {
            nextPruneAt = now + Limits.prunePeriod
            if catalogue.prune(now: now) {
                directives.append(.storeCatalogue(catalogue.entries))
            }
        }
    }

    /// Changes the own record; it is signed and sent soon, measurements less soon.
    mutating func updateOwn(
        now: Timestamp, into directives: inout [Directive], _ change: (inout NodeRecord) -> Void
    ) {
        defer { end(now: now) }
        let old = own
        change(&own)
        invariant(own.member == old.member, "the own record changed its owner to \(own.member)")
        own.version = old.version
        guard own != old else { return }
        var measured = old
        measured.links = own.links
        measured.times = own.times
        guard own == measured else {
            signAt = min(signAt, now + Limits.structuralPause)
            return
        }
        let isNews = RecordNews.isNews(own, after: old)
        let matters = signedOwn.map { RecordNews.matters(own, after: $0.record) } ?? true
        let pause =
            isNews
            ? Limits.newsPause : matters ? Limits.measuredPause : Limits.driftPause
        let soonest = isNews ? now + Limits.structuralPause : now
        signAt = min(signAt, lastSigned.map { max($0 + pause, soonest) } ?? soonest)
    }

    /// The shell signed the own record.
    mutating func onSigned(
        _ record: SignedRecord, now: Timestamp, into directives: inout [Directive]
    ) {
        defer { end(now: now) }
        guard record.record.member == own.member,
            record.record.version > signedOwn?.record.version ?? 0
        else { return }
        if let open = signing, record.record.version >= open.version { signing = nil }
        signedOwn = record
        changes.append(.recordChanged(own.member.node))
        for peer in peers {
            directives.append(.send(.mesh(.update(records: [record], catalogue: [])), to: peer))
        }
        sign(now: now, into: &directives)
    }

    /// A peer is connected: it is told what is known here.
    mutating func onConnected(
        _ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        defer { end(now: now) }
        if !peers.contains(peer) {
            peers.removeAll { $0.node == peer.node }
            peers.insert(peer, at: peers.firstIndex { $0 > peer } ?? peers.count)
        }
        // Our own record is what the peer wants most: no need to wait for its question.
        let isLarge = entries.count >= MembershipLimits.comparedMin
        if let record = signedOwn {
            let names = isLarge ? catalogue.entries : []
            directives.append(.send(.mesh(.update(records: [record], catalogue: names)), to: peer))
        }
        // Both ends do this, so the digest of the other end is on its way already. In a large mesh
        // every owner tells its record by itself, and the next comparison shows what is missing.
        if !isLarge { sendDigest(to: peer, isReply: true, into: &directives) }
    }

    /// A peer's connection is gone.
    mutating func onDisconnected(_ peer: NodeBoot) { peers.removeAll { $0 == peer } }

    /// A member is dead or left: its record stays, marked.
    mutating func onGone(_ member: NodeBoot) { mark(member, isGone: true) }

    /// A member is alive, or alive again.
    mutating func onAlive(_ member: NodeBoot) { mark(member, isGone: false) }

    /// A peer says something of records or models.
    ///
    /// `unreachable` is not for here: it goes to `Membership.onTold`.
    mutating func onReceived(
        _ message: MeshMessage, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        defer { end(now: now) }
        switch message {
        case .digest(let versions, let entries, let isReply):
            let winners = merge(entries, now: now, into: &directives)
            answer(
                versions, winners: winners, theirs: entries, to: peer, isReply: isReply,
                into: &directives)
        case .difference(let scope, let versions, let entries, let isReply):
            guard scope.isLegal else { return }
            let winners = merge(entries, now: now, into: &directives)
            answer(
                versions, winners: winners, theirs: entries, in: scope, to: peer,
                isReply: isReply, into: &directives)
        case .update(let records, let entries):
            let before = changes.count
            _ = merge(entries, now: now, into: &directives)
            let names = changes[before...].compactMap { change -> CatalogueEntry? in
                if case .catalogueChanged(let entry, _) = change { entry } else { nil }
            }
            var news: [SignedRecord] = []
            for record in records.prefix(Limits.records)
            where merge(record, now: now, into: &directives) {
                news.append(record)
            }
            passOn(news, names, from: peer, into: &directives)
        case .compare(let records, let fold):
            guard TableFolds.isLegal(count: records.count) else { return }
            let differs = folds(records.count).differing(from: records)
            let scope = DigestScope(
                count: records.count, ranges: differs.indices.filter { differs[$0] },
                hasCatalogue: catalogueFold != fold)
            guard !scope.isEmpty else { return }
            sendDigest(of: scope, to: peer, isReply: false, into: &directives)
        case .unreachable:
            break
        }
    }

    /// The catalogue as it was on disk.
    mutating func onCatalogueRestored(
        _ entries: [CatalogueEntry], now: Timestamp, into directives: inout [Directive]
    ) {
        defer { end(now: now) }
        _ = merge(entries, now: now, into: &directives)
    }

    /// The operator gives a name to a model, or with nil takes it away.
    mutating func name(
        _ name: String, manifest: ManifestID?, settings: ModelSettings = ModelSettings(),
        now: Timestamp, into directives: inout [Directive]
    ) throws(CatalogueError) {
        defer { end(now: now) }
        let entry = try catalogue.name(
            name, manifest: manifest, settings: settings, author: own.member.node, now: now)
        changes.append(.catalogueChanged(entry, loser: nil))
        directives.append(.storeCatalogue(catalogue.entries))
        for peer in peers {
            directives.append(.send(.mesh(.update(records: [], catalogue: [entry])), to: peer))
        }
    }

    /// Hands the changes over, in their order.
    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    // MARK: Own record

    private mutating func sign(now: Timestamp, into directives: inout [Directive]) {
        guard signing == nil, now >= signAt else { return }
        signAt = .never
        lastSigned = now
        own.version += 1
        signing = (own.version, now + Limits.signPatience)
        directives.append(.sign(own))
    }

    // MARK: Merging

    /// Takes a record over if it is newer than what is known; true if so.
    private mutating func merge(
        _ record: SignedRecord, now: Timestamp, into directives: inout [Directive]
    ) -> Bool {
        let member = record.record.member
        guard member.node != own.member.node else { return false }
        let place = insertionIndex(of: member.node)
        if place < entries.count, entries[place].version.member.node == member.node {
            let known = entries[place].version
            guard Self.isNewer(Self.version(of: record.record), than: known) else { return false }
            // A newer run is not gone because an older one is.
            let isGone = entries[place].isGone && known.member == member
            entries[place] = Entry(signed: record, isGone: isGone, since: now)
        } else {
            guard makeRoom() else {
                refusedRecords += 1
                directives.append(.report(.limit("records", count: refusedRecords)))
                return false
            }
            entries.insert(
                Entry(signed: record, isGone: false, since: now),
                at: insertionIndex(of: member.node))
        }
        changes.append(.recordChanged(member.node))
        return true
    }

    /// Forgets the oldest record of a member that is gone, if there is no room; false if there is
    /// none.
    private mutating func makeRoom() -> Bool {
        guard entries.count >= Limits.records else { return true }
        let gone = entries.indices.filter { entries[$0].isGone }
        guard let oldest = gone.min(by: { entries[$0].since < entries[$1].since }) else {
            return false
        }
        entries.remove(at: oldest)
        return true
    }

    /// Takes over what wins; returns our entries that win over what was told.
    private mutating func merge(
        _ told: [CatalogueEntry], now: Timestamp, into directives: inout [Directive]
    ) -> [CatalogueEntry] {
        var winners: [CatalogueEntry] = []
        var isChanged = false
        var refused = 0
        for entry in told.prefix(Catalogue.namesMax) {
            switch catalogue.merge(entry, now: now) {
            case .unchanged: break
            case .full: refused += 1
            case .changed(let loser):
                isChanged = true
                changes.append(.catalogueChanged(entry, loser: loser))
            case .lost(let winner):
                changes.append(.catalogueChanged(winner, loser: entry))
            }
            if let known = catalogue.entry(named: entry.name), known.wins(over: entry) {
                winners.append(known)
            }
        }
        if refused > 0 { directives.append(.report(.limit("names of models", count: refused))) }
        if isChanged { directives.append(.storeCatalogue(catalogue.entries)) }
        return winners
    }

    private mutating func mark(_ member: NodeBoot, isGone: Bool) {
        let place = insertionIndex(of: member.node)
        guard place < entries.count, entries[place].version.member == member else { return }
        entries[place].isGone = isGone
    }

    // MARK: Frame

    private mutating func end(now: Timestamp) {
        var wake = nextPruneAt
        if let open = signing {
            wake = min(wake, open.patienceEnds)
        } else {
            wake = min(wake, signAt)
        }
        if !peers.isEmpty { wake = min(wake, nextDigestAt) }
        nextWake = wake == .never ? .never : max(wake, now)
    }

    func insertionIndex(of node: NodeID) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].version.member.node < node {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    static func version(of record: NodeRecord) -> RecordVersion {
        RecordVersion(member: record.member, version: record.version)
    }

    static func isNewer(_ left: RecordVersion, than right: RecordVersion) -> Bool {
        (left.member.boot, left.version) > (right.member.boot, right.version)
    }
}

// MARK: - Queries

extension MeshState {
    /// The newest record of a node, of whatever run; the own one with changes not signed yet.
    func record(of node: NodeID) -> NodeRecord? {
        if node == own.member.node { return own }
        let place = insertionIndex(of: node)
        guard place < entries.count, entries[place].version.member.node == node else {
            return nil
        }
        return entries[place].signed.record
    }

    /// The newest record of exactly this run.
    func record(of member: NodeBoot) -> NodeRecord? {
        guard let record = record(of: member.node), record.member == member else { return nil }
        return record
    }

    /// The records of all that are not dead or left, this node included, ascending by member.
    var liveRecords: [NodeRecord] {
        var live = entries.filter { !$0.isGone }.map(\.signed.record)
        live.insert(own, at: live.firstIndex { $0.member.node > own.member.node } ?? live.count)
        return live
    }
}
