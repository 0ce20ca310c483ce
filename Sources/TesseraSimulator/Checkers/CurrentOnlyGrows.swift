import TesseraCore

/// A node's current plan only moves to higher ballots within one boot.
struct CurrentOnlyGrows {
    private struct Key: Hashable {
        var member: NodeBoot
        var manifest: ManifestID
    }
    private var ballots: [Key: Ballot] = [:]

    mutating func onDecided(
        _ plan: Plan, by member: NodeBoot, at time: Timestamp
    ) throws(Violation) {
        let key = Key(member: member, manifest: plan.manifest)
        if let known = ballots[key], plan.ballot <= known {
            throw Violation(
                checker: "current only grows", at: time,
                what: "node \(member.node) went from round \(known.round) to \(plan.ballot.round)")
        }
        ballots[key] = plan.ballot
    }
}
