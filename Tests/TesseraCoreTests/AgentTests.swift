import Testing

@testable import TesseraCore

@Suite struct AgentTests {
    private typealias Fixture = RequestsFixture
    private let me = RequestsFixture.member(1)
    private let peer = RequestsFixture.member(2)
    private let manifest = RequestsFixture.manifest
    private let plan = RequestsFixture.plan(hosts: [1], cuts: [])

    /// An agent with a peer, and a node of the name `toy` in its catalogue.
    private func makeAgent() -> Agent {
        var agent = Agent(
            Agent.Settings(
                me: me, name: "one", address: Address(host: "10.0.0.1", port: 1),
                executionSlots: 1, seed: 1))
        var directives: [Directive] = []
        agent.start(at: .zero, into: &directives)
        agent.handle(
            .connected(peer, address: Address(host: "10.0.0.2", port: 1)), at: .zero,
            into: &directives)
        agent.handle(
            .catalogueRestored([
                CatalogueEntry(name: "toy", manifest: manifest, version: 1, author: peer.node)
            ]), at: .zero, into: &directives)
        agent.handle(
            .capabilityMeasured(PlannerInstances.node(1).capability), at: .zero,
            into: &directives)
        return agent
    }

    private func handle(
        _ agent: inout Agent, _ event: Event, at now: Timestamp = .zero
    ) -> [Directive] {
        var directives: [Directive] = []
        agent.handle(event, at: now, into: &directives)
        return directives
    }

    private func decided(_ plan: NamedPlan) -> Event {
        .received(
            .agreement(
                .decided(
                    manifest: manifest, ballot: plan.plan.ballot,
                    bundle: PlanBundle(primary: plan, alternates: []), isFresh: true)),
            from: peer)
    }

    private var stored: Event { .manifestStored(Fixture.outline, blobs: [0, 1, 2, 3]) }
    private let key = FragmentKey(manifest: RequestsFixture.manifest, operators: 0..<4)

    @Test("a decided plan is compiled, and serves when it is")
    func decision() {
        var agent = makeAgent()
        _ = handle(&agent, stored)
        #expect(handle(&agent, decided(plan)).contains(.compile(key, concurrency: 1)))
        _ = handle(&agent, .compiled(key, memoryBytes: 1))
        let client = ClientID(number: 5)
        let directives = handle(
            &agent,
            .submitted(
                client: client, manifest: manifest, inputs: [Fixture.payload(1)],
                deadline: .seconds(5)))
        #expect(directives.executed.count == 1)
        guard let attempt = directives.executed.first else { return }
        let answer = handle(
            &agent,
            .executed(
                attempt: attempt, fragment: 0, outputs: [Fixture.payload(2)], microseconds: 1))
        #expect(answer.answered == [client])
        #expect(answer.released.sorted() + directives.released == [1, 2])
        #expect(agent.isIdle)
    }

    @Test("a decision that comes before the manifest serves once the manifest is here")
    func decisionBeforeManifest() {
        var agent = makeAgent()
        _ = handle(&agent, decided(plan))
        #expect(agent.routing(manifest).usable == nil)
        #expect(handle(&agent, stored).contains(.compile(key, concurrency: 1)))
        #expect(agent.routing(manifest).usable?.id == plan.id)
    }

