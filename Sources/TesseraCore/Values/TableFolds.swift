/// Folds of a table by ranges of node identities: two nodes compare a few of these instead of the
/// tables, and tell each other only the ranges that differ.
struct TableFolds {
    /// The most ranges: a message of all folds stays at two kilobytes.
    static let countMax = 256
    /// Entries per range: more make a difference dear, fewer the comparison.
    private static let entriesPerRange = 16

    /// By range.
    private(set) var values: [UInt64]

    /// Begins with so many ranges, a power of two.
    init(count: Int) { values = .init(repeating: 0, count: count) }

    /// How many ranges suit so many entries.
    static func count(for entries: Int) -> Int {
        var count = 1
        while count < countMax, count * entriesPerRange < entries { count *= 2 }
        return count
    }

    /// Whether a peer's folds can be compared with.
    static func isLegal(count: Int) -> Bool {
        count >= 1 && count <= countMax && count & (count - 1) == 0
    }

    /// The range of a node, of so many.
    static func range(of node: NodeID, count: Int) -> Int {
        Int(truncatingIfNeeded: node.words.0 >> 32) & (count - 1)
    }

    /// Adds what is known of one run of a node; the order does not matter.
    mutating func add(_ member: NodeBoot, _ figure: UInt64) {
        var hash = Self.mixed(member.node.words.0 ^ member.boot.counter &* 0x9E37_79B9_7F4A_7C15)
        hash = Self.mixed(hash ^ member.boot.random)
        values[Self.range(of: member.node, count: values.count)] &+= Self.mixed(hash ^ figure)
    }

    /// For each range, whether a peer's fold is another one.
    func differing(from other: [UInt64]) -> [Bool] { zip(values, other).map { $0 != $1 } }

    /// A number that tells nothing of the one it is made of.
    static func mixed(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
