import TesseraCore

/// An attempt only ever uses its own slices: nothing of another attempt, and so nothing of another
/// plan, is joined with them.
enum OneAttempt {
    static func check(
        _ entry: PayloadTable.Entry, isFor attempt: AttemptID, at node: Int, _ time: Timestamp
    ) throws(Violation) {
        guard let origin = entry.attempt, origin != attempt else { return }
        throw Violation(
            checker: "no attempt joins slices of two plans", at: time,
            what: "node \(node) uses a slice of attempt \(origin.number) under \(origin.plan) for "
                + "attempt \(attempt.number) under \(attempt.plan)")
    }
}
