/// The masterless agreement on which plan each model runs under (architecture: agreement on the
/// plan).
///
/// No request's correctness rests on it: every attempt names its plan. Agreement gives stability,
/// memory discipline, and one common best plan. Any pool member may propose; a rendezvous rank and
/// growing delays keep proposers out of each other's way, and safety never depends on them.
struct Agreement: Sendable {
    /// What the agent's other parts know of one model right now.
    struct View {
        /// Whether the catalogue names the model.
        var isCatalogued: Bool
        /// How the operator wants it planned.
        var settings = ModelSettings()
        /// The model; nil until its manifest is here.
        var outline: ModelOutline?
        /// Nodes that may vote: alive, connected, capable, not leaving, with the model's manifest;
        /// ascending, this node included if it is one of them.
        var voters: [NodeBoot]
        /// The voters that a plan may use: all but those that flapped a moment ago.
        var pool: [NodeBoot]
        /// Nodes that may run what they already host: alive and connected; ascending.
        var usable: [NodeBoot]
        /// Every connected member, ascending.
        var connected: [NodeBoot]
        /// How many links between nodes of the pool have a measured rate.
        var measuredLinks = 0
        /// How quickly the nodes of the pool say they compute, in its order; where energy counts, then
        /// what they say they draw, in milliwatts.
        var speeds: [UInt64] = []
        /// Whether others vote on the plan, since this node is not of the model's pool.
        var isOutside = false
        /// Blobs of a model without a plan that no live node has.
        var missingBlobs = 0
        /// Held dead or left.
        var isDead: (NodeBoot) -> Bool
        /// The planning problem on this node's records.
        var problem: (ModelOutline, Ballot, PlanBundle?) -> PlanningProblem
    }

    /// What the agent must act on.
    enum Change: Hashable, Sendable {
        /// Host this under the proposer's lease.
        case stage(PlanBundle, by: NodeBoot)
        /// The round ended without a decision.
        case abandoned(ManifestID, Ballot)
        /// The current plan of a model changed.
        case decided(PlanBundle)
    }

    /// A node that was told a plan by the first peer it met meets the plan's hosts within this span,
    /// before it takes them for lost.
    static let meetingSpan = TimeSpan.seconds(2)
    /// How long the first plan of a merged mesh stays, unless it must be repaired: what its links and
    /// nodes do is measured anew meanwhile, and entries change plans once.
    static let mergedSpan = TimeSpan.seconds(8)
    /// How long a plan stays that took the place of one which could serve, for the same reason: in
    /// scarce memory the best plan may be reached over several that fit beside each other.
    static let improvedSpan = TimeSpan.seconds(5)
    /// What cannot be planned is looked at again after so long.
    private static let impossiblePause = TimeSpan.milliseconds(500)
    /// Waits between the trigger and the round, by how little it hurts to wait.
    private static let repairDebounce = TimeSpan.milliseconds(5)
    private static let improvementDebounce = TimeSpan.milliseconds(800)
    /// A look at improvement at least this often, for drifted measurements.
    private static let improvementPeriod = TimeSpan.seconds(10)
    /// The look that is to confirm one which found a better plan comes sooner.
    private static let confirmationPeriod = TimeSpan.seconds(3)
    /// Proposers of neighbouring rank start this much apart.
    private static let rankDelay = TimeSpan.milliseconds(150)
    /// A node that promised starts no round of its own for this long, unless the proposer is lost.
    static let yieldTime = TimeSpan.seconds(1)
    /// Time for promises or acceptances to come in.
    static let voteTimeout = TimeSpan.milliseconds(500)
    /// Time for the worker to plan at first; doubles with each failed round in a row, up to sixteen
    /// times: a slow device with a large mesh may need minutes.
    private static let planTimeout = TimeSpan.seconds(10)
    private static let planTimeoutDoublings = 4
    /// A node spends at most one part in so many of its time on looks that nothing calls for.
    private static let planSpanFactor: Int64 = 20
    /// So many nodes look at once when something changed; each further one waits a whole period more,
    /// and looks only if nobody found a better plan before.
    private static let promptRanks: Int64 = 3
    /// How long parts that met again may look for a common plan.
    static let mergePatience = TimeSpan.seconds(10)
    /// Nodes of a pool; the others are entries without a vote.
    static let poolMax = 32

