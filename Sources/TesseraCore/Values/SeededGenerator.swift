/// The one source of chance in the core: xoshiro256**, seeded by splitmix64.
///
/// The same seed gives the same numbers on every machine, and nothing here uses floating point.
public struct SeededGenerator: RandomNumberGenerator, Hashable, Sendable {
    /// What the generator was made from; `derived(name:)` starts from it.
    public let seed: UInt64
    private var first: UInt64
    private var second: UInt64
    private var third: UInt64
    private var fourth: UInt64

    /// Makes the generator with this seed.
    public init(seed: UInt64) {
        self.seed = seed
        var mixer = seed
        first = Self.splitMix(&mixer)
        second = Self.splitMix(&mixer)
        third = Self.splitMix(&mixer)
        fourth = Self.splitMix(&mixer)
    }

    /// Sixty-four random bits (Blackman and Vigna, xoshiro256**).
    public mutating func next() -> UInt64 {
        let result = Self.rotate(second &* 5, by: 7) &* 9
        let shifted = second << 17
        third ^= first
        fourth ^= second
        second ^= third
        first ^= fourth
        third ^= shifted
        fourth = Self.rotate(fourth, by: 45)
        return result
    }

    /// A number in `0..<bound`, each equally likely.
    public mutating func next(below bound: Int) -> Int {
        invariant(bound > 0, "a random number below \(bound) was asked for")
        return Int(next(upperBound: UInt64(bound)))
    }

    /// A span in `.zero..<bound`.
    public mutating func next(below bound: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: Int64(next(below: Int(bound.nanoseconds))))
    }

    /// True with the probability `numerator / denominator`.
    public mutating func chance(_ numerator: Int, outOf denominator: Int) -> Bool {
        next(below: denominator) < numerator
    }

    /// Puts the elements into a random order (Fisher and Yates).
    public mutating func shuffle<Element>(_ elements: inout [Element]) {
        guard elements.count > 1 else { return }
        for last in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(last, next(below: last + 1))
        }
    }

    /// A random element; nil if there is none.
    public mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[next(below: elements.count)]
    }

    /// An independent generator that depends on the seed and the name only, so that drawing from one
    /// stream never shifts another.
    public func derived(name: String) -> SeededGenerator {
        // FNV-1a over the name: the standard library's hash differs from process to process.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        var mixer = seed ^ hash
        return SeededGenerator(seed: Self.splitMix(&mixer))
    }

    private static func splitMix(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    private static func rotate(_ value: UInt64, by count: UInt64) -> UInt64 {
        (value << count) | (value >> (64 - count))
    }
}
