public import TesseraCore

/// A property that failed, with the time and what was seen.
public struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
    /// The checker that fired.
    public var checker: String
    /// When, in virtual time.
    public var at: Timestamp
    /// What was seen.
    public var what: String

    /// One line.
    public var description: String {
        "\(checker) at \(at.nanoseconds / 1_000_000) ms: \(what)"
    }
}

/// One PlanID per ballot, everywhere and for ever (architecture: the ballot of a decided plan is its
/// epoch).
struct OnePlanPerBallot {
    private var plans: [Ballot: PlanID] = [:]

    mutating func onDecided(_ plan: Plan, _ id: PlanID, at time: Timestamp) throws(Violation) {
        if let known = plans[plan.ballot], known != id {
            throw Violation(
                checker: "one plan per ballot", at: time,
                what: "ballot \(plan.ballot.round) has plans \(known) and \(id)")
        }
        plans[plan.ballot] = id
    }
}

/// A node's current plan only moves to higher ballots within one boot.
struct CurrentOnlyGrows {
    private struct Key: Hashable {
        var member: NodeBoot
        var manifest: ManifestID
    }
    private var ballots: [Key: Ballot] = [:]

    mutating func onDecided(
        _ plan: Plan, by member: NodeBoot, at time: Timestamp
    ) throws(Violation) {
        let key = Key(member: member, manifest: plan.manifest)
        if let known = ballots[key], plan.ballot <= known {
            throw Violation(
                checker: "current only grows", at: time,
                what: "node \(member.node) went from round \(known.round) to \(plan.ballot.round)")
        }
        ballots[key] = plan.ballot
    }
}

/// Every accepted request ends exactly once, by its deadline, and rightly.
struct EndsExactlyOnce {
    private struct Accepted {
        var deadline: Timestamp
        var expected: [UInt64]
        var hasEnded = false
    }
    private var requests: [ClientKey: Accepted] = [:]
    private(set) var answered = 0
    private(set) var rejected: [String: Int] = [:]

    struct ClientKey: Hashable {
        var entry: NodeBoot
        var client: ClientID
    }

    /// What scheduling may add to a deadline: one message delay and the wake of the entry.
    private static let slack = TimeSpan.milliseconds(50)

    mutating func onSubmitted(
        _ key: ClientKey, deadline: Timestamp, expected: [UInt64]
    ) {
        requests[key] = Accepted(deadline: deadline, expected: expected)
    }

    mutating func onAnswer(
        _ key: ClientKey, _ values: [UInt64], at time: Timestamp
    ) throws(Violation) {
        let accepted = try end(key, at: time)
        guard values == accepted.expected else {
            throw Violation(
                checker: "results equal the whole model's", at: time,
                what: "client \(key.client.number) got \(values), not \(accepted.expected)")
        }
        answered += 1
    }

    mutating func onReject(
        _ key: ClientKey, _ error: RequestError, at time: Timestamp
    ) throws(Violation) {
        _ = try end(key, at: time)
        rejected["\(error)", default: 0] += 1
    }

    /// The entry died: its clients know, nobody answers them any more.
    mutating func onEntryDied(_ entry: NodeBoot) {
        requests = requests.filter { $0.key.entry != entry }
    }

    /// A stopped entry answers late; its clients' patience counts from when it goes on.
    mutating func onEntryPaused(_ entry: NodeBoot, for span: TimeSpan) {
        for (key, accepted) in requests where key.entry == entry {
            requests[key]?.deadline = accepted.deadline + span
        }
    }

    mutating func onTime(_ time: Timestamp) throws(Violation) {
        for (key, accepted) in requests where !accepted.hasEnded {
            if accepted.deadline + Self.slack < time {
                throw Violation(
                    checker: "every request ends by its deadline", at: time,
                    what: "client \(key.client.number) of node \(key.entry.node) waits still")
            }
        }
    }

    private mutating func end(_ key: ClientKey, at time: Timestamp) throws(Violation) -> Accepted {
        guard let accepted = requests[key] else {
            throw Violation(
                checker: "every request ends exactly once", at: time,
                what: "an answer for client \(key.client.number), which nobody submitted")
        }
        guard !accepted.hasEnded else {
            throw Violation(
                checker: "every request ends exactly once", at: time,
                what: "client \(key.client.number) got a second end")
        }
        guard time <= accepted.deadline + Self.slack else {
            throw Violation(
                checker: "every request ends by its deadline", at: time,
                what: "client \(key.client.number) got its end too late")
        }
        requests[key]?.hasEnded = true
        return accepted
    }
}

/// A node's payloads: each is released exactly once, and an attempt never runs on another's slices.
struct PayloadTable {
    struct Entry {
        var value: UInt64
        /// The attempt that the bytes belong to; nil for a request's inputs, which serve each of its
        /// attempts.
        var attempt: AttemptID?
    }
    private var entries: [PayloadID: Entry] = [:]
    private var next: UInt64 = 1

    var count: Int { entries.count }

    mutating func insert(_ value: UInt64, of attempt: AttemptID?) -> PayloadID {
        defer { next += 1 }
        let id = PayloadID(number: next)
        entries[id] = Entry(value: value, attempt: attempt)
        return id
    }

    func read(_ id: PayloadID, at time: Timestamp) throws(Violation) -> Entry {
        guard let entry = entries[id] else {
            throw Violation(
                checker: "payloads are released exactly once", at: time,
                what: "payload \(id.number) is used after its release")
        }
        return entry
    }

    mutating func release(_ id: PayloadID, at time: Timestamp) throws(Violation) {
        guard entries.removeValue(forKey: id) != nil else {
            throw Violation(
                checker: "payloads are released exactly once", at: time,
                what: "payload \(id.number) is released a second time")
        }
    }
}