    let me: NodeBoot
    var models: [ManifestID: Model] = [:]
    private var nextToken: UInt64 = 1
    private var generator: SeededGenerator
    var changes: [Change] = []
    #if DEBUG
    /// A planted bug, so that a test sees its checker fire: every ballot names this proposer.
    var plantedProposer: NodeBoot?
    #endif

    init(me: NodeBoot, generator: SeededGenerator) {
        self.me = me
        self.generator = generator
    }

    /// Gives what happened since the last call.
    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    /// The decided plan that this node follows.
    func current(_ manifest: ManifestID) -> PlanBundle? { models[manifest]?.register.current }

    /// Why the model has no plan.
    func reasonForNone(_ manifest: ManifestID) -> String? { models[manifest]?.impossible }

    /// Whether plans of the model may use nodes that flapped.
    func takesFlapping(_ manifest: ManifestID) -> Bool {
        models[manifest]?.takesFlapping ?? false
    }

    /// Whether two decisions met, and no common one was made yet.
    func hasConflict(_ manifest: ManifestID) -> Bool { models[manifest]?.hasConflict ?? false }

    /// The model's register, for checkers.
    func register(_ manifest: ManifestID) -> PlanRegister? { models[manifest]?.register }

    /// Models that this node knows something of, ascending.
    var manifests: [ManifestID] { models.keys.sorted() }

    /// Forgets a model that left the catalogue.
    mutating func onModelRemoved(_ manifest: ManifestID) {
        // Promises stay: a late round of the same boot must still meet them.
        models[manifest]?.round = nil
        models[manifest]?.lease = nil
        models[manifest]?.need = nil
    }

    // MARK: Looking

    /// Looks whether a model needs another plan, and starts a round when it is this node's turn.
    ///
    /// Called when anything changed, and when `nextWake` asked for it.
    mutating func consider(
        _ manifest: ManifestID, _ view: View, now: Timestamp, into directives: inout [Directive]
    ) {
        if !view.isCatalogued, var model = models[manifest], model.round != nil {
            fail(
                &model, manifest, "the model was removed", now: now, backOff: false,
                into: &directives)
            models[manifest] = model
        }
        guard view.isCatalogued, let outline = view.outline, view.voters.contains(me) else {
            return
        }
        var model = models[manifest] ?? Model()
        defer { models[manifest] = model }
        model.noteVoters(view.voters)
        if let lease = model.lease, lease.until <= now || !isAlive(lease.bundle, view) {
            model.lease = nil
        }
        checkRound(&model, manifest, view, now: now, into: &directives)
        let need = need(of: model, manifest, view, now: now)
        if need != model.need {
            model.need = need
            model.needSince = now
            model.isHostGone = false
            if case .repair = need { model.forgetRefusals() }
        }
        if case .repair(let lost) = need, !model.isHostGone, !view.usable.contains(lost) {
            // What hosts refused while the old plan held their memory says nothing about now.
            model.isHostGone = true
            model.forgetRefusals()
        }
        guard let need, model.round == nil, now >= startTime(model, need, manifest, view) else {
            return
        }
        if model.lease != nil || isYielding(model, view, now: now) { return }
        if need == .first, view.missingBlobs > 0 {
            // Staging would take memory from other models only to fail.
            let reason = "nobody reachable has \(view.missingBlobs) of its blobs"
            if model.impossible != reason {
                directives.append(.report(.unplannable(manifest, reason: reason)))
            }
            model.impossible = reason
            model.notBefore = now + Self.impossiblePause
            return
        }
        var ballot = Ballot(round: model.register.highestRound + 1, proposer: me)
        #if DEBUG
        if let plantedProposer { ballot.proposer = plantedProposer }
        #endif
        model.register.observe(ballot)
        let token = nextToken
        nextToken += 1
        model.plannedSettings = (ballot, view.settings)
        let members = Array(view.voters.prefix(Self.poolMax))
        model.proposed = (ballot, Look(view), members)
        model.round = PlanRound(
            ballot: ballot, need: need, view: members,
            phase: .planning(token: token), startedAt: now,
            deadline: now + Self.planTimeout
                * (1 << Int64(min(model.failures, Self.planTimeoutDoublings))))
        if need != .improvement {
            directives.append(.report(.proposed(manifest, ballot, reason: need.reason)))
        }
        let problem = problem(outline, ballot, of: model, view, now: now)
        directives.append(.plan(token: token, problem))
    }

