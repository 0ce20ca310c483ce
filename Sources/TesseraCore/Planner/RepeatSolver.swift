/// The plan of least latency, or least energy, where a node may serve several stages: a shortest path
/// over (position, last option), as in planning.md §4a, with what each node's memory holds so far
/// where memory couples the choices.
///
/// Replicas are left out: for one item alone, a replica that is not the slowest is as good.
struct RepeatSolver {
    /// All groups of so many nodes are tried; of more nodes only some groups.
    static let nodesMax = 8
    /// More labels than this, and the search is given up.
    static let labelsMax = 30_000_000
    /// More labels than this with each node's memory, likewise: they take longer to compare.
    static let memoryLabelsMax = 400_000

    private struct Label {
        var latency: Int
        var energy: Int
        /// Bytes taken on each node; empty where memory does not couple.
        var memory: [Int]
        var step: Int32

        func isCovering(_ other: Label) -> Bool {
            guard latency <= other.latency, energy <= other.energy else { return false }
            for (one, another) in zip(memory, other.memory) where one > another { return false }
            return true
        }
    }

    private struct Step {
        var before: Int32
        var option: Int32
        var from: Int32
        var to: Int32
    }

    private let costs: SpaceCosts
    private let table: StageOptions
    private let goal: PlanGoal
    private let countsEnergy: Bool
    private let countsLatency: Bool
    private var steps: [Step] = []
    private var labelCount = 0

    private var space: PlanSpace { costs.space }

    /// Whether every group is tried.
    let isComplete: Bool

    /// A solver for a goal without a limit to the period; stages that take longer than `limit` are
    /// of no use.
    init(
        _ costs: SpaceCosts, modes: ModeSet, goal: PlanGoal,
        limit: Int = CostArithmetic.nanosecondsMax
    ) {
        self.costs = costs
        self.goal = goal
        countsEnergy = goal.objective == .energy || goal.nanojoulesMax != nil
        countsLatency = goal.objective == .latency || goal.latencyNanosecondsMax != nil
        let canSplit = modes.contains(.rows) && costs.space.rows != nil
        isComplete = costs.space.nodes.count <= Self.nodesMax || !canSplit
        let groups = Self.groups(costs.space, canSplit: canSplit)
        table = StageOptions(
            costs, groups: groups, modes: modes.subtracting(.replicas),
            limit: limit)
    }

    /// Single nodes, and sets of several: all, or the first few of each kind and of the fastest.
    private static func groups(_ space: PlanSpace, canSplit: Bool) -> [[Int]] {
        var groups = space.nodes.indices.map { [$0] }
        guard canSplit else { return groups }
        if space.nodes.count <= nodesMax {
            for set in 1..<(1 << space.nodes.count) where set.nonzeroBitCount > 1 {
                groups.append(space.rowOrder.filter { set >> $0 & 1 == 1 })
            }
            return groups
        }
        let bySpeed = space.nodes.indices.sorted {
            (-space.speeds[$0], $0) < (-space.speeds[$1], $1)
        }
        for list in [bySpeed] + space.members where list.count > 1 {
            for size in 2...min(list.count, nodesMax) {
                let chosen = list[..<size]
                let group = space.rowOrder.filter(chosen.contains)
                if !groups.contains(group) { groups.append(group) }
            }
        }
        return groups
    }

    /// The best plan; nil if there is none, with `isExact` false if memory was not settled.
    mutating func best() -> (stages: [PlanSketch.Stage]?, isExact: Bool) {
        let free =
            countsLatency && countsEnergy
            ? search(countsMemory: false)
            : .some(
                ShortestStages(costs, table: table, countsLatency: countsLatency).best(
                    within: countsLatency ? goal.latencyNanosecondsMax : goal.nanojoulesMax))
        guard let free, let stages = free else { return (nil, free != nil) }
        if costs.sketch(stages) != nil { return (stages, isComplete) }
        guard let bound = search(countsMemory: true) else { return (nil, false) }
        return (bound, isComplete)
    }

