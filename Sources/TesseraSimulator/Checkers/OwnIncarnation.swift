import TesseraCore

/// Nobody returns from dead without a higher incarnation that it raised itself.
struct OwnIncarnation {
    private struct Key: Hashable {
        var observer: NodeBoot
        var member: NodeBoot
    }
    private var dead: [Key: UInt64] = [:]
    private var raised: [NodeBoot: UInt64] = [:]

    /// What a run says of itself now.
    mutating func onOwn(_ incarnation: UInt64, of member: NodeBoot) {
        raised[member] = max(raised[member] ?? 0, incarnation)
    }

    mutating func onSeen(
        _ sight: MemberSight, by observer: NodeBoot, at time: Timestamp
    ) throws(Violation) {
        let key = Key(observer: observer, member: sight.member)
        if sight.status >= .dead {
            dead[key] = sight.incarnation
            return
        }
        if let died = dead.removeValue(forKey: key), sight.incarnation <= died {
            throw Violation(
                checker: "nobody returns from dead", at: time,
                what: "node \(observer.node) sees \(sight.member.node) alive with incarnation "
                    + "\(sight.incarnation), which it died with")
        }
        guard sight.incarnation <= raised[sight.member] ?? 0 else {
            throw Violation(
                checker: "nobody returns from dead", at: time,
                what: "node \(observer.node) sees incarnation \(sight.incarnation) of "
                    + "\(sight.member.node), which never raised it so far")
        }
    }
}
