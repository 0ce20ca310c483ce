import Testing

@testable import TesseraCore

@Suite struct RequestsDeathTests {
    private typealias Fixture = RequestsFixture
    private let manifest = RequestsFixture.manifest
    private let me = RequestsFixture.entry
    private let gate = RequestsFixture.member(0)
    private let plan = RequestsFixture.plan(hosts: [0, 1], cuts: [2])
    private let digest = InputDigest(1, 2, 3, 4)
    private let other = InputDigest(4, 3, 2, 1)

    private var routing: RequestTable.Routing {
        RequestTable.Routing(usable: Fixture.layout(plan), reason: "")
    }

    private func submit(_ table: inout RequestTable, _ client: UInt64) -> [Directive] {
        var directives: [Directive] = []
        table.onSubmitted(
            ClientID(number: client), manifest: manifest, inputs: [Fixture.payload(client)],
            deadline: .seconds(10), routing: routing, now: .zero, into: &directives)
        _ = table.onTickets(plan: plan.id, numbers: [client], from: gate, into: &directives)
        table.advance(manifest, routing, now: .zero, into: &directives)
        return directives
    }

    /// A request under which two nodes died, by what its entry sees.
    private func kill(_ table: inout RequestTable) -> [Directive] {
        _ = submit(&table, 1)
        var directives: [Directive] = []
        for number in UInt8(1)...2 {
            let attempt = AttemptID(
                request: RequestID(entry: me, counter: 1), number: number, plan: plan.id)
            table.onProgress(attempt, fragment: Int(number) - 1, isRunning: true, now: .zero)
            _ = table.onLost(Fixture.member(Int(number) - 1), now: .zero, into: &directives)
            table.advance(manifest, routing, now: .zero, into: &directives)
            _ = table.onTickets(
                plan: plan.id, numbers: [50 + UInt64(number)], from: gate, into: &directives)
            table.advance(manifest, routing, now: .zero, into: &directives)
        }
        return directives
    }

    @Test("the inputs of a request that killed two nodes are hashed before they are given back")
    func hashed() {
        var table = RequestTable(me: me)
        let directives = kill(&table)
        #expect(directives.rejected.count == 1)
        let hash = directives.firstIndex(
            of: .digest(ClientID(number: 1), inputs: [PayloadID(number: 1)]))
        let release = directives.firstIndex(of: .release(PayloadID(number: 1)))
        #expect(hash != nil && release != nil && hash ?? 0 < release ?? 0)
        #expect(table.openCount == 0)
    }

    @Test("the same inputs are not run again for a while; others are, once their digest is known")
    func refused() {
        var table = RequestTable(me: me)
        _ = kill(&table)
        var directives: [Directive] = []
        #expect(
            table.onDigest(ClientID(number: 1), digest, now: .zero, into: &directives) == manifest)
        for (client, hash, isRefused) in [(UInt64(2), digest, true), (3, other, false)] {
            let submitted = submit(&table, client)
            #expect(submitted.slices.isEmpty)
            #expect(
                submitted.contains(
                    .digest(
                        ClientID(number: client), inputs: [PayloadID(number: client)])))
            directives = []
            #expect(
                table.onDigest(
                    ClientID(number: client), hash, now: .zero, into: &directives) == nil)
            table.advance(manifest, routing, now: .zero, into: &directives)
            #expect(directives.rejected.count == (isRefused ? 1 : 0))
            #expect(directives.requests(to: gate).isEmpty == isRefused)
        }
    }

    @Test("a refusal ends by itself, and then no digest is asked for")
    func forgotten() {
        var refused = RefusedInputs()
        refused.refuse(digest, of: manifest, for: .seconds(1_000_000), now: .zero)
        let end = Timestamp.zero + RefusedInputs.span
        #expect(refused.refuses(digest, of: manifest, now: end - .milliseconds(1)))
        #expect(!refused.refuses(other, of: manifest, now: .zero))
        #expect(!refused.refuses(digest, of: manifest, now: end))
        let hasAny = refused.hasAny(of: manifest, now: end)
        #expect(!hasAny)
        for number in 0..<200 {
            refused.refuse(
                InputDigest(UInt64(number), 0, 0, 0), of: manifest, for: .seconds(9), now: end)
        }
        #expect(refused.entries.count == RefusedInputs.entriesMax)
    }

    @Test("a host that says it crashed under a request counts as dead of it, once")
    func told() {
        var table = RequestTable(me: me)
        _ = submit(&table, 1)
        let request = RequestID(entry: me, counter: 1)
        var directives: [Directive] = []
        for _ in 0..<3 {
            table.onCrashed(request, in: Fixture.member(0), now: .zero, into: &directives)
        }
        #expect(directives.rejected.isEmpty)
        table.onCrashed(request, in: Fixture.member(1), now: .zero, into: &directives)
        #expect(directives.rejected.count == 1)
    }

    @Test("a fragment that this node crashed over when it compiled it is refused")
    func compiling() {
        var host = FragmentHost(me: Fixture.member(0), executionSlots: 1)
        host.onCapability(PlannerInstances.node(0).capability)
        host.onCrashed(plan.plan.key(ofFragment: 0))
        var directives: [Directive] = []
        host.onStage(
            plan, by: Fixture.member(1), outline: Fixture.outline, mayEvictCurrent: false,
            now: .zero, into: &directives)
        let refusals = host.takeChanges().filter {
            if case .cannot(_, _, .engine) = $0 { true } else { false }
        }
        #expect(refusals.count == 1 && host.heldPlans.isEmpty)
    }

    @Test("marks found at start are told to the entries they concern, and refusals to everybody")
    func agent() {
        var agent = Agent(
            Agent.Settings(
                me: me, name: "one", address: Address(host: "10.0.0.1", port: 1),
                executionSlots: 1, seed: 1))
        var directives: [Directive] = []
        agent.start(at: .zero, into: &directives)
        let peer = Fixture.member(1)
        var old = me
        old.boot.counter = 0
        let key = plan.plan.key(ofFragment: 0)
        let marks = [(peer, Int?(6)), (Fixture.member(2), 6), (peer, nil)].enumerated().map {
            CrashMark(
                member: old,
                work: .running(key, RequestID(entry: $1.0, counter: UInt64($0))), signal: $1.1)
        }
        agent.handle(.crashesFound(marks), at: .zero, into: &directives)
        agent.handle(
            .received(
                .request(.refuse(manifest: manifest, digest: digest, remaining: .seconds(5))),
                from: peer), at: .zero, into: &directives)
        directives = []
        agent.handle(
            .connected(peer, address: Address(host: "10.0.0.2", port: 1)), at: .zero,
            into: &directives)
        #expect(
            directives.requests(to: peer) == [
                .crashed(request: RequestID(entry: peer, counter: 0), host: old),
                .refuse(manifest: manifest, digest: digest, remaining: .seconds(5)),
            ])
    }
}