    @Test("a peer whose record names an older decision for a while is told the newer one")
    func tellsThoseBehind() {
        var agent = makeAgent()
        _ = handle(&agent, stored)
        _ = handle(&agent, decided(plan))
        let newer = Fixture.plan(hosts: [1], cuts: [], round: 2)
        _ = handle(&agent, decided(newer))
        func record(version: UInt64, following plan: NamedPlan) -> Event {
            let status = PlanStatus(
                manifest: manifest,
                current: BallotPlan(ballot: plan.plan.ballot, plan: plan.id), ready: [],
                oldestInUse: nil)
            let record = NodeRecord(
                member: peer, version: version, name: "two", addresses: [], capability: nil,
                holdings: [], plans: [status], links: [], times: [], isLeaving: false)
            return .received(
                .mesh(
                    .update(
                        records: [SignedRecord(record: record, publicKey: [1], signature: [2])],
                        catalogue: [])), from: peer)
        }
        func told(_ directives: [Directive]) -> [PlanID] {
            directives.compactMap {
                guard case .send(.agreement(.decided(_, _, let bundle, true)), to: peer) = $0
                else { return nil }
                return bundle.primary.id
            }
        }
        #expect(told(handle(&agent, record(version: 1, following: plan))).isEmpty)
        #expect(told(handle(&agent, .woke, at: .zero + .milliseconds(1_900))).isEmpty)
        #expect(told(handle(&agent, .woke, at: .zero + .milliseconds(2_100))) == [newer.id])
        _ = handle(
            &agent, record(version: 2, following: newer), at: .zero + .milliseconds(2_200))
        #expect(told(handle(&agent, .woke, at: .zero + .seconds(9))).isEmpty)
    }

    @Test("a host that gave up its part of the current plan holds it again")
    func holdsAgain() {
        var agent = makeAgent()
        _ = handle(&agent, stored)
        _ = handle(&agent, decided(plan))
        _ = handle(&agent, .compiled(key, memoryBytes: 1))
        // As a staging does that takes the memory and then comes to nothing.
        var dropped: [Directive] = []
        agent.host.onModelRemoved(manifest, into: &dropped)
        let directives = handle(&agent, .woke, at: .zero + .seconds(30))
        #expect(directives.contains(.compile(key, concurrency: 1)))
        _ = handle(&agent, .compiled(key, memoryBytes: 1), at: .zero + .seconds(30))
        #expect(agent.host.layout(ofReady: plan.id) != nil)
    }

