import Testing

@testable import TesseraCore

@Suite struct RequestsTableTests {
    private typealias Fixture = RequestsFixture
    private let me = RequestsFixture.entry
    private let manifest = RequestsFixture.manifest
    private let gate = RequestsFixture.member(0)
    private let primary = RequestsFixture.plan(hosts: [0, 1], cuts: [2])
    private let alternate = RequestsFixture.plan(hosts: [0, 2], cuts: [2], without: 1)

    private func routing(_ plan: NamedPlan?) -> RequestTable.Routing {
        RequestTable.Routing(usable: plan.map { Fixture.layout($0) }, reason: "no plan")
    }

    private func submit(
        _ table: inout RequestTable, client: UInt64 = 1, payload: UInt64 = 1,
        under plan: NamedPlan?,
        deadline: TimeSpan = .seconds(10), at now: Timestamp = .zero
    ) -> [Directive] {
        var directives: [Directive] = []
        table.onSubmitted(
            ClientID(number: client), manifest: manifest, inputs: [Fixture.payload(payload)],
            deadline: deadline, routing: routing(plan), now: now, into: &directives)
        return directives
    }

    private func grant(
        _ table: inout RequestTable, _ numbers: [UInt64], of plan: NamedPlan,
        at now: Timestamp = .zero
    ) -> [Directive] {
        var directives: [Directive] = []
        let changed = table.onTickets(
            plan: plan.id, numbers: numbers, from: gate, into: &directives)
        if changed != nil {
            table.advance(manifest, routing(plan), now: now, into: &directives)
        }
        return directives
    }

    private func wake(_ table: inout RequestTable, at now: Timestamp) -> [Directive] {
        var directives: [Directive] = []
        table.onWake(now: now, routing: { _ in routing(nil) }, into: &directives)
        return directives
    }

    private func attempt(
        _ plan: NamedPlan, request: UInt64 = 1, number: UInt8 = 1
    ) -> AttemptID {
        AttemptID(
            request: RequestID(entry: me, counter: request), number: number, plan: plan.id)
    }

