import TesseraCore

/// Buffers stay within their reservation: no host has more attempts of a decision open, and no gate
/// more tickets out, than the decision's window.
enum WithinWindow {
    static func check(
        _ uses: [ReservationUse], of what: String, at node: Int, _ time: Timestamp
    ) throws(Violation) {
        for use in uses where use.used > use.window {
            throw Violation(
                checker: "buffers stay within their reservation", at: time,
                what: "node \(node) has \(use.used) \(what) of round \(use.ballot.round), whose "
                    + "window is \(use.window)")
        }
    }
}
