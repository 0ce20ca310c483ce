import TesseraCore
import Testing

@testable import TesseraSimulator

/// Each checker is shown a wrong sequence that is made by hand.
@Suite struct CheckerTests {
    private let manifest = ManifestID(1, 2, 3, 4)
    private let now = Timestamp.zero

    private func member(_ number: UInt64, boot: UInt64 = 1) -> NodeBoot {
        NodeBoot(node: NodeID(number, 0, 0, 0), boot: Boot(counter: boot, random: 0))
    }

    private func plan(round: UInt64, proposer: UInt64 = 1) -> Plan {
        Plan(
            manifest: manifest, ballot: Ballot(round: round, proposer: member(proposer)),
            stages: [], fragments: [], routes: [], window: 2, predictedPeriodMicroseconds: 0,
            predictedLatencyMicroseconds: 0)
    }

    private func id(_ number: UInt64) -> PlanID { PlanID(number, 0, 0, 0) }

    private func checker(_ body: () throws(Violation) -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return error.checker
        }
    }

    @Test("a current plan that goes back within a boot is caught, a new boot may")
    func currentOnlyGrows() throws {
        var state = CurrentOnlyGrows()
        try state.onDecided(plan(round: 2), by: member(1), at: now)
        try state.onDecided(plan(round: 1), by: member(1, boot: 2), at: now)
        #expect(
            checker { () throws(Violation) in
                try state.onDecided(plan(round: 2), by: member(1), at: now)
            } == "current only grows")
    }

    private func submitted() -> (EndsExactlyOnce, EndsExactlyOnce.ClientKey) {
        var ends = EndsExactlyOnce()
        let key = EndsExactlyOnce.ClientKey(entry: member(1), client: ClientID(number: 1))
        ends.onSubmitted(key, deadline: now + .seconds(1), expected: [5])
        return (ends, key)
    }

    @Test("a second end of a request is caught")
    func secondEnd() throws {
        var (ends, key) = submitted()
        try ends.onAnswer(key, [5], at: now)
        #expect(
            checker { () throws(Violation) in
                try ends.onReject(key, .deadlineExceeded, at: now)
            } == "every request ends exactly once")
    }

    @Test("an end that nobody asked for is caught")
    func unknownEnd() {
        var ends = EndsExactlyOnce()
        let key = submitted().1
        #expect(
            checker { () throws(Violation) in try ends.onAnswer(key, [5], at: now) }
                == "every request ends exactly once")
    }

    @Test("a request that is forgotten is caught")
    func forgotten() throws {
        let (ends, _) = submitted()
        var state = ends
        try state.onTime(now + .seconds(1))
        #expect(
            checker { () throws(Violation) in try state.onTime(now + .seconds(2)) }
                == "every request ends by its deadline")
    }

    @Test("a late answer is caught")
    func lateAnswer() {
        var (ends, key) = submitted()
        #expect(
            checker { () throws(Violation) in
                try ends.onAnswer(key, [5], at: now + .seconds(2))
            } == "every request ends by its deadline")
    }

    @Test("a wrong result is caught")
    func wrongResult() {
        var (ends, key) = submitted()
        #expect(
            checker { () throws(Violation) in try ends.onAnswer(key, [6], at: now) }
                == "results equal the whole model's")
    }

    @Test("an answer without branches is compared with the model without them, and only with that")
    func leftOut() throws {
        func ends(_ values: [UInt64], _ leftOut: [Int]) -> String? {
            var ends = EndsExactlyOnce()
            let key = submitted().1
            ends.onSubmitted(
                key, deadline: now + .seconds(1), expected: [5],
                without: { $0 == [3] ? [[6]] : [] })
            return checker { () throws(Violation) in
                try ends.onAnswer(key, values, leftOut: leftOut, at: now)
            }
        }
        #expect(ends([5], []) == nil && ends([6], [3]) == nil)
        for (value, leftOut) in [(UInt64(6), []), (5, [3]), (6, [4]), (6, [3, 4])] {
            #expect(ends([value], leftOut) == "results equal the whole model's")
        }
    }

    @Test("a slice of another attempt is caught, a request's own input is not")
    func oneAttempt() throws {
        let request = RequestID(entry: member(1), counter: 1)
        let first = AttemptID(request: request, number: 1, plan: id(1))
        let second = AttemptID(request: request, number: 2, plan: id(2))
        try OneAttempt.check(.init(value: 1, attempt: nil), isFor: first, at: 0, now)
        try OneAttempt.check(.init(value: 1, attempt: first), isFor: first, at: 0, now)
        #expect(
            checker { () throws(Violation) in
                try OneAttempt.check(.init(value: 1, attempt: first), isFor: second, at: 0, now)
            } == "no attempt joins slices of two plans")
    }

    @Test("a payload that is released twice, or read after that, is caught")
    func payloads() throws {
        var table = PayloadTable()
        let payload = table.insert(1, of: nil)
        try table.release(payload, at: now)
        #expect(
            checker { () throws(Violation) in try table.release(payload, at: now) }
                == "payloads are released exactly once")
        #expect(
            checker { () throws(Violation) in _ = try table.read(payload, at: now) }
                == "payloads are released exactly once")
    }

    @Test("more attempts or tickets than the window are caught")
    func window() throws {
        let ballot = Ballot(round: 1, proposer: member(1))
        func uses(_ used: Int) -> [ReservationUse] {
            [ReservationUse(ballot: ballot, window: 2, used: used)]
        }
        try WithinWindow.check(uses(2), of: "tickets", at: 0, now)
        #expect(
            checker { () throws(Violation) in
                try WithinWindow.check(uses(3), of: "tickets", at: 0, now)
            } == "buffers stay within their reservation")
    }
}
