import TesseraCore

/// Under stationary noise plans stay: a bounded number of plan changes after the mesh agreed.
struct NoFlapping {
    /// Changes of one node's plan of one model that a settled mesh may see in `span`: one when a node
    /// that flapped may be used again, one when measurements of the new plan have come in.
    static let changesMax = 2
    static let span = TimeSpan.seconds(10)

    private struct Key: Hashable {
        var member: NodeBoot
        var manifest: ManifestID
    }
    private var settledAt = Timestamp.never
    private var changes: [Key: [Timestamp]] = [:]

    /// From now on nothing happens that would be a reason for another plan.
    mutating func onSettled(at time: Timestamp) { settledAt = time }

    mutating func onDecided(
        _ plan: Plan, by member: NodeBoot, at time: Timestamp
    ) throws(Violation) {
        guard time >= settledAt else { return }
        let key = Key(member: member, manifest: plan.manifest)
        let recent = (changes[key] ?? []).filter { time - $0 < Self.span } + [time]
        changes[key] = recent
        guard recent.count > Self.changesMax else { return }
        throw Violation(
            checker: "no flapping", at: time,
            what: "node \(member.node) changed its plan \(recent.count) times in "
                + "\(Self.span.milliseconds) ms although nothing happened")
    }
}
