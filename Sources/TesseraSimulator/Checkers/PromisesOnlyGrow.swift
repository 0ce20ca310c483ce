import TesseraCore

/// What a run promised binds it for as long as it lives: it promises nothing lower and accepts
/// nothing below, whatever its view is.
struct PromisesOnlyGrow {
    private struct Key: Hashable {
        var member: NodeBoot
        var manifest: ManifestID
    }
    private var highest: [Key: Ballot] = [:]

    /// A run's register, or its word to a proposer, promises or accepts under this ballot.
    mutating func onBound(
        _ ballot: Ballot, _ member: NodeBoot, _ manifest: ManifestID, by what: String,
        at time: Timestamp
    ) throws(Violation) {
        let key = Key(member: member, manifest: manifest)
        if let known = highest[key] {
            guard ballot >= known else {
                throw Violation(
                    checker: "promises only grow", at: time,
                    what: "\(what) of node \(member.node) is for round \(ballot.round), after a "
                        + "promise for round \(known.round)")
            }
            guard ballot > known else { return }
        }
        highest[key] = ballot
    }
}
