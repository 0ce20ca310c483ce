import TesseraCore

/// A host runs an attempt only under a plan that it holds, and whoever sends it a slice of another
/// plan is told `gone` at once.
enum GoneIsTold {
    /// Looks at what a slice that arrived led to.
    static func checkSlice(
        _ header: SliceHeader, heldBefore: Bool, _ directives: [Directive], node: Int,
        member: NodeBoot, at time: Timestamp
    ) throws(Violation) {
        guard !heldBefore, header.attempt.request.entry != member else { return }
        let isTold = directives.contains { directive in
            guard case .send(.request(.failed(let attempt, _, _)), let target) = directive else {
                return false
            }
            return attempt == header.attempt && target == header.attempt.request.entry
        }
        guard !isTold else { return }
        throw Violation(
            checker: "gone is told", at: time,
            what:
                "node \(node) got a slice of plan \(header.attempt.plan), which it does not hold, "
                + "and did not say so")
    }

    static func checkExecution(
        _ attempt: AttemptID, isReady: Bool, node: Int, at time: Timestamp
    ) throws(Violation) {
        guard !isReady else { return }
        throw Violation(
            checker: "only held plans run", at: time,
            what:
                "node \(node) runs attempt \(attempt.number) under plan \(attempt.plan), which it "
                + "does not hold")
    }
}
