/// The least time of every stage that a group computes by rows, and where its blocks meet.
///
/// Between two blocks the tiles exchange their halos; within one they compute them twice. The sum
/// over the blocks is least by dynamic programming over the inner borders:
///
///     stage(i, j) = min(block(i, j), min over m of stage(i, m) + block(m, j))
struct RowStages: Sendable {
    /// The split of a block.
    let split: RowSplit
    private let costs: SpaceCosts
    private let group: [Int]
    private let stride: Int
    private var times: [Int]
    /// Where the last block of the best division begins.
    private var lastStarts: [Int32]

    /// Fills the tables of the stages within `range`, or of all; what takes longer than `limit` does
    /// not count.
    init(
        _ costs: SpaceCosts, group: [Int], rates: RateTable, limit: Int, range: Range<Int>? = nil
    ) {
        self.costs = costs
        self.group = group
        split = RowSplit(costs, group: group)
        let stride = costs.space.positionCount
        self.stride = stride
        let (first, last) = (range?.lowerBound ?? 0, range?.upperBound ?? stride - 1)
        let size = stride * stride
        var blocks = [Int](repeating: SpaceCosts.infeasible, count: size)
        split.fillBlocks(first, last, rates: rates, limit: limit, into: &blocks)
        var times = [Int](repeating: SpaceCosts.infeasible, count: size)
        var lastStarts = [Int32](repeating: -1, count: size)
        for from in first..<(range == nil ? last : first + 1) {
            for middle in from..<last {
                let head = middle == from ? 0 : times[from * stride + middle]
                guard head <= limit else { continue }
                for to in (middle + 1)...last where blocks[middle * stride + to] <= limit - head {
                    let time = head + blocks[middle * stride + to]
                    guard time < times[from * stride + to] else { continue }
                    times[from * stride + to] = time
                    lastStarts[from * stride + to] = Int32(middle)
                }
            }
        }
        self.times = times
        self.lastStarts = lastStarts
    }

    /// Nanoseconds of a stage; infeasible also where it does not fit on one of the nodes.
    func nanoseconds(_ from: Int, _ to: Int) -> Int {
        for node in group where !costs.fits(node, from, to) { return SpaceCosts.infeasible }
        return times[from * stride + to]
    }

    /// The positions within a stage where blocks meet, ascending.
    func borders(_ from: Int, _ to: Int) -> [Int] {
        var result: [Int] = []
        var end = to
        while lastStarts[from * stride + end] > Int32(from) {
            end = Int(lastStarts[from * stride + end])
            result.append(end)
        }
        return result.reversed()
    }

    /// How long the halos of each stage keep the shared medium busy, by from and to position.
    func airTimes() -> [Int] {
        var result = [Int](repeating: 0, count: stride * stride)
        for from in 0..<(stride - 1) {
            for to in (from + 1)..<stride where times[from * stride + to] < SpaceCosts.infeasible {
                let start = Int(lastStarts[from * stride + to])
                let before = start == from ? 0 : result[from * stride + start]
                result[from * stride + to] =
                    before + costs.airTime(ofBlock: start, to, tiles: group.count)
            }
        }
        return result
    }
}
