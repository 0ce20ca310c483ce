import TesseraCore

/// Links as data: who is connected with whom, what is cut, what is lost and how long it takes.
struct SimulatedNetwork {
    private struct Pair: Hashable {
        var low: NodeBoot
        var high: NodeBoot

        init(_ one: NodeBoot, _ other: NodeBoot) {
            low = min(one, other)
            high = max(one, other)
        }
    }

    private let lossPerMille: Int
    private let delayLeast: TimeSpan
    private let delayMost: TimeSpan
    private var random: SeededGenerator
    private var connections: Set<Pair> = []
    private var cuts: Set<[Int]> = []
    /// Messages of one connection stay in order.
    private var lastArrival: [NodeBoot: [NodeBoot: Timestamp]] = [:]

    init(_ scenario: Scenario) {
        lossPerMille = scenario.lossPerMille
        delayLeast = scenario.delayLeast
        delayMost = scenario.delayMost
        random = SeededGenerator(seed: scenario.seed).derived(name: "network")
    }

    mutating func draw(below bound: Int) -> Int { random.next(below: bound) }

    mutating func cut(_ one: Int, _ other: Int) { cuts.insert([one, other].sorted()) }
    mutating func heal() { cuts = [] }

    func isCut(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        cuts.contains(
            [SimulatedNode.index(of: one.node), SimulatedNode.index(of: other.node)].sorted())
    }

    func isConnected(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        connections.contains(Pair(one, other))
    }

    /// True if there was no connection before.
    mutating func connect(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        connections.insert(Pair(one, other)).inserted
    }

    /// True if there was a connection.
    mutating func disconnect(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        lastArrival[one]?[other] = nil
        lastArrival[other]?[one] = nil
        return connections.remove(Pair(one, other)) != nil
    }

    func peers(of member: NodeBoot) -> [NodeBoot] {
        connections.compactMap {
            $0.low == member ? $0.high : $0.high == member ? $0.low : nil
        }.sorted()
    }

    mutating func delay() -> TimeSpan {
        let spread = delayMost - delayLeast
        // A tail: one in sixteen takes up to four times as long.
        let factor: Int64 = random.chance(1, outOf: 16) ? 4 : 1
        return delayLeast
            + (spread > .zero ? random.next(below: spread) * factor : .zero)
    }

    /// When a message over a connection arrives; nil if nothing passes.
    mutating func arrival(
        from sender: NodeBoot, to receiver: NodeBoot, byteCount: Int, now: Timestamp
    ) -> Timestamp? {
        guard isConnected(sender, receiver), !isCut(sender, receiver) else { return nil }
        // 100 MB/s.
        let transfer = TimeSpan(nanoseconds: Int64(byteCount) * 10)
        let earliest = now + delay() + transfer
        let last = lastArrival[sender]?[receiver] ?? .zero
        let time = max(earliest, last)
        lastArrival[sender, default: [:]][receiver] = time
        return time
    }

    /// When a datagram arrives; nil if it is lost.
    mutating func datagramArrival(
        from sender: NodeBoot, to receiver: NodeBoot, now: Timestamp
    ) -> Timestamp? {
        guard !isCut(sender, receiver), !random.chance(lossPerMille, outOf: 1_000) else {
            return nil
        }
        return now + delay()
    }
}