    /// What is to be planned, with the memory that hosts named when they refused their part.
    private func problem(
        _ outline: ModelOutline, _ ballot: Ballot, of model: Model, _ view: View, now: Timestamp
    ) -> PlanningProblem {
        var problem = view.problem(outline, ballot, model.register.current)
        for index in problem.nodes.indices {
            if let refusal = model.refusals[problem.nodes[index].member], refusal.until > now {
                problem.nodes[index].freeMemoryBytes = min(
                    problem.nodes[index].freeMemoryBytes, refusal.freeBytes)
            }
        }
        return problem
    }

    /// When `consider` wants to be called again for a model if nothing happens.
    func nextWake(_ manifest: ManifestID, _ view: View, now: Timestamp) -> Timestamp {
        guard let model = models[manifest], view.isCatalogued, view.voters.contains(me) else {
            return .never
        }
        var wake = Timestamp.never
        if let round = model.round { wake = min(wake, round.deadline) }
        if let lease = model.lease { wake = min(wake, lease.until) }
        if model.round == nil {
            if let need = model.need {
                // While somebody else stages, only a repair would begin.
                if model.lease != nil {
                    guard case .repair = need else { return wake }
                }
                wake = min(wake, startTime(model, need, manifest, view))
                if let until = model.yielding?.until, until > now { wake = max(wake, until) }
            } else if model.register.current != nil {
                wake = min(wake, model.consideredAt + lookPeriod(model, manifest, view))
            }
        }
        return wake
    }

    private func need(
        of model: Model, _ manifest: ManifestID, _ view: View, now: Timestamp
    ) -> PlanRound.Need? {
        guard let current = model.register.current else { return .first }
        if let lost = current.primary.plan.hosts.first(where: { !view.pool.contains($0) }) {
            return .repair(lost)
        }
        if model.hasConflict { return .merge }
        if isChanged(view, since: model)
            || now >= model.consideredAt + lookPeriod(model, manifest, view)
        {
            return .improvement
        }
        return nil
    }

    /// From one look that nothing calls for to the next: all know the same, so that the looks of the
    /// first in rank are enough while it makes them.
    private func lookPeriod(
        _ model: Model, _ manifest: ManifestID, _ view: View
    ) -> TimeSpan {
        let period = model.betterLooks > 0 ? Self.confirmationPeriod : Self.improvementPeriod
        let rank = Int64(rank(of: manifest, in: view.voters))
        return max(period, model.planSpan * Self.planSpanFactor) * (rank + 1)
    }

    /// Whether there are other nodes than at the last look, nodes of another speed, or links that
    /// nothing was known of.
    func isChanged(_ view: View, since model: Model) -> Bool {
        view.pool != model.considered.pool
            || view.measuredLinks > model.considered.measuredLinks
            || isOther(view.speeds, than: model.considered.speeds)
            || isSetAnew(view, since: model)
    }

