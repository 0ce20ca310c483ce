import Testing

@testable import TesseraCore

/// A whole agent that computes a join whose branches are elsewhere too.
@Suite struct AgentBranchTests {
    private typealias Fixture = RequestsFixture
    private let me = RequestsFixture.member(1)
    private let peers = [RequestsFixture.member(2), RequestsFixture.member(3)]
    private let manifest = RequestsFixture.manifest
    private let client = ClientID(number: 5)

    /// Three branches on the input, a Concat and a MatMul.
    private let outline: ModelOutline = {
        var outline = PlannerInstances.chain(
            operations: .init(repeating: 1_000, count: 5), elements: 10, weights: 1_000)
        outline.tensors[0].consumers = [0, 1, 2]
        for branch in 1...3 { outline.tensors[branch].consumers = [3] }
        outline.operators[3].kind = "Concat"
        outline.operators[4].kind = "MatMul"
        return outline
    }()

    /// This node has the first branch and the join; the peers have a branch each.
    private var plan: NamedPlan {
        let fragments = [
            Fragment(host: me, operators: 0..<1), Fragment(host: peers[0], operators: 1..<2),
            Fragment(host: peers[1], operators: 2..<3), Fragment(host: me, operators: 3..<5),
        ]
        return Fixture.name(
            Plan(
                manifest: manifest, ballot: Ballot(round: 1, proposer: me),
                stages: [
                    Stage(operators: 0..<3, mode: .branches, fragments: 0..<3),
                    Stage(operators: 3..<5, mode: .single, fragments: 3..<4),
                ], fragments: fragments, routes: Plan.routes(for: outline, fragments: fragments),
                window: 2, predictedPeriodMicroseconds: 10, predictedLatencyMicroseconds: 20))
    }

    private func handle(
        _ agent: inout Agent, _ event: Event, at now: Timestamp = .zero
    ) -> [Directive] {
        var directives: [Directive] = []
        agent.handle(event, at: now, into: &directives)
        return directives
    }

    /// What the agent computes itself and what the first peer sends comes to the join.
    private func join(_ attempt: AttemptID, at agent: inout Agent) {
        _ = handle(
            &agent,
            .executed(
                attempt: attempt, fragment: 0, outputs: [Fixture.payload(2)], microseconds: 1))
        let header = Fixture.header(
            attempt, PlanLayout(plan, outline: outline), tensor: 2, to: .fragment(3))
        _ = handle(&agent, .sliceArrived(header, Fixture.payload(3), from: peers[0]))
    }

    /// An agent with both peers that serves under the plan.
    private func serving(_ degrade: BranchDegrade?) -> Agent {
        var agent = Agent(
            Agent.Settings(
                me: me, name: "one", address: Address(host: "10.0.0.1", port: 1),
                executionSlots: 1, seed: 1))
        var directives: [Directive] = []
        agent.start(at: .zero, into: &directives)
        for (index, peer) in peers.enumerated() {
            _ = handle(
                &agent, .connected(peer, address: Address(host: "10.0.0.\(index + 2)", port: 1)))
        }
        let settings = ModelSettings(allowedModes: [.single, .branches], degrade: degrade)
        _ = handle(
            &agent,
            .catalogueRestored([
                CatalogueEntry(
                    name: "toy", manifest: manifest, version: 1, author: me.node,
                    settings: settings)
            ]))
        _ = handle(&agent, .capabilityMeasured(PlannerInstances.node(1).capability))
        _ = handle(&agent, .manifestStored(outline, blobs: Array(0..<5)))
        _ = handle(
            &agent,
            .received(
                .agreement(
                    .decided(
                        manifest: manifest, ballot: plan.plan.ballot,
                        bundle: PlanBundle(primary: plan, alternates: []), isFresh: true)),
                from: peers[0]))
        for operators in [0..<1, 3..<5] {
            _ = handle(
                &agent,
                .compiled(
                    FragmentKey(manifest: manifest, operators: operators), memoryBytes: 1))
        }
        return agent
    }

    private func submit(_ agent: inout Agent) -> [Directive] {
        handle(
            &agent,
            .submitted(
                client: client, manifest: manifest, inputs: [Fixture.payload(1)],
                deadline: .seconds(5)))
    }

    @Test("where no other plan stands ready, answers do without the branches of a lost node")
    func lost() throws {
        var agent = serving(BranchDegrade(fill: .zeros))
        _ = handle(&agent, .disconnected(peers[1]))
        #expect(agent.routing(manifest).usable?.id == plan.id)
        let begun = submit(&agent)
        #expect(begun.slices.map(\.target) == [peers[0]])
        let attempt = try #require(begun.executed.first)
        join(attempt, at: &agent)
        let now = Timestamp.zero + .milliseconds(1)
        let fills = handle(&agent, .woke, at: now).compactMap { directive -> Int? in
            if case .fill(attempt, let route, _, from: []) = directive { route } else { nil }
        }
        #expect(fills.map { plan.plan.routes[$0].tensor } == [3])
        let route = try #require(fills.first)
        let joined = handle(
            &agent, .filled(attempt: attempt, route: route, Fixture.payload(4)), at: now)
        #expect(joined.executed == [attempt])
        let answer = handle(
            &agent,
            .executed(
                attempt: attempt, fragment: 3, outputs: [Fixture.payload(5)], microseconds: 1),
            at: now)
        let details = answer.compactMap {
            if case .answer(client, _, let detail) = $0 { detail } else { nil }
        }
        #expect(details.map(\.leftOut) == [[MissingBranch(tensor: 3, name: "tensor-3")]])
        #expect(answer.requests(to: peers[0]) == [.cancel(attempt: attempt)])
        #expect(agent.isIdle)
    }

    @Test("without the allowance, or where too much is lost, nothing is answered meanwhile")
    func refused() {
        var strict = serving(nil)
        _ = handle(&strict, .disconnected(peers[1]))
        #expect(strict.routing(manifest).usable == nil)
        #expect(submit(&strict).executed.isEmpty)
        var one = serving(BranchDegrade(fill: .zeros, most: 1))
        for peer in peers { _ = handle(&one, .disconnected(peer)) }
        #expect(one.routing(manifest).usable == nil)
        var two = serving(BranchDegrade(fill: .zeros, most: 2))
        for peer in peers { _ = handle(&two, .disconnected(peer)) }
        #expect(two.routing(manifest).usable?.id == plan.id)
    }

    @Test("an attempt under way goes on when a branch is lost, as soon as the loss is known")
    func lostMeanwhile() throws {
        var agent = serving(BranchDegrade(fill: .zeros))
        let attempt = try #require(submit(&agent).executed.first)
        join(attempt, at: &agent)
        _ = handle(&agent, .disconnected(peers[1]), at: .zero + .milliseconds(5))
        let left = handle(&agent, .woke, at: .zero + .milliseconds(6))
        #expect(left.contains { if case .fill = $0 { true } else { false } })
    }
}
