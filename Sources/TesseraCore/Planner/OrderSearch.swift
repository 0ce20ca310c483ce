/// Good plans where there are too many sets of nodes to try them all: groups are runs of an order of
/// the nodes (planning.md §4a, algorithm 4), and a local search looks for a better order.
///
/// For one order the least period is exact, by dynamic programming over the run that comes last:
///
///     arrive[run][i] = min over runs e before it of max(best[e][i], cut(e, run, i))
///     best[run][j]   = min over i < j of max(arrive[run][i], stage(run, i, j))
///
/// A run of one node may follow any node before it; a longer one, or one behind a longer one, begins
/// where the last ends. Nodes that are of no use stand at the end of the order.
struct OrderSearch {
    /// How much work one search may do, in steps of the recurrence: bounds planning time.
    static let workMax = 100_000_000
    /// The longest run: larger groups seldom help, and cost time.
    static let runMax = 8

    private let costs: SpaceCosts
    private let modes: ModeSet
    private var times: RunTimes
    private var work = 0

    private var space: PlanSpace { costs.space }
    private var singlesOnly: Bool { modes.isDisjoint(with: [.replicas, .rows]) }

    /// A search over a space; stages that take longer than `limit` are of no use.
    init(_ costs: SpaceCosts, modes: ModeSet, limit: Int) {
        self.costs = costs
        self.modes = modes
        times = RunTimes(costs, modes: modes, rowsSizeMax: 4, limit: limit)
    }

    private struct Run {
        var start: Int
        var end: Int
        var nodes: [Int]
        var shares: [Int]
        /// By end position: the least period, and what it comes from.
        var best: [Int]
        var stageFrom: [Int]
        /// By start position: the run before.
        var before: [Int]
    }

    /// A plan with its period and the order that it came from.
    struct Found {
        var period: Int
        var stages: [PlanSketch.Stage]
        var order: [Int]
    }

    /// The least period over one order; nil if nothing fits.
    mutating func optimum(order: [Int]) -> Found? {
        let stride = space.positionCount
        var runs: [Run] = []
        let longest = singlesOnly ? 1 : min(Self.runMax, order.count)
        for start in order.indices {
            for end in (start + 1)...min(start + longest, order.count) {
                let nodes = Array(order[start..<end])
                var run = Run(
                    start: start, end: end, nodes: nodes, shares: costs.shares(of: nodes),
                    best: Array(repeating: SpaceCosts.infeasible, count: stride),
                    stageFrom: Array(repeating: -1, count: stride),
                    before: Array(repeating: -1, count: stride))
                fill(&run, after: runs)
                runs.append(run)
            }
        }
        var best = SpaceCosts.infeasible
        var last = -1
        for (index, run) in runs.enumerated() where run.best[space.end] < SpaceCosts.infeasible {
            let exit = costs.exitRate(from: run.nodes, run.shares)
                .nanoseconds(space.crossingBytes[space.end])
            let period = max(run.best[space.end], exit)
            if period < best { (best, last) = (period, index) }
        }
        guard last >= 0 else { return nil }
        var stages: [PlanSketch.Stage] = []
        var to = space.end
        while to > 0 {
            let run = runs[last]
            let from = run.stageFrom[to]
            stages.append(PlanSketch.Stage(nodes: run.nodes, from: from, to: to))
            last = run.before[from]
            to = from
        }
        return Found(period: best, stages: stages.reversed(), order: order)
    }

    private mutating func fill(_ run: inout Run, after runs: [Run]) {
        let stride = space.positionCount
        var arrive = [Int](repeating: SpaceCosts.infeasible, count: stride)
        arrive[0] = costs.entryRate(to: run.nodes, run.shares).nanoseconds(space.crossingBytes[0])
        for (index, other) in runs.enumerated() where other.end <= run.start {
            let isDirect = other.end == run.start
            guard isDirect || (run.nodes.count == 1 && other.nodes.count == 1) else { continue }
            let rate = costs.cutRate(
                from: other.nodes, other.shares, to: run.nodes, run.shares)
            for position in 1..<max(space.end, 1) where other.best[position] < arrive[position] {
                let value = max(
                    other.best[position], rate.nanoseconds(space.crossingBytes[position]))
                if value < arrive[position] {
                    arrive[position] = value
                    run.before[position] = index
                }
            }
            work += stride
        }
        let table = times.table(of: run.nodes)
        for from in 0..<space.end where arrive[from] < SpaceCosts.infeasible {
            for to in (from + 1)..<stride {
                let value = max(arrive[from], table[from * stride + to])
                if value < run.best[to] {
                    run.best[to] = value
                    run.stageFrom[to] = from
                }
            }
        }
        work += stride * stride / 2
    }

    /// The best plan that a bounded local search finds.
    ///
    /// It swaps two places of an order or moves one, from each start, the best one first.
    mutating func search(starts: [[Int]]) -> Found? {
        var found: [Found] = []
        for start in starts where !found.contains(where: { $0.order == start }) {
            if let one = optimum(order: start) { found.append(one) }
        }
        let ranked = found.indices.sorted { (found[$0].period, $0) < (found[$1].period, $1) }
        guard let first = ranked.first else { return nil }
        var best = found[first]
        for start in ranked {
            let local = descend(from: found[start])
            if local.period < best.period { best = local }
        }
        return best
    }

    /// Takes the first better neighbour until there is none or enough was tried.
    private mutating func descend(from start: Found) -> Found {
        var held = start
        var improved = true
        while improved {
            improved = false
            for neighbour in neighbours(of: held.order) {
                guard work + times.work < Self.workMax else { return held }
                guard let found = optimum(order: neighbour), found.period < held.period
                else { continue }
                held = found
                improved = true
                break
            }
        }
        return held
    }

    /// Orders that differ in one swap or move of nodes of different kinds.
    private func neighbours(of order: [Int]) -> [[Int]] {
        var result: [[Int]] = []
        let kinds = space.kinds
        for distance in stride(from: 1, to: order.count, by: 1) {
            for place in 0..<(order.count - distance) {
                guard kinds[order[place]] != kinds[order[place + distance]] else { continue }
                var swapped = order
                swapped.swapAt(place, place + distance)
                result.append(swapped)
                guard distance > 1 else { continue }
                var moved = order
                moved.insert(moved.remove(at: place), at: place + distance)
                result.append(moved)
            }
        }
        return result
    }

    /// Orders worth starting from: by speed both ways, by node, from the entry along the best links,
    /// and from the fastest node along them.
    func starts() -> [[Int]] {
        let nodes = Array(space.nodes.indices)
        let bySpeed = nodes.sorted { (-space.speeds[$0], $0) < (-space.speeds[$1], $1) }
        var result = [bySpeed, bySpeed.reversed(), nodes]
        if let fastest = bySpeed.first { result.append(alongLinks(from: fastest, rest: bySpeed)) }
        if let entry = space.entry { result.append(alongLinks(from: entry, rest: bySpeed)) }
        return result
    }

    private func alongLinks(from first: Int, rest nodes: [Int]) -> [Int] {
        let count = space.nodes.count
        var here = first
        var rest = nodes.filter { $0 != first }
        var path = [first]
        while !rest.isEmpty {
            var best = 0
            for place in rest.indices.dropFirst() {
                let held = here * count + rest[best]
                let other = here * count + rest[place]
                let heldKey = (space.rates[held].fixedPoint, space.latencies[held])
                let otherKey = (space.rates[other].fixedPoint, space.latencies[other])
                if otherKey < heldKey { best = place }
            }
            here = rest.remove(at: best)
            path.append(here)
        }
        return path
    }
}
