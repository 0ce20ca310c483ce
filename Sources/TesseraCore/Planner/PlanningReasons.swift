/// Puts into words why a node has no part in a plan, and why there is no plan.
enum PlanningReasons {
    /// The nodes that a plan does not use, with reasons, ascending.
    static func leftOut(
        _ plan: Plan, evaluation: PlanEvaluation, model: CostModel,
        pipelinePeriodMicroseconds: Int64?
    ) -> [LeftOut] {
        let hosts = plan.hosts
        var result = model.unusable.filter { note in
            !hosts.contains { $0.node == note.node }
        }
        for node in model.nodes where !hosts.contains(node.member) {
            result.append(
                LeftOut(
                    node: node.member.node,
                    reason: reason(
                        for: node, plan: plan, evaluation: evaluation, model: model,
                        pipelinePeriodMicroseconds: pipelinePeriodMicroseconds)))
        }
        return result.sorted { $0.node < $1.node }
    }

    private static func reason(
        for node: PlanningProblem.Node, plan: Plan, evaluation: PlanEvaluation, model: CostModel,
        pipelinePeriodMicroseconds: Int64?
    ) -> String {
        let least = smallestStageBytes(model)
        if node.freeMemoryBytes < least {
            return "it has \(node.freeMemoryBytes) bytes of memory free, and the smallest stage "
                + "needs \(least)"
        }
        let period = evaluation.periodMicroseconds
        if let baseline = model.problem.baseline {
            return "the baseline \(baseline.rawValue) does not use it"
        }
        if model.problem.goal.objective != .throughput {
            return "no plan with it would take less \(model.problem.goal.objective.rawValue)"
        }
        if let pipelinePeriodMicroseconds, plan.stages.count == 1 {
            return "adding it would not raise throughput enough: the best plan over several nodes "
                + "takes \(pipelinePeriodMicroseconds) µs per item, one node alone \(period) µs, "
                + "and \(Planner.pipelineGainPercent) % must be gained"
        }
        return "adding it would not raise throughput by more than \(Planner.equalPercent) %: "
            + "\(evaluation.bottleneck) sets the period of \(period) µs"
    }

    private static func smallestStageBytes(_ model: CostModel) -> Int {
        (0..<model.end).map { position in
            model.stageBytes(from: position, to: position + 1, window: Planner.windowMin)
        }.min() ?? 0
    }

    /// Why nothing fits: the limit that binds, with figures.
    static func impossible(_ model: CostModel) -> String {
        guard
            let largest = model.nodes.max(by: { left, right in
                (left.freeMemoryBytes, right.member) < (right.freeMemoryBytes, left.member)
            })
        else {
            let notes = model.unusable.map { note in
                let name = model.problem.nodes.last { $0.member.node == note.node }?.name
                return "\(name ?? note.node.short): \(note.reason)"
            }
            return notes.isEmpty
                ? "no node is there to host the model"
                : "no node can host the model: " + notes.joined(separator: "; ")
        }
        for position in 0..<model.end {
            let needed = model.stageBytes(
                from: position, to: position + 1, window: Planner.windowMin)
            if needed > largest.freeMemoryBytes {
                let name = model.problem.outline.operators[model.positions[position]].name
                return "operator \(name) alone needs \(needed) bytes of memory, and the most that "
                    + "a node has free is \(largest.freeMemoryBytes) bytes on \(largest.name)"
            }
        }
        let weights = model.problem.outline.weightBytes(
            of: 0..<model.problem.outline.operators.count)
        let whole = model.stageBytes(from: 0, to: model.end, window: Planner.windowMin)
        let free = model.nodes.reduce(0) { $0 + $1.freeMemoryBytes }
        let list = model.nodes.map { "\($0.name) \($0.freeMemoryBytes)" }.joined(separator: ", ")
        return "the model needs at least \(whole) bytes of memory (\(weights) bytes of weights), "
            + "and no cut of it fits into what is free: \(free) bytes on \(model.nodes.count) "
            + "node\(model.nodes.count == 1 ? "" : "s") (\(list))"
    }
}
