/// What this node hosts: the plans it holds, their fragments, and the memory they reserve.
///
/// A plan comes in by `onStage` under a lease and stays if it is decided. Fragments are named by
/// content, so one that several plans share is fetched, compiled and counted once. Dropping a plan
/// early is always safe: an attempt that still uses it is told `gone` and tries again.
struct FragmentHost: Sendable {
    /// What the agent must act on.
    enum Change: Hashable, Sendable {
        /// The weights of a fragment are wanted on disk.
        case needsBlobs(FragmentKey, blobs: [Int])
        /// Nobody waits for them any more.
        case needsNoBlobs(FragmentKey)
        /// Every fragment that this plan gives this node is compiled.
        case ready(NamedPlan, HeldKind)
        /// The plan cannot be hosted here.
        case cannot(NamedPlan, HeldKind, HostRefusal)
        /// The plan is held no more.
        case dropped(PlanID, Ballot)
    }

    /// In what right a plan is held.
    enum HeldKind: Hashable, Sendable {
        /// Under a proposer's lease.
        case staged(by: NodeBoot)
        /// As the primary of a decision.
        case decided
        /// As an alternate of a decision.
        case alternate
    }

    private struct HeldPlan {
        var layout: PlanLayout
        var kind: HeldKind
        var keys: [FragmentKey]
        /// The blobs that each fragment needs.
        var blobs: [FragmentKey: [Int]]
        /// Bytes that each fragment reserves for the plan's window.
        var reservations: [FragmentKey: Int]
        var heldSince: Timestamp
        /// When the plan may go: the lease's end, or the longest deadline after it was superseded.
        var expires: Timestamp
        var isReady = false
        var hasFailed = false
    }

    private enum FragmentState: Hashable {
        case fetching
        case compiling
        case ready(memoryBytes: Int)
    }

    private struct HostedFragment {
        var state: FragmentState
        var reservedBytes: Int
        var concurrency: Int
    }

    /// A staging is dropped after so long without a word of its proposer, whatever became of it.
    static let lease = TimeSpan.seconds(60)
    /// The longest deadline a request may have: an old plan is kept that long for attempts under it.
    static let afterlife = TimeSpan.seconds(30)

    private let me: NodeBoot
    private let executionSlots: Int
    private var memoryBudget = 0
    private var plans: [PlanID: HeldPlan] = [:]
    private var fragments: [FragmentKey: HostedFragment] = [:]
    private var changes: [Change] = []
    /// Fragments that an earlier run of this node crashed over while it compiled them.
    private var crashed: Set<FragmentKey> = []

    init(me: NodeBoot, executionSlots: Int) {
        self.me = me
        self.executionSlots = executionSlots
    }

    /// The node measured itself: this much memory may be reserved.
    mutating func onCapability(_ capability: Capability) { memoryBudget = capability.memoryBytes }

    /// An earlier run of this node crashed while it compiled this fragment: this one does not try.
    mutating func onCrashed(_ key: FragmentKey) { crashed.insert(key) }

    /// Gives what happened since the last call.
    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    /// The layout of a plan that this node may run attempts of.
    func layout(ofReady plan: PlanID) -> PlanLayout? {
        guard let held = plans[plan], held.isReady else { return nil }
        return held.layout
    }

    /// The plans whose fragments here are all compiled, ascending.
    func readyPlans(of manifest: ManifestID) -> [PlanID] {
        plans.filter { $0.value.isReady && $0.value.layout.plan.manifest == manifest }.keys.sorted()
    }

    /// Every plan held, ascending.
    var heldPlans: [PlanID] { plans.keys.sorted() }

    /// Every plan held, ascending by name.
    var heldNamed: [NamedPlan] { plans.keys.sorted().compactMap { plans[$0]?.layout.named } }

    /// Whether a plan is held, ready or not.
    func holds(_ plan: PlanID) -> Bool { plans[plan] != nil }

    /// Whether `takeChanges` would give something.
    var hasChanges: Bool { !changes.isEmpty }

    /// Whether any plan of a decision is held.
    func holdsAny(of ballot: Ballot) -> Bool {
        plans.values.contains { $0.layout.plan.ballot == ballot }
    }

    /// Models whose weights are in use here, ascending.
    var manifestsInUse: [ManifestID] {
        Array(Set(fragments.keys.map(\.manifest))).sorted()
    }

    /// Bytes reserved.
    var reservedBytes: Int { fragments.values.reduce(0) { $0 + $1.reservedBytes } }

