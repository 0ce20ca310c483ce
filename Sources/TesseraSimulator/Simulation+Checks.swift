import TesseraCore

// What the checkers are shown.

extension Simulation {
    /// The checkers that remember something, and what they saw last.
    struct Checks {
        var plans = OnePlanPerBallot()
        var current = CurrentOnlyGrows()
        var promises = PromisesOnlyGrow()
        var majority = DecidedByMajority()
        var incarnations = OwnIncarnation()
        var ends = EndsExactlyOnce()
        var flapping = NoFlapping()
        var heal = OneChangeAtHeal()
        /// Whether any node held another one for lost so far.
        fileprivate(set) var hasLost = false
        fileprivate var sights: [SightKey: AgreementSight] = [:]
        fileprivate var reserved: [Int: Int] = [:]
        fileprivate var covered: Set<PlanID> = []
    }

    fileprivate struct SightKey: Hashable {
        var run: Int
        var model: Int
    }

    /// Looks at what an event led to, before it is carried out.
    func check(
        _ event: Event, heldBefore: Bool, _ directives: [Directive], _ node: SimulatedNode
    ) throws(Violation) {
        if case .sliceArrived(let header, _, _) = event {
            try GoneIsTold.checkSlice(
                header, heldBefore: heldBefore, directives, node: node.index, member: node.member,
                at: now)
        }
        try node.agent?.inspect { agent throws(Violation) in
            switch event {
            case .sliceArrived, .executed, .received(.request, _):
                try checkWindows(&agent, node)
            case .received(.membership(.ping), _), .received(.membership(.ack), _):
                // The most frequent events; a plan is decided by one of them at most.
                if directives.contains(where: { if case .report = $0 { true } else { false } }) {
                    try checkAgreement(&agent, node)
                }
            default:
                try checkAgreement(&agent, node)
            }
            try checkMemory(&agent, node)
        }
        for directive in directives { try check(directive, of: node) }
    }

    private func check(_ directive: Directive, of node: SimulatedNode) throws(Violation) {
        switch directive {
        case .report(.lossDetected):
            checks.hasLost = true
        case .report(.member(let member, let status, _)):
            if status >= .dead { checks.hasLost = true }
            try checkMember(member, status, seenBy: node)
        case .send(.agreement(let message), _):
            switch message {
            case .prepare(let manifest, let ballot, let view):
                checks.majority.onRound(ballot, manifest, view: view)
            case .ready(_, _, let plan):
                // A plan may be ready and dropped within one event.
                checks.majority.onReady(plan, at: node.member)
            case .promise(let manifest, let ballot, _, _):
                try checks.promises.onBound(
                    ballot, node.member, manifest, by: "a promise", at: now)
            case .accepted(let manifest, let ballot):
                try checks.promises.onBound(
                    ballot, node.member, manifest, by: "an acceptance", at: now)
            default: break
            }
        default: break
        }
    }

    private func checkWindows(
        _ agent: inout Agent, _ node: SimulatedNode
    ) throws(Violation) {
        guard !agent.isIdle else { return }
        try WithinWindow.check(agent.openAttempts, of: "open attempts", at: node.index, now)
        try WithinWindow.check(agent.ticketsOut, of: "tickets out", at: node.index, now)
        // A gate gives the tickets of a lost entry to others, and that entry may live; so long as
        // nobody was lost, no entry has more attempts in flight than there are tickets.
        if !checks.hasLost {
            try WithinWindow.check(
                agent.attemptsInFlight, of: "attempts in flight", at: node.index, now)
        }
        if agent.hasOrphanedAttempts {
            throw Violation(
                checker: "only held plans run", at: now,
                what: "node \(node.index) has an attempt open under a plan that it dropped")
        }
    }

    // MARK: Agreement

    private func checkAgreement(
        _ agent: inout Agent, _ node: SimulatedNode
    ) throws(Violation) {
        for plan in agent.readyPlans { checks.majority.onReady(plan, at: node.member) }
        for (number, model) in models.enumerated() {
            guard let sight = agent.agreementSight(model.manifest) else { continue }
            let key = SightKey(run: node.run, model: number)
            let before = checks.sights[key]
            guard sight != before else { continue }
            checks.sights[key] = sight
            if let round = sight.round, round != before?.round {
                checks.majority.onRound(round, model.manifest, view: sight.view)
            }
            if let accepted = sight.accepted, accepted != before?.accepted {
                try checks.promises.onBound(
                    accepted.ballot, node.member, model.manifest, by: "the register", at: now)
                checks.majority.onAccepted(accepted.ballot, model.manifest, by: node.member)
                try checks.plans.onPlan(
                    accepted.plan, of: model.manifest, under: accepted.ballot, at: now)
            }
            if let promised = sight.promised, promised != before?.promised {
                try checks.promises.onBound(
                    promised, node.member, model.manifest, by: "the register", at: now)
            }
            if let named = sight.accepting, named != before?.accepting {
                try checks.majority.onAccepting(named, at: now)
            }
        }
    }

    func checkDecision(
        _ plan: Plan, _ id: PlanID, by node: SimulatedNode
    ) throws(Violation) {
        try checks.plans.onPlan(id, of: plan.manifest, under: plan.ballot, at: now)
        try checks.current.onDecided(plan, by: node.member, at: now)
        try checks.majority.onAccepting(NamedPlan(id: id, plan: plan), at: now)
        try checks.majority.onDecided(plan, at: now)
        try checks.flapping.onDecided(plan, by: node.member, at: now)
        try checks.heal.onDecided(
            plan, by: node.member, seeing: node.agent?.aliveMembers ?? [], at: now)
        if checks.covered.insert(id).inserted,
            let model = models.first(where: { $0.manifest == plan.manifest })
        {
            try PlansFit.checkCover(plan, outline: model.outline, at: now)
        }
    }

    private func checkMemory(
        _ agent: inout Agent, _ node: SimulatedNode
    ) throws(Violation) {
        let reserved = agent.reservedBytes
        guard reserved != checks.reserved[node.run] ?? 0 else { return }
        checks.reserved[node.run] = reserved
        try PlansFit.checkMemory(
            agent.heldPlans, on: node.member, node: node.index,
            budget: node.capability.memoryBytes, reserved: reserved,
            outlines: models.map(\.outline), at: now)
    }

    // MARK: Membership

    private func checkMember(
        _ member: NodeBoot, _ status: MemberStatus, seenBy node: SimulatedNode
    ) throws(Violation) {
        let seen = node.agent?.inspect { $0.sight(of: member.node) } ?? nil
        guard let sight = seen, sight.member == member,
            sight.status == status
        else { return }
        if let run = runs[member], let other = living(run) {
            checks.incarnations.onOwn(other.agent?.inspect { $0.incarnation } ?? 0, of: member)
        }
        try checks.incarnations.onSeen(sight, by: node.member, at: now)
    }
}