    /// Whether a node computes a tenth more or less quickly than before.
    private func isOther(_ speeds: [UInt64], than before: [UInt64]) -> Bool {
        speeds.count != before.count
            || zip(speeds, before).contains { speed, old in
                (speed > old ? speed - old : old - speed) > old / 10
            }
    }

    /// Whether the operator said something else since the last look.
    func isSetAnew(_ view: View, since model: Model) -> Bool {
        model.consideredSettings.map { $0 != view.settings } ?? false
    }

    private func startTime(
        _ model: Model, _ need: PlanRound.Need, _ manifest: ManifestID, _ view: View
    ) -> Timestamp {
        let rank = Int64(self.rank(of: manifest, in: view.voters))
        let wait: TimeSpan =
            switch need {
            case .first: Self.repairDebounce + Self.rankDelay * rank
            case .repair: Self.repairDebounce + Self.rankDelay * rank
            case .merge: Self.improvementDebounce + Self.rankDelay * rank
            case .improvement:
                Self.improvementDebounce + Self.rankDelay * (4 * rank)
                    + Self.improvementPeriod * max(0, rank - Self.promptRanks + 1)
            }
        let start = max(model.needSince + wait, model.notBefore)
        guard need == .improvement, !isSetAnew(view, since: model) else { return start }
        return max(start, model.settlesUntil)
    }

    /// This node's place in the order in which the pool proposes: rendezvous hashing of model and
    /// node, so that different models have different first proposers.
    private func rank(of manifest: ManifestID, in pool: [NodeBoot]) -> Int {
        func weight(_ node: NodeID) -> UInt64 {
            var mixed = node.words.0 ^ manifest.words.0
            mixed = (mixed ^ mixed >> 33) &* 0xFF51_AFD7_ED55_8CCD
            mixed = (mixed ^ mixed >> 33) &* 0xC4CE_B9FE_1A85_EC53
            return mixed ^ mixed >> 33
        }
        let mine = weight(me.node)
        return pool.filter { weight($0.node) < mine }.count
    }

    /// Whether this node promised somebody else's round a moment ago and lets it go on.
    private func isYielding(_ model: Model, _ view: View, now: Timestamp) -> Bool {
        guard let (proposer, until) = model.yielding else { return false }
        return until > now && view.usable.contains(proposer)
    }

    private func isAlive(_ bundle: PlanBundle, _ view: View) -> Bool {
        let proposer = bundle.primary.plan.ballot.proposer
        return view.usable.contains(proposer)
            && bundle.primary.plan.hosts.allSatisfy { view.usable.contains($0) }
    }

    // MARK: Proposing

    /// Ends a round that cannot succeed any more.
    private mutating func checkRound(
        _ model: inout Model, _ manifest: ManifestID, _ view: View, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard let round = model.round else { return }
        if let bundle = round.bundle,
            let lost = bundle.primary.plan.hosts.first(where: { !view.pool.contains($0) })
        {
            fail(
                &model, manifest, "node \(lost.node.short), which it uses, was lost", now: now,
                backOff: false, into: &directives)
        } else if now >= round.deadline {
            let phase =
                switch round.phase {
                case .planning: "planning"
                case .preparing: "promises"
                case .staging: "staging"
                case .accepting: "acceptances"
                }
            fail(
                &model, manifest, "\(phase) took too long", now: now, backOff: true,
                into: &directives)
        }
    }

    mutating func fail(
        _ model: inout Model, _ manifest: ManifestID, _ reason: String, now: Timestamp,
        backOff: Bool, into directives: inout [Directive]
    ) {
        guard let round = model.round else { return }
        model.round = nil
        if backOff {
            model.failures = min(model.failures + 1, 6)
            var bound = TimeSpan.milliseconds(20 << Int64(model.failures))
            if round.need == .improvement {
                // Where planning takes seconds, so do the rounds of the others: pauses much shorter
                // than a round would have all of them refuse each other for ever.
                let doublings = min(model.failures - 1, Self.planTimeoutDoublings)
                bound = max(bound, (now - round.startedAt) * (1 << Int64(doublings)))
            }
            model.notBefore = now + bound / 2 + generator.next(below: bound)
        }
        if round.bundle != nil {
            for member in round.view {
                directives.append(
                    .send(
                        .agreement(.abandon(manifest: manifest, ballot: round.ballot)), to: member)
                )
            }
        }
        directives.append(.report(.roundFailed(manifest, round.ballot, reason: reason)))
    }

