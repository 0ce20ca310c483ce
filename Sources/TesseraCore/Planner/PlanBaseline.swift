/// How other systems would cut the same model: plans to compare with, and modes to run.
public enum PlanBaseline: String, CaseIterable, Hashable, Sendable {
    /// Equal numbers of pieces on every node, in the order of the nodes.
    case even
    /// PipeDream's recurrence, which takes all nodes and links for equal, with replicated stages.
    case pipedreamLike = "pipedream-like"
    /// EdgePipe's recurrence over single nodes, done right.
    case pipeedgeLike = "pipeedge-like"
    /// MoDNN: rows over all nodes, exchanged after every piece.
    case modnnLike = "modnn-like"
    /// DeepThings: rows over all nodes, fused from the input as far as rows go, then one node.
    case deepthingsLike = "deepthings-like"
    /// The best node alone.
    case local
    /// The best plan of single nodes and rows, whose tiles are never cut into border and inner rows:
    /// what overlap gains is measured against it.
    case wholeTiles = "whole-tiles"
    /// LCP: every parallel region's branches over all nodes, in equal numbers, whatever they take;
    /// all else on the best node.
    case lcpLike = "lcp-like"

    /// The baseline's plan; nil if it has none in this space.
    static func sketch(
        _ baseline: PlanBaseline, costs: SpaceCosts, objective: PlanGoal.Objective = .throughput
    ) -> PlanSketch? {
        switch baseline {
        case .even: even(costs)
        case .pipedreamLike: pipedream(costs, allowsReplicas: true)
        case .pipeedgeLike: pipeedge(costs)
        case .modnnLike: modnn(costs)
        case .deepthingsLike: deepthings(costs)
        // The planner divides the regions: a sketch has no branches.
        case .local, .lcpLike: local(costs, objective: objective)
        case .wholeTiles:
            PlanSearch(
                costs.space, goal: PlanGoal(objective: objective), modes: baseline.modes,
                usesBaselines: true
            ).found()?.sketch
        }
    }

    /// The stage modes that the baseline's plans use.
    public var modes: ModeSet {
        switch self {
        case .even, .pipeedgeLike, .local: .single
        case .pipedreamLike: [.single, .replicas]
        case .modnnLike, .deepthingsLike, .wholeTiles: [.single, .rows]
        case .lcpLike: [.single, .branches]
        }
    }

    /// Whether its plan comes from a whole search, so that it is no quick candidate for another one.
    var isSearched: Bool { self == .pipeedgeLike || self == .wholeTiles }

    private static func even(_ costs: SpaceCosts) -> PlanSketch? {
        let space = costs.space
        let count = min(space.nodes.count, space.end)
        return costs.sketch(
            (0..<count).map { index in
                PlanSketch.Stage(
                    nodes: [index], from: index * space.end / count,
                    to: (index + 1) * space.end / count)
            })
    }

    private static func local(
        _ costs: SpaceCosts, objective: PlanGoal.Objective
    ) -> PlanSketch? {
        let goal = PlanGoal(objective: objective)
        var best: PlanSketch?
        for node in costs.space.nodes.indices {
            guard
                let one = costs.sketch([
                    PlanSketch.Stage(nodes: [node], from: 0, to: costs.space.end)
                ])
            else { continue }
            if let best, goal.value(best) <= goal.value(one) { continue }
            best = one
        }
        return best
    }

    private static func pipeedge(_ costs: SpaceCosts) -> PlanSketch? {
        PlanSearch(costs.space, goal: PlanGoal(), modes: .single, usesBaselines: false)
            .throughput()?.sketch
    }