    /// Bytes that a new plan of `manifest` could use here: the budget without what other models
    /// reserve.
    func freeBytes(for manifest: ManifestID) -> Int {
        memoryBudget
            - fragments.reduce(0) {
                $0 + ($1.key.manifest == manifest ? 0 : $1.value.reservedBytes)
            }
    }

    /// A proposer asks for its primary plan.
    ///
    /// `mayEvictCurrent` says that the model's current plan cannot serve any more, so that its
    /// memory may be taken.
    mutating func onStage(
        _ plan: NamedPlan, by proposer: NodeBoot, outline: ModelOutline, mayEvictCurrent: Bool,
        now: Timestamp, into directives: inout [Directive]
    ) {
        if plans[plan.id] != nil {
            plans[plan.id]?.expires = now + Self.lease
            if plans[plan.id]?.isReady == true {
                changes.append(.ready(plan, .staged(by: proposer)))
            }
            return
        }
        hold(
            plan, .staged(by: proposer), expires: now + Self.lease, outline: outline,
            mayEvictCurrent: mayEvictCurrent, now: now, into: &directives)
    }

    /// A decision: its primary stays, its alternates are armed as far as memory allows, and what it
    /// supersedes gets an end.
    mutating func onDecided(
        _ bundle: PlanBundle, outline: ModelOutline, now: Timestamp,
        into directives: inout [Directive]
    ) {
        let manifest = bundle.primary.plan.manifest
        let ballot = bundle.primary.plan.ballot
        for (id, held) in plans.sorted(by: { $0.key < $1.key })
        where held.layout.plan.manifest == manifest && held.layout.plan.ballot < ballot {
            switch held.kind {
            case .staged: giveUp(id, .superseded, into: &directives)
            case .alternate where !held.isReady: drop(id, into: &directives)
            case .alternate, .decided:
                plans[id]?.expires = min(held.expires, now + Self.afterlife)
            }
        }
        dropBeyondLimit(manifest, into: &directives)
        if plans[bundle.primary.id] != nil {
            plans[bundle.primary.id]?.kind = .decided
            plans[bundle.primary.id]?.expires = .never
        } else {
            hold(
                bundle.primary, .decided, expires: .never, outline: outline,
                mayEvictCurrent: true, now: now, into: &directives)
        }
        for alternate in bundle.alternates where plans[alternate.id] == nil {
            hold(
                alternate, .alternate, expires: .never, outline: outline,
                mayEvictCurrent: false, now: now, into: &directives)
        }
    }

    /// A round ended without a decision.
    mutating func onAbandon(
        _ manifest: ManifestID, _ ballot: Ballot, into directives: inout [Directive]
    ) {
        for (id, held) in plans.sorted(by: { $0.key < $1.key })
        where held.layout.plan.manifest == manifest && held.layout.plan.ballot == ballot {
            if case .staged = held.kind { drop(id, into: &directives) }
        }
    }

    /// A member is dead, left, or no longer connected: a round that needs this host has failed
    /// there, and its end may never be told.
    ///
    /// It is told that this host gave up: only this side may have held the other lost.
    mutating func onProposerLost(_ proposer: NodeBoot, into directives: inout [Directive]) {
        for (id, held) in plans.sorted(by: { $0.key < $1.key }) {
            if case .staged(by: proposer) = held.kind {
                giveUp(id, .proposerLost, into: &directives)
            }
        }
    }

    /// A plan of a model that no name stands for is kept so long: requests that came in before the
    /// name went away end, and a name that is on its way arrives.
    static let unnamedSpan = TimeSpan.seconds(5)

    /// Whether a name stands for a model: without one its plans get an end, and with one that comes
    /// in time they lose it again.
    mutating func onNaming(
        _ manifest: ManifestID, isNamed: Bool, current: PlanBundle?, now: Timestamp
    ) {
        let used = Set((current.map { [$0.primary] + $0.alternates } ?? []).map(\.id))
        for (id, held) in plans where held.layout.plan.manifest == manifest {
            if !isNamed {
                plans[id]?.expires = min(held.expires, now + Self.unnamedSpan)
            } else if used.contains(id), held.kind == .decided || held.kind == .alternate {
                plans[id]?.expires = .never
            }
        }
    }