    @Test("a slice of a plan that is not held is answered gone, and released")
    func goneSlice() {
        var agent = makeAgent()
        _ = handle(&agent, stored)
        let attempt = AttemptID(
            request: RequestID(entry: peer, counter: 1), number: 1, plan: plan.id)
        let header = Fixture.header(
            attempt, Fixture.layout(plan), tensor: 0, to: .fragment(0))
        let directives = handle(
            &agent, .sliceArrived(header, Fixture.payload(1), from: peer))
        #expect(directives.released == [1])
        #expect(
            directives.requests(to: peer) == [
                .failed(attempt: attempt, fragment: nil, reason: .gone(current: nil))
            ])
    }

    @Test("an entry that gave up its own part of the plan ends the attempt that comes back to it")
    func goneOwnSlice() {
        let plan = Fixture.plan(hosts: [2, 1], cuts: [2])
        var agent = makeAgent()
        _ = handle(&agent, stored)
        _ = handle(&agent, decided(plan))
        let part = FragmentKey(manifest: manifest, operators: 2..<4)
        _ = handle(&agent, .compiled(part, memoryBytes: 1))
        let wishes = handle(
            &agent,
            .submitted(
                client: ClientID(number: 5), manifest: manifest, inputs: [Fixture.payload(1)],
                deadline: .seconds(5)))
        #expect(!wishes.requests(to: peer).isEmpty)
        let sent = handle(
            &agent, .received(.request(.tickets(plan: plan.id, numbers: [1])), from: peer))
        let attempt = AttemptID(
            request: RequestID(entry: me, counter: 1), number: 1, plan: plan.id)
        #expect(sent.slices.map(\.header.attempt) == [attempt])
        var dropped: [Directive] = []
        agent.host.onModelRemoved(manifest, into: &dropped)
        let header = Fixture.header(
            attempt, Fixture.layout(plan), tensor: 2, to: .fragment(1))
        let directives = handle(&agent, .sliceArrived(header, Fixture.payload(2), from: peer))
        #expect(directives.released.contains(2))
        #expect(directives.requests(to: peer).contains(.cancel(attempt: attempt)))
    }

    @Test("a host without a connection to the next one tells the entry, and sends nothing")
    func unconnectedHost() {
        let plan = Fixture.plan(hosts: [1, 3], cuts: [2])
        var agent = makeAgent()
        _ = handle(&agent, stored)
        _ = handle(&agent, decided(plan))
        _ = handle(
            &agent,
            .compiled(FragmentKey(manifest: manifest, operators: 0..<2), memoryBytes: 1))
        let attempt = AttemptID(
            request: RequestID(entry: peer, counter: 1), number: 1, plan: plan.id)
        let header = Fixture.header(
            attempt, Fixture.layout(plan), tensor: 0, to: .fragment(0))
        _ = handle(&agent, .sliceArrived(header, Fixture.payload(1), from: peer))
        let directives = handle(
            &agent,
            .executed(
                attempt: attempt, fragment: 0,
                outputs: [Fixture.payload(2), Fixture.payload(3)], microseconds: 1))
        let failure = RequestMessage.failed(
            attempt: attempt, fragment: nil, reason: .unreachable)
        #expect(directives.requests(to: peer).contains(failure))
        #expect(directives.slices.isEmpty)
        #expect(directives.released == [1, 2, 3])
    }

    @Test("a slice that does not fit its route is answered malformed, and released")
    func malformedSlice() {
        var agent = makeAgent()
        _ = handle(&agent, stored)
        _ = handle(&agent, decided(plan))
        _ = handle(&agent, .compiled(key, memoryBytes: 1))
        let attempt = AttemptID(
            request: RequestID(entry: peer, counter: 1), number: 1, plan: plan.id)
        var header = Fixture.header(
            attempt, Fixture.layout(plan), tensor: 0, to: .fragment(0))
        header.shape = [9]
        let directives = handle(
            &agent, .sliceArrived(header, Fixture.payload(1), from: peer))
        #expect(directives.released == [1])
        #expect(
            directives.requests(to: peer) == [
                .failed(attempt: attempt, fragment: nil, reason: .malformedSlice)
            ])
    }

    @Test("a wish for tickets at a node that is not the gate is refused")
    func notTheGate() {
        var agent = makeAgent()
        let directives = handle(
            &agent, .received(.request(.ticketWish(plan: plan.id, count: 1)), from: peer))
        #expect(
            directives.requests(to: peer) == [.ticketRefusal(plan: plan.id, current: nil)])
    }

    @Test("tickets go only to who is connected: on an ended connection they would be lost")
    func wishOnEndedConnection() {
        var agent = makeAgent()
        _ = handle(&agent, stored)
        _ = handle(&agent, decided(plan))
        _ = handle(&agent, .compiled(key, memoryBytes: 1))
        let wish = Event.received(.request(.ticketWish(plan: plan.id, count: 1)), from: peer)
        #expect(handle(&agent, wish).requests(to: peer) == [.tickets(plan: plan.id, numbers: [1])])
        _ = handle(&agent, .disconnected(peer))
        #expect(handle(&agent, wish).requests(to: peer) == [])
    }

    @Test("only the entry of an attempt may cancel it")
    func foreignCancel() {
        var agent = makeAgent()
        _ = handle(&agent, stored)
        _ = handle(&agent, decided(plan))
        _ = handle(&agent, .compiled(key, memoryBytes: 1))
        let attempt = AttemptID(
            request: RequestID(entry: peer, counter: 1), number: 1, plan: plan.id)
        let header = Fixture.header(
            attempt, Fixture.layout(plan), tensor: 0, to: .fragment(0))
        _ = handle(&agent, .sliceArrived(header, Fixture.payload(1), from: peer))
        _ = handle(
            &agent, .received(.request(.cancel(attempt: attempt)), from: Fixture.member(3)))
        #expect(agent.openAttempts.map(\.used) == [1])
        _ = handle(&agent, .received(.request(.cancel(attempt: attempt)), from: peer))
        #expect(agent.openAttempts.isEmpty)
    }

    @Test("a leaving agent refuses new requests and goes when nothing is left")
    func leaving() {
        var agent = makeAgent()
        _ = handle(&agent, .leaveRequested)
        let refused = handle(
            &agent,
            .submitted(
                client: ClientID(number: 1), manifest: manifest, inputs: [Fixture.payload(1)],
                deadline: .seconds(5)))
        #expect(refused.rejected == [.leaving])
        #expect(handle(&agent, .woke, at: .zero + .seconds(2)).contains(.leave))
    }
}