    @Test("a request asks for a ticket, sends its input with it, and answers with the output")
    func happyPath() {
        var table = RequestTable(me: me)
        let wish = submit(&table, under: primary)
        #expect(wish.requests(to: gate) == [.ticketWish(plan: primary.id, count: 1)])
        #expect(wish.slices.isEmpty)
        let started = grant(&table, [7], of: primary)
        #expect(started.slices.map(\.target) == [gate])
        #expect(started.slices.first?.header.attempt == attempt(primary))
        var directives: [Directive] = []
        let header = Fixture.header(
            attempt(primary), Fixture.layout(primary), tensor: 4, to: .entry)
        #expect(table.awaits(header))
        let changed = table.onSlice(
            header, Fixture.piece(5), now: .zero, into: &directives)
        #expect(changed == manifest)
        #expect(directives.answered == [ClientID(number: 1)])
        #expect(directives.released.sorted() == [1, 5])
        #expect(
            directives.requests(to: gate)
                == [.ticketReturn(plan: primary.id, numbers: [7])])
        #expect(table.openCount == 0 && table.answers == 1)
    }

    @Test("an output that comes after the answer is not awaited")
    func lateOutput() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        _ = grant(&table, [7], of: primary)
        let header = Fixture.header(
            attempt(primary), Fixture.layout(primary), tensor: 4, to: .entry)
        var directives: [Directive] = []
        _ = table.onSlice(header, Fixture.piece(5), now: .zero, into: &directives)
        #expect(!table.awaits(header))
        directives = []
        _ = table.onSlice(header, Fixture.piece(6), now: .zero, into: &directives)
        #expect(directives == [.release(PayloadID(number: 6))])
    }

    @Test("a ticket that nobody needs any more goes back")
    func unneededTicket() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        let directives = grant(&table, [7, 8], of: primary)
        #expect(
            directives.requests(to: gate).contains(
                .ticketReturn(plan: primary.id, numbers: [8])))
    }

    @Test("a ticket of an unknown plan goes back")
    func unknownTicket() {
        var table = RequestTable(me: me)
        let directives = grant(&table, [7], of: primary)
        #expect(
            directives.requests(to: gate)
                == [.ticketReturn(plan: primary.id, numbers: [7])])
    }

    @Test("a lost host's attempt starts again under the other plan from the request's own input")
    func lostHost() {
        var table = RequestTable(me: me)
        _ = submit(&table, payload: 3, under: primary)
        _ = grant(&table, [7], of: primary)
        var directives: [Directive] = []
        #expect(
            table.onLost(Fixture.member(1), now: .zero, into: &directives) == [manifest])
        #expect(directives.rejected.isEmpty && directives.released.isEmpty)
        #expect(
            directives.requests(to: gate).contains(.cancel(attempt: attempt(primary))))
        table.advance(manifest, routing(alternate), now: .zero, into: &directives)
        let again = grant(&table, [9], of: alternate)
        #expect(again.slices.map(\.payload) == [3])
        #expect(again.slices.first?.header.attempt == attempt(alternate, number: 2))
        // What the old attempt still brings is nobody's.
        #expect(
            !table.awaits(
                Fixture.header(
                    attempt(primary), Fixture.layout(primary), tensor: 4, to: .entry)))
    }

    @Test("requests that a loss sends back keep their order and go before new ones")
    func retriesFirst() {
        var table = RequestTable(me: me)
        _ = submit(&table, client: 1, payload: 1, under: primary)
        _ = submit(&table, client: 2, payload: 2, under: primary)
        _ = grant(&table, [7, 8], of: primary)
        _ = submit(&table, client: 3, payload: 3, under: primary)
        var directives: [Directive] = []
        _ = table.onLost(Fixture.member(1), now: .zero, into: &directives)
        table.advance(manifest, routing(alternate), now: .zero, into: &directives)
        #expect(grant(&table, [9, 10, 11], of: alternate).slices.map(\.payload) == [1, 2, 3])
    }

    @Test("a request that waits five seconds for a plan ends with the reason")
    func stranded() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: nil)
        #expect(table.nextWake == .zero + .seconds(5))
        #expect(wake(&table, at: .zero + .milliseconds(4_999)).isEmpty)
        let directives = wake(&table, at: .zero + .seconds(5))
        #expect(directives.rejected == [.unavailable(reason: "no plan")])
        #expect(directives.released == [1])
        #expect(table.openCount == 0)
    }

    @Test("patience begins anew when a plan came and went")
    func strandedAnew() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: nil)
        var directives: [Directive] = []
        table.advance(manifest, routing(primary), now: .zero + .seconds(3), into: &directives)
        table.advance(manifest, routing(nil), now: .zero + .seconds(4), into: &directives)
        #expect(wake(&table, at: .zero + .seconds(6)).rejected.isEmpty)
        #expect(
            wake(&table, at: .zero + .seconds(9)).rejected == [.unavailable(reason: "no plan")])
    }

    @Test("a request ends at its deadline and its attempt is cancelled")
    func deadline() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary, deadline: .seconds(2))
        _ = grant(&table, [7], of: primary)
        let directives = wake(&table, at: .zero + .seconds(2))
        #expect(directives.rejected == [.deadlineExceeded])
        #expect(directives.released == [1])
        #expect(
            directives.requests(to: gate) == [
                .cancel(attempt: attempt(primary)),
                .ticketReturn(plan: primary.id, numbers: [7]),
            ])
    }

    @Test("no deadline is longer than thirty seconds")
    func longestDeadline() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary, deadline: .seconds(1_000))
        #expect(wake(&table, at: .zero + .seconds(30)).rejected == [.deadlineExceeded])
    }

    @Test("a request above the limit of open requests is refused at once")
    func overload() {
        var limits = RequestTable.Limits()
        limits.requests = 1
        var table = RequestTable(me: me, limits: limits)
        _ = submit(&table, client: 1, payload: 1, under: primary)
        let directives = submit(&table, client: 2, payload: 2, under: primary)
        #expect(directives.rejected == [.overloaded(retryAfter: .seconds(1))])
        #expect(directives.released == [2])
        #expect(table.refusals == 1 && table.openCount == 1)
    }

    @Test("a request above the limit of waiting bytes is refused at once")
    func overloadedBytes() {
        var limits = RequestTable.Limits()
        limits.inputBytes = 79
        var table = RequestTable(me: me, limits: limits)
        _ = submit(&table, client: 1, payload: 1, under: primary)
        #expect(submit(&table, client: 2, payload: 2, under: primary).rejected.count == 1)
    }

    @Test("a request that two nodes died of while they ran it is refused")
    func queryOfDeath() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        _ = grant(&table, [7], of: primary)
        table.onProgress(attempt(primary), fragment: 1, isRunning: true, now: .zero)
        var directives: [Directive] = []
        _ = table.onLost(Fixture.member(1), now: .zero, into: &directives)
        #expect(directives.rejected.isEmpty)
        table.advance(manifest, routing(alternate), now: .zero, into: &directives)
        _ = grant(&table, [8], of: alternate)
        table.onProgress(attempt(alternate, number: 2), fragment: 1, isRunning: true, now: .zero)
        directives = []
        _ = table.onLost(Fixture.member(2), now: .zero, into: &directives)
        #expect(directives.rejected.count == 1)
        #expect(directives.released == [1])
    }

    @Test("deaths of nodes that had passed the request on are not its fault")
    func innocentRequest() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        for number in UInt8(1)...4 {
            _ = grant(&table, [UInt64(number)], of: primary)
            let id = attempt(primary, number: number)
            table.onProgress(id, fragment: 1, isRunning: true, now: .zero)
            table.onProgress(id, fragment: 1, isRunning: false, now: .zero)
            var directives: [Directive] = []
            _ = table.onLost(Fixture.member(1), now: .zero, into: &directives)
            #expect(directives.rejected.isEmpty)
            table.advance(manifest, routing(primary), now: .zero, into: &directives)
        }
    }

    @Test("one node that is lost twice is one death")
    func sameNodeTwice() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        for number in UInt8(1)...2 {
            _ = grant(&table, [UInt64(number)], of: primary)
            table.onProgress(
                attempt(primary, number: number), fragment: 1, isRunning: true, now: .zero)
            var directives: [Directive] = []
            _ = table.onLost(Fixture.member(1), now: .zero, into: &directives)
            #expect(directives.rejected.isEmpty)
            table.advance(manifest, routing(primary), now: .zero, into: &directives)
        }
    }

    @Test("a host that holds the plan no more costs no failure, only a moment")
    func gone() {
        var table = RequestTable(me: me)
        var now = Timestamp.zero
        _ = submit(&table, under: primary)
        for number in UInt8(1)...10 {
            #expect(grant(&table, [UInt64(number)], of: primary, at: now).slices.count == 1)
            var directives: [Directive] = []
            let changed = table.onFailed(
                attempt(primary, number: number), reason: .gone(current: nil), now: now,
                into: &directives)
            #expect(changed == manifest)
            #expect(directives.rejected.isEmpty)
            #expect(table.nextWake > now)
            now = table.nextWake
            _ = wake(&table, at: now)
            table.advance(manifest, routing(primary), now: now, into: &directives)
        }
    }

    @Test("an engine that fails three times ends the request with its reason")
    func engineFailures() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        var rejected: [RequestError] = []
        for number in UInt8(1)...3 {
            #expect(rejected.isEmpty)
            _ = grant(&table, [UInt64(number)], of: primary)
            var directives: [Directive] = []
            _ = table.onFailed(
                attempt(primary, number: number), reason: .engine("no"), now: .zero,
                into: &directives)
            table.advance(manifest, routing(primary), now: .zero, into: &directives)
            rejected += directives.rejected
        }
        #expect(rejected.count == 1 && table.openCount == 0)
    }

    @Test("a failure of an attempt that is over changes nothing")
    func staleFailure() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        _ = grant(&table, [7], of: primary)
        var directives: [Directive] = []
        let changed = table.onFailed(
            attempt(alternate), reason: .full, now: .zero, into: &directives)
        #expect(changed == nil && directives.isEmpty)
    }

    @Test("a client that went away takes its attempt with it, unanswered")
    func abandoned() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        _ = grant(&table, [7], of: primary)
        var directives: [Directive] = []
        table.onAbandoned(ClientID(number: 1), into: &directives)
        #expect(directives.rejected.isEmpty && directives.answered.isEmpty)
        #expect(table.answers == 0)
        #expect(directives.released == [1])
        #expect(
            directives.requests(to: gate).contains(.cancel(attempt: attempt(primary))))
        #expect(table.openCount == 0)
    }

    @Test("attempts are counted, and why they ended without an answer")
    func counts() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        _ = grant(&table, [7], of: primary)
        #expect(table.counts.attempts == 1 && table.counts.retries == 0)
        var directives: [Directive] = []
        _ = table.onFailed(
            attempt(primary), reason: .engine("no"), now: .zero, into: &directives)
        #expect(RequestCounts.Loss.allCases.filter { table.counts.count($0) > 0 } == [.engine])
        table.advance(manifest, routing(primary), now: .zero, into: &directives)
        _ = grant(&table, [8], of: primary)
        #expect(table.counts.attempts == 2 && table.counts.retries == 1)
        _ = table.onLost(primary.plan.hosts[0], now: .zero, into: &directives)
        #expect(table.counts.count(.nodeLost) == 1 && table.counts.count(.engine) == 1)
    }

    @Test("a wish that brought nothing is repeated")
    func repeatedWish() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        let later = table.nextWake
        #expect(later < .zero + .seconds(1))
        var directives = wake(&table, at: later)
        table.advance(manifest, routing(primary), now: later, into: &directives)
        #expect(directives.requests(to: gate) == [.ticketWish(plan: primary.id, count: 1)])
    }

    @Test("a wish under a plan that is not the usable one any more is taken back")
    func staleWish() {
        var table = RequestTable(me: me)
        _ = submit(&table, under: primary)
        var directives: [Directive] = []
        table.advance(manifest, routing(alternate), now: .zero, into: &directives)
        #expect(
            directives.requests(to: gate).contains(.ticketWish(plan: primary.id, count: 0)))
    }

    @Test("a closed table refuses new requests and finishes the old ones")
    func closed() {
        var table = RequestTable(me: me)
        _ = submit(&table, client: 1, payload: 1, under: primary)
        table.close()
        let directives = submit(&table, client: 2, payload: 2, under: primary)
        #expect(directives.rejected == [.leaving] && directives.released == [2])
        #expect(grant(&table, [7], of: primary).slices.count == 1)
    }
}