    /// A model is no longer in the catalogue.
    mutating func onModelRemoved(_ manifest: ManifestID, into directives: inout [Directive]) {
        for (id, held) in plans.sorted(by: { $0.key < $1.key })
        where held.layout.plan.manifest == manifest {
            drop(id, into: &directives)
        }
    }

    /// The weights of a fragment are on disk.
    mutating func onBlobsReady(_ key: FragmentKey, into directives: inout [Directive]) {
        guard fragments[key]?.state == .fetching else { return }
        fragments[key]?.state = .compiling
        directives.append(.compile(key, concurrency: fragments[key]?.concurrency ?? 1))
    }

    /// A fragment that was being compiled lacks a blob after all: it waits for its blobs again.
    mutating func onBlobLost(_ key: FragmentKey) {
        guard fragments[key]?.state == .compiling,
            let blobs = plans.values.first(where: { $0.keys.contains(key) })
                .map({ $0.blobs[key] ?? [] })
        else { return }
        fragments[key]?.state = .fetching
        changes.append(.needsBlobs(key, blobs: blobs))
    }

    /// The weights of a fragment cannot be had.
    mutating func onBlobsMissing(
        _ key: FragmentKey, count: Int, into directives: inout [Directive]
    ) {
        failPlans(using: key, .missingBlobs(count: count), into: &directives)
    }

    /// The engine compiled a fragment.
    mutating func onCompiled(
        _ key: FragmentKey, memoryBytes: Int, into directives: inout [Directive]
    ) {
        guard fragments[key] != nil else { return directives.append(.unload(key)) }
        fragments[key]?.state = .ready(memoryBytes: memoryBytes)
        for id in plans.keys.sorted() where plans[id]?.keys.contains(key) == true {
            checkReady(id)
        }
    }

    /// The engine cannot compile a fragment.
    mutating func onCompileFailed(
        _ key: FragmentKey, reason: String, into directives: inout [Directive]
    ) {
        failPlans(using: key, .engine(reason), into: &directives)
    }

    /// Drops what has expired.
    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {
        for (id, held) in plans.sorted(by: { $0.key < $1.key }) where held.expires <= now {
            drop(id, into: &directives)
        }
    }

    /// When the next plan expires.
    var nextWake: Timestamp { plans.values.map(\.expires).min() ?? .never }

    // MARK: Holding and dropping

    private mutating func hold(
        _ plan: NamedPlan, _ kind: HeldKind, expires: Timestamp, outline: ModelOutline,
        mayEvictCurrent: Bool, now: Timestamp, into directives: inout [Directive]
    ) {
        let layout = PlanLayout(plan, outline: outline)
        let mine = layout.fragments(on: me)
        guard !mine.isEmpty else { return }
        let keys = mine.map { plan.plan.key(ofFragment: $0) }
        if let key = keys.first(where: { crashed.contains($0) }) {
            changes.append(
                .cannot(
                    plan, kind,
                    .engine(
                        "the process crashed when it compiled operators \(key.operators) last")))
            return
        }
        let reservations = Dictionary(
            keys.map { key in
                (
                    key,
                    FragmentMemory.of(key.operators, rows: key.rows, in: outline)
                        .bytes(window: plan.plan.window)
                )
            }, uniquingKeysWith: max)
        if lacksRoom(for: reservations) {
            // On a copy: nothing is given up for a plan that does not fit all the same.
            var roomier = self
            var drops: [Directive] = []
            roomier.makeRoom(
                reservations, for: plan.plan, evictCurrent: mayEvictCurrent, into: &drops)
            guard !roomier.lacksRoom(for: reservations) else {
                let stays = Set(roomier.plans.values.flatMap(\.keys))
                let free = roomier.fragments.reduce(memoryBudget) {
                    $0 - (stays.contains($1.key) ? $1.value.reservedBytes : 0)
                }
                let total = reservations.values.reduce(0, +)
                changes.append(
                    .cannot(plan, kind, .memory(neededBytes: total, freeBytes: max(0, free))))
                return
            }
            self = roomier
            directives += drops
        }
        plans[plan.id] = HeldPlan(
            layout: layout, kind: kind, keys: keys,
            blobs: Dictionary(
                keys.map { ($0, outline.blobs(of: $0.operators)) }, uniquingKeysWith: { $1 }),
            reservations: reservations,
            heldSince: now, expires: expires)
        for key in keys {
            let bytes = reservations[key] ?? 0
            if let hosted = fragments[key] {
                fragments[key]?.reservedBytes = max(hosted.reservedBytes, bytes)
                continue
            }
            fragments[key] = HostedFragment(
                state: .fetching, reservedBytes: bytes, concurrency: executionSlots)
            changes.append(.needsBlobs(key, blobs: outline.blobs(of: key.operators)))
        }
        checkReady(plan.id)
    }