    /// The best stages, or nil within for none; nil if there were too many labels.
    private mutating func search(countsMemory: Bool) -> [PlanSketch.Stage]?? {
        steps = []
        labelCount = 0
        let count = table.options.count
        var labels = [[Label]](repeating: [], count: count * space.positionCount)
        let passages = allPassages()
        let empty = countsMemory ? [Int](repeating: 0, count: space.nodes.count) : []
        for from in 0..<space.end {
            for option in 0..<count {
                var starts: [Label] = []
                if from == 0 {
                    let start = Label(
                        latency: entryTime(option, isStart: true), energy: 0, memory: empty,
                        step: -1)
                    insert(start, into: &starts)
                } else {
                    let bytes = space.crossingBytes[from]
                    for before in 0..<count {
                        let held = labels[before * space.positionCount + from]
                        guard !held.isEmpty else { continue }
                        let time =
                            countsLatency
                            ? passages[before * count + option].nanoseconds(bytes) : 0
                        for var label in held {
                            label.latency += time
                            insert(label, into: &starts)
                        }
                    }
                }
                if !starts.isEmpty { extend(starts, option: option, from: from, into: &labels) }
                if labelCount > (countsMemory ? Self.memoryLabelsMax : Self.labelsMax) {
                    return nil
                }
            }
        }
        return .some(finish(labels))
    }

    private func allPassages() -> [StageOptions.Passage] {
        guard countsLatency else { return [] }
        var passages: [StageOptions.Passage] = []
        for source in table.options {
            for target in table.options {
                passages.append(
                    table.passage(
                        from: source.nodes, source.mode, to: target.nodes, target.mode))
            }
        }
        return passages
    }

    private func entryTime(_ option: Int, isStart: Bool) -> Int {
        guard countsLatency, let entry = space.entry else { return 0 }
        let one = table.options[option]
        return isStart
            ? costs.passage(
                from: [entry], .single, to: one.nodes, one.mode, bytes: space.crossingBytes[0])
            : costs.passage(
                from: one.nodes, one.mode, to: [entry], .single,
                bytes: space.crossingBytes[space.end])
    }

    private mutating func extend(
        _ starts: [Label], option: Int, from: Int, into labels: inout [[Label]]
    ) {
        for to in (from + 1)...space.end {
            guard table.time(option, from, to) < SpaceCosts.infeasible else { continue }
            let latency = countsLatency ? table.latency(option, from, to) : 0
            let energy = countsEnergy ? table.nanojoules(option, from, to) : 0
            for start in starts {
                var label = start
                label.latency += latency
                label.energy += energy
                label.step = Int32(steps.count)
                guard take(option, from, to, into: &label.memory) else { continue }
                if insert(label, into: &labels[option * space.positionCount + to]) {
                    steps.append(
                        Step(
                            before: start.step, option: Int32(option), from: Int32(from),
                            to: Int32(to)))
                }
            }
        }
    }

    /// Adds what a stage takes to its nodes' memory; whether it fits.
    private func take(_ option: Int, _ from: Int, _ to: Int, into memory: inout [Int]) -> Bool {
        guard !memory.isEmpty else { return true }
        for node in table.options[option].nodes {
            memory[node] += costs.stageBytes(from, to)
            if memory[node] > space.nodes[node].memoryBytes { return false }
        }
        return true
    }

    @discardableResult
    private mutating func insert(_ label: Label, into list: inout [Label]) -> Bool {
        if let limit = goal.latencyNanosecondsMax, label.latency > limit { return false }
        if let limit = goal.nanojoulesMax, label.energy > limit { return false }
        for held in list where held.isCovering(label) { return false }
        labelCount += 1
        list.removeAll { label.isCovering($0) }
        list.append(label)
        return true
    }

    private func finish(_ labels: [[Label]]) -> [PlanSketch.Stage]? {
        var best: (key: (Int, Int), step: Int32)?
        for option in table.options.indices {
            let exit = entryTime(option, isStart: false)
            for label in labels[option * space.positionCount + space.end] {
                let latency = label.latency + exit
                if let limit = goal.latencyNanosecondsMax, latency > limit { continue }
                let key =
                    goal.objective == .energy
                    ? (label.energy, latency) : (latency, label.energy)
                if let held = best, held.key <= key { continue }
                best = (key, label.step)
            }
        }
        guard let best else { return nil }
        var stages: [PlanSketch.Stage] = []
        var index = best.step
        while index >= 0 {
            let step = steps[Int(index)]
            let option = Int(step.option)
            stages.append(
                table.stage(
                    option, nodes: table.options[option].nodes, Int(step.from), Int(step.to)))
            index = step.before
        }
        return stages.reversed()
    }
}
