import TesseraCore

/// One PlanID per ballot, everywhere and for ever (architecture: the ballot of a decided plan is its
/// epoch).
///
/// Checked for what is decided and for what is accepted: two acceptors of one ballot that took
/// different plans are wrong whether or not either was decided.
struct OnePlanPerBallot {
    private struct Key: Hashable {
        var manifest: ManifestID
        var ballot: Ballot
    }
    private var plans: [Key: PlanID] = [:]

    mutating func onPlan(
        _ id: PlanID, of manifest: ManifestID, under ballot: Ballot, at time: Timestamp
    ) throws(Violation) {
        let key = Key(manifest: manifest, ballot: ballot)
        if let known = plans[key] {
            guard known != id else { return }
            throw Violation(
                checker: "one plan per ballot", at: time,
                what:
                    "round \(ballot.round) of \(ballot.proposer.node) has plans \(known) and \(id)")
        }
        plans[key] = id
    }
}
