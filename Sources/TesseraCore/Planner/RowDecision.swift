/// Which stages a group can compute by rows within one period, without their least times.
///
/// Most blocks need not be split to know it: no split is quicker than one in which all tiles end at
/// once, and a shortest path over those bounds shows which blocks can be part of a stage that is
/// quick enough. Only stages that no other mode computes within the period are looked at.
struct RowDecision {
    private let costs: SpaceCosts
    private let rates: RateTable
    private let period: Int
    private let stride: Int
    /// Stands for what takes longer than the period.
    private let late: Int
    /// By from and to position: what no split of a block is quicker than.
    private var bounds: [Int]
    /// Likewise the least time, once it was asked for; -1 before.
    private var times: [Int]
    /// By position: the last one that a block from here may end at.
    private var ends: [Int]
    /// By position: the least time to there, from there to an end that counts, and to there in
    /// fact.
    private var before: [Int]
    private var behind: [Int]
    private var done: [Int]

    /// A decision for one period over the groups of a space.
    init(_ costs: SpaceCosts, rates: RateTable, within period: Int) {
        self.costs = costs
        self.rates = rates
        self.period = period
        stride = costs.space.positionCount
        late = period + 1
        bounds = Array(repeating: late, count: stride * stride)
        times = bounds
        ends = Array(repeating: 0, count: stride)
        before = ends
        behind = ends
        done = ends
    }

    /// Sets the time of each stage that only rows make quick enough to the period.
    ///
    /// - Parameters:
    ///   - group: The nodes, in row order.
    ///   - table: Times of stages by the other modes.
    ///   - base: Where the group's times begin, by from and to position.
    mutating func mark(_ group: [Int], into table: inout [Int], at base: Int) {
        let split = RowSplit(costs, group: group)
        split.fillBounds(rates, limit: period, above: late, into: &bounds)
        for slot in times.indices { times[slot] = -1 }
        var isSplit = false
        for from in 0..<stride {
            ends[from] = (from..<stride).last { bounds[from * stride + $0] <= period } ?? from
            isSplit = isSplit || ends[from] > from
        }
        guard isSplit else { return }
        for from in 0..<(stride - 1) where ends[from] > from {
            let furthest = reach(from: from)
            var last = from
            for to in (from + 1)...furthest {
                let isOpen =
                    before[to] <= period && table[base + from * stride + to] > period
                    && group.allSatisfy { costs.fits($0, from, to) }
                behind[to] = isOpen ? 0 : late
                if isOpen { last = to }
            }
            guard last > from else { continue }
            settle(from: from, last: last, split: split)
            for to in (from + 1)...last where done[to] <= period {
                let slot = base + from * stride + to
                if table[slot] > period, group.allSatisfy({ costs.fits($0, from, to) }) {
                    table[slot] = period
                }
            }
        }
    }

    /// Fills in the least times that stages from a position can have; gives the last position that
    /// one may end at.
    private mutating func reach(from: Int) -> Int {
        let (stride, period) = (stride, period)
        var furthest = from
        before.withUnsafeMutableBufferPointer { before in
            bounds.withUnsafeBufferPointer { bounds in
                for position in from..<stride { before[position] = late }
                before[from] = 0
                for middle in from..<(stride - 1) where before[middle] <= period {
                    let (head, end) = (before[middle], ends[middle])
                    guard end > middle else { continue }
                    for to in (middle + 1)...end {
                        let time = head + bounds[middle * stride + to]
                        if time < before[to] { before[to] = time }
                    }
                }
                furthest = (from..<stride).last { before[$0] <= period } ?? from
            }
        }
        return furthest
    }

    /// Fills in the least times of the stages from a position that end where `behind` is 0,
    /// splitting only blocks that can be part of one within the period.
    private mutating func settle(from: Int, last: Int, split: RowSplit) {
        behind[from] = late
        for middle in (from..<last).reversed() {
            var least = behind[middle]
            let end = min(ends[middle], last)
            guard end > middle else { continue }
            for to in (middle + 1)...end {
                least = min(least, bounds[middle * stride + to] + behind[to])
            }
            behind[middle] = least
        }
        for position in from...last { done[position] = late }
        done[from] = 0
        for middle in from..<last where done[middle] + behind[middle] <= period {
            let end = min(ends[middle], last)
            guard end > middle else { continue }
            for to in (middle + 1)...end {
                let slot = middle * stride + to
                guard done[middle] + bounds[slot] + behind[to] <= period else { continue }
                if times[slot] < 0 {
                    times[slot] = split.nanoseconds(middle, to, limit: period) ?? late
                }
                done[to] = min(done[to], done[middle] + times[slot])
            }
        }
    }
}
