/// How many attempts an entry may add because a clock ran out.
///
/// Slowness often has one cause for many requests. Were each of them tried once more, a busy mesh
/// would get twice the work when it can do it least. So clocks may add a tenth of what is dispatched
/// anyway; what is beyond that waits for its first attempt. Proven losses are not counted.
struct RetryBudget: Sendable {
    /// Attempts that may be added for each hundred that are dispatched.
    static let sharePercent = 10
    /// So many may always be added within the window: of few dispatches a tenth is none.
    static let retriesLeast = 3
    /// The window is so many turns long.
    private static let turns = 10
    private static let turn = TimeSpan.seconds(1)

    private var dispatches = [Int](repeating: 0, count: Self.turns)
    private var retries = [Int](repeating: 0, count: Self.turns)
    /// Turns since the clock's origin, of the newest entry.
    private var current: Int64 = 0

    /// An attempt was dispatched, for whatever reason.
    mutating func onDispatch(now: Timestamp) {
        dispatches[place(now)] += 1
    }

    /// Takes one retry if there is one left.
    mutating func take(now: Timestamp) -> Bool {
        let place = place(now)
        let allowed = dispatches.reduce(0, +) * Self.sharePercent / 100
        guard retries.reduce(0, +) < max(Self.retriesLeast, allowed) else { return false }
        retries[place] += 1
        return true
    }

    /// The place of this moment, after what is older than the window was forgotten.
    private mutating func place(_ now: Timestamp) -> Int {
        let turn = max(current, now.nanoseconds / Self.turn.nanoseconds)
        for passed in 0..<min(turn - current, Int64(Self.turns)) {
            let place = Int((turn - passed) % Int64(Self.turns))
            dispatches[place] = 0
            retries[place] = 0
        }
        current = turn
        return Int(turn % Int64(Self.turns))
    }
}
