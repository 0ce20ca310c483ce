/// Pipelines whose nodes stand in a given order, any of which may be skipped (planning.md §4a,
/// algorithm 1, as a recurrence over the exact period instead of a search for it).
///
/// `best[d][j]` is the least period of a pipeline over a part of the order's first nodes that ends
/// with node `d` behind position `j`:
///
///     arrive[d][i] = min over e before d of max(best[e][i], link(e, d, i)),   arrive[d][0] = 0
///     best[d][j]   = min over i < j of max(arrive[d][i], stage(d, i, j))
struct OrderedSolver {
    /// How many orders are tried for one plan: bounds planning time for large meshes.
    static let evaluationsMax = 300

    private let table: StageTable

    /// A solver over a table.
    init(_ table: StageTable) { self.table = table }

    /// The least period over a fixed order, and a chain that reaches it; nil if nothing fits.
    func optimum(order: [Int]) -> (period: Int, chain: [ChainStep])? {
        let count = table.positionCount
        let unreached = StageTable.infeasible
        var best = [Int](repeating: unreached, count: order.count * count)
        var arriveFrom = [Int](repeating: -1, count: order.count * count)
        var stageFrom = [Int](repeating: -1, count: order.count * count)
        for place in order.indices {
            let node = order[place]
            for from in 0..<table.end {
                var arrive = from == 0 ? 0 : unreached
                for before in 0..<place where from > 0 {
                    let value = max(
                        best[before * count + from], table.link(order[before], node, from))
                    if value < arrive {
                        arrive = value
                        arriveFrom[place * count + from] = before
                    }
                }
                guard arrive < unreached else { continue }
                for to in (from + 1)...table.end {
                    let value = max(arrive, table.stage(node, from, to))
                    if value < best[place * count + to] {
                        best[place * count + to] = value
                        stageFrom[place * count + to] = from
                    }
                }
            }
        }
        let last = order.indices.min { left, right in
            let leftKey = (best[left * count + table.end], left)
            return leftKey < (best[right * count + table.end], right)
        }
        guard var place = last, best[place * count + table.end] < unreached else { return nil }
        let period = best[place * count + table.end]
        var chain: [ChainStep] = []
        var to = table.end
        while to > 0 {
            let from = stageFrom[place * count + to]
            chain.append(ChainStep(node: order[place], from: from, to: to))
            if from > 0 { place = arriveFrom[place * count + from] }
            to = from
        }
        return (period, chain.reversed())
    }

    /// Of the pipelines over this order with at most this period the preferred one.
    func preferred(order: [Int], periodLimit: Int) -> [ChainStep]? {
        let count = table.positionCount
        var best = [ChainPreference?](repeating: nil, count: order.count * count)
        var chains = [[ChainStep]](repeating: [], count: order.count * count)
        for place in order.indices {
            let node = order[place]
            for from in 0..<table.end {
                var arrive: ChainPreference? =
                    from == 0 ? ChainPreference(nodeCount: 0, change: 0, latency: 0) : nil
                var arriveChain: [ChainStep] = []
                for before in 0..<place where from > 0 {
                    let occupied = table.link(order[before], node, from)
                    guard occupied <= periodLimit, var value = best[before * count + from]
                    else { continue }
                    value.latency += occupied + table.latency(order[before], node)
                    if arrive.map({ value < $0 }) ?? true {
                        arrive = value
                        arriveChain = chains[before * count + from]
                    }
                }
                guard let arrive else { continue }
                for to in (from + 1)...table.end {
                    let time = table.stage(node, from, to)
                    guard time <= periodLimit else { continue }
                    let value = ChainPreference(
                        nodeCount: arrive.nodeCount + 1,
                        change: arrive.change + table.change(node, from, to),
                        latency: arrive.latency + time)
                    let slot = place * count + to
                    if best[slot].map({ value < $0 }) ?? true {
                        best[slot] = value
                        chains[slot] = arriveChain + [ChainStep(node: node, from: from, to: to)]
                    }
                }
            }
        }
        var winner: Int?
        for place in order.indices {
            guard let value = best[place * count + table.end] else { continue }
            if let held = winner, let heldValue = best[held * count + table.end],
                heldValue <= value
            {
                continue
            }
            winner = place
        }
        return winner.map { chains[$0 * count + table.end] }
    }

    /// The best order that a bounded local search finds.
    ///
    /// It swaps two places or moves one, from each start, the best one first.
    func search(starts: [[Int]]) -> (period: Int, chain: [ChainStep], order: [Int])? {
        var evaluations = 0
        let found = starts.compactMap { start in
            optimum(order: start).map { (period: $0.period, chain: $0.chain, order: start) }
        }
        evaluations += starts.count
        let ranked = found.indices.sorted { (found[$0].period, $0) < (found[$1].period, $1) }
        guard let first = ranked.first else { return nil }
        var best = found[first]
        for start in ranked {
            let local = descend(from: found[start], evaluations: &evaluations)
            if local.period < best.period { best = local }
        }
        return best
    }

    /// Takes the first better neighbour until there is none or enough was tried.
    private func descend(
        from start: (period: Int, chain: [ChainStep], order: [Int]), evaluations: inout Int
    ) -> (period: Int, chain: [ChainStep], order: [Int]) {
        var held = start
        var improved = true
        while improved {
            improved = false
            for neighbour in neighbours(of: held.order) {
                guard evaluations < Self.evaluationsMax else { return held }
                evaluations += 1
                guard let found = optimum(order: neighbour), found.period < held.period
                else { continue }
                held = (found.period, found.chain, neighbour)
                improved = true
                break
            }
        }
        return held
    }

    private func neighbours(of order: [Int]) -> [[Int]] {
        var result: [[Int]] = []
        for distance in stride(from: 1, to: order.count, by: 1) {
            for place in 0..<(order.count - distance) {
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

    /// Orders worth starting from: as the current plan has them, by speed both ways, by node, and
    /// along the best links from the fastest node.
    func starts(current: [Int]) -> [[Int]] {
        let nodes = Array(0..<table.nodeCount)
        let speed = nodes.map { node in
            (1...table.end).reduce(0) { sum, to in
                sum + min(table.stage(node, to - 1, to), CostArithmetic.nanosecondsMax)
            }
        }
        let bySpeed = nodes.sorted { (speed[$0], $0) < (speed[$1], $1) }
        let asCurrent = current + bySpeed.filter { !current.contains($0) }
        return [asCurrent, bySpeed, bySpeed.reversed(), nodes, alongLinks(from: bySpeed)]
    }

    private func alongLinks(from bySpeed: [Int]) -> [Int] {
        guard var here = bySpeed.first else { return [] }
        let middle = table.end / 2
        var rest = Array(bySpeed.dropFirst())
        var path = [here]
        while !rest.isEmpty {
            let costs = rest.indices.map { place in
                let next = rest[place]
                return (table.link(here, next, middle) + table.latency(here, next), place)
            }
            let place = costs.min { $0 < $1 }?.1 ?? 0
            here = rest.remove(at: place)
            path.append(here)
        }
        return path
    }
}
