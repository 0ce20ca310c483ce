/// The stage times of groups of nodes, worked out when they are first asked for.
struct RunTimes {
    /// More tables than this are not kept: with 200 positions 80 MB.
    private static let tablesMax = 250

    /// What an entry of a table of row splits takes, in entries of a table of replicas.
    private static let rowWork = 15

    private let costs: SpaceCosts
    private let modes: ModeSet
    private let rowsSizeMax: Int
    private let limit: Int
    private let rates: RateTable
    /// How many steps the tables took so far.
    private(set) var work = 0
    /// By how many nodes of each kind; only looked up, never walked.
    private var tables: [[Int]: [Int]] = [:]

    /// Times over a space; groups of more than `rowsSizeMax` nodes are not split by rows.
    init(_ costs: SpaceCosts, modes: ModeSet, rowsSizeMax: Int, limit: Int) {
        self.costs = costs
        self.modes = modes
        self.rowsSizeMax = rowsSizeMax
        self.limit = limit
        rates = RateTable(costs)
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
            ? RowStages(costs, group: ordered, rates: rates, limit: limit) : nil
        if group.count > 1, modes.contains(.replicas) {
            rates.fillReplicas(group, limit: limit, into: &table, at: 0)
        }
        if group.count == 1 || rows != nil {
            for from in 0..<space.end {
                for to in (from + 1)..<stride {
                    let time = rows?.nanoseconds(from, to) ?? costs.single(group[0], from, to)
                    table[from * stride + to] = min(table[from * stride + to], time)
                }
            }
        }
        work += stride * stride * group.count * (rows == nil ? 1 : Self.rowWork)
        if tables.count >= Self.tablesMax { tables.removeAll() }
        tables[key] = table
        return table
    }
}