    /// The worker planned.
    mutating func onPlanned(
        token: UInt64, _ result: PlanningResult, _ manifest: ManifestID, _ view: View,
        now: Timestamp, into directives: inout [Directive]
    ) {
        guard var model = models[manifest], var round = model.round,
            round.phase == .planning(token: token)
        else { return }
        defer { models[manifest] = model }
        model.planSpan = now - round.startedAt
        switch result {
        case .impossible where !model.takesFlapping && view.voters != view.pool:
            // Rather a plan with a node that comes and goes than none.
            model.takesFlapping = true
            model.round = nil
        case .impossible(let reason):
            if model.impossible != reason {
                directives.append(.report(.unplannable(manifest, reason: reason)))
            }
            model.impossible = reason
            model.round = nil
            model.noteLook(view, now: now)
            model.notBefore = now + Self.impossiblePause
        case .bundle(let bundle, _):
            model.impossible = nil
            if round.need == .improvement, let current = model.register.current {
                guard isWorthwhile(bundle, than: current, round.ballot, &model, view) else {
                    model.round = nil
                    model.noteLook(view, now: now)
                    return
                }
                model.betterLooks = 0
                directives.append(
                    .report(
                        .proposed(
                            manifest, round.ballot,
                            reason: reason(for: bundle, instead: current, round.ballot, view))))
            }
            round.phase = .preparing(bundle)
            round.deadline = now + Self.voteTimeout
            model.round = round
            for voter in round.view {
                directives.append(
                    .send(
                        .agreement(
                            .prepare(manifest: manifest, ballot: round.ballot, view: round.view)),
                        to: voter))
            }
        }
    }

    mutating func advance(
        _ manifest: ManifestID, _ view: View, now: Timestamp, into directives: inout [Directive]
    ) {
        guard var model = models[manifest], var round = model.round else { return }
        defer { models[manifest] = model }
        switch round.phase {
        case .planning:
            break
        case .preparing(let bundle):
            guard round.hasMajority else { return }
            round.phase = .staging(bundle)
            round.votes = []
            round.deadline = now + FragmentHost.lease
            model.round = round
            directives.append(.report(.staging(manifest, bundle.primary.id)))
            for host in bundle.primary.plan.hosts {
                directives.append(
                    .send(
                        .agreement(
                            .stage(manifest: manifest, ballot: round.ballot, bundle: bundle)),
                        to: host))
            }
        case .staging(let bundle):
            guard round.ready.isSuperset(of: bundle.primary.plan.hosts) else { return }
            round.phase = .accepting(bundle)
            round.deadline = now + Self.voteTimeout
            model.round = round
            for voter in round.view {
                directives.append(
                    .send(
                        .agreement(
                            .accept(
                                manifest: manifest, ballot: round.ballot, bundle: bundle,
                                view: round.view)), to: voter))
            }
        case .accepting(let bundle):
            guard round.hasMajority else { return }
            model.round = nil
            model.failures = 0
            for member in view.connected {
                directives.append(
                    .send(
                        .agreement(
                            .decided(
                                manifest: manifest, ballot: round.ballot, bundle: bundle,
                                isFresh: true)), to: member))
            }
            directives.append(
                .send(
                    .agreement(
                        .decided(
                            manifest: manifest, ballot: round.ballot, bundle: bundle, isFresh: true)
                    ), to: me))
        }
    }
}
