import Testing

@testable import TesseraCore

/// The energy of real nodes: from what agents say of themselves to a plan.
@Suite struct PlannerEnergyTests {
    private typealias Fixture = RequestsFixture
    private static let kinds = ["Convolution", "MatMul", "MaxPool", "Relu"]
    private static let families: [OperatorFamily] = [
        .convolution, .product, .pooling, .elementwise,
    ]

    /// An agent that heard of two other ones, each with rates and a power of its own.
    private struct Mesh {
        var agent: Agent
        var outline: ModelOutline
        var powers: [Int?]
        var members: [NodeBoot]

        init(
            seed: UInt64, powers given: [Int?]? = nil, objective: PlanGoal.Objective = .energy,
            change: (inout ModelSettings) -> Void = { _ in }
        ) {
            var numbers = TestNumbers(seed: seed)
            outline = PlannerInstances.graph(
                &numbers, operators: numbers.next(2...4), skips: false)
            for index in outline.operators.indices {
                outline.operators[index].kind = kinds[numbers.next(0...3)]
            }
            powers = given ?? (0..<3).map { _ in numbers.next(1_000...90_000) }
            members = (0..<3).map { PlannerInstances.member($0) }
            agent = Agent(
                Agent.Settings(
                    me: members[0], name: "node-0", address: Address(host: "10.0.0.1", port: 1),
                    executionSlots: 1, seed: 1))
            var settings = ModelSettings(
                goal: PlanGoal(objective: objective), allowedModes: [.single, .replicas])
            change(&settings)
            var capabilities: [Capability] = []
            for (index, power) in powers.enumerated() {
                var capability = PlannerInstances.node(index).capability
                capability.rates = families.map {
                    OperatorRate(
                        family: $0, operationsPerMicrosecond: UInt64(numbers.next(200...4_000)))
                }
                capability.handover = HandoverCost(
                    nanosecondsPerSlice: UInt64(numbers.next(0...20_000)),
                    picosecondsPerByte: UInt64(numbers.next(0...50)))
                capability.milliwatts = power
                capabilities.append(capability)
            }
            fill(capabilities, settings)
        }

        private mutating func fill(_ capabilities: [Capability], _ settings: ModelSettings) {
            var ignored: [Directive] = []
            func address(_ index: Int) -> Address { Address(host: "10.0.0.\(index + 1)", port: 1) }
            agent.start(at: .zero, into: &ignored)
            let entry = CatalogueEntry(
                name: "toy", manifest: outline.manifest, version: 1, author: members[0].node,
                settings: settings)
            agent.handle(.catalogueRestored([entry]), at: .zero, into: &ignored)
            agent.handle(.manifestStored(outline, blobs: []), at: .zero, into: &ignored)
            agent.handle(.capabilityMeasured(capabilities[0]), at: .zero, into: &ignored)
            for index in 1..<members.count {
                agent.handle(
                    .connected(members[index], address: address(index)), at: .zero,
                    into: &ignored)
                let record = NodeRecord(
                    member: members[index], version: 1, name: "node-\(index)",
                    addresses: [address(index)], capability: capabilities[index],
                    holdings: [Holding(manifest: outline.manifest, blobs: [])], plans: [],
                    links: [], times: [], isLeaving: false)
                agent.handle(
                    .received(
                        .mesh(
                            .update(
                                records: [
                                    SignedRecord(record: record, publicKey: [1], signature: [2])
                                ], catalogue: [])), from: members[index]), at: .zero,
                    into: &ignored)
            }
        }

        /// What the agent would plan with.
        var problem: PlanningProblem {
            agent.view(outline.manifest).problem(
                outline, Ballot(round: 1, proposer: members[0]), nil)
        }

        var result: PlanningResult { Planner.plan(problem, naming: PlannerInstances.name) }

        /// The plan and what it takes; nil if there is none.
        var planned: (plan: Plan, evaluation: PlanEvaluation)? {
            guard case .bundle(let bundle, _) = result,
                let evaluation = PlanEvaluation.evaluate(bundle.primary.plan, problem)
            else { return nil }
            return (bundle.primary.plan, evaluation)
        }

        /// The figures of the problem, with the powers that the nodes were given.
        var figures: SpaceFigures {
            let space = PlanSpace(CostModel(problem), window: Planner.windowMin)
            var figures = SpaceFigures()
            figures.times = space.times
            figures.memory = space.memoryBytes
            figures.milliwatts = powers
            figures.bits = powers.map { _ in powers.map { _ in 1_000_000_000 } }
            figures.latencies = powers.map { _ in powers.map { _ in 0 } }
            figures.crossing = space.crossingBytes
            figures.bytes = space.stageBytes
            figures.excess = powers.map { _ in [] }
            return figures
        }
    }

