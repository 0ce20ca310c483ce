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

    /// What became of a message that was handed to a connection.
    enum Fate {
        /// It arrives then, if the connection is still this one.
        case arrives(Timestamp, connection: Int)
        /// The link is cut; it arrives some time after it is mended, if the connection is still this
        /// one.
        case waits(connection: Int)
        /// There is no connection.
        case lost
    }

    private let directory: NodeDirectory
    private let lossPerMille: Int
    private let delayLeast: TimeSpan
    private let delayMost: TimeSpan
    private var random: SeededGenerator
    /// Each connection has a number: what was sent over one never comes out of a later one.
    private var connections: [Pair: Int] = [:]
    private var nextConnection = 1
    private var cuts: Set<[Int]> = []
    /// Messages of one connection stay in order.
    private var lastArrival: [NodeBoot: [NodeBoot: Timestamp]] = [:]

    init(_ scenario: Scenario, directory: NodeDirectory) {
        self.directory = directory
        lossPerMille = scenario.lossPerMille
        delayLeast = scenario.delayLeast
        delayMost = scenario.delayMost
        random = SeededGenerator(seed: scenario.seed).derived(name: "network")
    }

    mutating func draw(below bound: Int) -> Int { random.next(below: bound) }

    mutating func cut(_ one: Int, _ other: Int) { cuts.insert([one, other].sorted()) }
    mutating func heal() { cuts = [] }

    func isCut(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        guard !cuts.isEmpty, let first = directory.index(of: one.node),
            let second = directory.index(of: other.node)
        else { return false }
        return cuts.contains([first, second].sorted())
    }

    /// The number of the connection; nil if there is none.
    func connection(_ one: NodeBoot, _ other: NodeBoot) -> Int? { connections[Pair(one, other)] }

    /// True if there was no connection before.
    mutating func connect(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        guard connections[Pair(one, other)] == nil else { return false }
        connections[Pair(one, other)] = nextConnection
        nextConnection += 1
        return true
    }

    /// True if there was a connection.
    mutating func disconnect(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        lastArrival[one]?[other] = nil
        lastArrival[other]?[one] = nil
        return connections.removeValue(forKey: Pair(one, other)) != nil
    }

    func peers(of member: NodeBoot) -> [NodeBoot] {
        connections.keys.compactMap {
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

    /// What becomes of a message over a connection.
    mutating func fate(
        from sender: NodeBoot, to receiver: NodeBoot, byteCount: Int, now: Timestamp
    ) -> Fate {
        guard let connection = connection(sender, receiver) else { return .lost }
        if isCut(sender, receiver) { return .waits(connection: connection) }
        // 100 MB/s.
        let transfer = TimeSpan(nanoseconds: Int64(byteCount) * 10)
        let earliest = now + delay() + transfer
        let last = lastArrival[sender]?[receiver] ?? .zero
        let time = max(earliest, last)
        lastArrival[sender, default: [:]][receiver] = time
        return .arrives(time, connection: connection)
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
