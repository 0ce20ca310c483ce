/// How long this node's fragments take, measured from every run.
///
/// The figure that leaves is the lower quartile of the last runs: other work on the machine only ever
/// makes a run longer, and what slows all of them down counts. Runs that all take much longer or
/// much shorter than what was told are told at once.
struct FragmentClock: Sendable {
    private struct Samples {
        var values: [Int64] = []
        var next = 0
        var sinceTold = 0
        var told: Int64 = 0
        /// Runs in a row that were far from what was told, all on one side of it.
        var astray: [Int64] = []
    }

    /// The runs whose quartile counts.
    private static let window = 16
    /// So many runs are measured between two looks at it.
    private static let period = 8
    /// A change by one in so many is told: plans are to be right within a tenth.
    private static let toldPart: Int64 = 25
    /// So many runs in a row that are off by a quarter, all to one side, are no accident.
    private static let astrayMax = 3
    private static let astrayPart: Int64 = 4
    /// Models change their plans rarely; this bounds what a long life collects.
    private static let fragmentsMax = 1_024

    private var samples: [FragmentKey: Samples] = [:]

    /// Notes a run.
    ///
    /// Gives the time to tell others when it is new or has changed.
    mutating func onRun(_ key: FragmentKey, microseconds: Int64) -> FragmentTime? {
        if samples[key] == nil, samples.count >= Self.fragmentsMax { return nil }
        var held = samples[key] ?? Samples()
        defer { samples[key] = held }
        let value = max(1, microseconds)
        if Self.isAstray(value, &held) {
            // What came before was measured under other conditions.
            held.values = held.astray
            held.next = 0
            held.sinceTold = Self.period
        } else if held.values.count < Self.window {
            held.values.append(value)
        } else {
            held.values[held.next] = value
            held.next = (held.next + 1) % Self.window
        }
        held.sinceTold += 1
        guard held.sinceTold >= Self.period else { return nil }
        held.sinceTold = 0
        let quartile = held.values.sorted()[held.values.count / 4]
        guard abs(quartile - held.told) * Self.toldPart > held.told else { return nil }
        held.told = quartile
        held.astray = []
        return FragmentTime(key: key, microseconds: quartile)
    }

    /// The node's speed changed by a known factor: what was measured is worth `old / new` of it now.
    mutating func onSpeed(from old: UInt64, to new: UInt64) {
        for (key, held) in samples {
            var scaled = held
            scaled.values = held.values.map { Self.scaled($0, from: old, to: new) }
            scaled.told = Self.scaled(held.told, from: old, to: new)
            scaled.astray = []
            samples[key] = scaled
        }
    }

    /// A time as it is at another speed, at least 1.
    static func scaled(_ microseconds: Int64, from old: UInt64, to new: UInt64) -> Int64 {
        guard microseconds > 0 else { return microseconds }
        let product = UInt128(microseconds) * UInt128(old) / UInt128(max(new, 1))
        return max(1, Int64(clamping: min(product, UInt128(Int64.max / 4))))
    }

    private static func isAstray(_ value: Int64, _ held: inout Samples) -> Bool {
        let isFar = held.told > 0 && abs(value - held.told) * astrayPart > held.told
        guard isFar, held.astray.allSatisfy({ ($0 > held.told) == (value > held.told) }) else {
            held.astray = isFar ? [value] : []
            return false
        }
        held.astray.append(value)
        return held.astray.count >= astrayMax
    }
}
