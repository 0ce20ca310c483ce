/// One node's side of the agreement on one model's plan: the acceptor's register (CASPaxos §2.2,
/// with the view named in each round).
///
/// A restart is a new boot and hence another voter, so nothing here needs a disk; a change of view
/// never resets it.
struct PlanRegister: Hashable, Sendable {
    /// The highest ballot that this run promised to.
    private(set) var promised: Ballot?
    /// The highest ballot that this run accepted, with its plan.
    private(set) var accepted: BallotPlan?
    /// The decided plan that this node follows; its ballot only moves up.
    private(set) var current: PlanBundle?
    /// The highest round seen anywhere.
    private(set) var highestRound: UInt64 = 0

    /// What an acceptor answers.
    enum Verdict: Hashable, Sendable {
        case yes
        case no(AgreementRefusal)
    }

    /// Notes a ballot, so that our own next one is above it.
    mutating func observe(_ ballot: Ballot) { highestRound = max(highestRound, ballot.round) }

    /// Phase 1: promises if the ballot is above every promise, this run is in the view, and nobody
    /// in the view is held dead.
    mutating func onPrepare(
        _ ballot: Ballot, view: [NodeBoot], me: NodeBoot, isDead: (NodeBoot) -> Bool
    ) -> Verdict {
        observe(ballot)
        if let promised, ballot <= promised { return .no(.promisedHigher(promised)) }
        guard view.contains(me) else { return .no(.notInView) }
        if let dead = view.first(where: isDead) { return .no(.holdsDead(dead)) }
        promised = ballot
        return .yes
    }

    /// Whether a `stage` under this ballot may go on: nothing higher was promised since.
    mutating func onStage(_ ballot: Ballot) -> Verdict {
        observe(ballot)
        if let promised, ballot < promised { return .no(.promisedHigher(promised)) }
        return .yes
    }

    /// Phase 2: accepts unless a higher ballot was promised.
    mutating func onAccept(
        _ ballot: Ballot, _ plan: PlanID, view: [NodeBoot], me: NodeBoot
    ) -> Verdict {
        observe(ballot)
        if let promised, ballot < promised { return .no(.promisedHigher(promised)) }
        guard view.contains(me) else { return .no(.notInView) }
        promised = ballot
        accepted = BallotPlan(ballot: ballot, plan: plan)
        return .yes
    }

    /// A decision became known.
    ///
    /// True if it is above the current one, which it then replaces.
    mutating func onDecided(_ bundle: PlanBundle) -> Bool {
        let ballot = bundle.primary.plan.ballot
        observe(ballot)
        if let current, ballot <= current.primary.plan.ballot { return false }
        current = bundle
        return true
    }

    /// What a promise tells of the register.
    var currentBallotPlan: BallotPlan? {
        current.map { BallotPlan(ballot: $0.primary.plan.ballot, plan: $0.primary.id) }
    }
}
