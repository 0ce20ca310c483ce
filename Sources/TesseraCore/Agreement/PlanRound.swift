/// The proposer's side of one round: from the wish for a plan to its decision.
struct PlanRound: Sendable {
    /// Why a plan is wanted.
    ///
    /// Later cases are less urgent.
    enum Need: Hashable, Sendable {
        /// The model has no plan.
        case first
        /// The current plan uses a node that is lost or leaving.
        case repair(NodeBoot)
        /// Two decisions met: parts of the mesh had been apart.
        case merge
        /// Something changed since the last look; a clearly better plan would be taken.
        case improvement

        /// For people.
        var reason: String {
            switch self {
            case .first: "the model has no plan"
            case .repair(let lost): "node \(lost.node.short) is lost or leaving"
            case .merge: "parts of the mesh met again"
            case .improvement: "nodes or measurements changed"
            }
        }
    }

    /// How far the round is.
    enum Phase: Hashable, Sendable {
        /// The worker plans.
        case planning(token: UInt64)
        /// Promises come in.
        case preparing(PlanBundle)
        /// Hosts fetch, compile and warm.
        case staging(PlanBundle)
        /// Acceptances come in.
        case accepting(PlanBundle)
    }

    let ballot: Ballot
    let need: Need
    /// The nodes asked to vote, fixed for the round.
    let view: [NodeBoot]
    var phase: Phase
    let startedAt: Timestamp
    var deadline: Timestamp
    /// Who promised or accepted in the phase.
    var votes: Set<NodeBoot> = []
    /// Hosts that are ready.
    var ready: Set<NodeBoot> = []

    /// More than half of the view.
    var hasMajority: Bool { votes.count * 2 > view.count }

    /// The proposal, once there is one.
    var bundle: PlanBundle? {
        switch phase {
        case .planning: nil
        case .preparing(let bundle), .staging(let bundle), .accepting(let bundle): bundle
        }
    }
}
