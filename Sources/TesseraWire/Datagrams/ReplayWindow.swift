/// Remembers which of the latest 1,024 counters were seen, so that no datagram counts twice
/// (RFC 6479: a ring of words, cleared as the window moves on).
struct ReplayWindow: Sendable {
    /// How far behind the newest counter a datagram may be: a LAN reorders by a few, a busy
    /// receiver's queues by some hundreds.
    static let counterCount: UInt64 = 1_024

    // One word more than the window needs: the newest word is never wholly in use.
    private static let wordCount: UInt64 = counterCount / 64 + 1
    private var words = [UInt64](repeating: 0, count: Int(wordCount))
    private var newest: UInt64 = 0

    /// Whether the counter is new: not seen, and not too old to tell.
    ///
    /// Counters begin with 1.
    func isNew(_ counter: UInt64) -> Bool {
        guard counter > 0 else { return false }
        if counter > newest { return true }
        guard newest - counter < Self.counterCount else { return false }
        return words[Self.index(of: counter)] & Self.bit(of: counter) == 0
    }

    /// Notes a counter that is new.
    mutating func insert(_ counter: UInt64) {
        if counter > newest {
            let steps = min(counter / 64 - newest / 64, Self.wordCount)
            for step in 0..<steps { words[Self.index(ofWord: counter / 64 - step)] = 0 }
            newest = counter
        }
        words[Self.index(of: counter)] |= Self.bit(of: counter)
    }

    private static func index(of counter: UInt64) -> Int { index(ofWord: counter / 64) }
    private static func index(ofWord word: UInt64) -> Int { Int(word % wordCount) }
    private static func bit(of counter: UInt64) -> UInt64 { 1 << (counter % 64) }
}
