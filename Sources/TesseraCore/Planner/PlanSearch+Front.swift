extension PlanSearch {
    /// More sweeps than this are not made for one front: bounds planning time.
    static let sweepsMax = 400

    /// How often a front may try to place a label: some seconds.
    static let frontTriesMax = 600_000_000

    /// The plans of which none is better in period and latency (and energy, where every node's power
    /// is known), by rising period; each node serves at most one stage.
    ///
    /// `isExact` says whether the front is complete. For a period, the plans of least latency within
    /// it are found; the next period is below those plans' periods, until there is no plan.
    public func front() -> (sketches: [PlanSketch], isExact: Bool) {
        var pool: [PlanSketch] = []
        var isExact = false
        if LabelSolver.canSolve(space, modes: modes) {
            isExact = sweep(into: &pool, triesMax: Self.frontTriesMax)
        }
        if !isExact {
            pool += candidates(searches: true)
            for count in Self.fastNodeCounts {
                guard let part = part(fastest: count) else { continue }
                var some: [PlanSketch] = []
                _ = part.search.sweep(into: &some, triesMax: LabelSolver.triesMax)
                pool += some.compactMap { whole($0, nodes: part.nodes) }
            }
            if let simpler = simplerModes {
                let search = PlanSearch(space, goal: goal.withoutHeadroom, modes: simpler)
                pool += search.front().sketches
            }
            for objective in PlanGoal.Objective.allCases {
                var other = goal
                other.objective = objective
                let search = PlanSearch(space, goal: other.withoutHeadroom, modes: modes)
                if let sketch = search.best().sketch { pool.append(sketch) }
            }
        }
        return (Self.undominated(pool.filter(goal.allows)), isExact)
    }

    private func sweep(into pool: inout [PlanSketch], triesMax: Int) -> Bool {
        var criteria: LabelSolver.Criteria = .latency
        if space.nodes.allSatisfy({ $0.milliwatts != nil }) { criteria.insert(.energy) }
        if space.medium != nil { criteria.insert(.air) }
        var period = goal.periodNanosecondsMax ?? CostArithmetic.nanosecondsMax
        var solver = LabelSolver(
            costs, modes: modes, criteria: criteria, limit: period, triesMax: triesMax)
        for _ in 0..<Self.sweepsMax {
            guard let front = solver.front(period: period, limits: limits(period: period)) else {
                return false
            }
            let sketches = front.compactMap { costs.sketch($0.stages) }
            guard let longest = sketches.map(\.periodNanoseconds).max() else { return true }
            pool += sketches
            period = longest - 1
        }
        return false
    }

    /// Those that no other one beats, by rising period, then latency; of equal ones the first.
    static func undominated(_ sketches: [PlanSketch]) -> [PlanSketch] {
        func figures(_ sketch: PlanSketch) -> [Int] {
            [sketch.periodNanoseconds, sketch.latencyNanoseconds, sketch.nanojoules ?? 0]
        }
        var result: [PlanSketch] = []
        let sorted = sketches.enumerated().sorted { left, right in
            let (one, other) = (figures(left.element), figures(right.element))
            return one == other
                ? left.offset < right.offset : one.lexicographicallyPrecedes(other)
        }
        for (_, sketch) in sorted {
            let own = figures(sketch)
            let isBeaten = result.contains { held in
                zip(figures(held), own).allSatisfy { $0 <= $1 }
            }
            if !isBeaten { result.append(sketch) }
        }
        return result
    }
}

extension PlanGoal {
    /// The same goal for a space whose headroom is taken off already.
    var withoutHeadroom: PlanGoal {
        var goal = self
        goal.memoryHeadroomPercent = 0
        return goal
    }
}
