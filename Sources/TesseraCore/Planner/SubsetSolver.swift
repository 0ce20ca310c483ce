/// The least period of a pipeline over any nodes in any order, exactly (planning.md §4a, algorithm
/// 2): for a period, bitsets of the positions that each set of nodes can reach with each next node;
/// around it, a search over the values that a period can have.
struct SubsetSolver {
    /// More nodes than this make too many sets.
    static let nodesMax = 12
    /// More states than this, and the preferences beside the period are not settled exactly.
    static let statesMax = 600_000

    private let table: StageTable
    private let wordCount: Int

    /// A solver over a table of at most `nodesMax` nodes.
    init(_ table: StageTable) {
        self.table = table
        wordCount = (table.positionCount + 63) / 64
    }

    /// The least period; nil if no pipeline fits.
    ///
    /// `upperBound` is a period that is known to do.
    func optimum(upperBound: Int?) -> Int? {
        let lower = PeriodBound(table).nanoseconds
        if let upperBound, upperBound <= lower { return upperBound }
        var candidates = candidatePeriods(from: lower, to: upperBound ?? StageTable.infeasible - 1)
        if let upperBound { candidates.append(upperBound) }
        var low = 0
        var high = candidates.count - 1
        guard high >= 0 else { return nil }
        if upperBound == nil, !isReachable(within: candidates[high]) { return nil }
        while low < high {
            let middle = (low + high) / 2
            if isReachable(within: candidates[middle]) { high = middle } else { low = middle + 1 }
        }
        return candidates[high]
    }

    /// Every time of a stage or link in the bounds, ascending, without doubles.
    private func candidatePeriods(from lower: Int, to upper: Int) -> [Int] {
        guard lower <= upper else { return [] }
        var values: [Int] = []
        for value in table.stages where value >= lower && value <= upper { values.append(value) }
        for value in table.links where value >= lower && value <= upper { values.append(value) }
        values.sort()
        var result: [Int] = []
        for value in values where result.last != value { result.append(value) }
        return result
    }

    /// Whether some pipeline has at most this period.
    func isReachable(within period: Int) -> Bool {
        walk(within: period, stopsAtFirst: true) != nil
    }

    /// A pipeline of at most this period with as few nodes as possible.
    func shortest(within period: Int) -> [ChainStep]? {
        walk(within: period, stopsAtFirst: false)
    }

    /// Fills the bitsets set by set; gives a chain of the fewest nodes, or the first one found.
    private func walk(within period: Int, stopsAtFirst: Bool) -> [ChainStep]? {
        let probe = Probe(table, period: period)
        let nodeCount = table.nodeCount
        var reached = [UInt64](repeating: 0, count: (1 << nodeCount) * nodeCount * wordCount)
        var covered = [UInt64](repeating: 0, count: wordCount)
        var fewest: (size: Int, set: Int, node: Int)?
        for node in 0..<nodeCount { reached[node * wordCount] = 1 }
        search: for set in 0..<(1 << nodeCount) {
            let size = set.nonzeroBitCount + 1
            if let fewest, size >= fewest.size { continue }
            for node in 0..<nodeCount where set >> node & 1 == 0 {
                let base = (set * nodeCount + node) * wordCount
                probe.cover(from: reached, at: base, node: node, into: &covered)
                if probe.isSet(covered, table.end) {
                    fewest = (size, set, node)
                    if stopsAtFirst { break search }
                    break
                }
                guard size < nodeCount, probe.limit(&covered, remaining: nodeCount - size)
                else { continue }
                let grown = set | 1 << node
                for next in 0..<nodeCount where grown >> next & 1 == 0 {
                    let target = (grown * nodeCount + next) * wordCount
                    let mask = (node * nodeCount + next) * wordCount
                    for word in 0..<wordCount {
                        reached[target + word] |= covered[word] & probe.links[mask + word]
                    }
                }
            }
        }
        return fewest.map { chain(in: reached, probe: probe, set: $0.set, last: $0.node) }
    }

    /// Walks back from the end: some start of the last node reaches it, and some node before made
    /// that start.
    private func chain(in reached: [UInt64], probe: Probe, set: Int, last: Int) -> [ChainStep] {
        var chain: [ChainStep] = []
        var rest = set
        var node = last
        var to = table.end
        while true {
            let base = (rest * table.nodeCount + node) * wordCount
            let from = (0..<to).first { position in
                reached[base + position / 64] >> UInt64(position % 64) & 1 == 1
                    && probe.canRun(node, position, to)
            }
            guard let from else { return [] }
            chain.append(ChainStep(node: node, from: from, to: to))
            guard from > 0 else { return chain.reversed() }
            let before = (0..<table.nodeCount).first { candidate in
                rest >> candidate & 1 == 1
                    && probe.canCut(from: candidate, to: node, at: from)
                    && reaches(from, candidate, in: reached, probe: probe, set: rest)
            }
            guard let before else { return [] }
            rest &= ~(1 << before)
            node = before
            to = from
        }
    }