    /// Whether more would be reserved than there is with these fragments.
    ///
    /// One that is here already is counted once, for the widest window of its plans.
    private func lacksRoom(for reservations: [FragmentKey: Int]) -> Bool {
        reservations.reduce(reservedBytes) {
            $0 + max(0, $1.value - (fragments[$1.key]?.reservedBytes ?? 0))
        } > memoryBudget
    }

    /// Frees memory in the order in which it hurts least: superseded plans and stagings, alternates,
    /// and, only if it cannot serve any more, the current plan.
    private mutating func makeRoom(
        _ reservations: [FragmentKey: Int], for plan: Plan, evictCurrent: Bool,
        into directives: inout [Directive]
    ) {
        func rank(_ held: HeldPlan) -> Int? {
            let isSameModel = held.layout.plan.manifest == plan.manifest
            return switch held.kind {
            case .decided where held.expires != .never: 0
            case .staged where isSameModel && held.layout.plan.ballot < plan.ballot: 0
            case .alternate: 1
            case .decided where evictCurrent && isSameModel: 2
            case .decided, .staged: nil
            }
        }
        let victims = plans.compactMap { id, held in rank(held).map { ($0, id) } }.sorted(by: <)
        for (_, id) in victims where lacksRoom(for: reservations) {
            giveUp(id, .superseded, keeping: reservations, into: &directives)
        }
    }

    /// Drops a plan that somebody may still wait for.
    ///
    /// The proposer of a staging waits for this host to become ready: unless it is told, its round
    /// goes on for a whole lease, and the hosts that did their part keep their memory for it.
    private mutating func giveUp(
        _ id: PlanID, _ reason: HostRefusal, keeping: [FragmentKey: Int] = [:],
        into directives: inout [Directive]
    ) {
        guard let held = plans[id] else { return }
        drop(id, keeping: keeping, into: &directives)
        if case .staged = held.kind {
            changes.append(.cannot(held.layout.named, held.kind, reason))
        }
    }

    /// At most three plans of a model besides the one to come (architecture: old plans).
    private mutating func dropBeyondLimit(
        _ manifest: ManifestID, into directives: inout [Directive]
    ) {
        let old = plans.filter {
            $0.value.layout.plan.manifest == manifest && $0.value.expires != .never
        }.sorted { $0.value.heldSince < $1.value.heldSince }
        let ballots = Array(Set(old.map(\.value.layout.plan.ballot))).sorted()
        for ballot in ballots.dropLast(2) {
            for (id, held) in old where held.layout.plan.ballot == ballot {
                drop(id, into: &directives)
            }
        }
    }

    private mutating func drop(
        _ id: PlanID, keeping: [FragmentKey: Int] = [:], into directives: inout [Directive]
    ) {
        guard let held = plans.removeValue(forKey: id) else { return }
        changes.append(.dropped(id, held.layout.plan.ballot))
        for key in held.keys {
            let others = plans.values.compactMap { $0.reservations[key] }
            if let widest = (others + [keeping[key]].compactMap(\.self)).max() {
                // It stays for other plans, or for the one to come, perhaps with a narrower window.
                fragments[key]?.reservedBytes = widest
                continue
            }
            guard let fragment = fragments.removeValue(forKey: key) else { continue }
            switch fragment.state {
            case .fetching: changes.append(.needsNoBlobs(key))
            case .compiling: break
            case .ready: directives.append(.unload(key))
            }
        }
    }

    private mutating func checkReady(_ id: PlanID) {
        guard let held = plans[id], !held.isReady else { return }
        let isReady = held.keys.allSatisfy {
            if case .ready = fragments[$0]?.state { true } else { false }
        }
        guard isReady else { return }
        plans[id]?.isReady = true
        changes.append(.ready(held.layout.named, held.kind))
    }

    private mutating func failPlans(
        using key: FragmentKey, _ reason: HostRefusal, into directives: inout [Directive]
    ) {
        for (id, held) in plans.sorted(by: { $0.key < $1.key }) where held.keys.contains(key) {
            changes.append(.cannot(held.layout.named, held.kind, reason))
            drop(id, into: &directives)
        }
    }
}
