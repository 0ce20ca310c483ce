/// What a search for a plan gives.
public enum PlanSearchResult: Hashable, Sendable {
    /// The best plan; `isExact` says whether no plan of the space is better.
    case found(PlanSketch, isExact: Bool)
    /// No plan, and the limit that binds.
    case impossible(reason: String)

    /// The plan, if there is one.
    public var sketch: PlanSketch? {
        if case .found(let sketch, _) = self { sketch } else { nil }
    }
}

/// Finds the best plan of a `PlanSpace` for a goal: a pure function, the same everywhere.
///
/// Exactly where the tables of all groups of nodes are small enough, by local search above; never
/// worse than any baseline whose modes are allowed.
public struct PlanSearch: Sendable {
    /// The space, without the headroom of memory.
    public let space: PlanSpace
    /// What the plan is to be best at.
    public let goal: PlanGoal
    /// The modes that stages may have; `single` always may.
    public let modes: ModeSet
    let costs: SpaceCosts
    private let usesBaselines: Bool

    /// A search.
    public init(_ space: PlanSpace, goal: PlanGoal = PlanGoal(), modes: ModeSet = .all) {
        self.init(space, goal: goal, modes: modes, usesBaselines: true)
    }

    /// A search, with or without baselines as candidates.
    init(_ space: PlanSpace, goal: PlanGoal, modes: ModeSet, usesBaselines: Bool) {
        self.space = space.withHeadroom(percent: goal.memoryHeadroomPercent)
        self.goal = goal
        self.modes = modes.union(.single)
        self.usesBaselines = usesBaselines
        costs = SpaceCosts(self.space)
    }

    /// The bound of the space.
    public var bound: SpaceBound { SpaceBound(space, modes: modes) }

    /// A baseline's plan in this space; nil if it has none.
    public func baseline(_ baseline: PlanBaseline) -> PlanSketch? {
        PlanBaseline.sketch(baseline, costs: costs, objective: goal.objective)
    }

    /// The best plan.
    public func best() -> PlanSearchResult {
        if let reason = reasonAgainstEnergy { return .impossible(reason: reason) }
        if let found = found() { return .found(found.sketch, isExact: found.isExact) }
        return .impossible(reason: SearchReasons(self).impossible())
    }

    /// The best plan that is found, if any is.
    func found() -> Found? { goal.objective == .throughput ? throughput() : additive() }

    private var countsEnergy: Bool { goal.objective == .energy || goal.nanojoulesMax != nil }

    private var reasonAgainstEnergy: String? {
        guard countsEnergy, let node = space.nodes.first(where: { $0.milliwatts == nil })
        else { return nil }
        return "energy cannot be planned: what node \(node.name) draws is not known"
    }

    /// A plan, and whether no plan of the space is better.
    struct Found {
        var sketch: PlanSketch
        var isExact: Bool
    }

    /// Plans that are quickly had: the baselines that use no other modes than the allowed ones, and
    /// those of some orders of the nodes.
    func candidates(searches: Bool) -> [PlanSketch] {
        var result: [PlanSketch] = []
        if usesBaselines {
            for one in PlanBaseline.allCases
            where !one.isSearched && modes.isSuperset(of: one.modes) {
                if let sketch = baseline(one) { result.append(sketch) }
            }
            if !modes.contains(.replicas),
                let sketch = PlanBaseline.pipedream(costs, allowsReplicas: false)
            {
                result.append(sketch)
            }
        }
        // Where the period counts, slower stages than the best plan so far are of no use.
        let known = goal.objective == .throughput ? best(of: result)?.periodNanoseconds : nil
        var orders = OrderSearch(
            costs, modes: modes, limit: known ?? CostArithmetic.nanosecondsMax)
        let starts = orders.starts()
        var found: [OrderSearch.Found] = []
        if searches {
            if let one = orders.search(starts: starts) { found = [one] }
        } else {
            found = starts.prefix(2).compactMap { orders.optimum(order: $0) }
        }
        for one in found {
            if let sketch = sketch(one.stages) { result.append(sketch) }
        }
        return result
    }

