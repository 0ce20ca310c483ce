import TesseraCore

/// One PlanID per ballot, everywhere and for ever (architecture: the ballot of a decided plan is its
/// epoch).
struct OnePlanPerBallot {
    private var plans: [Ballot: PlanID] = [:]

    mutating func onDecided(_ plan: Plan, _ id: PlanID, at time: Timestamp) throws(Violation) {
        if let known = plans[plan.ballot], known != id {
            throw Violation(
                checker: "one plan per ballot", at: time,
                what: "ballot \(plan.ballot.round) has plans \(known) and \(id)")
        }
        plans[plan.ballot] = id
    }
}
