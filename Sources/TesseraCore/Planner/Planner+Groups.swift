extension Planner {
    /// A stage before its fragments have places in a plan.
    struct StageParts {
        var operators: Range<Int>
        var mode: StageMode
        var fragments: [Fragment]
    }

    /// Whether the problem asks for more than the least period of a pipeline of single nodes.
    static func needsSearch(_ problem: PlanningProblem) -> Bool {
        problem.goal != PlanGoal() || problem.baseline != nil || problem.entry != nil
            || problem.mediumBitsPerSecond != nil || problem.keepInputLocal > 0
            || !problem.exits.isEmpty
            || problem.allowedModes.union(.single) != .single
    }

    /// The best plan over the plan space of the problem; nil if nothing fits.
    func searched(_ model: CostModel) -> Choice? {
        guard !model.nodes.isEmpty else { return nil }
        let problem = model.problem
        let wide = Self.window(stageCount: min(model.nodes.count, model.end), latencyShare: 0)
        var best: Choice?
        var last: PlanSpace?
        for window in [wide, Self.windowMin] {
            let space = PlanSpace(model, window: window)
            // What fits with a wide window need not be tried with a narrow one.
            if best != nil, let last, Self.fitsAlike(space, last) { break }
            last = space
            let modes = problem.allowedModes.union(problem.baseline?.modes ?? [])
            let search = PlanSearch(space, goal: problem.goal, modes: modes)
            let sketch: PlanSketch?
            if let baseline = problem.baseline {
                sketch = search.baseline(baseline)
            } else {
                sketch = search.best().sketch.map { preferringOne($0, search: search) }
            }
            guard let sketch, var choice = choice(sketch, search: search, model: model) else {
                continue
            }
            if let alone = alone(instead: sketch, search: search, model: model),
                isBetter(alone, choice)
            {
                choice = alone
            }
            let isBetter = best.map { held in
                problem.goal.streamCost(choice.evaluation) * Int64(100 + Self.equalPercent)
                    < problem.goal.streamCost(held.evaluation) * 100
            }
            if isBetter ?? true { best = choice }
        }
        return best
    }

    /// The plan of the best node alone where one item was to go to several at once: that it has to
    /// get to them is not in the space, which does not know where it comes in.
    private func alone(
        instead sketch: PlanSketch, search: PlanSearch, model: CostModel
    ) -> Choice? {
        guard search.goal.objective == .latency, problem.baseline == nil,
            sketch.nodes.count > 1, let local = search.baseline(.local),
            search.goal.allows(local)
        else { return nil }
        return choice(local, search: search, model: model)
    }

    /// Whether the same stages fit on the same nodes.
    static func fitsAlike(_ one: PlanSpace, _ other: PlanSpace) -> Bool {
        one.nodes.allSatisfy { node in
            zip(one.stageBytes, other.stageBytes).allSatisfy {
                ($0 <= node.memoryBytes) == ($1 <= node.memoryBytes)
            }
        }
    }

    /// One node alone, unless several gain enough.
    func preferringOne(_ sketch: PlanSketch, search: PlanSearch) -> PlanSketch {
        guard search.goal.objective == .throughput, sketch.nodes.count > 1,
            let local = search.baseline(.local), search.goal.allows(local)
        else { return sketch }
        let isWorthwhile =
            sketch.periodNanoseconds
            <= CostArithmetic.scaled(
                local.periodNanoseconds, by: 100 - Self.pipelineGainPercent, over: 100)
        return isWorthwhile ? sketch : local
    }

    /// The plan that a sketch stands for; its space begins at the position `first` of the model, and
    /// `head` runs before it.
    func choice(
        _ sketch: PlanSketch, search: PlanSearch, model: CostModel, first: Int = 0,
        head: [StageParts] = []
    ) -> Choice? {
        let settled = settle(sketch, space: search.space, model: model, first: first)
        var parts = head
        for stage in settled {
            func operators(_ from: Int, _ to: Int) -> Range<Int> {
                model.positions[first + from]..<model.positions[first + to]
            }
            guard stage.mode == .rows else {
                let range = operators(stage.from, stage.to)
                parts.append(
                    StageParts(
                        operators: range, mode: stage.mode,
                        fragments: stage.nodes.map { node in
                            Fragment(
                                host: model.nodes[node].member, operators: range,
                                weight: Self.weight(
                                    of: node, in: stage, model: model, first: first))
                        }))
                continue
            }
            let split = RowSplit(search.costs, group: stage.nodes)
            for (from, to) in search.costs.blocks(of: stage) {
                guard let rows = split.block(from, to)?.rows else { return nil }
                let range = operators(from, to)
                var next = 0
                var fragments: [Fragment] = []
                for (node, count) in zip(stage.nodes, rows) {
                    fragments.append(
                        Fragment(
                            host: model.nodes[node].member, operators: range,
                            rows: next..<(next + count)))
                    next += count
                }
                parts.append(StageParts(operators: range, mode: .rows, fragments: fragments))
            }
        }
        let share = min(
            sketch.latencyNanoseconds / max(sketch.periodNanoseconds, 1), PlanCheck.windowMax)
        // Each replica is to have one that computes and one that waits, like a stage.
        let places = parts.reduce(0) {
            $0 + ($1.mode == .replicas ? $1.fragments.count : 1)
        }
        let window = max(Self.window(stageCount: places, latencyShare: 0), share + 2)
        let whole = makeChoice(parts, without: nil, window: window)
        // Baselines are measured as they were published.
        if problem.baseline == .lcpLike { return dealt(parts, model: model, window: window) }
        guard problem.baseline == nil else { return whole }
        if problem.allowedModes.contains(.branches),
            let branched = branched(parts, instead: whole, model: model, window: window)
        {
            return branched
        }
        guard parts.contains(where: { $0.mode == .rows }) else { return whole }
        let cut = BorderRows(parts, outline: problem.outline, evaluator: evaluator).cut()
        guard let bordered = makeChoice(cut, without: nil, window: window) else { return whole }
        guard let whole else { return bordered }
        return isBetter(bordered, whole) ? bordered : whole
    }

    /// The best division of parallel regions over several nodes, if it meets the goal better.
    private func branched(
        _ parts: [StageParts], instead whole: Choice?, model: CostModel, window: Int
    ) -> Choice? {
        let stages = BranchStages(
            problem, hosts: model.nodes.map(\.member), evaluator: evaluator)
        var best = whole
        for count in stages.nodeCounts.map(Array.init) ?? [] {
            guard let divided = stages.divided(parts, over: count),
                let choice = makeChoice(divided, without: nil, window: window),
                problem.goal.allows(choice.evaluation)
            else { continue }
            if best.map({ isBetter(choice, $0) }) ?? true { best = choice }
        }
        return best?.plan.stages.contains { $0.mode == .branches } == true ? best : nil
    }

    /// The plan of the baseline `lcp-like`; nil if the graph has no parallel region.
    private func dealt(_ parts: [StageParts], model: CostModel, window: Int) -> Choice? {
        let stages = BranchStages(
            problem, hosts: model.nodes.map(\.member), evaluator: evaluator)
        return stages.dealt(parts).flatMap {
            makeChoice($0, without: nil, window: window)
        }
    }

    /// Whether one way to compute the same stages meets the goal better than another.
    func isBetter(_ one: Choice, _ other: Choice) -> Bool {
        let (one, other) = (one.evaluation, other.evaluation)
        let periods = (one.periodMicroseconds, other.periodMicroseconds)
        let latencies = (one.latencyMicroseconds, other.latencyMicroseconds)
        return switch problem.goal.objective {
        case .throughput: (periods.0, latencies.0) < (periods.1, latencies.1)
        case .latency: (latencies.0, periods.0) < (latencies.1, periods.1)
        case .energy: (problem.goal.cost(one), periods.0) < (problem.goal.cost(other), periods.1)
        }
    }

    /// A node's part of a replicated stage's requests: by its speed, in thousandths of the fastest's.
    private static func weight(
        of node: Int, in stage: PlanSketch.Stage, model: CostModel, first: Int
    ) -> Int {
        let (from, to) = (first + stage.from, first + stage.to)
        let times = stage.nodes.map {
            model.stageNanoseconds(node: $0, from: from, to: to)
        }
        let own = model.stageNanoseconds(node: node, from: from, to: to)
        guard stage.mode == .replicas, let least = times.min(), own > 0 else { return 1 }
        return max(1, CostArithmetic.scaled(least, by: weightOfFastest, over: own))
    }

    private static let weightOfFastest = 1_000

    /// The stages with nodes of a kind exchanged so that as much as may be stays where it runs.
    private func settle(
        _ sketch: PlanSketch, space: PlanSpace, model: CostModel, first: Int
    ) -> [PlanSketch.Stage] {
        let counts = space.nodes.indices.map { node in
            sketch.stages.count { $0.nodes.contains(node) }
        }
        // Where a node serves several stages, exchanging it would have to follow all of them.
        guard let current = model.problem.current,
            current.manifest == model.problem.outline.manifest,
            counts.allSatisfy({ $0 <= 1 })
        else { return sketch.stages }
        var stages = sketch.stages
        var isFree = [Bool](repeating: true, count: space.nodes.count)
        var open: [(stage: Int, place: Int)] = []
        for (index, stage) in stages.enumerated() {
            let range =
                model.positions[first + stage.from]..<model.positions[first + stage.to]
            let warm = current.fragments.filter { $0.operators == range }.map(\.host)
            for (place, node) in stage.nodes.enumerated() {
                let match = space.members[space.kinds[node]].first { other in
                    isFree[other] && warm.contains(model.nodes[other].member)
                }
                if let match {
                    stages[index].nodes[place] = match
                    isFree[match] = false
                } else {
                    open.append((index, place))
                }
            }
        }
        for (index, place) in open {
            let kind = space.kinds[stages[index].nodes[place]]
            guard let node = space.members[kind].first(where: { isFree[$0] }) else { continue }
            stages[index].nodes[place] = node
            isFree[node] = false
        }
        for index in stages.indices {
            let nodes = stages[index].nodes
            stages[index].nodes = space.rowOrder.filter(nodes.contains)
        }
        return stages
    }
}