    /// A plan with the quickest mode for each stage; nil if a stage cannot run.
    private func sketch(_ stages: [PlanSketch.Stage]) -> PlanSketch? {
        var chosen: [PlanSketch.Stage] = []
        for stage in stages {
            guard let one = costs.quickest(stage.nodes, stage.from, stage.to, modes: modes)
            else { return nil }
            chosen.append(one)
        }
        return costs.sketch(chosen)
    }

    private func best(of sketches: [PlanSketch]) -> PlanSketch? {
        sketches.filter(goal.allows).min { left, right in
            let key = (goal.value(left), left.periodNanoseconds, left.nodes.count)
            let otherKey = (goal.value(right), right.periodNanoseconds, right.nodes.count)
            return key < otherKey
        }
    }

    // MARK: Throughput

    private var singlesOnly: Bool {
        !modes.contains(.replicas) && (!modes.contains(.rows) || space.rows == nil)
    }

    /// The plan of the least period within the limits; nil if there is none.
    func throughput() -> Found? {
        let isPlain =
            space.medium == nil && goal.latencyNanosecondsMax == nil && goal.nanojoulesMax == nil
        let isExact = isPlain ? canReach : LabelSolver.canSolve(space, modes: modes)
        let simpler = isExact || singlesOnly ? simplerModes : .single
        let known =
            simpler.map { modes in
                // Quickly found, and often as good: fewer entries of the tables then matter.
                PlanSearch(
                    space, goal: goal.withoutHeadroom, modes: modes, usesBaselines: usesBaselines
                ).throughput().map { [$0.sketch] } ?? []
            } ?? []
        let relaxed = isPlain || !isExact ? nil : self.relaxed()
        var start = best(
            of: known + [relaxed?.sketch].compactMap { $0 } + candidates(searches: !isExact))
        guard isExact else {
            let more =
                isPlain
                ? [overSmallGroups(from: start)] : [additiveCandidate()] + overFastNodes()
            return best(of: ([start] + more).compactMap { $0 }).map {
                Found(sketch: $0, isExact: $0.periodNanoseconds <= bound.nanoseconds)
            }
        }
        let floor = relaxed?.floor ?? 0
        if isPlain, modes.contains(.rows), space.rows != nil, let held = start {
            guard let better = withRows(below: held) else {
                return Found(sketch: held, isExact: true)
            }
            start = better
        }
        var solver = Solver(
            self, isPlain: isPlain, limit: start?.periodNanoseconds ?? highestPeriod)
        let found = descend(from: start, floor: floor, &solver)
        if !found.isExact {
            let others = candidates(searches: true) + [found.sketch].compactMap { $0 }
            return best(of: others).map { Found(sketch: $0, isExact: false) }
        }
        return found.sketch.map { Found(sketch: $0, isExact: true) }
    }

    /// The longest period that may be looked for.
    private var highestPeriod: Int {
        min(goal.periodNanosecondsMax ?? .max, CostArithmetic.nanosecondsMax)
    }

    /// A plan with a shorter period than the best one without rows; nil if there is none, as is
    /// most often so, and sooner found out than what the shortest period with rows would be.
    private func withRows(below held: PlanSketch) -> PlanSketch? {
        let period = held.periodNanoseconds - 1
        guard period > 0 else { return nil }
        let solver = Solver(self, isPlain: true, limit: period, decides: true)
        return solver.reachablePlan(within: period)
    }

    /// The best plan whose groups have few nodes, where all groups are too many to try.
    private func overSmallGroups(from start: PlanSketch?) -> PlanSketch? {
        guard !singlesOnly, let size = groupSizeMax else { return nil }
        let limit = start?.periodNanoseconds ?? highestPeriod
        var solver = Solver(self, isPlain: true, limit: limit, sizeMax: size)
        return descend(from: start, floor: 0, &solver).sketch
    }

