/// Makes plans: a pure function of a `PlanningProblem`.
///
/// Where the problem asks for nothing else, a plan is a pipeline of single nodes, as follows; for
/// other modes, goals and baselines see `PlanSearch` and Docs/Planning.md.
///
/// The plan is the pipeline of contiguous stages with the least period, exactly for up to
/// `SubsetSolver.nodesMax` usable nodes and `CostModel.positionsMax` positions, by local search
/// above. Of plans within one percent of it the one with the fewest nodes is taken, then the one
/// that loads the least anew beside what runs, then the one of lower latency. One node alone is
/// taken unless a pipeline gains at least five percent: a pipeline has more parts that can fail.
public struct Planner: Sendable {
    /// Periods that differ by less count as equal: measured times are no better.
    static let equalPercent = 1
    /// What a pipeline must gain over one node alone.
    static let pipelineGainPercent = 5
    /// The fewest attempts in flight that a plan is made for: one computes while one travels.
    static let windowMin = 2

    let problem: PlanningProblem
    let evaluator: PlanEvaluator

    init(_ problem: PlanningProblem) {
        self.problem = problem
        evaluator = PlanEvaluator(problem)
    }

    /// The best plan with its alternates, or why there is none.
    ///
    /// `naming` gives a plan its name: hashing is not the core's work.
    public static func plan(
        _ problem: PlanningProblem, naming: (Plan) -> NamedPlan
    ) -> PlanningResult {
        var problem = problem
        problem.nodes.sort { $0.member < $1.member }
        problem.keepInputLocal = problem.outline.localOperators(keeping: problem.keepInputLocal)
        guard !problem.outline.operators.isEmpty else {
            return .impossible(reason: "the model has no operators")
        }
        let planner = Planner(problem)
        var model = CostModel(problem)
        guard var choice = planner.choose(model) else {
            return .impossible(reason: impossible(model))
        }
        planner.tryPacked(&choice, &model)
        let alternates = planner.alternates(for: choice.plan, model: model)
        return .bundle(
            PlanBundle(primary: naming(choice.plan), alternates: alternates.map(naming)),
            leftOut: PlanningReasons.leftOut(
                choice.plan, evaluation: choice.evaluation, model: model,
                pipelinePeriodMicroseconds: choice.pipelinePeriodMicroseconds))
    }

    /// Searches once more with what packing leaves of the tensors, and takes what comes of it if it is
    /// better: a cut that binds a link as it is may pay packed.
    private func tryPacked(_ choice: inout Choice, _ model: inout CostModel) {
        guard problem.codecs != nil else { return }
        let packed = CostModel(problem, isPacked: true)
        guard let other = choose(packed) else { return }
        let (costs, goal) = ((choice.evaluation, other.evaluation), problem.goal)
        guard goal.cost(costs.1) * Int64(100 + Self.equalPercent) < goal.cost(costs.0) * 100
        else { return }
        (choice, model) = (other, packed)
    }

    /// The limit that binds, with figures.
    private static func impossible(_ model: CostModel) -> String {
        let problem = model.problem
        guard needsSearch(problem), !model.nodes.isEmpty else {
            return PlanningReasons.impossible(model)
        }
        let space = PlanSpace(model, window: windowMin)
        if problem.keepInputLocal > 0, problem.entry == nil {
            return "no node has room for the first \(problem.keepInputLocal) operators, which run "
                + "where requests come in, or no plan of the others keeps the limits"
        }
        let search = PlanSearch(space, goal: problem.goal, modes: problem.allowedModes)
        if case .impossible(let reason) = search.best() { return reason }
        if let baseline = problem.baseline {
            return "\(baseline.rawValue) has no plan that fits these nodes"
        }
        return PlanningReasons.impossible(model)
    }

    /// A plan with what is expected of it.
    struct Choice {
        var plan: Plan
        var evaluation: PlanEvaluation
        /// The period of the best pipeline of several nodes, if it was not taken.
        var pipelinePeriodMicroseconds: Int64?
    }

    /// The best plan over the model's nodes; nil if nothing fits.
    func choose(_ model: CostModel) -> Choice? {
        guard !model.nodes.isEmpty else { return nil }
        if model.problem.keepInputLocal > 0, model.problem.entry == nil {
            return keepingInputLocal(model)
        }
        if Self.needsSearch(model.problem) { return searched(model) }
        // Memory is tried for a window that keeps every stage busy, then for the least one.
        let wide = Self.window(stageCount: min(model.nodes.count, model.end), latencyShare: 0)
        let table = StageTable(model, window: wide)
        var best = choose(model, table: table)
        let narrow = StageTable(model, window: Self.windowMin)
        if narrow.stages != table.stages, let other = choose(model, table: narrow) {
            let isBetter = best.map { held in
                other.evaluation.periodMicroseconds * Int64(100 + Self.equalPercent)
                    < held.evaluation.periodMicroseconds * 100
            }
            if isBetter ?? true { best = other }
        }
        return best
    }

    private func choose(_ model: CostModel, table: StageTable) -> Choice? {
        let single = bestSingle(table).flatMap { makeChoice([$0], model: model) }
        let pipeline = bestPipeline(table, model: model).flatMap { makeChoice($0, model: model) }
        guard let single else { return pipeline }
        guard let pipeline, pipeline.plan.stages.count > 1 else { return single }
        let isWorthwhile =
            pipeline.evaluation.periodMicroseconds * 100
            <= single.evaluation.periodMicroseconds * Int64(100 - Self.pipelineGainPercent)
        if isWorthwhile { return pipeline }
        var result = single
        result.pipelinePeriodMicroseconds = pipeline.evaluation.periodMicroseconds
        return result
    }

