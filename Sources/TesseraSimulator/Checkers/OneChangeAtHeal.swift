import TesseraCore

/// At a heal each entry changes its plan at most once: from its part's to the merged pool's.
///
/// An entry that had no plan changes none when it takes the other part's; neither does one whose
/// plan still was that of before the split, since a decision of its part may be on its way to it.
/// What a part decides before it sees anybody of the other one has nothing to do with the heal, also
/// for those who hear of it when they have.
///
/// Only for runs in which nothing but one split goes wrong, on devices with memory to spare: any
/// other trouble may be a reason for another plan, and so may memory that the plans of the parts
/// give back after the change.
struct OneChangeAtHeal {
    /// Shorter than a node that was away is left unused: its return to use is a change of its own.
    static let span = TimeSpan.seconds(8)

    private struct Key: Hashable {
        var member: NodeBoot
        var manifest: ManifestID
    }
    private var healedAt: Timestamp?
    private var side: (NodeBoot) -> Int? = { _ in nil }
    private var hosts: [Key: [NodeBoot]] = [:]
    private var stranded: Set<Key> = []
    private var changes: [Key: Int] = [:]
    /// Decided after the healing by somebody who saw nobody of another part yet.
    private var alone: Set<Ballot> = []

    /// Everybody can reach everybody from now on.
    ///
    /// - Parameters:
    ///   - time: The moment.
    ///   - side: The part in which a member was until now.
    mutating func onHealed(at time: Timestamp, side: @escaping (NodeBoot) -> Int?) {
        healedAt = time
        self.side = side
        for (key, hosts) in hosts {
            let own = side(key.member)
            if hosts.contains(where: { side($0) != own }) { stranded.insert(key) }
        }
    }

    /// A member follows a plan from now on, and sees these members alive.
    mutating func onDecided(
        _ plan: Plan, by member: NodeBoot, seeing alive: [NodeBoot], at time: Timestamp
    ) throws(Violation) {
        let key = Key(member: member, manifest: plan.manifest)
        let isFirst = hosts.updateValue(plan.hosts, forKey: key) == nil
        guard !isFirst, let healedAt, time - healedAt < Self.span else { return }
        guard alive.contains(where: { side($0) != side(member) }) else {
            alone.insert(plan.ballot)
            return
        }
        guard !alone.contains(plan.ballot) else { return }
        guard stranded.remove(key) == nil else { return }
        changes[key, default: 0] += 1
        guard let count = changes[key], count > 1 else { return }
        throw Violation(
            checker: "one plan change at a heal", at: time,
            what: "node \(member.node) changed its plan \(count) times within "
                + "\((time - healedAt).milliseconds) ms after the healing")
    }
}
