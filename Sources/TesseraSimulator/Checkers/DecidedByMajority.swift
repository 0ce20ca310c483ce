import TesseraCore

/// A decided plan was accepted by a majority of its view, each in the run that the view names, and
/// every run that it uses had said that it is ready before acceptances were asked for.
struct DecidedByMajority {
    private struct Key: Hashable {
        var manifest: ManifestID
        var ballot: Ballot
    }
    private var views: [Key: [NodeBoot]] = [:]
    private var accepts: [Key: Set<NodeBoot>] = [:]
    private var ready: [PlanID: Set<NodeBoot>] = [:]
    private var decided: Set<Key> = []

    mutating func onRound(_ ballot: Ballot, _ manifest: ManifestID, view: [NodeBoot]) {
        views[Key(manifest: manifest, ballot: ballot)] = view
    }

    mutating func onReady(_ plan: PlanID, at member: NodeBoot) {
        ready[plan, default: []].insert(member)
    }

    mutating func onAccepted(_ ballot: Ballot, _ manifest: ManifestID, by member: NodeBoot) {
        accepts[Key(manifest: manifest, ballot: ballot), default: []].insert(member)
    }

    /// A proposer asks for acceptances of a plan.
    func onAccepting(_ named: NamedPlan, at time: Timestamp) throws(Violation) {
        let ready = ready[named.id] ?? []
        guard let host = named.plan.hosts.first(where: { !ready.contains($0) }) else { return }
        throw Violation(
            checker: "accepted plans are ready", at: time,
            what: "acceptances of plan \(named.id) are asked for, and node \(host.node) never was "
                + "ready for it")
    }

    mutating func onDecided(_ plan: Plan, at time: Timestamp) throws(Violation) {
        let key = Key(manifest: plan.manifest, ballot: plan.ballot)
        guard decided.insert(key).inserted else { return }
        // A view of the proposer alone is decided within one event, and nobody else hears of it.
        let view = views[key] ?? [plan.ballot.proposer]
        let count = view.count { accepts[key]?.contains($0) == true }
        guard count * 2 > view.count else {
            throw Violation(
                checker: "decided by a majority", at: time,
                what: "round \(plan.ballot.round) was decided with \(count) of \(view.count) votes")
        }
    }
}
