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

    /// Fills the tables; blocks that take longer than `limit` do not count.
    init(_ costs: SpaceCosts, group: [Int], limit: Int) {
        self.costs = costs
        self.group = group
        split = RowSplit(costs, group: group)
        stride = costs.space.positionCount
        let size = stride * stride
        var times = [Int](repeating: SpaceCosts.infeasible, count: size)
        var blocks = times
        var lastStarts = [Int32](repeating: -1, count: size)
        for from in 0..<(stride - 1) {
            for to in (from + 1)..<stride {
                if let block = split.block(from, to, limit: limit) {
                    blocks[from * stride + to] = block.nanoseconds
                }
            }
        }
        for from in 0..<(stride - 1) {
            for to in (from + 1)..<stride {
                var best = blocks[from * stride + to]
                var start = from
                for middle in (from + 1)..<max(to, from + 1) {
                    let head = times[from * stride + middle]
                    let tail = blocks[middle * stride + to]
                    guard head < SpaceCosts.infeasible, tail < best, head < best - tail
                    else { continue }
                    best = head + tail
                    start = middle
                }
                guard best < SpaceCosts.infeasible else { continue }
                times[from * stride + to] = best
                lastStarts[from * stride + to] = Int32(start)
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
}
