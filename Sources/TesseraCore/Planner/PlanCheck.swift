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
        if plan.routes
            != Plan.routes(
                for: outline, stages: plan.stages, fragments: plan.fragments)
        {
            return "the routes are not the ones that the stages need"
        }
        return nil
    }

    /// What is wrong with how a stage's fragments share its work; nil if nothing is.
    private static func reasonAgainstMode(
        of stage: Stage, _ plan: Plan, outline: ModelOutline
    ) -> String? {
        let fragments = plan.fragments[stage.fragments]
        guard stage.mode == .rows || fragments.allSatisfy({ $0.rows == nil }) else {
            return "has rows, and its mode is \(stage.mode)"
        }
        switch stage.mode {
        case .single:
            return fragments.count == 1 ? nil : "has \(fragments.count) fragments for one node"
        case .replicas:
            guard fragments.count > 1 else { return "has one fragment for mode replicas" }
            let hosts = Set(fragments.map(\.host))
            guard hosts.count == fragments.count else { return "has a replica twice on one node" }
            return fragments.allSatisfy { $0.weight >= 1 } ? nil : "has a replica without a weight"
        case .rows:
            guard let count = outline.referenceRowCount(of: stage.operators) else {
                return "cannot be split by rows"
            }
            var next = 0
            for fragment in fragments {
                guard let rows = fragment.rows, rows.lowerBound == next, !rows.isEmpty else {
                    return "has tiles that do not follow each other at row \(next)"
                }
                next = rows.upperBound
                let tile = outline.rowTile(of: stage.operators, rows: rows)
                let parts = (tile?.inputs ?? []) + (tile?.outputs ?? [])
                if parts.contains(where: { $0.rows?.isEmpty ?? false }) {
                    return "has a tile, rows \(rows), that reads or makes no rows of a tensor"
                }
            }
            return next == count ? nil : "has tiles up to row \(next) of \(count)"
        case .branches:
            return "has mode branches, which this version does not run"
        }
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
            guard stage.fragments.lowerBound == nextFragment, !stage.fragments.isEmpty,
                stage.fragments.upperBound <= plan.fragments.count,
                plan.fragments[stage.fragments].allSatisfy({ $0.operators == stage.operators })
            else { return "stage \(index) and its fragments do not match" }
            if let reason = reasonAgainstMode(of: stage, plan, outline: outline) {
                return "stage \(index) \(reason)"
            }
            nextFragment = stage.fragments.upperBound
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
