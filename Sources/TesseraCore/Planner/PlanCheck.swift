/// Whether a plan is one that this model can run: what every acceptor checks before it accepts.
public enum PlanCheck {
    /// More attempts in flight than this only fill memory.
    public static let windowMax = 64

    /// The stage modes that fragment hosts and entries of this version can run.
    public static let runnableModes: ModeSet = .all

    /// Whether the plan is valid for the model, and uses no other modes than these.
    public static func isValid(
        _ plan: Plan, outline: ModelOutline, modes: ModeSet = runnableModes
    ) -> Bool {
        reason(against: plan, outline: outline, modes: modes) == nil
    }

    /// What is wrong with the plan; nil if nothing is.
    public static func reason(
        against plan: Plan, outline: ModelOutline, modes: ModeSet = runnableModes
    ) -> String? {
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
        if let reason = reasonAgainstStages(plan, outline: outline, modes: modes) { return reason }
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

    private static func reasonAgainstStages(
        _ plan: Plan, outline: ModelOutline, modes: ModeSet
    ) -> String? {
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
            let isPlanned = !modes.isDisjoint(with: ModeSet([stage.mode]))
            guard isPlanned || (stage.mode == .entry && index == 0) else {
                return "stage \(index) has mode \(stage.mode), which this version does not run"
            }
            guard stage.fragments.lowerBound == nextFragment, !stage.fragments.isEmpty,
                stage.fragments.upperBound <= plan.fragments.count,
                stage.mode == .branches
                    || plan.fragments[stage.fragments].allSatisfy({
                        $0.operators == stage.operators
                    })
            else { return "stage \(index) and its fragments do not match" }
            if let reason = reason(
                againstFragments: plan.fragments[stage.fragments], stage: stage, outline: outline)
            {
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

    private static func reason(
        againstFragments fragments: ArraySlice<Fragment>, stage: Stage, outline: ModelOutline
    ) -> String? {
        switch stage.mode {
        case .branches:
            var next = stage.operators.lowerBound
            for fragment in fragments {
                guard fragment.rows == nil, fragment.operators.lowerBound == next,
                    !fragment.operators.isEmpty
                else { return "has branches that do not follow each other at operator \(next)" }
                next = fragment.operators.upperBound
            }
            guard fragments.count > 1, next == stage.operators.upperBound else {
                return "has \(fragments.count) branches, which end at operator \(next)"
            }
            return outline.areBranches(fragments.map(\.operators))
                ? nil : "has branches that read of each other"
        case .single:
            return fragments.count == 1 && fragments.allSatisfy { $0.rows == nil }
                ? nil : "and its fragments do not match: its mode is \(stage.mode)"
        case .replicas, .entry:
            let hosts = fragments.map(\.host)
            guard fragments.allSatisfy({ $0.rows == nil }) else {
                return "has replicas that make only some rows"
            }
            guard fragments.allSatisfy({ $0.weight >= 1 }) else {
                return "has a replica without a weight"
            }
            return Set(hosts).count == hosts.count ? nil : "has two replicas on one node"
        case .rows:
            guard let count = outline.referenceRowCount(of: stage.operators) else {
                return "cannot be split by rows: an operator of it is a barrier"
            }
            // A node may have several tiles, and runs them in the order in which they stand here.
            var next = 0
            let tiles = fragments.sorted {
                ($0.rows?.lowerBound ?? 0) < ($1.rows?.lowerBound ?? 0)
            }
            for fragment in tiles {
                guard let rows = fragment.rows, rows.lowerBound == next, !rows.isEmpty else {
                    return "has tiles that do not follow each other at row \(next)"
                }
                next = rows.upperBound
                // A tile may read or make no rows of a tensor, which is then left out; one that
                // reads nothing at all would never begin.
                guard let slices = Plan.slices(of: fragment, in: outline), !slices.inputs.isEmpty
                else { return "has a tile, rows \(rows), that reads nothing" }
            }
            return next == count ? nil : "has tiles for \(next) of \(count) rows"
        }
    }
}
