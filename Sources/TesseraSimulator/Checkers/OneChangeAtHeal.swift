import TesseraCore

/// When parts of a mesh meet again, each entry changes its plan at most once: from its part's to the
/// merged pool's.
///
/// Only for runs in which nothing but one split goes wrong: any other trouble may be a reason for
/// another plan.
struct OneChangeAtHeal {
    /// Shorter than a node that was away is left unused: its return to use is a change of its own.
    static let span = TimeSpan.seconds(8)

    private struct Key: Hashable {
        var member: NodeBoot
        var manifest: ManifestID
    }
    private var healedAt: Timestamp?
    private var changes: [Key: Int] = [:]

    /// Everybody can reach everybody from now on.
    mutating func onHealed(at time: Timestamp) { healedAt = time }

    mutating func onDecided(
        _ plan: Plan, by member: NodeBoot, at time: Timestamp
    ) throws(Violation) {
        guard let healedAt, time - healedAt < Self.span else { return }
        let key = Key(member: member, manifest: plan.manifest)
        changes[key, default: 0] += 1
        guard let count = changes[key], count > 1 else { return }
        throw Violation(
            checker: "one plan change at a heal", at: time,
            what: "node \(member.node) changed its plan \(count) times within "
                + "\((time - healedAt).milliseconds) ms after the healing")
    }
}