    @Test("the plan of what agents say takes the least energy, as by brute force, on 80 meshes")
    func equalsBruteForce() throws {
        var used: Set<Int> = []
        for seed in 0..<80 {
            let mesh = Mesh(seed: UInt64(seed))
            #expect(mesh.problem.nodes.map(\.capability.milliwatts) == mesh.powers)
            let expected = PlannerBruteForce(mesh.figures, modes: [.single, .replicas])
                .results(repeating: true).compactMap(\.energy).min()
            let found = try #require(mesh.planned, "seed \(seed)")
            #expect(found.evaluation.nanojoules == expected, "seed \(seed)")
            used.insert(found.plan.hosts.count)
        }
        // Not all alike: one node alone is the best of some, several of others.
        #expect(used.count > 1)
    }

    @Test("the least energy is not the least period, nor known where it does not count")
    func frugal() throws {
        // Three nodes of one speed: what they draw decides.
        var equal = Mesh(seed: 3, powers: [50_000, 5_000, 90_000]).problem
        for index in equal.nodes.indices {
            equal.nodes[index].capability.rates = []
            equal.nodes[index].capability.handover = nil
        }
        func hosts(_ problem: PlanningProblem) -> [NodeBoot] {
            guard case .bundle(let bundle, _) = Planner.plan(problem, naming: PlannerInstances.name)
            else { return [] }
            return bundle.primary.plan.hosts
        }
        #expect(hosts(equal) == [equal.nodes[1].member])
        equal.goal = PlanGoal()
        // Nodes that differ in their power alone are of one kind then.
        #expect(PlanSpace(CostModel(equal), window: 2).kinds == [0, 0, 0])
        equal.goal = PlanGoal(objective: .energy)
        #expect(PlanSpace(CostModel(equal), window: 2).kinds == [0, 1, 2])
    }

    @Test("a node whose power is not known has no part, and it is said what to do")
    func unknown() throws {
        let mesh = Mesh(seed: 4, powers: [9_000, nil, 80_000])
        guard case .bundle(let bundle, let leftOut) = mesh.result else {
            Issue.record("no plan")
            return
        }
        #expect(!bundle.primary.plan.hosts.contains(mesh.members[1]))
        let note = try #require(leftOut.first { $0.node == mesh.members[1].node })
        #expect(note.reason.contains("what this node draws is not known"))
        #expect(note.reason.contains("--power-watts"))
        // Where energy does not count it is a node like any other, and no plan's energy is known
        // that uses it.
        var free = mesh.problem
        free.goal = PlanGoal()
        free.nodes = [free.nodes[1]]
        guard case .bundle(let other, _) = Planner.plan(free, naming: PlannerInstances.name) else {
            Issue.record("no plan")
            return
        }
        #expect(PlanEvaluation.evaluate(other.primary.plan, free)?.nanojoules == nil)
    }

