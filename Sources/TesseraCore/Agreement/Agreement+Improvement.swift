// Whether another plan is worth the move, and what is said of it.

extension Agreement {
    /// Hysteresis.
    ///
    /// A tenth better is enough when there are other nodes, nodes that say of themselves that they
    /// got slower or quicker, or links that were not known before. When only measurements moved, it
    /// takes a quarter, in two looks in a row: noise passes, drift stays. The same fragments are
    /// proposed again if more losses are covered.
    func isWorthwhile(
        _ bundle: PlanBundle, than current: PlanBundle, _ ballot: Ballot, _ model: inout Model,
        _ view: View
    ) -> Bool {
        let old = current.primary.plan
        let new = bundle.primary.plan
        if old.fragments == new.fragments && old.window == new.window {
            model.betterLooks = 0
            func covered(_ bundle: PlanBundle) -> Set<NodeBoot> {
                Set(
                    bundle.alternates.filter { alternate in
                        alternate.plan.hosts.allSatisfy { view.usable.contains($0) }
                    }.compactMap(\.plan.without))
            }
            return covered(bundle).subtracting(covered(current)).isEmpty == false
        }
        // What the operator wants is taken, better or not; a baseline is wanted for all nodes.
        // The plan that runs may have been made before the last one of them was known. One that
        // uses no more of them follows what was measured, like any other plan.
        let isBaseline = view.settings.baseline != nil && new.hosts.count > old.hosts.count
        // Other shares of rows or requests alone are no other plan in that sense: they follow each
        // new measurement.
        let isWished = isSetAnew(view, since: model) && !isAlike(new, old)
        if isWished || isBaseline { return true }
        // A node that came holds no head yet, and turns requests away until it does.
        if let entries = new.entries, let held = old.entries,
            Set(entries).isStrictSuperset(of: held)
        {
            return true
        }
        guard let outline = view.outline else { return false }
        let problem = view.problem(outline, ballot, current)
        guard let costs = costs(of: old, new, problem) else { return true }
        if isChanged(view, since: model) {
            return costs.contains { $0.planned * 10 <= $0.running * 9 }
        }
        guard costs.contains(where: { $0.planned * 4 <= $0.running * 3 }) else {
            model.betterLooks = 0
            return false
        }
        model.betterLooks += 1
        return model.betterLooks >= 2
    }

    /// What two plans are compared by, any of which is enough; nil if nothing is known of the old
    /// one.
    ///
    /// The period; where the energy is to be least, that; where the time of one item is, that, and
    /// the period of a plan that takes an item no longer.
    private func costs(
        of old: Plan, _ new: Plan, _ problem: PlanningProblem
    ) -> [(running: Int64, planned: Int64)]? {
        guard let now = PlanEvaluation.evaluate(old, problem) else { return nil }
        let periods = (
            running: now.periodMicroseconds, planned: new.predictedPeriodMicroseconds
        )
        switch problem.goal.objective {
        case .throughput: return [periods]
        case .latency:
            let latencies = (
                running: now.latencyMicroseconds, planned: new.predictedLatencyMicroseconds
            )
            return latencies.planned > latencies.running ? [latencies] : [latencies, periods]
        case .energy:
            guard now.nanojoules != nil, let then = PlanEvaluation.evaluate(new, problem) else {
                return nil
            }
            return [(problem.goal.cost(now), problem.goal.cost(then))]
        }
    }

    /// Whether two plans have the same stages in the same modes on the same nodes.
    private func isAlike(_ one: Plan, _ other: Plan) -> Bool {
        one.stages.count == other.stages.count
            && zip(one.stages, other.stages).allSatisfy { stage, fellow in
                stage.operators == fellow.operators && stage.mode == fellow.mode
                    && Set(one.fragments[stage.fragments].map(\.host))
                        == Set(other.fragments[fellow.fragments].map(\.host))
            }
    }

    /// What an improvement is for, with figures, for the log.
    func reason(
        for bundle: PlanBundle, instead current: PlanBundle, _ ballot: Ballot, _ view: View
    ) -> String {
        let old = current.primary.plan
        guard let outline = view.outline else { return PlanRound.Need.improvement.reason }
        let problem = view.problem(outline, ballot, current)
        guard let now = PlanEvaluation.evaluate(old, problem) else {
            return PlanRound.Need.improvement.reason
        }
        func name(_ member: NodeBoot) -> String {
            problem.nodes.first { $0.member == member }?.name ?? member.node.short
        }
        if problem.goal.objective == .energy, let before = now.nanojoules,
            let after = PlanEvaluation.evaluate(bundle.primary.plan, problem)?.nanojoules
        {
            return "\(PlanRound.Need.improvement.reason): an item takes \(before) nJ by the nodes' "
                + "powers, with the new plan \(after) nJ"
        }
        let limit =
            switch now.bottleneck {
            case .node(let host): "computing on \(name(host))"
            case .link(let source, let target):
                "the link from \(name(source)) to \(name(target))"
            case .window: "\(now.bottleneck)"
            }
        if problem.goal.objective == .latency {
            return "\(PlanRound.Need.improvement.reason): one item alone takes "
                + "\(now.latencyMicroseconds) µs by what was measured, "
                + "\(old.predictedLatencyMicroseconds) µs were expected when the plan was made; "
                + "the new plan takes \(bundle.primary.plan.predictedLatencyMicroseconds) µs"
        }
        return "\(PlanRound.Need.improvement.reason): an item takes "
            + "\(now.periodMicroseconds) µs by what was measured, "
            + "\(old.predictedPeriodMicroseconds) µs were expected when the plan was made, "
            + "held up by \(limit); the new plan takes "
            + "\(bundle.primary.plan.predictedPeriodMicroseconds) µs"
    }
}
