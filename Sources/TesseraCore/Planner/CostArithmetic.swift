/// Integer arithmetic of costs: rounds up, and saturates where absurd figures would overflow.
///
/// Figures come from other nodes' records, so no value of theirs may stop this one.
enum CostArithmetic {
    /// No single cost counts as more: about 17 minutes, so that a million of them can be added.
    static let nanosecondsMax = 1_000_000_000_000
    /// No count of bytes counts as more: 1 PiB, so that a thousand of them can be added.
    static let bytesMax = 1 << 50

    /// `value * numerator / denominator`, rounded up, at most `nanosecondsMax`.
    static func scaled(_ value: Int, by numerator: Int, over denominator: Int) -> Int {
        guard denominator > 0 else { return nanosecondsMax }
        guard value > 0, numerator > 0 else { return 0 }
        let product = UInt128(value) * UInt128(numerator)
        let divisor = UInt128(denominator)
        let quotient = product / divisor + (product % divisor == 0 ? 0 : 1)
        return Int(min(quotient, UInt128(nanosecondsMax)))
    }

    /// The nanoseconds that `count` things take at so many per microsecond.
    static func nanoseconds(_ count: UInt64, perMicrosecond rate: UInt64) -> Int {
        scaled(Int(clamping: count), by: 1_000, over: Int(clamping: rate))
    }

    /// Nanoseconds of a figure in microseconds; a negative one counts as none.
    static func nanoseconds(microseconds: Int64) -> Int {
        min(max(Int(clamping: microseconds), 0), nanosecondsMax / 1_000) * 1_000
    }

    /// Whole microseconds, rounded up.
    static func microseconds(_ nanoseconds: Int) -> Int64 {
        Int64(nanoseconds / 1_000 + (nanoseconds % 1_000 == 0 ? 0 : 1))
    }

    /// A count of bytes in its bounds.
    static func bytes(_ count: Int) -> Int { min(max(count, 0), bytesMax) }
}
