import Testing

@testable import TesseraCore
@testable import TesseraSimulator

/// All that can happen to three nodes of which two propose, with one crash or one loss and return:
/// every order in which messages may arrive and the two rounds may begin.
@Suite struct SmallStateSpaceTests {
    @Test("agreement is safe in every state that three nodes, two proposers and a fault can reach")
    func complete() throws {
        var space = AgreementSpace()
        try space.explore()
        print("agreement of three nodes: \(space.stateCount) states, \(space.decidedCount) decided")
        #expect(space.stateCount > 1_000)
        #expect(space.decidedCount > 0)
    }
}

/// The state space of `Agreement`, explored completely.
private struct AgreementSpace {
    /// What travels between two nodes, in the order of their connection.
    struct Channel: Hashable {
        var from: Int
        var to: Int
    }

    struct Envelope: Hashable {
        var message: AgreementMessage
        var sender: NodeBoot
        var receiver: NodeBoot
    }

    struct World {
        var agreements: [Agreement]
        var boots: [UInt64] = [1, 1, 1]
        var channels: [[Envelope]] = .init(repeating: [], count: 9)
        var hasStarted = [false, false]
        var hasFailed = false
        /// Who accepted what, ever; what was decided; the highest promise of each run.
        var accepted: [Ballot: Set<NodeBoot>] = [:]
        var plans: [Ballot: PlanID] = [:]
        var views: [Ballot: [NodeBoot]] = [:]
        var decided: Set<Ballot> = []
    }

    /// What tells two worlds apart.
    struct Key: Hashable {
        var registers: [PlanRegister?]
        var rounds: [RoundKey?]
        var channels: [[Envelope]]
        var boots: [UInt64]
        var hasStarted: [Bool]
        var hasFailed: Bool
        var accepted: [Ballot: Set<NodeBoot>]
    }

    struct RoundKey: Hashable {
        var phase: PlanRound.Phase
        var votes: Set<NodeBoot>
        var ready: Set<NodeBoot>
    }

    private(set) var stateCount = 0
    private(set) var decidedCount = 0
    private let model = SimulatedModel(Scenario.Model(operators: 3), number: 0, seed: 1)
    /// Long enough after everything that nobody yields to anybody.
    private let now = Timestamp.zero + .seconds(100)

    private func member(_ index: Int, _ world: World) -> NodeBoot {
        NodeBoot(
            node: NodeID(UInt64(index) + 1, 0, 0, 0),
            boot: Boot(counter: world.boots[index], random: 0))
    }

    mutating func explore() throws {
        var seen: Set<Key> = []
        var stack = [initial()]
        seen.insert(key(of: stack[0]))
        while let world = stack.popLast() {
            stateCount += 1
            if !world.decided.isEmpty { decidedCount += 1 }
            for next in try successors(of: world) where seen.insert(key(of: next)).inserted {
                stack.append(next)
            }
        }
    }

    private func initial() -> World {
        var world = World(agreements: [])
        world.agreements = (0..<3).map { index in
            Agreement(me: member(index, world), generator: SeededGenerator(seed: 1))
        }
        return world
    }

    private func key(of world: World) -> Key {
        let models = world.agreements.map { $0.models[model.manifest] }
        return Key(
            registers: models.map { $0?.register },
            rounds: models.map { model in
                model?.round.map {
                    RoundKey(phase: $0.phase, votes: $0.votes, ready: $0.ready)
                }
            }, channels: world.channels, boots: world.boots, hasStarted: world.hasStarted,
            hasFailed: world.hasFailed, accepted: world.accepted)
    }

    // MARK: Steps

    private func successors(of world: World) throws -> [World] {
        var result: [World] = []
        for channel in world.channels.indices {
            guard let envelope = world.channels[channel].first else { continue }
            var next = world
            next.channels[channel].removeFirst()
            let index = channel % 3
            // A message for a run that is over is lost.
            if envelope.receiver == member(index, next) {
                try deliver(envelope.message, from: envelope.sender, to: index, &next)
            }
            result.append(next)
        }
        for proposer in 0..<2 where !world.hasStarted[proposer] {
            var next = world
            next.hasStarted[proposer] = true
            try propose(proposer, &next)
            result.append(next)
        }
        guard !world.hasFailed else { return result }
        for index in 0..<3 {
            // Lost and returned in the same boot: all that was on its way is gone.
            var lost = world
            lost.hasFailed = true
            for channel in lost.channels.indices where channel / 3 == index || channel % 3 == index
            {
                lost.channels[channel] = []
            }
            result.append(lost)
            // A new boot remembers nothing; what the old one sent is on its way still.
            var crashed = world
            crashed.hasFailed = true
            for channel in crashed.channels.indices where channel % 3 == index {
                crashed.channels[channel] = []
            }
            crashed.boots[index] += 1
            crashed.agreements[index] = Agreement(
                me: member(index, crashed), generator: SeededGenerator(seed: 1))
            result.append(crashed)
        }
        return result
    }