    /// PipeDream's plan, as if each node were the mean of all.
    ///
    /// A recurrence over positions and numbers of nodes:
    ///
    ///     best[j][m] = min over i, k of max(best[i][m - k], cut(i), time(i, j) / k)
    ///
    /// The nodes are then taken in their order.
    static func pipedream(_ costs: SpaceCosts, allowsReplicas: Bool) -> PlanSketch? {
        let space = costs.space
        let stride = space.positionCount
        let count = space.nodes.count
        let mean = (0..<(stride * stride)).map { slot in
            space.times.reduce(0) { $0 + $1[slot] / count }
        }
        var rate = 0
        for source in space.nodes.indices {
            for target in space.nodes.indices where source != target {
                rate += space.rates[source * count + target].fixedPoint / (count * (count - 1))
            }
        }
        let link = LinkRate(fixedPoint: rate)
        var best = [Int](repeating: SpaceCosts.infeasible, count: stride * (count + 1))
        var from = [Int](repeating: -1, count: best.count)
        var taken = from
        best[0] = 0
        for nodes in 1...count {
            for to in 1..<stride {
                for used in 1...(allowsReplicas ? nodes : 1) {
                    for start in 0..<to {
                        let before = best[(nodes - used) * stride + start]
                        guard before < SpaceCosts.infeasible, (start == 0) == (nodes == used)
                        else { continue }
                        let cut = start == 0 ? 0 : link.nanoseconds(space.crossingBytes[start])
                        let value = max(before, cut, mean[start * stride + to] / used)
                        guard value < best[nodes * stride + to] else { continue }
                        best[nodes * stride + to] = value
                        from[nodes * stride + to] = start
                        taken[nodes * stride + to] = used
                    }
                }
            }
        }
        let order = (1...count).sorted {
            (best[$0 * stride + space.end], $0) < (best[$1 * stride + space.end], $1)
        }
        for nodes in order where best[nodes * stride + space.end] < SpaceCosts.infeasible {
            var stages: [PlanSketch.Stage] = []
            var (left, to) = (nodes, space.end)
            while to > 0 {
                let slot = left * stride + to
                stages.append(
                    PlanSketch.Stage(
                        nodes: Array((left - taken[slot])..<left), from: from[slot], to: to))
                (left, to) = (left - taken[slot], from[slot])
            }
            // Memory was not looked at: the first that fits is what it would have to run.
            if let sketch = costs.sketch(stages.reversed()) { return sketch }
        }
        return nil
    }

    /// The node that is quickest with a range and has room for it beside `taken` bytes.
    private static func quickest(
        _ costs: SpaceCosts, _ from: Int, _ to: Int, taken: [Int]
    ) -> Int? {
        costs.space.nodes.indices.filter { node in
            taken[node] + costs.stageBytes(from, to) <= costs.space.nodes[node].memoryBytes
        }.min { (costs.single($0, from, to), $0) < (costs.single($1, from, to), $1) }
    }

    private static func modnn(_ costs: SpaceCosts) -> PlanSketch? {
        let space = costs.space
        let group = space.rowOrder
        guard let rows = space.rows, group.count > 1 else { return nil }
        func canSplit(_ from: Int, _ to: Int) -> Bool {
            rows.counts[from * space.positionCount + to] >= group.count
        }
        var stages: [PlanSketch.Stage] = []
        var taken = [Int](repeating: 0, count: group.count)
        var from = 0
        while from < space.end {
            let isSplit = canSplit(from, from + 1)
            var to = from + 1
            while to < space.end, canSplit(to, to + 1) == isSplit { to += 1 }
            if isSplit {
                stages.append(
                    PlanSketch.Stage(
                        mode: .rows, nodes: group, from: from, to: to,
                        borders: Array((from + 1)..<to)))
                for node in group { taken[node] += costs.stageBytes(from, to) }
            } else {
                guard let node = quickest(costs, from, to, taken: taken) else { return nil }
                stages.append(PlanSketch.Stage(nodes: [node], from: from, to: to))
                taken[node] += costs.stageBytes(from, to)
            }
            from = to
        }
        return stages.contains { $0.mode == .rows } ? costs.sketch(stages) : nil
    }

    private static func deepthings(_ costs: SpaceCosts) -> PlanSketch? {
        let space = costs.space
        let group = space.rowOrder
        guard let rows = space.rows, group.count > 1 else { return nil }
        let fused = (1...space.end).last { rows.counts[$0] >= group.count }
        guard let fused else { return nil }
        var stages = [PlanSketch.Stage(mode: .rows, nodes: group, from: 0, to: fused)]
        if fused < space.end {
            let taken = group.map { _ in costs.stageBytes(0, fused) }
            guard let node = quickest(costs, fused, space.end, taken: taken) else { return nil }
            stages.append(PlanSketch.Stage(nodes: [node], from: fused, to: space.end))
        }
        return costs.sketch(stages)
    }
}
