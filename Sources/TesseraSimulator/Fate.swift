import TesseraCore

/// Chance that belongs to one thing: what becomes of a message, a compilation or an announcement
/// depends on the seed and on that thing's own name alone.
///
/// So a fault that is taken out of a scenario leaves the fate of everything else as it was, and a
/// scenario can be shrunk.
struct Fate {
    /// What a fate is for: things of different kinds share no chance.
    enum Kind: UInt64 {
        case datagram = 1
        case message
        case slice
        case blob
        case dial
        case compile
        case planning
        case discovery
        case boot
        case fault
        case workload
        case measuring
        case packing
    }

    private var state: UInt64

    /// The fate of the thing of this kind with these numbers.
    init(seed: UInt64, _ kind: Kind, _ first: Int = 0, _ second: Int = 0, _ number: UInt64 = 0) {
        state = Self.mix(seed ^ kind.rawValue &* 0x9E37_79B9_7F4A_7C15)
        state = Self.mix(state ^ UInt64(truncatingIfNeeded: first) << 32 ^ UInt64(second))
        state = Self.mix(state ^ number)
    }

    /// Sixty-four bits (splitmix64).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// A number in `0..<bound`.
    mutating func next(below bound: Int) -> Int {
        Int((next() & 0xFFFF_FFFF).multipliedFullWidth(by: UInt64(max(bound, 1)) << 32).high)
    }

    /// True in so many of a thousand cases.
    mutating func chance(perMille: Int) -> Bool { perMille > 0 && next(below: 1_000) < perMille }

    /// A span between two.
    mutating func span(_ least: TimeSpan, _ most: TimeSpan) -> TimeSpan {
        guard most > least else { return least }
        let range = UInt64((most - least).nanoseconds)
        return least + TimeSpan(nanoseconds: Int64(next().multipliedFullWidth(by: range).high))
    }

    /// A span with an exponential tail, without floating point: each doubling of the probability's
    /// denominator adds one mean.
    mutating func tail(mean: TimeSpan) -> TimeSpan {
        let doublings = Int64(next().leadingZeroBitCount)
        return mean * doublings + span(.zero, mean)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
