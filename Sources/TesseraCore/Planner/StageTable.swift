/// The search's view of a `CostModel`: the time of each stage that fits its node, or `infeasible`.
struct StageTable: Sendable {
    /// Stands for a stage that does not fit.
    static let infeasible = Int.max

    /// How many nodes.
    let nodeCount: Int
    /// How many positions.
    let positionCount: Int
    /// Nanoseconds by node, from and to position; `infeasible` where the stage does not fit.
    private(set) var stages: [Int]
    /// What it takes to bring a stage up on a node where it does not run yet; 0 where it does.
    private(set) var changes: [Int]
    /// Nanoseconds for which a link is busy with what crosses a position, by source, destination
    /// and position.
    private(set) var links: [Int]
    /// Nanoseconds that the first byte takes, by source and destination.
    private(set) var latencies: [Int]

    /// The index of the last position.
    var end: Int { positionCount - 1 }

    /// Takes what fits with so many attempts in flight.
    init(_ model: CostModel, window: Int) {
        nodeCount = model.nodes.count
        positionCount = model.positionCount
        stages = []
        stages.reserveCapacity(nodeCount * positionCount * positionCount)
        changes = stages
        links = []
        latencies = []
        for node in model.nodes.indices {
            addStages(of: node, in: model, window: window)
        }
        for source in 0..<nodeCount {
            for destination in 0..<nodeCount {
                latencies.append(model.links.latency(from: source, to: destination))
                for bytes in model.crossingBytes {
                    links.append(
                        model.links.occupancy(from: source, to: destination, bytes: bytes))
                }
            }
        }
    }

    private mutating func addStages(of node: Int, in model: CostModel, window: Int) {
        let free = model.nodes[node].freeMemoryBytes
        let warm = Self.warmRanges(on: model.nodes[node].member, in: model)
        for from in 0..<positionCount {
            for to in 0..<positionCount {
                let fits =
                    from < to && model.stageBytes(from: from, to: to, window: window) <= free
                stages.append(
                    !fits
                        ? Self.infeasible
                        : model.stageNanoseconds(node: node, from: from, to: to))
                let isWarm =
                    from < to && !warm.isEmpty
                    && warm.contains(model.positions[from]..<model.positions[to])
                changes.append(
                    isWarm
                        ? 0
                        : FragmentMemory.overheadBytes
                            + model.weightBytes[from * positionCount + to])
            }
        }
    }

    private static func warmRanges(on member: NodeBoot, in model: CostModel) -> [Range<Int>] {
        guard let current = model.problem.current,
            current.manifest == model.problem.outline.manifest
        else { return [] }
        return current.fragments.filter { $0.host == member }.map(\.operators)
    }

    /// Nanoseconds of a stage.
    func stage(_ node: Int, _ from: Int, _ to: Int) -> Int {
        stages[(node * positionCount + from) * positionCount + to]
    }

    /// What it takes to bring a stage up.
    func change(_ node: Int, _ from: Int, _ to: Int) -> Int {
        changes[(node * positionCount + from) * positionCount + to]
    }

    /// Nanoseconds for which the link is busy with what crosses `position`.
    func link(_ source: Int, _ destination: Int, _ position: Int) -> Int {
        links[(source * nodeCount + destination) * positionCount + position]
    }

    /// Nanoseconds that the first byte takes.
    func latency(_ source: Int, _ destination: Int) -> Int {
        latencies[source * nodeCount + destination]
    }

    /// The slowest stage or link of a chain.
    func period(of chain: [ChainStep]) -> Int {
        var worst = 0
        for (index, step) in chain.enumerated() {
            worst = max(worst, stage(step.node, step.from, step.to))
            if index > 0 {
                worst = max(worst, link(chain[index - 1].node, step.node, step.from))
            }
        }
        return worst
    }

    /// What the preferences beside the period say of a chain; less is better.
    func preference(of chain: [ChainStep]) -> ChainPreference {
        var result = ChainPreference(nodeCount: chain.count, change: 0, latency: 0)
        for (index, step) in chain.enumerated() {
            result.change += change(step.node, step.from, step.to)
            result.latency += stage(step.node, step.from, step.to)
            if index > 0 {
                let before = chain[index - 1].node
                result.latency += latency(before, step.node) + link(before, step.node, step.from)
            }
        }
        return result
    }
}

/// One stage of a pipeline, by indices of node and positions.
struct ChainStep: Hashable, Sendable {
    /// The node.
    var node: Int
    /// The first position.
    var from: Int
    /// The position behind the last operator.
    var to: Int
}

/// How one of several chains of practically equal period is chosen: fewer nodes, then less to load,
/// then lower latency.
struct ChainPreference: Hashable, Comparable, Sendable {
    var nodeCount: Int
    var change: Int
    var latency: Int

    static func < (left: ChainPreference, right: ChainPreference) -> Bool {
        (left.nodeCount, left.change, left.latency) < (right.nodeCount, right.change, right.latency)
    }
}
