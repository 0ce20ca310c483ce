/// The stages of least latency, or of least energy, where a node may serve several of them and
/// memory does not count: a shortest path over position and last option.
struct ShortestStages {
    private let costs: SpaceCosts
    private let table: StageOptions
    private let countsLatency: Bool
    private let stride: Int
    /// Times per byte and before the first byte, by option before and option behind.
    private var rates: [LinkRate] = []
    private var latencies: [Int] = []
    /// By position and option that ends there: the least sum, and where it comes from.
    private var sums: [Int]
    private var starts: [Int32]
    private var befores: [Int32]

    private var space: PlanSpace { costs.space }

    /// A search over options without replicas.
    init(_ costs: SpaceCosts, table: StageOptions, countsLatency: Bool) {
        self.costs = costs
        self.table = table
        self.countsLatency = countsLatency
        stride = costs.space.positionCount
        let count = table.options.count
        sums = Array(repeating: SpaceCosts.infeasible, count: stride * count)
        starts = Array(repeating: -1, count: stride * count)
        befores = starts
        guard countsLatency else { return }
        rates.reserveCapacity(count * count)
        latencies.reserveCapacity(count * count)
        let shares = table.options.map { costs.shares(of: $0.nodes) }
        for (source, one) in table.options.enumerated() {
            for (target, other) in table.options.enumerated() {
                rates.append(
                    costs.cutRate(
                        from: one.nodes, shares[source], to: other.nodes, shares[target]))
                latencies.append(costs.cutLatency(from: one.nodes, to: other.nodes))
            }
        }
    }

    /// The best stages with a sum of at most `limit`; nil if there are none.
    consuming func best(within limit: Int?) -> [PlanSketch.Stage]? {
        let limit = limit ?? SpaceCosts.infeasible - 1
        let count = table.options.count
        for from in 0..<space.end {
            let ways = (0..<count).filter { sums[from * count + $0] <= limit }
                .sorted { (sums[from * count + $0], $0) < (sums[from * count + $1], $1) }
            for option in 0..<count {
                var (arrival, before) = (SpaceCosts.infeasible, -1)
                if from == 0 {
                    arrival = entryTime(option, isStart: true)
                } else if let first = ways.first, !countsLatency {
                    (arrival, before) = (sums[from * count + first], first)
                } else {
                    let bytes = space.crossingBytes[from]
                    for way in ways {
                        let sum = sums[from * count + way]
                        guard sum < arrival else { break }
                        let slot = way * count + option
                        let time = sum + rates[slot].nanoseconds(bytes) + latencies[slot]
                        if time < arrival { (arrival, before) = (time, way) }
                    }
                }
                guard arrival <= limit else { continue }
                extend(option, from: from, sum: arrival, before: before, limit: limit)
            }
        }
        return stages(within: limit)
    }

    private mutating func extend(_ option: Int, from: Int, sum: Int, before: Int, limit: Int) {
        let count = table.options.count
        for to in (from + 1)...space.end {
            let time = table.time(option, from, to)
            guard time < SpaceCosts.infeasible else { continue }
            let value = sum + (countsLatency ? time : table.nanojoules(option, from, to))
            let slot = to * count + option
            guard value <= limit, value < sums[slot] else { continue }
            sums[slot] = value
            starts[slot] = Int32(from)
            befores[slot] = Int32(before)
        }
    }

    /// Time from the entry to an option, or back.
    private func entryTime(_ option: Int, isStart: Bool) -> Int {
        guard countsLatency, let entry = space.entry else { return 0 }
        let one = table.options[option]
        return isStart
            ? costs.passage(
                from: [entry], .single, to: one.nodes, one.mode, bytes: space.crossingBytes[0])
            : costs.passage(
                from: one.nodes, one.mode, to: [entry], .single,
                bytes: space.crossingBytes[space.end])
    }

    private func stages(within limit: Int) -> [PlanSketch.Stage]? {
        let count = table.options.count
        var best: (sum: Int, option: Int)?
        for option in 0..<count {
            let held = sums[space.end * count + option]
            guard held <= limit else { continue }
            let sum = held + entryTime(option, isStart: false)
            if sum <= limit, sum < best?.sum ?? SpaceCosts.infeasible { best = (sum, option) }
        }
        guard var option = best?.option else { return nil }
        var result: [PlanSketch.Stage] = []
        var to = space.end
        while to > 0 {
            let slot = to * count + option
            let from = Int(starts[slot])
            result.append(table.stage(option, nodes: table.options[option].nodes, from, to))
            (option, to) = (Int(befores[slot]), from)
        }
        return result.reversed()
    }
}
