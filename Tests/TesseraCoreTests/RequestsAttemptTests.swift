import Testing

@testable import TesseraCore

@Suite struct RequestsAttemptTests {
    private typealias Fixture = RequestsFixture
    // Node 2 runs the last operator, which reads tensors 1 and 3.
    private let plan = RequestsFixture.plan(hosts: [0, 1, 2], cuts: [1, 3])
    private let me = RequestsFixture.member(2)
    private let entry = RequestsFixture.entry

    private func table(slots: Int = 1) -> AttemptTable {
        AttemptTable(me: me, executionSlots: slots)
    }

    /// Gives the table one of the two slices of an attempt.
    private func give(
        _ table: inout AttemptTable, _ attempt: AttemptID, tensor: Int, payload: UInt64,
        at now: Timestamp = .zero, remaining: TimeSpan = .seconds(1)
    ) -> [Directive] {
        var directives: [Directive] = []
        let layout = Fixture.layout(plan)
        table.onSlice(
            Fixture.header(
                attempt, layout, tensor: tensor, to: .fragment(2), remaining: remaining),
            Fixture.piece(payload), layout: layout, now: now, into: &directives)
        return directives
    }

    @Test("a fragment fires when its last slice has arrived, and not before")
    func join() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        #expect(give(&table, attempt, tensor: 3, payload: 1).isEmpty)
        let directives = give(&table, attempt, tensor: 1, payload: 2)
        #expect(directives.requests(to: entry) == [.started(attempt: attempt, fragment: 2)])
        #expect(
            directives.contains(
                .execute(
                    attempt: attempt, fragment: 2,
                    key: FragmentKey(manifest: Fixture.manifest, operators: 3..<4),
                    inputs: [Fixture.whole(2), Fixture.whole(1)])))
    }

    @Test("slices of two attempts never join")
    func attemptsStayApart() {
        var table = table()
        let first = Fixture.attempt(plan, number: 1)
        let second = Fixture.attempt(plan, number: 2)
        let directives =
            give(&table, first, tensor: 3, payload: 1)
            + give(&table, second, tensor: 1, payload: 2)
        #expect(directives.isEmpty)
        #expect(table.openCount(plan.plan.ballot) == 2)
    }

    @Test("a second copy of a slice is released and changes nothing")
    func duplicate() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        _ = give(&table, attempt, tensor: 1, payload: 1)
        #expect(give(&table, attempt, tensor: 1, payload: 2) == [.release(PayloadID(number: 2))])
    }

    @Test("a run's outputs go to their readers, and every payload is released once")
    func execution() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        _ = give(&table, attempt, tensor: 1, payload: 1)
        _ = give(&table, attempt, tensor: 3, payload: 2)
        var directives: [Directive] = []
        table.onExecuted(
            attempt: attempt, fragment: 2, outputs: [Fixture.payload(3)], microseconds: 7,
            now: .zero + .milliseconds(400), into: &directives)
        #expect(directives.slices.map(\.target) == [entry])
        #expect(directives.slices.first?.payload == 3)
        #expect(directives.slices.first?.header.remaining == .milliseconds(600))
        #expect(directives.released.sorted() == [1, 2, 3])
        #expect(
            directives.requests(to: entry)
                == [.passed(attempt: attempt, fragment: 2, microseconds: 7)])
        #expect(table.isIdle)
    }

    @Test("a slice that comes after its attempt ended opens nothing")
    func lateSlice() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        _ = give(&table, attempt, tensor: 1, payload: 1)
        var directives: [Directive] = []
        table.onCancel(attempt, into: &directives)
        #expect(directives.released == [1])
        #expect(give(&table, attempt, tensor: 3, payload: 2).released == [2])
        #expect(table.isIdle)
    }

    @Test("a cancel before the first slice keeps the attempt closed")
    func earlyCancel() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        var directives: [Directive] = []
        table.onCancel(attempt, into: &directives)
        #expect(give(&table, attempt, tensor: 1, payload: 1).released == [1])
        #expect(table.isIdle)
    }

    @Test("a cancelled run keeps its engine slot until the engine is done, and its result goes")
    func cancelWhileRunning() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        let next = Fixture.attempt(plan, request: 2)
        _ = give(&table, attempt, tensor: 1, payload: 1)
        _ = give(&table, attempt, tensor: 3, payload: 2)
        var directives: [Directive] = []
        table.onCancel(attempt, into: &directives)
        #expect(directives.released.sorted() == [1, 2])
        _ = give(&table, next, tensor: 1, payload: 3)
        #expect(give(&table, next, tensor: 3, payload: 4).executed.isEmpty)
        directives = []
        table.onExecuted(
            attempt: attempt, fragment: 2, outputs: [Fixture.payload(5)], microseconds: 1,
            now: .zero, into: &directives)
        #expect(directives.released == [5])
        #expect(directives.slices.isEmpty)
        #expect(directives.executed == [next])
    }

    @Test("an attempt beyond the window is refused as full")
    func full() {
        var table = table()
        _ = give(&table, Fixture.attempt(plan, request: 1), tensor: 1, payload: 1)
        _ = give(&table, Fixture.attempt(plan, request: 2), tensor: 1, payload: 2)
        let third = Fixture.attempt(plan, request: 3)
        let directives = give(&table, third, tensor: 1, payload: 3)
        #expect(directives.released == [3])
        #expect(
            directives.requests(to: entry)
                == [.failed(attempt: third, fragment: 2, reason: .full)])
        #expect(table.openCount(plan.plan.ballot) == 2)
    }

    @Test("an attempt whose deadline passed gives up everything it holds")
    func expiry() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        _ = give(&table, attempt, tensor: 1, payload: 1)
        let end = table.nextWake
        #expect(end >= .zero + .seconds(1))
        var directives: [Directive] = []
        table.onWake(now: .zero + .milliseconds(900), into: &directives)
        #expect(directives.isEmpty)
        table.onWake(now: end, into: &directives)
        #expect(directives.released == [1])
        #expect(table.isIdle && table.nextWake == .never)
    }

    @Test("an engine's failure is told to the entry and ends the attempt")
    func engineFailure() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        _ = give(&table, attempt, tensor: 1, payload: 1)
        _ = give(&table, attempt, tensor: 3, payload: 2)
        var directives: [Directive] = []
        table.onExecutionFailed(
            attempt: attempt, fragment: 2, reason: "no", into: &directives)
        #expect(
            directives.requests(to: entry)
                == [.failed(attempt: attempt, fragment: 2, reason: .engine("no"))])
        #expect(directives.released.sorted() == [1, 2])
        #expect(table.isIdle)
    }

    @Test("no more runs are under way than the engine has slots")
    func slots() {
        var table = table(slots: 1)
        for request in UInt64(1)...2 {
            let attempt = Fixture.attempt(plan, request: request)
            _ = give(&table, attempt, tensor: 1, payload: request * 10)
            let executed = give(&table, attempt, tensor: 3, payload: request * 10 + 1).executed
            #expect(executed.count == (request == 1 ? 1 : 0))
        }
    }

    @Test("attempts of a dropped plan are told gone")
    func dropped() {
        var table = table()
        let attempt = Fixture.attempt(plan)
        _ = give(&table, attempt, tensor: 1, payload: 1)
        var directives: [Directive] = []
        table.onDropped(plan.id, into: &directives)
        #expect(directives.released == [1])
        #expect(
            directives.requests(to: entry)
                == [.failed(attempt: attempt, fragment: nil, reason: .gone(current: nil))])
    }

    @Test("a lost entry's attempts end and it is told, in case it still waits; others go on")
    func entryLost() {
        var table = table()
        var other = Fixture.attempt(plan)
        other.request.entry = Fixture.member(8)
        _ = give(&table, Fixture.attempt(plan), tensor: 1, payload: 1)
        _ = give(&table, other, tensor: 1, payload: 2)
        var directives: [Directive] = []
        table.onEntryLost(entry, into: &directives)
        #expect(directives.released == [1])
        #expect(
            directives.requests(to: entry) == [
                .failed(
                    attempt: Fixture.attempt(plan), fragment: nil, reason: .gone(current: nil))
            ])
        #expect(table.openCount(plan.plan.ballot) == 1)
    }

    @Test("whatever happens, each payload is released exactly once", arguments: 1...30)
    func releases(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = table(slots: 2)
        var next: UInt64 = 1
        var made: [UInt64] = []
        var released: [UInt64] = []
        var running: [AttemptID] = []
        var now = Timestamp.zero
        func payload() -> UInt64 {
            defer { next += 1 }
            made.append(next)
            return next
        }
        func note(_ directives: [Directive]) {
            released += directives.released
            running += directives.executed
        }
        for _ in 0..<400 {
            now = now + .milliseconds(Int64(random.next(below: 20)))
            let attempt = Fixture.attempt(plan, request: UInt64(random.next(below: 40)))
            var directives: [Directive] = []
            switch random.next(below: 10) {
            case 0...5:
                directives = give(
                    &table, attempt, tensor: random.chance(1, outOf: 2) ? 1 : 3,
                    payload: payload(), at: now, remaining: .milliseconds(100))
            case 6...7 where !running.isEmpty:
                let done = running.remove(at: random.next(below: running.count))
                if random.chance(1, outOf: 4) {
                    table.onExecutionFailed(
                        attempt: done, fragment: 2, reason: "no", into: &directives)
                } else {
                    table.onExecuted(
                        attempt: done, fragment: 2, outputs: [Fixture.payload(payload())],
                        microseconds: 1, now: now, into: &directives)
                }
            case 8: table.onCancel(attempt, into: &directives)
            default: table.onWake(now: now, into: &directives)
            }
            note(directives)
            #expect(running.count <= 2)
        }
        var directives: [Directive] = []
        table.onEntryLost(entry, into: &directives)
        note(directives)
        for done in running {
            directives = []
            table.onExecuted(
                attempt: done, fragment: 2, outputs: [Fixture.payload(payload())], microseconds: 1,
                now: now, into: &directives)
            released += directives.released
        }
        #expect(released.sorted() == made)
        #expect(table.isIdle)
    }
}
