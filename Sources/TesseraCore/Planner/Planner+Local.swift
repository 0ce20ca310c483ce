// Plans that keep what comes in where it came in.

extension Planner {
    /// The best plan in which each entry runs the first operators itself; nil if nothing fits.
    ///
    /// Requests may come in anywhere, so every node that has room for the first operators, the
    /// *head*, holds them. The rest is planned as ever, over the positions behind the head, on what
    /// memory the head leaves. Besides, the plan is considered in which an entry runs everything.
    func keepingInputLocal(_ model: CostModel) -> Choice? {
        let wide = Self.window(stageCount: min(model.nodes.count, model.end), latencyShare: 0)
        var best: Choice?
        // A baseline is run as it was published, behind the head.
        let ends = problem.baseline == nil ? [model.piecesKept, model.end] : [model.piecesKept]
        for first in Set(ends).sorted() {
            for window in [wide, Self.windowMin] {
                let space = PlanSpace(model, window: window)
                guard let choice = choice(model, space: space, first: first) else { continue }
                if let held = best, !isClearlyBetter(choice, than: held) { continue }
                best = choice
            }
        }
        return best
    }

    private func isClearlyBetter(_ one: Choice, than other: Choice) -> Bool {
        problem.goal.cost(one.evaluation) * Int64(100 + Self.equalPercent)
            < problem.goal.cost(other.evaluation) * 100
    }

    /// The best plan with a head that ends at the position `first`.
    private func choice(_ model: CostModel, space: PlanSpace, first: Int) -> Choice? {
        let bytes = space.stageBytes[first]
        let entries = space.nodes.indices.filter { bytes <= space.memoryBytes[$0] }
        guard !entries.isEmpty else { return nil }
        let operators = 0..<model.positions[first]
        let head = StageParts(
            operators: operators, mode: .entry,
            fragments: entries.map {
                Fragment(host: model.nodes[$0].member, operators: operators)
            })
        let slowest = entries.map { space.times[$0][first] }.max() ?? 0
        guard first < space.end else {
            let choice = makeChoice(
                [head], without: nil,
                window: Self.window(stageCount: entries.count, latencyShare: 0))
            return choice.flatMap { problem.goal.allows($0.evaluation) ? $0 : nil }
        }
        var goal = problem.goal
        if let limit = goal.latencyNanosecondsMax {
            guard limit > slowest else { return nil }
            goal.latencyNanosecondsMax = limit - slowest
        }
        if let limit = goal.nanojoulesMax {
            let head = headNanojoules(space, entries: entries, first: first)
            guard let head, limit > head else { return nil }
            goal.nanojoulesMax = limit - head
        }
        let rest = space.behind(
            first, heldBy: entries, countsHead: goal.objective == .throughput)
        let modes = problem.allowedModes.union(problem.baseline?.modes ?? [])
        let search = PlanSearch(rest, goal: goal, modes: modes)
        let sketch: PlanSketch? =
            if let baseline = problem.baseline {
                search.baseline(baseline)
            } else {
                search.best().sketch.map { preferringOne($0, search: search) }
            }
        return sketch.flatMap {
            choice($0, search: search, model: model, first: first, head: [head])
        }
    }

    /// What the head takes on average over the nodes where requests come in; nil if the power of one
    /// is not known.
    private func headNanojoules(_ space: PlanSpace, entries: [Int], first: Int) -> Int? {
        var sum: UInt128 = 0
        for node in entries {
            guard let power = space.nodes[node].milliwatts else { return nil }
            let milliwatts = min(max(power, 0), SpaceCosts.milliwattsMax)
            sum += UInt128(space.times[node][first]) * UInt128(milliwatts)
        }
        let parts = UInt128(1_000 * entries.count)
        return Int(min((sum + parts - 1) / parts, UInt128(SpaceCosts.energyMax)))
    }

    /// What the best plan of a problem takes; nil if it has none.
    public static func expectation(
        of problem: PlanningProblem
    ) -> (periodMicroseconds: Int64, latencyMicroseconds: Int64)? {
        var problem = problem
        problem.nodes.sort { $0.member < $1.member }
        guard !problem.outline.operators.isEmpty else { return nil }
        return Planner(problem).choose(CostModel(problem)).map { choice in
            (choice.evaluation.periodMicroseconds, choice.evaluation.latencyMicroseconds)
        }
    }
}
