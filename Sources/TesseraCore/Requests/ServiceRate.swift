/// How many requests of a model this entry gets answered per second while some are waiting.
///
/// A rate is known only from whole seconds in which the queue was never empty: an idle entry answers
/// little because it is asked little. Of those the best one counts, since a second in which a plan
/// changed says nothing of what the mesh can do.
struct ServiceRate: Sendable {
    /// So many past seconds are looked at.
    private static let turns = 10
    private static let turn = TimeSpan.seconds(1)
    /// Fewer seconds with answers may be those right after a loss.
    private static let turnsLeast = 3

    private var answers = [Int](repeating: 0, count: Self.turns)
    private var isBusy = [Bool](repeating: false, count: Self.turns)
    /// Turns since the clock's origin, of the newest entry.
    private var current: Int64 = 0
    private var isWaiting = false

    /// A request was answered.
    mutating func onAnswer(now: Timestamp) {
        answers[place(now)] += 1
    }

    /// The queue is empty or not.
    mutating func note(isWaiting: Bool, now: Timestamp) {
        let place = place(now)
        if !isWaiting { isBusy[place] = false }
        self.isWaiting = isWaiting
    }

    /// Answers per second; nil if nothing is known.
    mutating func perSecond(now: Timestamp) -> Int? {
        let running = place(now)
        let known = answers.indices.filter { $0 != running && isBusy[$0] && answers[$0] > 0 }
        return known.count < Self.turnsLeast ? nil : known.map { answers[$0] }.max()
    }

    /// The place of this moment, after what is older was forgotten.
    private mutating func place(_ now: Timestamp) -> Int {
        let turn = max(current, now.nanoseconds / Self.turn.nanoseconds)
        for passed in 0..<min(turn - current, Int64(Self.turns)) {
            let place = Int((turn - passed) % Int64(Self.turns))
            answers[place] = 0
            isBusy[place] = isWaiting
        }
        current = turn
        return Int(turn % Int64(Self.turns))
    }
}
