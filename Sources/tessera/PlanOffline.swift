import TesseraCore

/// Plans without an agent: a pure function of what it is given.
struct PlanOffline: Sendable {
    /// A plan must be shorter by this much, in percent, to be worth fewer attempts in flight.
    private static let equalPercent = 1

    /// What is planned.
    enum Source: Sendable {
        /// A chain of layers.
        case profile(PlanSpace)
        /// A model, and the spaces of its plans in the order in which they are tried.
        case model(ModelOutline, [ModelSpace])
    }

    /// A plan that was found, and what is known about it.
    struct Plan: Sendable {
        /// The search that found it, over its space.
        var search: PlanSearch
        /// The plan.
        var sketch: PlanSketch
        /// Whether no plan of the space is better; nil for a baseline.
        var isExact: Bool?
        /// The plan that keeps nothing at the entry, where this one does.
        var otherwise: PlanSketch?
        /// The baseline whose plan it is.
        var baseline: PlanBaseline?
        /// The plans that none beats, and whether these are all.
        var front: (sketches: [PlanSketch], isExact: Bool)?
        /// The model, and the operator that each position stands before; nil for a profile.
        var model: (outline: ModelOutline, positions: [Int])?
    }

    let source: Source
    let goal: PlanGoal
    let modes: ModeSet
    let baseline: PlanBaseline?
    let wantsFront: Bool

    /// The plan; an error that names the binding limit if there is none.
    func plan() throws -> Plan {
        switch source {
        case .profile(let space):
            switch attempt(space) {
            case .success(let plan): return finished(plan)
            case .failure(let failure): throw failure
            }
        case .model(let outline, let spaces):
            return try plan(outline, spaces)
        }
    }

    /// The plan over the first space, unless a later one with fewer attempts in flight is better.
    private func plan(_ outline: ModelOutline, _ spaces: [ModelSpace]) throws -> Plan {
        var best: Plan?
        var last = CommandFailure("no plan: no node is there.")
        for space in spaces {
            switch attempt(space.space) {
            case .failure(let failure): last = failure
            case .success(var plan):
                plan.model = (outline, space.positions)
                if let held = best, !isClearlyBetter(plan.sketch, than: held.sketch) { continue }
                best = plan
            }
        }
        guard let best else { throw last }
        return finished(best)
    }

    private func isClearlyBetter(_ one: PlanSketch, than other: PlanSketch) -> Bool {
        func value(_ sketch: PlanSketch) -> Int {
            switch goal.objective {
            case .throughput: sketch.periodNanoseconds
            case .latency: sketch.latencyNanoseconds
            case .energy: sketch.nanojoules ?? .max
            }
        }
        let (value, held) = (value(one), value(other))
        return value < held - held / 100 * Self.equalPercent
    }

    private func attempt(_ space: PlanSpace) -> Result<Plan, CommandFailure> {
        let search = PlanSearch(space, goal: goal, modes: baseline?.modes ?? modes)
        guard let baseline else {
            switch search.best() {
            case .found(let sketch, let isExact):
                return .success(Plan(search: search, sketch: sketch, isExact: isExact))
            case .impossible(let reason):
                let text = reason.hasPrefix("no plan") ? reason : "no plan: \(reason)"
                return .failure(CommandFailure("\(text)."))
            }
        }
        guard baseline != .lcpLike else {
            return .failure(
                CommandFailure(
                    "no plan: lcp-like deals out the branches of a graph, which only a running mesh "
                        + "does so far. See it there: `tessera model set MODEL --mode lcp-like`, "
                        + "then `tessera plan MODEL`."))
        }
        guard let sketch = search.baseline(baseline) else {
            return .failure(CommandFailure("no plan: " + reasonAgainst(baseline, search)))
        }
        if let reason = limitBroken(by: sketch) {
            return .failure(
                CommandFailure("no plan: the plan of \(baseline.rawValue) \(reason)."))
        }
        return .success(Plan(search: search, sketch: sketch, isExact: nil, baseline: baseline))
    }

    private func reasonAgainst(_ baseline: PlanBaseline, _ search: PlanSearch) -> String {
        if case .impossible(let reason) = search.best() { return "\(reason)." }
        if baseline == .modnnLike || baseline == .deepthingsLike {
            if search.space.nodes.count < 2 {
                return "\(baseline.rawValue) splits rows over several nodes, and there is one."
            }
            if search.space.rows?.counts.contains(where: { $0 > 0 }) != true {
                return "\(baseline.rawValue) splits rows, and nothing here can be split by rows."
            }
        }
        return "what \(baseline.rawValue) gives the nodes does not fit into their memory, or has "
            + "more tiles than there are rows. Other modes have plans: leave --mode out."
    }

    private func limitBroken(by sketch: PlanSketch) -> String? {
        func time(_ nanoseconds: Int) -> String {
            Figures.milliseconds(Double(nanoseconds) / 1e6) + " ms"
        }
        if let limit = goal.periodNanosecondsMax, sketch.periodNanoseconds > limit {
            return "has a period of \(time(sketch.periodNanoseconds)), above \(time(limit))"
        }
        if let limit = goal.latencyNanosecondsMax, sketch.latencyNanoseconds > limit {
            return "has a latency of \(time(sketch.latencyNanoseconds)), above \(time(limit))"
        }
        guard let limit = goal.nanojoulesMax else { return nil }
        guard let energy = sketch.nanojoules else {
            return "has no known energy: not every node's watts are given"
        }
        return energy <= limit ? nil : "takes \(energy) nJ per item, above \(limit) nJ"
    }

    private func finished(_ plan: Plan) -> Plan {
        guard wantsFront else { return plan }
        var plan = plan
        plan.front = plan.search.front()
        return plan
    }
}
