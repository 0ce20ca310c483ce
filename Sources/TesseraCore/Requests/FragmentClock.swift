/// How long this node's fragments take, measured from every run.
///
/// The figure that leaves is the shortest of the last runs: other work on the machine only ever makes
/// a run longer.
struct FragmentClock: Sendable {
    private struct Samples {
        var values: [Int64] = []
        var next = 0
        var sinceTold = 0
        var told: Int64 = 0
    }

    private static let window = 32
    /// Models change their plans rarely; this bounds what a long life collects.
    private static let fragmentsMax = 1_024

    private var samples: [FragmentKey: Samples] = [:]

    /// Notes a run.
    ///
    /// Gives the time to tell others when it is new or has moved by a fifth.
    mutating func onRun(_ key: FragmentKey, microseconds: Int64) -> FragmentTime? {
        if samples[key] == nil, samples.count >= Self.fragmentsMax { return nil }
        var held = samples[key] ?? Samples()
        defer { samples[key] = held }
        if held.values.count < Self.window {
            held.values.append(microseconds)
        } else {
            held.values[held.next] = microseconds
            held.next = (held.next + 1) % Self.window
        }
        held.sinceTold += 1
        guard held.sinceTold >= Self.window else { return nil }
        held.sinceTold = 0
        let shortest = max(1, held.values.min() ?? 1)
        guard abs(shortest - held.told) * 5 > held.told else { return nil }
        held.told = shortest
        return FragmentTime(key: key, microseconds: shortest)
    }
}
