import TesseraCore

/// Every decided plan covers every operator exactly once, and what a node holds of all plans of all
/// models fits into its memory.
enum PlansFit {
    static func checkCover(
        _ plan: Plan, outline: ModelOutline, at time: Timestamp
    ) throws(Violation) {
        var covered = [Int](repeating: 0, count: outline.operators.count)
        for stage in plan.stages {
            for index in stage.operators where covered.indices.contains(index) {
                covered[index] += 1
            }
        }
        let wrong = covered.firstIndex { $0 != 1 }
        guard wrong != nil || PlanCheck.reason(against: plan, outline: outline) != nil else {
            return
        }
        throw Violation(
            checker: "plans cover every operator once", at: time,
            what: PlanCheck.reason(against: plan, outline: outline)
                ?? "operator \(wrong ?? 0) is covered \(covered[wrong ?? 0]) times")
    }

    /// Counts anew what the host counts by itself.
    static func checkMemory(
        _ held: [NamedPlan], on member: NodeBoot, node: Int, budget: Int, reserved: Int,
        outlines: [ModelOutline], at time: Timestamp
    ) throws(Violation) {
        var bytes: [FragmentKey: Int] = [:]
        for named in held {
            guard let outline = outlines.first(where: { $0.manifest == named.plan.manifest }) else {
                continue
            }
            for (index, fragment) in named.plan.fragments.enumerated()
            where fragment.host == member {
                let own = FragmentMemory.of(fragment.operators, rows: fragment.rows, in: outline)
                    .bytes(window: named.plan.window)
                bytes[named.plan.key(ofFragment: index), default: 0] = max(
                    bytes[named.plan.key(ofFragment: index)] ?? 0, own)
            }
        }
        let sum = bytes.values.reduce(0, +)
        guard sum > budget || reserved > budget || reserved < sum else { return }
        throw Violation(
            checker: "held plans fit into memory", at: time,
            what: "node \(node) holds \(held.count) plans of \(sum) bytes, reserves \(reserved), "
                + "and may use \(budget)")
    }
}
