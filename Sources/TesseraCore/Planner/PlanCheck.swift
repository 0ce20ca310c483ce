/// Whether a plan is one that this model can run: what every acceptor checks before it accepts.
public enum PlanCheck {
    /// More attempts in flight than this only fill memory.
    public static let windowMax = 64

    /// Whether the plan is valid for the model.
    public static func isValid(_ plan: Plan, outline: ModelOutline) -> Bool {
        reason(against: plan, outline: outline) == nil
    }

    /// What is wrong with the plan; nil if nothing is.
    public static func reason(against plan: Plan, outline: ModelOutline) -> String? {
        if plan.manifest != outline.manifest {
            return "the plan is for model \(plan.manifest.short), not \(outline.manifest.short)"
        }
        if plan.stages.isEmpty { return "the plan has no stages" }
        guard (1...windowMax).contains(plan.window) else {
            return "the window is \(plan.window); it must be within 1 and \(windowMax)"
        }
        if plan.predictedPeriodMicroseconds < 0 || plan.predictedLatencyMicroseconds < 0 {
            return "the predicted times are negative"
        }
        if let reason = reasonAgainstStages(plan, outline: outline) { return reason }
        let hosts = plan.hosts
        for (index, host) in hosts.enumerated().dropFirst()
        where hosts[index - 1].node == host.node {
            return "node \(host.node.short) appears under two boots"
        }
        if let without = plan.without, hosts.contains(where: { $0.node == without.node }) {
            return "the plan is for the loss of \(without.node.short) and uses it"
        }
        if plan.routes != Plan.routes(for: outline, fragments: plan.fragments) {
            return "the routes are not the ones that the stages need"
        }
        return nil
    }

    private static func reasonAgainstStages(_ plan: Plan, outline: ModelOutline) -> String? {
        var nextOperator = 0
        var nextFragment = 0
        for (index, stage) in plan.stages.enumerated() {
            guard stage.operators.lowerBound == nextOperator, !stage.operators.isEmpty else {
                return "stage \(index) covers operators \(stage.operators), where \(nextOperator) "
                    + "is next"
            }
            nextOperator = stage.operators.upperBound
            guard nextOperator <= outline.operators.count else {
                return "stage \(index) ends at operator \(nextOperator) of "
                    + "\(outline.operators.count)"
            }
            guard stage.mode == .single else {
                return "stage \(index) has mode \(stage.mode), which this version does not run"
            }
            guard stage.fragments == nextFragment..<(nextFragment + 1),
                nextFragment < plan.fragments.count,
                plan.fragments[nextFragment].operators == stage.operators
            else { return "stage \(index) and its fragments do not match" }
            nextFragment += 1
        }
        guard nextOperator == outline.operators.count else {
            return "the stages cover \(nextOperator) of \(outline.operators.count) operators"
        }
        guard nextFragment == plan.fragments.count else {
            return "\(plan.fragments.count - nextFragment) fragments belong to no stage"
        }
        return nil
    }
}