    private func view(_ world: World) -> Agreement.View {
        let members = (0..<3).map { member($0, world) }
        let outline = model.outline
        return Agreement.View(
            // Not the settings of a model that nobody said anything about: then nobody evaluates.
            isCatalogued: true, settings: ModelSettings(allowedModes: .single), outline: outline,
            voters: members, pool: members, usable: members, connected: members,
            isDead: { _ in false },
            problem: { outline, ballot, _ in
                PlanningProblem(
                    outline: outline, nodes: [], links: [], ballot: ballot, current: nil, lost: [])
            })
    }

    private func propose(_ index: Int, _ world: inout World) throws {
        var directives: [Directive] = []
        world.agreements[index].consider(
            model.manifest, view(world), now: now, into: &directives)
        world.agreements[index].consider(
            model.manifest, view(world), now: now + .seconds(5), into: &directives)
        for case .plan(let token, let problem) in directives {
            // The plan of a proposer runs on its neighbour, so that both stage on other nodes.
            let fragment = Fragment(
                host: member((index + 1) % 3, world),
                operators: 0..<model.outline.operators.count)
            let plan = Plan(
                manifest: model.manifest, ballot: problem.ballot,
                stages: [Stage(operators: fragment.operators, mode: .single, fragments: 0..<1)],
                fragments: [fragment],
                routes: Plan.routes(for: model.outline, fragments: [fragment]), window: 2,
                predictedPeriodMicroseconds: 1, predictedLatencyMicroseconds: 1)
            let bundle = PlanBundle(
                primary: NamedPlan(
                    id: PlanID(problem.ballot.round, UInt64(index), world.boots[index], 0),
                    plan: plan), alternates: [])
            var next: [Directive] = []
            world.agreements[index].onPlanned(
                token: token, .bundle(bundle, leftOut: []), model.manifest, view(world), now: now,
                into: &next)
            try carryOut(next, of: index, &world)
        }
    }

    private func deliver(
        _ message: AgreementMessage, from sender: NodeBoot, to index: Int, _ world: inout World
    ) throws {
        let before = world.agreements[index].register(model.manifest)
        var directives: [Directive] = []
        world.agreements[index].onReceived(
            message, from: sender, view(world), now: now, into: &directives)
        for change in world.agreements[index].takeChanges() {
            if case .stage(let bundle, let proposer) = change {
                directives.append(
                    .send(
                        .agreement(
                            .ready(
                                manifest: model.manifest, ballot: bundle.primary.plan.ballot,
                                plan: bundle.primary.id)), to: proposer))
            }
        }
        try check(index, before, &world)
        try carryOut(directives, of: index, &world)
    }

    private func carryOut(
        _ directives: [Directive], of index: Int, _ world: inout World
    ) throws {
        let me = member(index, world)
        for case .send(.agreement(let message), let target) in directives {
            if case .prepare(_, let ballot, let view) = message { world.views[ballot] = view }
            if target == me {
                try deliver(message, from: me, to: index, &world)
                continue
            }
            let to = Int(target.node.words.0) - 1
            world.channels[index * 3 + to].append(
                Envelope(message: message, sender: me, receiver: target))
        }
    }

    // MARK: What must hold

    private func check(_ index: Int, _ before: PlanRegister?, _ world: inout World) throws {
        guard let after = world.agreements[index].register(model.manifest) else { return }
        if let old = before?.promised { #expect(after.promised.map { $0 >= old } == true) }
        if let accepted = after.accepted, accepted != before?.accepted {
            #expect(before?.promised.map { accepted.ballot >= $0 } ?? true)
            world.accepted[accepted.ballot, default: []].insert(member(index, world))
            #expect(world.plans[accepted.ballot].map { $0 == accepted.plan } ?? true)
            world.plans[accepted.ballot] = accepted.plan
        }
        if let current = after.current?.primary, current.id != before?.current?.primary.id {
            let ballot = current.plan.ballot
            if let old = before?.current?.primary.plan.ballot { #expect(ballot > old) }
            #expect(world.plans[ballot] == current.id)
            let view = try #require(world.views[ballot])
            let votes = view.count { world.accepted[ballot]?.contains($0) == true }
            #expect(votes * 2 > view.count)
            world.decided.insert(ballot)
        }
    }
}
