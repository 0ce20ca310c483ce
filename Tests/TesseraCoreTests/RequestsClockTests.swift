import Testing

@testable import TesseraCore

/// An entry with a plan over nodes 0 and 1, and one over nodes 0 and 2 that stands by.
private final class Entry {
    static let primary = RequestsFixture.plan(hosts: [0, 1], cuts: [2], window: 64)
    static let alternate = RequestsFixture.plan(hosts: [0, 2], cuts: [2], window: 64, without: 1)
    static let manifest = RequestsFixture.manifest
    static let gate = RequestsFixture.member(0)

    var table = RequestTable(me: RequestsFixture.entry)
    var now = Timestamp.zero + .seconds(100)
    /// Whether the other plan is armed.
    var isArmed = true
    private var ticket: UInt64 = 0
    private var client: UInt64 = 0

    var routing: RequestTable.Routing {
        RequestTable.Routing(
            usable: RequestsFixture.layout(Self.primary),
            others: isArmed ? [RequestsFixture.layout(Self.alternate)] : [], reason: "")
    }

    static func attempt(
        _ request: UInt64, _ plan: NamedPlan = primary, number: UInt8 = 1
    ) -> AttemptID {
        AttemptID(
            request: RequestID(entry: RequestsFixture.entry, counter: request), number: number,
            plan: plan.id)
    }

    /// One more request, dispatched at once.
    func submit(deadline: TimeSpan = .seconds(10)) -> UInt64 {
        client += 1
        var directives: [Directive] = []
        table.onSubmitted(
            ClientID(number: client), manifest: Self.manifest,
            inputs: [RequestsFixture.payload(client)], deadline: deadline, routing: routing,
            now: now, into: &directives)
        _ = grant(Self.primary)
        return client
    }

    /// So many requests that wait for tickets.
    @discardableResult
    func queue(_ count: Int, deadline: TimeSpan = .seconds(20)) -> [Directive] {
        var directives: [Directive] = []
        for _ in 0..<count {
            client += 1
            table.onSubmitted(
                ClientID(number: client), manifest: Self.manifest,
                inputs: [RequestsFixture.payload(client)], deadline: deadline, routing: routing,
                now: now, into: &directives)
        }
        return directives
    }

    /// Dispatches and answers so many of those that wait longest.
    func answerQueued(_ count: Int) {
        for _ in 0..<count {
            guard let started = grant(Self.primary).slices.first else { return }
            _ = answer(started.header.attempt, Self.primary)
        }
    }

    func grant(_ plan: NamedPlan) -> [Directive] {
        ticket += 1
        var directives: [Directive] = []
        _ = table.onTickets(
            plan: plan.id, numbers: [ticket], from: Self.gate, into: &directives)
        table.advance(Self.manifest, routing, now: now, into: &directives)
        return directives
    }

    func start(_ attempt: AttemptID, fragment: Int = 1) {
        table.onProgress(attempt, fragment: fragment, isRunning: true, now: now)
    }

    func pass(_ attempt: AttemptID, fragment: Int = 1) {
        table.onProgress(attempt, fragment: fragment, isRunning: false, now: now)
    }

    func answer(_ attempt: AttemptID, _ plan: NamedPlan) -> [Directive] {
        var directives: [Directive] = []
        let header = RequestsFixture.header(
            attempt, RequestsFixture.layout(plan), tensor: 4, to: .entry)
        _ = table.onSlice(header, RequestsFixture.piece(900), now: now, into: &directives)
        return directives
    }

    func wake() -> [Directive] {
        var directives: [Directive] = []
        let routing = routing
        table.onWake(now: now, routing: { _ in routing }, into: &directives)
        table.advance(Self.manifest, routing, now: now, into: &directives)
        return directives
    }

    /// Answers so many requests, each of whose last fragments takes 10 ms.
    func serve(_ count: Int) {
        for _ in 0..<count {
            let attempt = Self.attempt(submit())
            start(attempt)
            now = now + .milliseconds(10)
            pass(attempt)
            _ = answer(attempt, Self.primary)
        }
    }

    /// A request whose last fragment has run far too long by now.
    func straggle(deadline: TimeSpan = .seconds(10)) -> AttemptID {
        let attempt = Self.attempt(submit(deadline: deadline))
        start(attempt)
        now = now + .milliseconds(151)
        return attempt
    }
}

extension Array<Directive> {
    fileprivate var wishes: [PlanID] {
        compactMap {
            guard case .send(.request(.ticketWish(let plan, let count)), _) = $0, count > 0 else {
                return nil
            }
            return plan
        }
    }

    fileprivate var cancelled: [AttemptID] {
        compactMap {
            if case .send(.request(.cancel(let attempt)), _) = $0 { attempt } else { nil }
        }
    }

