/// Why a node of a mesh got what it got in a plan, or nothing.
public struct PlanDiagnosis: Hashable, Sendable {
    /// The node.
    public var node: NodeID
    /// Whether the plan uses it.
    public var isUsed: Bool
    /// For people: the reason.
    public var text: String

    /// For each node of a problem, ascending, why it got what it got in a plan; nil if the plan is
    /// not valid for the problem.
    public static func of(_ plan: Plan, _ problem: PlanningProblem) -> [PlanDiagnosis]? {
        guard let evaluation = PlanEvaluation.evaluate(plan, problem) else { return nil }
        let used = plan.hosts.map { host in
            PlanDiagnosis(
                node: host.node, isUsed: true,
                text: text(of: host, plan: plan, evaluation: evaluation, outline: problem.outline))
        }
        let leftOut = PlanningReasons.leftOut(
            plan, evaluation: evaluation, model: CostModel(problem),
            pipelinePeriodMicroseconds: nil
        ).map { PlanDiagnosis(node: $0.node, isUsed: false, text: $0.reason) }
        return (used + leftOut).sorted { $0.node < $1.node }
    }

    private static func text(
        of host: NodeBoot, plan: Plan, evaluation: PlanEvaluation, outline: ModelOutline
    ) -> String {
        var parts: [String] = []
        var busy: Int64 = 0
        for stage in plan.stages {
            for index in stage.fragments where plan.fragments[index].host == host {
                let time = evaluation.stages[index]
                let whole = time.computeMicroseconds + time.endpointMicroseconds
                let fragment = plan.fragments[index]
                let names = outline.operators[fragment.operators].map(\.name)
                let operators =
                    names.count == 1 ? names[0] : "\(names[0]) to \(names[names.count - 1])"
                switch stage.mode {
                case .single:
                    parts.append("it computes \(operators)")
                    busy += whole
                case .branches:
                    parts.append("it computes \(operators), beside other branches")
                    busy += whole
                case .replicas:
                    let sum = stage.fragments.reduce(0) { $0 + plan.fragments[$1].weight }
                    let percent = fragment.weight * 100 / max(sum, 1)
                    parts.append(
                        "it computes \(operators) for \(percent) % of the requests, as one of "
                            + "\(stage.fragments.count) replicas")
                    busy += whole * Int64(fragment.weight) / Int64(max(sum, 1))
                case .entry:
                    parts.append("it computes \(operators) for the requests that come in at it")
                    busy += whole / Int64(stage.fragments.count)
                case .rows:
                    let rows = fragment.rows?.count ?? 0
                    let all = outline.referenceRowCount(of: stage.operators) ?? 0
                    parts.append(
                        "it computes \(rows) of \(all) "
                            + "rows of \(operators), as one of \(stage.fragments.count) tiles")
                    busy += whole
                }
            }
        }
        let role =
            evaluation.bottleneck == .node(host)
            ? "which sets the period" : "of a period of \(evaluation.periodMicroseconds) µs"
        return parts.joined(separator: ", and ") + ": busy for \(busy) µs per item, \(role)"
    }
}
