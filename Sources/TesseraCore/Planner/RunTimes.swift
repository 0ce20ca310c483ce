/// The stage times of groups of nodes, worked out when they are first asked for.
struct RunTimes {
    /// More tables than this are not kept: with 200 positions 80 MB.
    private static let tablesMax = 250

    private let costs: SpaceCosts
    private let modes: ModeSet
    private let rowsSizeMax: Int
    private let limit: Int
    /// By how many nodes of each kind; only looked up, never walked.
    private var tables: [[Int]: [Int]] = [:]

    /// Times over a space; groups of more than `rowsSizeMax` nodes are not split by rows.
    init(_ costs: SpaceCosts, modes: ModeSet, rowsSizeMax: Int, limit: Int) {
        self.costs = costs
        self.modes = modes
        self.rowsSizeMax = rowsSizeMax
        self.limit = limit
    }

    /// The least times of a group's stages over the modes, by from and to position.
    mutating func table(of group: [Int]) -> [Int] {
        let space = costs.space
        var key = [Int](repeating: 0, count: space.members.count)
        for node in group { key[space.kinds[node]] += 1 }
        if let table = tables[key] { return table }
        let stride = space.positionCount
        var table = [Int](repeating: SpaceCosts.infeasible, count: stride * stride)
        let ordered = space.rowOrder.filter(group.contains)
        let rows =
            group.count > 1 && group.count <= rowsSizeMax && modes.contains(.rows)
                && space.rows != nil
            ? RowStages(costs, group: ordered, limit: limit) : nil
        for from in 0..<space.end {
            for to in (from + 1)..<stride {
                var time = SpaceCosts.infeasible
                if group.count == 1 {
                    time = costs.single(group[0], from, to)
                } else if modes.contains(.replicas) {
                    time = costs.replicas(group, from, to)
                }
                if let rows { time = min(time, rows.nanoseconds(from, to)) }
                table[from * stride + to] = time
            }
        }
        if tables.count >= Self.tablesMax { tables.removeAll() }
        tables[key] = table
        return table
    }
}
