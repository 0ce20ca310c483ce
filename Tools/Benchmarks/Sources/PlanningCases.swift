import TesseraCore

extension SeededGenerator {
    /// A number within a range.
    mutating func next(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + next(below: range.count)
    }
}

/// A kind of planning problem.
struct PlanningCase {
    /// What is asked for.
    enum Wish {
        /// The shortest period.
        case throughput
        /// The lowest latency.
        case latency
        /// The least energy per item.
        case energy
        /// The shortest period with a latency of at most twice that of the best node alone.
        case throughputWithinLatency
        /// The lowest latency with a period of at most a third of that of the best node alone.
        case latencyWithinPeriod
        /// The front of period, latency and energy.
        case front
    }

    var name: String
    /// How many nodes there are of each kind.
    var kinds: [Int]
    var pieces: Int
    var modes: ModeSet
    var wish = Wish.throughput
    /// Whether each pair of nodes has a link of its own rate, and requests come in at one node.
    var hasOwnLinks = false

    static let all = [
        different(12, 100, .single), different(16, 200, .single),
        PlanningCase(
            name: "64 nodes of 4 kinds × 200, single", kinds: [16, 16, 16, 16], pieces: 200,
            modes: .single),
        different(8, 100, .all), different(8, 200, .all), different(12, 100, .all),
        PlanningCase(
            name: "16 equal nodes × 100, all modes", kinds: [16], pieces: 100, modes: .all),
        PlanningCase(
            name: "64 nodes of 4 kinds × 200, all modes", kinds: [16, 16, 16, 16], pieces: 200,
            modes: .all),
        different(8, 100, .all, .latency, ", latency"),
        different(16, 100, .all, .throughput, ", own links"),
        different(16, 100, .all, .latency, ", own links, latency"),
        different(16, 100, .all, .energy, ", own links, energy"),
        different(
            16, 100, .all, .throughputWithinLatency, ", own links, throughput within a latency"),
        different(16, 100, .all, .latencyWithinPeriod, ", own links, latency within a period"),
        different(16, 100, .all, .front, ", own links, front"),
    ]

    private static func different(
        _ nodes: Int, _ pieces: Int, _ modes: ModeSet, _ wish: Wish = .throughput,
        _ more: String = ""
    ) -> PlanningCase {
        let text = modes == .single ? "single" : "all modes"
        return PlanningCase(
            name: "\(nodes) different nodes × \(pieces), \(text)\(more)",
            kinds: Array(repeating: 1, count: nodes), pieces: pieces, modes: modes, wish: wish,
            hasOwnLinks: more.contains("own links"))
    }

    /// The goal for a space.
    func goal(_ space: PlanSpace) -> PlanGoal {
        let local = PlanSearch(space, modes: .single).baseline(.local)
        var goal = PlanGoal()
        switch wish {
        case .throughput, .front: break
        case .latency: goal.objective = .latency
        case .energy: goal.objective = .energy
        case .throughputWithinLatency:
            goal.latencyNanosecondsMax = local.map { $0.latencyNanoseconds * 2 }
        case .latencyWithinPeriod:
            goal.objective = .latency
            goal.periodNanosecondsMax = local.map { $0.periodNanoseconds / 3 }
        }
        return goal
    }

    /// A made-up space: pieces of very different size, kinds whose speeds differ by up to four and
    /// by a fifth more from piece to piece, links of 1 Gbit/s; the first four fifths have rows.
    func space(seed: UInt64) -> PlanSpace {
        var random = SeededGenerator(seed: seed)
        let count = pieces + 1
        let works = (0..<pieces).map { _ in random.next(in: 200_000...4_000_000) }
        let crossing = (0..<count).map { _ in random.next(in: 20_000...1_200_000) }
        let empty = [Int](repeating: 0, count: count * count)
        var times: [[Int]] = []
        var excess: [[Int]] = []
        for nodes in kinds {
            let speed = random.next(in: 50...200)
            let own = works.map { $0 * random.next(in: 80...120) / speed }
            var (time, more) = (empty, empty)
            for from in 0..<pieces {
                var sum = 40_000
                for to in (from + 1)..<count {
                    sum += own[to - 1]
                    time[from * count + to] = sum
                    more[from * count + to] = (sum - own[to - 1]) / 30
                }
            }
            times += Array(repeating: time, count: nodes)
            excess += Array(repeating: more, count: nodes)
        }
        var rows = PlanSpace.RowFigures(
            counts: empty, haloBytes: empty, overheads: empty.map { _ in 30_000 }, excess: excess)
        for from in 0..<pieces {
            for to in (from + 1)..<count where to <= pieces * 4 / 5 {
                rows.counts[from * count + to] = max(7, 224 >> (to * 5 / pieces))
                rows.haloBytes[from * count + to] = (to - from) * 10_000
            }
        }
        let nodes = times.indices.map { index in
            PlanSpace.Node(
                name: "node-\(index)", memoryBytes: 1 << 30,
                milliwatts: hasOwnLinks ? random.next(in: 3_000...60_000) : nil)
        }
        let links = (0..<(nodes.count * nodes.count)).map { _ in
            PlanSpace.Link(
                bitsPerSecond: hasOwnLinks
                    ? random.next(in: 100...1_000) * 1_000_000 : 1_000_000_000,
                latencyNanoseconds: hasOwnLinks ? random.next(in: 100_000...2_000_000) : 200_000)
        }
        return PlanSpace(
            nodes: nodes, pieceNames: (0..<pieces).map { "piece-\($0)" }, nanoseconds: times,
            stageBytes: empty.map { _ in 1_000 }, crossingBytes: crossing, links: links,
            entry: hasOwnLinks ? 0 : nil, rows: rows)
    }
}
