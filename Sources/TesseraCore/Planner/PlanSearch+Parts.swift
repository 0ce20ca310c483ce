// Searches over some of the nodes, where all of them are too many for what adds up along a plan.

extension PlanSearch {
    /// With how many of the fastest nodes alone plans are also looked for.
    static let fastNodeCounts = [4, 6]

    /// The best plans over a few of the fastest nodes and the entry.
    func overFastNodes() -> [PlanSketch?] {
        Self.fastNodeCounts.map { count in
            guard let part = part(fastest: count) else { return nil }
            return part.search.found().flatMap { whole($0.sketch, nodes: part.nodes) }
        }
    }

    /// The same search over so many of the fastest nodes, one of them the entry; nil if there are
    /// no more nodes than that.
    func part(fastest count: Int) -> (search: PlanSearch, nodes: [Int])? {
        guard count < space.nodes.count else { return nil }
        let bySpeed = space.nodes.indices.sorted {
            (-space.speeds[$0], $0) < (-space.speeds[$1], $1)
        }
        var chosen = Array(bySpeed.prefix(count))
        if let entry = space.entry, !chosen.contains(entry) { chosen[count - 1] = entry }
        chosen.sort()
        let search = PlanSearch(
            space.restricted(to: chosen), goal: goal.withoutHeadroom, modes: modes,
            usesBaselines: false)
        return (search, chosen)
    }

    /// A plan over some of the nodes as one over all of them.
    func whole(_ sketch: PlanSketch, nodes: [Int]) -> PlanSketch? {
        var stages = sketch.stages
        for index in stages.indices {
            let used = stages[index].nodes.map { nodes[$0] }
            stages[index].nodes = space.rowOrder.filter(used.contains)
        }
        return costs.sketch(stages)
    }
}