    /// The most nodes that groups may have so that all sets of nodes can be tried; nil if even
    /// pairs are too many.
    private var groupSizeMax: Int? {
        guard
            NodeVectors.count(space, limit: ReachabilitySolver.statesMax)
                < ReachabilitySolver.statesMax
        else { return nil }
        let sizes = NodeVectors(space).sizes
        let squares = space.positionCount * space.positionCount
        let words = (space.positionCount + 63) / 64
        return (2...Self.smallGroupMax).last { size in
            let groups = sizes.count { $0 <= size } - 1
            return groups <= ReachabilitySolver.vectorsMax
                && groups * squares <= GroupTable.entriesMax
                && groups * sizes.count * words <= GroupTable.entriesMax
                && NodeVectors.tripleCount(
                    space, sizeMax: size, limit: ReachabilitySolver.stepsMax)
                    < ReachabilitySolver.stepsMax
        }
    }

    /// Where not all groups are tried, they have at most so many nodes.
    private static let smallGroupMax = 4

    /// The plan of the least period without limits and medium, at its real cost, and its period: no
    /// plan within the limits has a shorter one.
    private func relaxed() -> (sketch: PlanSketch?, floor: Int)? {
        let search = PlanSearch(
            space.withoutMedium, goal: PlanGoal(), modes: modes, usesBaselines: usesBaselines)
        guard let found = search.throughput() else { return nil }
        return (
            costs.sketch(found.sketch.stages), found.isExact ? found.sketch.periodNanoseconds : 0
        )
    }

    /// The modes without the costliest one; nil if only `single` is allowed.
    var simplerModes: ModeSet? {
        if singlesOnly { return nil }
        return modes.isSuperset(of: [.rows, .replicas]) ? modes.subtracting(.rows) : .single
    }

    /// Whether the sets of nodes are few enough for all of them to be tried.
    private var canReach: Bool {
        let squares = space.positionCount * space.positionCount
        if singlesOnly {
            let most = ReachabilitySolver.statesMax
            let vectors = NodeVectors.count(space, limit: most)
            return vectors * space.members.count < most
                && space.members.count * squares <= GroupTable.entriesMax
        }
        let vectors = NodeVectors.count(space, limit: ReachabilitySolver.vectorsMax + 1)
        return vectors <= ReachabilitySolver.vectorsMax
            && vectors * squares <= GroupTable.entriesMax
            && NodeVectors.tripleCount(space, limit: ReachabilitySolver.stepsMax)
                < ReachabilitySolver.stepsMax
    }

    /// One of the two exact solvers.
    private struct Solver {
        private let search: PlanSearch
        private var reach: ReachabilitySolver?
        private var labels: LabelSolver?

        init(
            _ search: PlanSearch, isPlain: Bool, limit: Int, sizeMax: Int = .max,
            decides: Bool = false
        ) {
            self.search = search
            if isPlain {
                let groups = NodeGroups(
                    search.space, sizeMax: search.singlesOnly ? 1 : sizeMax)
                let table = GroupTable(
                    search.costs, groups: groups, modes: search.modes, limit: limit,
                    decides: decides)
                reach = ReachabilitySolver(search.costs, table: table)
            } else {
                labels = LabelSolver(
                    search.costs, modes: search.modes, criteria: search.criteria, limit: limit)
            }
        }

        /// Whether a try takes no longer than the bound does.
        var isQuick: Bool { reach != nil }

        /// A plan of at most this period within the limits; nil within for none, nil if that could
        /// not be settled.
        mutating func plan(within period: Int) -> PlanSketch?? {
            if reach != nil { return .some(reachablePlan(within: period)) }
            guard
                let front = labels?.front(period: period, limits: search.limits(period: period))
            else { return nil }
            return .some(front.first.flatMap { search.costs.sketch($0.stages) })
        }

        /// A plan of at most this period where nothing else is limited.
        func reachablePlan(within period: Int) -> PlanSketch? {
            reach?.any(within: period).flatMap(search.sketch)
        }

        /// Of the plans within a period one with the fewest nodes.
        func shortest(within period: Int) -> PlanSketch? {
            reach?.shortest(within: period).flatMap(search.sketch)
        }
    }