    private func reaches(
        _ position: Int, _ node: Int, in reached: [UInt64], probe: Probe, set: Int
    ) -> Bool {
        let base = ((set & ~(1 << node)) * table.nodeCount + node) * wordCount
        return (0..<position).contains { from in
            reached[base + from / 64] >> UInt64(from % 64) & 1 == 1
                && probe.canRun(node, from, position)
        }
    }

    /// Of the pipelines with at most this period and this many nodes the preferred one; nil if there
    /// is none, or too many states to settle it.
    func preferred(within period: Int, nodeCount limit: Int) -> [ChainStep]? {
        let probe = Probe(table, period: period)
        var search = PreferenceSearch(table, probe: probe, nodeLimit: limit)
        return search.run(statesMax: Self.statesMax)
    }
}

/// What is possible within one period, as bitsets over positions.
struct Probe {
    private let positionCount: Int
    private let nodeCount: Int
    private let wordCount: Int
    /// The ends of the stages that start at a position on a node, by node and position.
    private(set) var ends: [UInt64]
    /// The positions that may be cut between two nodes, by source and destination.
    private(set) var links: [UInt64]
    /// The lowest position from which so many more nodes can, at best, reach the end.
    private(set) var lowest: [Int]

    /// Collects what takes at most `period`.
    init(_ table: StageTable, period: Int) {
        positionCount = table.positionCount
        nodeCount = table.nodeCount
        wordCount = (table.positionCount + 63) / 64
        ends = Array(repeating: 0, count: nodeCount * positionCount * wordCount)
        links = Array(repeating: 0, count: nodeCount * nodeCount * wordCount)
        for row in 0..<(nodeCount * positionCount) {
            for to in 0..<positionCount where table.stages[row * positionCount + to] <= period {
                ends[row * wordCount + to / 64] |= 1 << UInt64(to % 64)
            }
        }
        for row in 0..<(nodeCount * nodeCount) {
            for position in 0..<positionCount
            where table.links[row * positionCount + position] <= period {
                links[row * wordCount + position / 64] |= 1 << UInt64(position % 64)
            }
        }
        lowest = [positionCount - 1]
        for _ in 0..<nodeCount { lowest.append(lowestStart(reaching: lowest[lowest.count - 1])) }
    }

    private func lowestStart(reaching goal: Int) -> Int {
        for from in 0..<positionCount {
            for node in 0..<nodeCount {
                let row = (node * positionCount + from) * wordCount
                for to in goal..<positionCount
                where ends[row + to / 64] >> UInt64(to % 64) & 1 == 1 {
                    return min(from, goal)
                }
            }
        }
        return goal
    }

    /// Whether a stage takes at most the period.
    func canRun(_ node: Int, _ from: Int, _ to: Int) -> Bool {
        let row = (node * positionCount + from) * wordCount
        return ends[row + to / 64] >> UInt64(to % 64) & 1 == 1
    }

    /// Whether what crosses a position passes a link within the period.
    func canCut(from source: Int, to destination: Int, at position: Int) -> Bool {
        let row = (source * nodeCount + destination) * wordCount
        return links[row + position / 64] >> UInt64(position % 64) & 1 == 1
    }

    /// Whether a position is in a bitset.
    func isSet(_ bits: [UInt64], _ position: Int) -> Bool {
        bits[position / 64] >> UInt64(position % 64) & 1 == 1
    }

    /// The positions that a node can go on to from any position in the bitset at `base`.
    func cover(from bits: [UInt64], at base: Int, node: Int, into covered: inout [UInt64]) {
        for word in 0..<wordCount { covered[word] = 0 }
        for word in 0..<wordCount {
            var rest = bits[base + word]
            while rest != 0 {
                let from = word * 64 + rest.trailingZeroBitCount
                rest &= rest - 1
                let row = (node * positionCount + from) * wordCount
                for target in 0..<wordCount { covered[target] |= ends[row + target] }
            }
        }
    }

    /// Drops the positions from which so many nodes cannot reach the end; whether any is left.
    func limit(_ bits: inout [UInt64], remaining: Int) -> Bool {
        let first = lowest[remaining]
        var any: UInt64 = 0
        for word in 0..<wordCount {
            let shift = first - word * 64
            if shift >= 64 {
                bits[word] = 0
            } else if shift > 0 {
                bits[word] &= ~0 << UInt64(shift)
            }
            any |= bits[word]
        }
        return any != 0
    }
}