    /// The best node alone.
    private func bestSingle(_ table: StageTable) -> ChainStep? {
        let steps = (0..<table.nodeCount).map { ChainStep(node: $0, from: 0, to: table.end) }
            .filter { table.stage($0.node, $0.from, $0.to) < StageTable.infeasible }
        guard let least = steps.map({ table.stage($0.node, $0.from, $0.to) }).min() else {
            return nil
        }
        let limit = Self.tolerated(least)
        return steps.filter { table.stage($0.node, $0.from, $0.to) <= limit }
            .min { table.preference(of: [$0]) < table.preference(of: [$1]) }
    }

    /// The best pipeline of any number of nodes.
    private func bestPipeline(_ table: StageTable, model: CostModel) -> [ChainStep]? {
        let ordered = OrderedSolver(table)
        var current: [Int] = []
        for fragment in model.problem.current?.fragments ?? [] {
            if let node = model.nodes.firstIndex(where: { $0.member == fragment.host }),
                !current.contains(node)
            {
                current.append(node)
            }
        }
        let starts = ordered.starts(current: current)
        guard table.nodeCount <= SubsetSolver.nodesMax else {
            guard let found = ordered.search(starts: starts) else { return nil }
            return ordered.preferred(
                order: found.order, periodLimit: Self.tolerated(found.period)) ?? found.chain
        }
        let solver = SubsetSolver(table)
        let known = starts.compactMap { ordered.optimum(order: $0)?.period }.min()
        guard let period = solver.optimum(upperBound: known) else { return nil }
        let limit = Self.tolerated(period)
        guard let shortest = solver.shortest(within: limit) else { return nil }
        return solver.preferred(within: limit, nodeCount: shortest.count) ?? shortest
    }

    private static func tolerated(_ period: Int) -> Int {
        period + CostArithmetic.scaled(period, by: equalPercent, over: 100)
    }

    /// Attempts in flight: for each stage one that computes and one that waits, one at each end in
    /// the entry's hands, and as many as are on the links.
    static func window(stageCount: Int, latencyShare: Int) -> Int {
        min(max(2 * stageCount + 2 + latencyShare, windowMin), PlanCheck.windowMax)
    }

    private func makeChoice(_ chain: [ChainStep], model: CostModel) -> Choice? {
        let stages = chain.map { step in
            let range = model.positions[step.from]..<model.positions[step.to]
            return StageParts(
                operators: range, mode: .single,
                fragments: [Fragment(host: model.nodes[step.node].member, operators: range)])
        }
        // Latency that the links add, in periods: so many more items are under way.
        let latency = chain.indices.dropFirst().reduce(0) { sum, index in
            sum + model.links.latency(from: chain[index - 1].node, to: chain[index].node)
        }
        let slowest =
            chain.map { model.stageNanoseconds(node: $0.node, from: $0.from, to: $0.to) }
            .max() ?? 1
        let share = min((latency + slowest - 1) / max(slowest, 1), PlanCheck.windowMax)
        return makeChoice(
            stages, without: nil,
            window: Self.window(stageCount: chain.count, latencyShare: share))
    }

    /// A plan with the widest window up to `window` that fits; nil if not even one attempt does.
    func makeChoice(_ parts: [StageParts], without: NodeBoot?, window: Int) -> Choice? {
        let fragments = parts.flatMap(\.fragments)
        var stages: [Stage] = []
        var next = 0
        for part in parts {
            let end = next + part.fragments.count
            stages.append(Stage(operators: part.operators, mode: part.mode, fragments: next..<end))
            next = end
        }
        var plan = Plan(
            manifest: problem.outline.manifest, ballot: problem.ballot, without: without,
            stages: stages, fragments: fragments,
            routes: Plan.routes(for: problem.outline, fragments: fragments), window: window,
            predictedPeriodMicroseconds: 0, predictedLatencyMicroseconds: 0)
        plan.window = min(window, fittingWindow(fragments))
        guard plan.window >= 1, let evaluation = evaluator.evaluate(plan) else { return nil }
        plan.predictedPeriodMicroseconds = evaluation.periodMicroseconds
        plan.predictedLatencyMicroseconds = evaluation.latencyMicroseconds
        return Choice(plan: plan, evaluation: evaluation, pipelinePeriodMicroseconds: nil)
    }

    /// What a fragment takes on its host.
    func memory(of fragment: Fragment) -> FragmentMemory {
        evaluator.memory(of: fragment)
    }

    /// How many attempts in flight the hosts' memory allows; 0 if not even one.
    private func fittingWindow(_ fragments: [Fragment]) -> Int {
        var result = PlanCheck.windowMax
        for node in problem.nodes {
            let memories = fragments.filter { $0.host == node.member }
                .map(memory(of:))
            let room = node.freeMemoryBytes - memories.reduce(0) { $0 + $1.fixedBytes }
            let slices = memories.reduce(0) { $0 + $1.sliceBytes }
            if memories.isEmpty { continue }
            if room < 0 { return 0 }
            if slices > 0 { result = min(result, room / slices) }
        }
        return result
    }
}