    /// Looks for shorter periods until there is none.
    ///
    /// The first try is just below the best plan known, which is often the best there is; then the
    /// interval down to the bound, or a higher floor, is halved.
    private func descend(
        from start: PlanSketch?, floor: Int, _ solver: inout Solver
    ) -> (sketch: PlanSketch?, isExact: Bool) {
        var best = start
        if best == nil {
            guard let found = solver.plan(within: highestPeriod) else { return (nil, false) }
            guard let found else { return (nil, true) }
            best = found
        }
        guard var held = best else { return (nil, true) }
        let lowest = solver.isQuick ? floor : max(floor, bound.nanoseconds)
        var low = min(lowest, held.periodNanoseconds)
        var isFirst = true
        while low < held.periodNanoseconds {
            let middle =
                isFirst
                ? held.periodNanoseconds - 1 : low + (held.periodNanoseconds - low) / 2
            guard let found = solver.plan(within: min(middle, held.periodNanoseconds - 1)) else {
                return (held, false)
            }
            if let found {
                held = found
                // Only now there is an interval.
                if isFirst { low = min(max(low, bound.nanoseconds), held.periodNanoseconds) }
            } else {
                low = middle + 1
            }
            isFirst = false
        }
        if let shortest = solver.shortest(within: held.periodNanoseconds),
            shortest.nodes.count < held.nodes.count
        {
            held = shortest
        }
        return (held, true)
    }

    // MARK: Latency and energy

    private var criteria: LabelSolver.Criteria {
        var result: LabelSolver.Criteria = []
        if goal.objective == .latency || goal.latencyNanosecondsMax != nil {
            result.insert(.latency)
        }
        if countsEnergy { result.insert(.energy) }
        if space.medium != nil { result.insert(.air) }
        return result
    }

    func limits(period: Int) -> LabelSolver.Sums {
        LabelSolver.Sums(
            latency: goal.latencyNanosecondsMax ?? .max, energy: goal.nanojoulesMax ?? .max,
            air: period)
    }

    /// The plan of least latency or energy within the limits; nil if there is none.
    private func additive() -> Found? {
        let known = candidates(searches: false)
        let start = best(of: known)
        var found: PlanSketch?
        var isExact = false
        if let period = goal.periodNanosecondsMax {
            if LabelSolver.canSolve(space, modes: modes) {
                var solver = LabelSolver(costs, modes: modes, criteria: criteria, limit: period)
                var limits = limits(period: period)
                // What is no better than a plan that is known is of no use.
                if let start, goal.objective == .latency {
                    limits.latency = min(limits.latency, start.latencyNanoseconds)
                } else if let start, let energy = start.nanojoules {
                    limits.energy = min(limits.energy, energy)
                }
                if let front = solver.front(period: period, limits: limits) {
                    isExact = true
                    found = best(of: front.compactMap { costs.sketch($0.stages) })
                }
            }
        } else {
            // Of what is no better than a plan that is known nothing is of use.
            let limit = goal.objective == .latency ? start?.latencyNanoseconds : nil
            var solver = RepeatSolver(
                costs, modes: modes, goal: goal, limit: limit ?? CostArithmetic.nanosecondsMax)
            let result = solver.best()
            isExact = result.isExact
            found = result.stages.flatMap { costs.sketch($0) }
        }
        if !isExact {
            let some = goal.periodNanosecondsMax == nil ? [] : overFastNodes()
            found = best(of: ([found] + some).compactMap { $0 } + candidates(searches: true))
        }
        return best(of: [found, start].compactMap { $0 }).map {
            Found(sketch: $0, isExact: isExact)
        }
    }

    /// A plan of low latency or energy, for a limit that candidates of short period may break.
    private func additiveCandidate() -> PlanSketch? {
        var other = goal
        other.objective = goal.latencyNanosecondsMax != nil ? .latency : .energy
        other.periodNanosecondsMax = nil
        var solver = RepeatSolver(costs, modes: modes, goal: other)
        return solver.best().stages.flatMap { costs.sketch($0) }
    }
}
