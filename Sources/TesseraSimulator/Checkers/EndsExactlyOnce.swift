import TesseraCore

/// Every accepted request ends exactly once, by its deadline, and rightly.
struct EndsExactlyOnce {
    /// How a request stands.
    enum End: Hashable {
        case open
        case answered
        case rejected(RequestError)
    }

    private struct Accepted {
        var deadline: Timestamp
        var expected: [UInt64]
        /// All outputs: an entry that does not know the exits yet gives these, which is right too.
        var whole: [UInt64]
        /// The right answers without some branches; none if they must not be left out.
        var without: ([Int]) -> [[UInt64]]
        var end = End.open
    }
    private var requests: [ClientKey: Accepted] = [:]
    /// Requests without an end; the rest need not be looked at again.
    private var open: Set<ClientKey> = []
    private(set) var answered = 0
    private(set) var rejected: [String: Int] = [:]

    struct ClientKey: Hashable {
        var entry: NodeBoot
        var client: ClientID
    }

    /// What scheduling may add to a deadline: one message delay and the wake of the entry.
    private static let slack = TimeSpan.milliseconds(50)

    func end(of key: ClientKey) -> End? { requests[key]?.end }

    /// Whether every accepted request has had its end.
    var isIdle: Bool { open.isEmpty }

    mutating func onSubmitted(
        _ key: ClientKey, deadline: Timestamp, expected: [UInt64], whole: [UInt64]? = nil,
        without: @escaping ([Int]) -> [[UInt64]] = { _ in [] }
    ) {
        requests[key] = Accepted(
            deadline: deadline, expected: expected, whole: whole ?? expected, without: without)
        open.insert(key)
    }

    mutating func onAnswer(
        _ key: ClientKey, _ values: [UInt64], leftOut: [Int] = [], at time: Timestamp
    ) throws(Violation) {
        let accepted = try end(key, .answered, at: time)
        let right =
            leftOut.isEmpty ? [accepted.expected, accepted.whole] : accepted.without(leftOut)
        guard right.contains(values) else {
            throw Violation(
                checker: "results equal the whole model's", at: time,
                what: "client \(key.client.number) got \(values), not \(right), and was told that "
                    + "\(leftOut) are left out")
        }
        answered += 1
    }

    mutating func onReject(
        _ key: ClientKey, _ error: RequestError, at time: Timestamp
    ) throws(Violation) {
        _ = try end(key, .rejected(error), at: time)
        rejected["\(error)", default: 0] += 1
    }

    /// The entry died: its clients know, nobody answers them any more.
    mutating func onEntryDied(_ entry: NodeBoot) {
        requests = requests.filter { $0.key.entry != entry }
        open = open.filter { $0.entry != entry }
    }

    /// A stopped entry answers late; its clients' patience counts from when it goes on.
    mutating func onEntryPaused(_ entry: NodeBoot, for span: TimeSpan) {
        for key in open where key.entry == entry {
            guard let deadline = requests[key]?.deadline else { continue }
            requests[key]?.deadline = deadline + span
        }
    }

    /// The client went away: it wants no end, and an end that is on its way is no mistake.
    mutating func onAbandoned(_ key: ClientKey) {
        requests.removeValue(forKey: key)
        open.remove(key)
    }

    mutating func onTime(_ time: Timestamp) throws(Violation) {
        let late = open.filter { (requests[$0]?.deadline ?? .never) + Self.slack < time }
        guard let key = late.min(by: { ($0.entry, $0.client) < ($1.entry, $1.client) }) else {
            return
        }
        throw Violation(
            checker: "every request ends by its deadline", at: time,
            what: "client \(key.client.number) of node \(key.entry.node) waits still")
    }

    private mutating func end(
        _ key: ClientKey, _ end: End, at time: Timestamp
    ) throws(Violation) -> Accepted {
        guard let accepted = requests[key] else {
            throw Violation(
                checker: "every request ends exactly once", at: time,
                what: "an end for client \(key.client.number), which nobody submitted")
        }
        guard accepted.end == .open else {
            throw Violation(
                checker: "every request ends exactly once", at: time,
                what: "client \(key.client.number) got a second end")
        }
        guard time <= accepted.deadline + Self.slack else {
            throw Violation(
                checker: "every request ends by its deadline", at: time,
                what: "client \(key.client.number) got its end too late")
        }
        requests[key]?.end = end
        open.remove(key)
        return accepted
    }
}