    fileprivate var late: Int {
        count { if case .report(.late) = $0 { true } else { false } }
    }
}

@Suite struct RequestsClockTests {
    @Test("a late fragment is tried elsewhere too, and the second attempt may answer")
    func late() {
        let entry = Entry()
        entry.serve(8)
        let first = entry.straggle()
        let woken = entry.wake()
        #expect(woken.wishes == [Entry.alternate.id])
        #expect(woken.late == 1 && woken.cancelled.isEmpty)
        let started = entry.grant(Entry.alternate)
        let second = Entry.attempt(first.request.counter, Entry.alternate, number: 2)
        #expect(started.slices.map(\.header.attempt) == [second])
        let answered = entry.answer(second, Entry.alternate)
        #expect(answered.answered.count == 1)
        #expect(Set(answered.cancelled) == [first])
        #expect(entry.table.openCount == 0)
    }

    @Test("the first attempt may answer as well, and then the second one is cancelled")
    func firstWins() {
        let entry = Entry()
        entry.serve(8)
        let first = entry.straggle()
        _ = entry.wake()
        _ = entry.grant(Entry.alternate)
        let answered = entry.answer(first, Entry.primary)
        #expect(answered.answered.count == 1)
        #expect(
            Set(answered.cancelled)
                == [Entry.attempt(first.request.counter, Entry.alternate, number: 2)])
        #expect(entry.table.openCount == 0)
    }

    @Test("an answer that comes while the second attempt waits takes the wish back")
    func answeredMeanwhile() {
        let entry = Entry()
        entry.serve(8)
        let first = entry.straggle()
        _ = entry.wake()
        _ = entry.answer(first, Entry.primary)
        #expect(
            entry.wake().requests(to: Entry.gate)
                == [.ticketWish(plan: Entry.alternate.id, count: 0)])
    }

    @Test("a fragment of which nothing is known yet has a long clock")
    func unknown() {
        let entry = Entry()
        entry.serve(7)
        _ = entry.straggle()
        #expect(entry.wake().late == 0)
        entry.now = entry.now + .seconds(3)
        // By then the attempt as a whole is overdue, and starts anew.
        #expect(entry.wake().cancelled.count == 2)
    }

    @Test("without another plan a late attempt goes on, and is looked at again")
    func nowhereElse() {
        let entry = Entry()
        entry.serve(8)
        _ = entry.straggle()
        entry.isArmed = false
        #expect(entry.wake().wishes.isEmpty)
        entry.isArmed = true
        entry.now = entry.now + .milliseconds(900)
        #expect(entry.wake().wishes.isEmpty)
        entry.now = entry.now + .milliseconds(101)
        #expect(entry.wake().wishes == [Entry.alternate.id])
    }

    @Test("what cannot end by the deadline is not tried elsewhere")
    func tooLate() {
        let entry = Entry()
        entry.serve(8)
        _ = entry.straggle(deadline: .microseconds(151_010))
        #expect(entry.wake().wishes.isEmpty)
    }

    @Test("late attempts add a tenth of what is dispatched, and the others wait")
    func budget() {
        let entry = Entry()
        entry.serve(50)
        var attempts: [AttemptID] = []
        for _ in 0..<10 {
            let attempt = Entry.attempt(entry.submit())
            entry.start(attempt)
            attempts.append(attempt)
        }
        entry.now = entry.now + .milliseconds(151)
        let woken = entry.wake()
        // Sixty were dispatched in the last ten seconds.
        #expect(woken.late == 6)
        #expect(
            woken.count { $0 == .report(.limit("retries of late attempts", count: 1)) } == 4)
        #expect(entry.table.openCount == 10 && woken.rejected.isEmpty)
    }

    @Test("the budget is a tenth of ten seconds, and three at least")
    func budgetWindow() {
        var budget = RetryBudget()
        var now = Timestamp.zero + .seconds(1_000)
        func taken() -> Int { (0..<100).count { _ in budget.take(now: now) } }
        #expect(taken() == 3)
        now = now + .seconds(9)
        #expect(taken() == 0)
        for _ in 0..<100 { budget.onDispatch(now: now) }
        now = now + .seconds(1)
        #expect(taken() == 10)
        now = now + .seconds(9)
        #expect(taken() == 0)
        now = now + .seconds(1_000_000)
        #expect(taken() == 3)
    }

    @Test("of two attempts one may fail or be lost, and the other goes on")
    func oneOfTwo() {
        for isLost in [false, true] {
            let entry = Entry()
            entry.serve(8)
            let first = entry.straggle()
            _ = entry.wake()
            _ = entry.grant(Entry.alternate)
            var directives: [Directive] = []
            if isLost {
                _ = entry.table.onLost(
                    RequestsFixture.member(1), now: entry.now, into: &directives)
            } else {
                _ = entry.table.onFailed(
                    first, reason: .engine("no"), now: entry.now, into: &directives)
            }
            #expect(Set(directives.cancelled) == [first])
            #expect(entry.wake().wishes.isEmpty)
            let second = Entry.attempt(first.request.counter, Entry.alternate, number: 2)
            #expect(entry.answer(second, Entry.alternate).answered.count == 1)
        }
    }

    @Test("when both attempts are lost the request starts again")
    func bothLost() {
        let entry = Entry()
        entry.serve(8)
        _ = entry.straggle()
        _ = entry.wake()
        _ = entry.grant(Entry.alternate)
        var directives: [Directive] = []
        _ = entry.table.onLost(Entry.gate, now: entry.now, into: &directives)
        #expect(directives.cancelled.count == 4 && directives.rejected.isEmpty)
        #expect(entry.wake().wishes == [Entry.primary.id])
        #expect(entry.grant(Entry.primary).slices.count == 1)
    }

    @Test("clocks stand still while the node does")
    func stalled() {
        let entry = Entry()
        entry.serve(8)
        _ = entry.straggle()
        entry.table.onStalled(for: .milliseconds(151))
        #expect(entry.wake().late == 0)
        entry.now = entry.now + .milliseconds(151)
        #expect(entry.wake().late == 1)
    }

    @Test("one stall among the last runs does not stretch the clock")
    func outlier() {
        var spans = RunSpans()
        let key = FragmentKey(manifest: Entry.manifest, operators: 0..<1)
        for _ in 0..<7 { spans.note(.milliseconds(100), of: key, on: Entry.gate) }
        #expect(spans.clock(of: key, on: Entry.gate) == nil)
        spans.note(.seconds(20), of: key, on: Entry.gate)
        #expect(spans.clock(of: key, on: Entry.gate) == .milliseconds(400))
        for _ in 0..<100 { spans.note(.milliseconds(1), of: key, on: Entry.gate) }
        #expect(spans.clock(of: key, on: Entry.gate) == .milliseconds(150))
        spans.forget(Entry.gate)
        #expect(spans.clock(of: key, on: Entry.gate) == nil)
    }

    @Test("a request that would wait too long for its turn is refused at once")
    func expectedWait() {
        let entry = Entry()
        entry.queue(200)
        for second in 0..<4 {
            #expect(entry.queue(1).rejected.isEmpty, "nothing is known in second \(second)")
            entry.answerQueued(20)
            entry.now = entry.now + .seconds(1)
        }
        // 124 wait, and 20 are answered per second.
        #expect(entry.queue(1).rejected == [.overloaded(retryAfter: .milliseconds(1_200))])
        let other = entry.queue(1, deadline: .seconds(30))
        #expect(other.rejected == [.overloaded(retryAfter: .milliseconds(1_200))])
        entry.answerQueued(24)
        #expect(entry.queue(1).rejected.isEmpty)
        #expect(entry.queue(1, deadline: .seconds(9)).rejected.count == 1)
        #expect(entry.table.refusals == 3)
    }

    @Test("an entry that is never asked enough has no rate, whatever waits at once")
    func idleRate() {
        var rate = ServiceRate()
        var now = Timestamp.zero
        for _ in 0..<20 {
            rate.note(isWaiting: true, now: now)
            rate.onAnswer(now: now)
            rate.note(isWaiting: false, now: now)
            now = now + .milliseconds(500)
        }
        let idle = rate.perSecond(now: now)
        #expect(idle == nil)
        rate.note(isWaiting: true, now: now)
        for _ in 0..<10 {
            rate.onAnswer(now: now)
            now = now + .milliseconds(500)
        }
        let busy = rate.perSecond(now: now)
        #expect(busy == 2)
        let later = rate.perSecond(now: now + .seconds(60))
        #expect(later == nil)
    }

    @Test("a request that cannot end by its deadline any more is not started")
    func hopeless() {
        var table = RequestTable(me: RequestsFixture.entry)
        var slow = Entry.primary
        slow.plan.predictedLatencyMicroseconds = 2_100_000
        let routing = RequestTable.Routing(usable: RequestsFixture.layout(slow), reason: "")
        var directives: [Directive] = []
        table.onSubmitted(
            ClientID(number: 1), manifest: Entry.manifest, inputs: [RequestsFixture.payload(1)],
            deadline: .seconds(10), routing: routing, now: .zero, into: &directives)
        _ = table.onTickets(plan: slow.id, numbers: [1], from: Entry.gate, into: &directives)
        directives = []
        table.advance(
            Entry.manifest, routing, now: .zero + .seconds(9), into: &directives)
        #expect(directives.rejected == [.deadlineExceeded] && directives.slices.isEmpty)
        #expect(
            directives.requests(to: Entry.gate).contains(
                .ticketReturn(plan: slow.id, numbers: [1])))
    }
}
