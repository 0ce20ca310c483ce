/// Every way to run a stage on a group of nodes, with all its figures: a group and a mode.
struct StageOptions: Sendable {
    /// One group in one mode.
    struct Option: Sendable {
        /// Index into the groups.
        var group: Int
        /// The mode.
        var mode: StageMode
        /// Nodes that stand for the group, in row order.
        var nodes: [Int]
        /// Milliwatts of all of them; nil if one is not known.
        var milliwatts: Int?
        /// Where the times begin.
        var base: Int
    }

    /// What a cut between two options does to one item: the slowest of these pairs.
    struct Passage: Sendable {
        /// Time per byte, and before the first.
        var pairs: [(rate: LinkRate, latency: Int)]

        /// Time of one item alone.
        func nanoseconds(_ bytes: Int) -> Int {
            pairs.reduce(0) { max($0, $1.rate.nanoseconds(bytes) + $1.latency) }
        }
    }

    /// The options, by group, then by mode.
    private(set) var options: [Option] = []
    /// By group: its options.
    private(set) var ofGroup: [[Int]]
    private let costs: SpaceCosts
    private let stride: Int
    private var times: [Int] = []
    private var rowStages: [Int: RowStages] = [:]
    /// By option in mode `rows`, where a medium is shared: air times by from and to position.
    private var airs: [Int: [Int]] = [:]

    /// How many entries the tables of a space have; `limit` if there are at least so many.
    static func entryCount(_ space: PlanSpace, modes: ModeSet, limit: Int) -> Int {
        let groups = NodeVectors.count(space, limit: limit)
        let variants = modes.isSuperset(of: [.replicas, .rows]) ? 2 : 1
        return min(groups * variants * space.positionCount * space.positionCount, limit)
    }

    /// Fills the tables of all groups.
    init(_ costs: SpaceCosts, groups: [[Int]], modes: ModeSet, limit: Int) {
        self.costs = costs
        stride = costs.space.positionCount
        ofGroup = Array(repeating: [], count: groups.count)
        let rates = RateTable(costs)
        for (group, nodes) in groups.enumerated() {
            if nodes.count == 1 {
                add(group, .single, nodes) { costs.single(nodes[0], $0, $1) }
                continue
            }
            if modes.contains(.replicas) {
                add(group, .replicas, nodes) { _, _ in SpaceCosts.infeasible }
                rates.fillReplicas(
                    nodes, limit: limit, into: &times, at: times.count - stride * stride)
            }
            if modes.contains(.rows), costs.space.rows != nil {
                let rows = RowStages(costs, group: nodes, rates: rates, limit: limit)
                rowStages[options.count] = rows
                if costs.space.medium != nil { airs[options.count] = rows.airTimes() }
                add(group, .rows, nodes) { rows.nanoseconds($0, $1) }
            }
        }
    }

    private mutating func add(
        _ group: Int, _ mode: StageMode, _ nodes: [Int], _ time: (Int, Int) -> Int
    ) {
        ofGroup[group].append(options.count)
        var milliwatts: Int? = 0
        for node in nodes {
            milliwatts = milliwatts.flatMap { sum in
                costs.space.nodes[node].milliwatts.map {
                    sum + min(max($0, 0), SpaceCosts.milliwattsMax)
                }
            }
        }
        options.append(
            Option(
                group: group, mode: mode, nodes: nodes, milliwatts: milliwatts, base: times.count))
        for from in 0..<stride {
            for to in 0..<stride {
                times.append(from < to ? time(from, to) : SpaceCosts.infeasible)
            }
        }
    }

    /// Time between two items.
    func time(_ option: Int, _ from: Int, _ to: Int) -> Int {
        times[options[option].base + from * stride + to]
    }

    /// Time of one item alone, where the time between items is finite.
    func latency(_ option: Int, _ from: Int, _ to: Int) -> Int {
        let one = options[option]
        guard one.mode == .replicas else { return time(option, from, to) }
        return one.nodes.reduce(0) { max($0, costs.space.times[$1][from * stride + to]) }
    }

    /// How long the halos of a stage keep the shared medium busy.
    func airTime(_ option: Int, _ from: Int, _ to: Int) -> Int {
        airs[option]?[from * stride + to] ?? 0
    }

    /// What the nodes draw for one item; 0 if that is not known.
    func nanojoules(_ option: Int, _ from: Int, _ to: Int) -> Int {
        guard let milliwatts = options[option].milliwatts else { return 0 }
        let product = UInt128(time(option, from, to)) * UInt128(milliwatts) / 1_000
        return Int(min(product, UInt128(SpaceCosts.energyMax)))
    }

    /// The stage of an option on given nodes.
    func stage(_ option: Int, nodes: [Int], _ from: Int, _ to: Int) -> PlanSketch.Stage {
        PlanSketch.Stage(
            mode: options[option].mode, nodes: nodes, from: from, to: to,
            borders: rowStages[option]?.borders(from, to) ?? [])
    }

    /// What a cut between groups in these modes does to one item.
    func passage(
        from source: [Int], _ sourceMode: StageMode, to target: [Int], _ targetMode: StageMode
    ) -> Passage {
        let sources = sourceMode == .rows ? [source] : source.map { [$0] }
        let targets = targetMode == .rows ? [target] : target.map { [$0] }
        var pairs: [(rate: LinkRate, latency: Int)] = []
        for one in sources {
            let shares = costs.shares(of: one)
            for other in targets {
                let rate = costs.cutRate(from: one, shares, to: other, costs.shares(of: other))
                let latency = costs.cutLatency(from: one, to: other)
                let isCovered = pairs.contains {
                    $0.rate.fixedPoint >= rate.fixedPoint && $0.latency >= latency
                }
                if !isCovered { pairs.append((rate, latency)) }
            }
        }
        return Passage(pairs: pairs)
    }
}
