/// Counts who holds a payload, so that the shell is told exactly once that the core is done with it.
///
/// A payload begins with one holder. A slice that stays on this node is the same payload with one
/// holder more.
struct PayloadLedger: Hashable, Sendable {
    private var extraHolders: [PayloadID: Int] = [:]

    /// One holder more.
    mutating func retain(_ payload: PayloadID) {
        extraHolders[payload, default: 0] += 1
    }

    /// One holder less; true if it was the last one.
    mutating func release(_ payload: PayloadID) -> Bool {
        guard let extra = extraHolders[payload] else { return true }
        if extra == 1 {
            extraHolders.removeValue(forKey: payload)
        } else {
            extraHolders[payload] = extra - 1
        }
        return false
    }
}
