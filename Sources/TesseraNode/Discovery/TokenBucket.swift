/// Lets so many things pass per second, with a burst of as many.
struct TokenBucket {
    /// How many per second, and how many at once.
    let perSecond: Int
    /// What may pass now, in thousandths.
    private var thousandths: Int
    /// When tokens were added last.
    private var updatedMilliseconds: UInt64

    /// Makes a full bucket.
    init(perSecond: Int, atMilliseconds now: UInt64) {
        self.perSecond = perSecond
        thousandths = perSecond * 1_000
        updatedMilliseconds = now
    }

    /// Takes one token; false if there is none.
    mutating func take(atMilliseconds now: UInt64) -> Bool {
        if now > updatedMilliseconds {
            // Above one second the bucket is full anyway; the bound keeps the product small.
            let passed = Int(min(now - updatedMilliseconds, 1_000))
            thousandths = min(thousandths + passed * perSecond, perSecond * 1_000)
            updatedMilliseconds = now
        }
        guard thousandths >= 1_000 else { return false }
        thousandths -= 1_000
        return true
    }
}
