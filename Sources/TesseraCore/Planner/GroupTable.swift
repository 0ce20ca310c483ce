/// The time of each stage of each group of nodes: the least over the modes that are allowed.
struct GroupTable: Sendable {
    /// How many entries may be held, over all groups: 160 MB.
    static let entriesMax = 20_000_000

    /// The groups.
    let groups: NodeGroups
    private let costs: SpaceCosts
    private let modes: ModeSet
    private let stride: Int
    /// By group: times by from and to position.
    private var times: [Int]
    /// By group and from position: the last position that a stage reaches within the limit.
    private var lasts: [Int]
    /// How long each byte of a cut takes, by source group and target group.
    let cuts: [LinkRate]

    /// Fills the tables; what takes longer than `limit` may count as infeasible.
    ///
    /// With `decides` a time says only whether it is within the limit, which is quicker to find
    /// out.
    init(
        _ costs: SpaceCosts, groups: NodeGroups, modes: ModeSet, limit: Int, decides: Bool = false
    ) {
        self.costs = costs
        self.groups = groups
        self.modes = modes
        let space = costs.space
        stride = space.positionCount
        times = Array(
            repeating: SpaceCosts.infeasible, count: groups.nodes.count * stride * stride)
        let shares = groups.nodes.map { costs.shares(of: $0) }
        var cuts: [LinkRate] = []
        cuts.reserveCapacity(groups.nodes.count * groups.nodes.count)
        for source in groups.nodes.indices {
            for target in groups.nodes.indices {
                guard groups.areDisjoint(source, target) else {
                    cuts.append(.free)
                    continue
                }
                let (one, other) = groups.concreteNodes(source, target, of: space)
                cuts.append(costs.cutRate(from: one, shares[source], to: other, shares[target]))
            }
        }
        self.cuts = cuts
        let rates = RateTable(costs)
        lasts = Array(repeating: -1, count: groups.nodes.count * stride)
        var decision = decides ? RowDecision(costs, rates: rates, within: limit) : nil
        for group in groups.nodes.indices { fill(group, rates, limit: limit, &decision) }
        for row in lasts.indices {
            let base = row * stride
            lasts[row] = (0..<stride).last { times[base + $0] <= limit } ?? -1
        }
    }

    private mutating func fill(
        _ group: Int, _ rates: RateTable, limit: Int, _ decision: inout RowDecision?
    ) {
        let nodes = groups.nodes[group]
        let base = group * stride * stride
        if nodes.count == 1 {
            guard modes.contains(.single) else { return }
            for from in 0..<(stride - 1) {
                for to in (from + 1)..<stride {
                    times[base + from * stride + to] = costs.single(nodes[0], from, to)
                }
            }
            return
        }
        if modes.contains(.replicas) {
            rates.fillReplicas(nodes, limit: limit, into: &times, at: base)
        }
        if modes.contains(.rows), costs.space.rows != nil {
            if decision != nil {
                decision?.mark(nodes, into: &times, at: base)
                return
            }
            let rows = RowStages(costs, group: nodes, rates: rates, limit: limit)
            for from in 0..<(stride - 1) {
                for to in (from + 1)..<stride {
                    let slot = base + from * stride + to
                    times[slot] = min(times[slot], rows.nanoseconds(from, to))
                }
            }
        }
    }

    /// Nanoseconds of a stage.
    func time(_ group: Int, _ from: Int, _ to: Int) -> Int {
        times[(group * stride + from) * stride + to]
    }

    /// Sets the bits of the ends of all stages that take at most `period`, by group and from
    /// position, in so many words each; `period` is at most the limit.
    func fillEnds(within period: Int, words: Int, into bits: inout [UInt64]) {
        for row in lasts.indices where lasts[row] >= 0 {
            let base = row * stride
            for to in (row % stride + 1)...lasts[row] where times[base + to] <= period {
                bits[row * words + to >> 6] |= 1 << UInt64(to & 63)
            }
        }
    }
}

extension NodeGroups {
    /// Whether two groups can be chosen at once.
    func areDisjoint(_ one: Int, _ other: Int) -> Bool {
        let (left, right) = (numbers[one], numbers[other])
        for (stride, limit) in zip(vectors.strides, vectors.limits) {
            let sum = left / stride % (limit + 1) + right / stride % (limit + 1)
            if sum > limit { return false }
        }
        return true
    }

    /// Nodes that stand for two disjoint groups at once.
    ///
    /// Nodes of a kind are exchangeable, but a node is not its own neighbour.
    func concreteNodes(_ one: Int, _ other: Int, of space: PlanSpace) -> ([Int], [Int]) {
        let taken = vectors.counts(numbers[one])
        let wanted = vectors.counts(numbers[other])
        let target = space.members.indices.flatMap { kind in
            space.members[kind][taken[kind]..<(taken[kind] + wanted[kind])]
        }
        return (nodes[one], target)
    }
}

/// The stage modes that a search may use.
public struct ModeSet: OptionSet, Hashable, Sendable {
    /// A bit for each mode.
    public let rawValue: UInt8

    /// Makes a set.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// One node runs a stage.
    public static let single = ModeSet(rawValue: 1)
    /// Each node of a group runs the whole stage.
    public static let replicas = ModeSet(rawValue: 2)
    /// Each node of a group computes a tile of rows.
    public static let rows = ModeSet(rawValue: 4)
    /// Each node of a group computes branches of the graph.
    public static let branches = ModeSet(rawValue: 8)
    /// What a model may use unless its settings say otherwise: agents of protocol 2 know no more.
    public static let usual: ModeSet = [.single, .replicas, .rows]
    /// All of them.
    public static let all: ModeSet = [.single, .replicas, .rows, .branches]

    /// The set of some modes.
    public init(_ modes: [StageMode]) {
        self = []
        for mode in modes {
            switch mode {
            case .single: insert(.single)
            case .replicas: insert(.replicas)
            case .rows: insert(.rows)
            case .branches: insert(.branches)
            case .entry: break
            }
        }
    }
}