    @Test("where no node's power is known there is no plan by energy, and each is named")
    func unknownAll() {
        guard case .impossible(let reason) = Mesh(seed: 5, powers: [nil, nil, nil]).result else {
            Issue.record("a plan by energy that nobody knows")
            return
        }
        for index in 0..<3 { #expect(reason.contains("node-\(index): ")) }
        #expect(reason.contains("--power-watts"))
    }

    @Test("a limit of the energy is kept, also with operators at the entry, or there is no plan")
    func limits() throws {
        var binding = 0
        var local = 0
        for seed in 0..<40 {
            let mesh = Mesh(seed: UInt64(seed))
            let least = try #require(mesh.planned?.evaluation.nanojoules)
            // One node alone can always do it.
            let figures = mesh.figures
            let alone = try #require(
                zip(figures.times, mesh.powers).map { $0[figures.end] * ($1 ?? 0) / 1_000 }.min())
            let free = try #require(
                Mesh(seed: UInt64(seed), objective: .throughput).planned?.evaluation)
            func limited(_ limit: Int, keeping operators: Int = 0) -> PlanEvaluation? {
                Mesh(seed: UInt64(seed), objective: .throughput) { settings in
                    settings.goal.nanojoulesMax = limit
                    settings.keepInputLocal = operators
                }.planned?.evaluation
            }
            // The evaluation counts shares of replicas by thousandths, so a little is between.
            let limit = alone + alone / 10
            let kept = try #require(limited(limit))
            #expect(kept.nanojoules ?? .max <= limit + limit / 500, "seed \(seed)")
            if free.nanojoules ?? 0 > limit {
                binding += 1
                #expect(kept.periodMicroseconds >= free.periodMicroseconds, "seed \(seed)")
            }
            #expect(limited(least / 2) == nil, "seed \(seed)")
            if let kept = limited(3 * least, keeping: 1) {
                local += 1
                #expect(kept.nanojoules ?? .max <= 3 * least + least / 100, "seed \(seed)")
            }
            #expect(limited(least / 2, keeping: 1) == nil, "seed \(seed)")
        }
        #expect(binding > 5 && local > 5)
    }

    @Test("a plan that takes a tenth less energy is worth a move once the powers are others")
    func improvement() throws {
        let mesh = Mesh(seed: 3, powers: [50_000, 5_000, 90_000])
        let problem = mesh.problem
        func bundle(on host: Int) throws -> PlanBundle {
            var plan = try #require(mesh.planned).plan
            plan.stages = [
                Stage(
                    operators: 0..<mesh.outline.operators.count, mode: .single, fragments: 0..<1)
            ]
            plan.fragments = [
                Fragment(
                    host: mesh.members[host], operators: 0..<mesh.outline.operators.count)
            ]
            plan.routes = Plan.routes(for: mesh.outline, fragments: plan.fragments)
            // What the plan was expected to take in time does not matter.
            plan.predictedPeriodMicroseconds = 1
            return PlanBundle(primary: PlannerInstances.name(plan), alternates: [])
        }
        let energies = try (0..<3).map { host in
            try #require(
                PlanEvaluation.evaluate(bundle(on: host).primary.plan, problem)?.nanojoules)
        }
        let view = mesh.agent.view(mesh.outline.manifest)
        let agreement = Agreement(me: mesh.members[0], generator: SeededGenerator(seed: 1))
        for (old, new) in [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)] {
            var model = Agreement.Model()
            model.considered = Agreement.Look(view)
            model.considered.speeds[3] += 10_000
            let isWorthwhile = agreement.isWorthwhile(
                try bundle(on: new), than: try bundle(on: old),
                Ballot(round: 2, proposer: mesh.members[0]), &model, view)
            #expect(
                isWorthwhile == (energies[new] * 10 <= energies[old] * 9), "\(old) to \(new)")
        }
    }

    @Test("where the time of one item counts, a plan is worth a move by it, or by its period")
    func improvementOfLatency() throws {
        let mesh = Mesh(seed: 3, powers: [1, 1, 1])
        let count = mesh.outline.operators.count
        var view = mesh.agent.view(mesh.outline.manifest)
        let ask = view.problem
        view.problem = { outline, ballot, current in
            var problem = ask(outline, ballot, current)
            problem.goal.objective = .latency
            return problem
        }
        /// A plan of one node, or of two, with what is expected of it.
        func bundle(_ cut: Int?, latency: Int64, period: Int64) throws -> PlanBundle {
            var plan = try #require(mesh.planned).plan
            let ranges = cut.map { [0..<$0, $0..<count] } ?? [0..<count]
            plan.fragments = ranges.enumerated().map {
                Fragment(host: mesh.members[$0.offset], operators: $0.element)
            }
            plan.stages = ranges.enumerated().map {
                Stage(operators: $1, mode: .single, fragments: $0..<($0 + 1))
            }
            plan.routes = Plan.routes(for: mesh.outline, fragments: plan.fragments)
            plan.predictedLatencyMicroseconds = latency
            plan.predictedPeriodMicroseconds = period
            return PlanBundle(primary: PlannerInstances.name(plan), alternates: [])
        }
        let old = try bundle(nil, latency: 0, period: 0)
        let now = try #require(
            PlanEvaluation.evaluate(
                old.primary.plan,
                view.problem(mesh.outline, Ballot(round: 2, proposer: mesh.members[0]), nil)))
        let (latency, period) = (now.latencyMicroseconds, now.periodMicroseconds)
        let agreement = Agreement(me: mesh.members[0], generator: SeededGenerator(seed: 1))
        // A baseline wants all nodes, whatever they take, and else what gains.
        var based = view
        based.settings.baseline = .even
        for (old, new, isExpected) in [
            (nil, 1, true), (1, nil, false), (1, 2, false),
        ] as [(Int?, Int?, Bool)] {
            var model = Agreement.Model()
            model.considered = Agreement.Look(based)
            #expect(
                agreement.isWorthwhile(
                    try bundle(new, latency: latency * 9, period: period * 9),
                    than: try bundle(old, latency: 0, period: 0),
                    Ballot(round: 2, proposer: mesh.members[0]), &model, based) == isExpected,
                "\(String(describing: old)) to \(String(describing: new))")
        }
        for (then, isExpected) in [
            ((latency * 8 / 10, period * 2), true), ((latency * 95 / 100, period), false),
            ((latency, period * 8 / 10), true), ((latency + 1, period / 2), false),
        ] {
            var model = Agreement.Model()
            model.considered = Agreement.Look(view)
            model.considered.speeds[0] += 10_000
            #expect(
                agreement.isWorthwhile(
                    try bundle(1, latency: then.0, period: then.1), than: old,
                    Ballot(round: 2, proposer: mesh.members[0]), &model, view) == isExpected,
                "\(then)")
        }
    }
}
