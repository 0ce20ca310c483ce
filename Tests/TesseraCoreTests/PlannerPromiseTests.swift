import Testing

@testable import TesseraCore

/// What the planner promises beside being exact.
@Suite struct PlannerPromiseTests {
    private func problem(_ modes: ModeSet, _ objective: PlanGoal.Objective) -> PlanningProblem {
        var problem = PlannerInstances.random(
            seed: 77, nodes: 5...5, operators: 7...7, tightMemory: false, skips: true)
        problem.allowedModes = modes
        problem.goal.objective = objective
        return problem
    }

    @Test("a hundred plans of the same records are equal, in whatever order they came")
    func determinism() {
        let cases: [(ModeSet, PlanGoal.Objective)] = [
            (.single, .throughput), ([.single, .replicas], .throughput), (.all, .latency),
        ]
        for (modes, objective) in cases {
            let problem = problem(modes, objective)
            let expected = Planner.plan(problem, naming: PlannerInstances.name)
            for seed in 0..<100 {
                var numbers = TestNumbers(seed: UInt64(seed))
                var other = problem
                other.nodes = numbers.shuffled(problem.nodes)
                other.links = numbers.shuffled(problem.links)
                #expect(
                    Planner.plan(other, naming: PlannerInstances.name) == expected, "seed \(seed)")
            }
        }
    }

    private func reason(_ figures: SpaceFigures, _ goal: PlanGoal) -> String {
        switch PlanSearch(figures.space, goal: goal).best() {
        case .found: "found"
        case .impossible(let reason): reason
        }
    }

    @Test("where there is no plan the error names the limit that binds, with its figures")
    func unplannable() throws {
        let figures = SpaceFigures.random(seed: 4_711, SpaceKnobs(nodes: 3...3, pieces: 3...3))
        let best = try #require(PlanSearch(figures.space).best().sketch)
        let period = best.periodNanoseconds
        #expect(
            reason(figures, PlanGoal(periodNanosecondsMax: period - 1))
                .contains("a period of at most"))
        #expect(
            reason(figures, PlanGoal(objective: .latency, latencyNanosecondsMax: 1))
                .contains("a latency of at most 1 µs"))
        #expect(
            reason(figures, PlanGoal(objective: .energy, nanojoulesMax: 1))
                .contains("at most 1 nJ per item"))
        #expect(
            reason(figures, PlanGoal(latencyNanosecondsMax: 1, nanojoulesMax: 1))
                .contains("a latency of at most 1 µs and at most 1 nJ"))
        var dark = figures
        dark.milliwatts[1] = nil
        #expect(
            reason(dark, PlanGoal(objective: .energy))
                .contains("what node node-1 draws is not known"))
        var small = figures
        small.memory = small.memory.map { _ in 1 }
        #expect(reason(small, PlanGoal()).contains("alone needs"))
        #expect(reason(small, PlanGoal()).contains("1 bytes on node-"))
        // Each piece fits somewhere, but not all of them together.
        var scarce = figures
        let pieces = (0..<scarce.end).map { scarce.bytes[$0 * scarce.positionCount + $0 + 1] }
        scarce.memory = scarce.memory.map { _ in 0 }
        scarce.memory[0] = pieces.max() ?? 0
        #expect(reason(scarce, PlanGoal()).contains("no cut of them fits into what is free"))
        #expect(
            reason(figures, PlanGoal(memoryHeadroomPercent: 100)).contains("bytes of memory"))
    }

    @Test("links slower than a byte per microsecond count as what they are")
    func slowLinks() throws {
        let outline = PlannerInstances.chain(operations: [1_000_000, 1_000_000], elements: 250)
        let nodes = (0..<2).map { PlannerInstances.node($0) }
        func period(_ bytesPerSecond: UInt64) throws -> Int64 {
            let links = [(0, 1), (1, 0)].map {
                PlanningProblem.Link(
                    source: nodes[$0.0].member.node, destination: nodes[$0.1].member.node,
                    bytesPerSecond: bytesPerSecond, latencyMicroseconds: 0)
            }
            let fragments = (0..<2).map { Fragment(host: nodes[$0].member, operators: $0..<$0 + 1) }
            let plan = Plan(
                manifest: outline.manifest,
                ballot: Ballot(round: 1, proposer: nodes[0].member),
                stages: (0..<2).map {
                    Stage(operators: $0..<$0 + 1, mode: .single, fragments: $0..<$0 + 1)
                }, fragments: fragments,
                routes: Plan.routes(for: outline, fragments: fragments), window: 8,
                predictedPeriodMicroseconds: 0, predictedLatencyMicroseconds: 0)
            let problem = PlannerInstances.problem(outline, nodes: nodes, links: links)
            let evaluation = try #require(PlanEvaluation.evaluate(plan, problem))
            #expect(evaluation.cutMicroseconds.first == 0)
            #expect(evaluation.cutMicroseconds.last == Int64(1_000_000_000 / bytesPerSecond))
            return evaluation.periodMicroseconds
        }
        // A thousand bytes cross the cut.
        #expect(try period(500_000) == 2_000)
        #expect(try period(400_000) == 2_500)
        #expect(try period(62_500) == 16_000)
    }

    @Test("a tile that reads no rows of one of its tensors is valid, and has no port for it")
    func emptySlices() throws {
        // Two operators over ten rows: the second reads only the first two rows of what came in.
        var outline = PlannerInstances.chain(operations: [1_000_000, 1_000_000], weights: 10)
        for index in 0...2 {
            outline.tensors[index].descriptor.shape = [1, 10, 10, 10]
            outline.tensors[index].rowAxis = 2
        }
        for index in 0...1 {
            outline.operators[index].reads = [index]
            outline.operators[index].rowNeeds = [.window(.same)]
            outline.operators[index].rowCount = 10
        }
        outline.tensors[0].consumers = [0, 1]
        outline.operators[1].reads = [0, 1]
        // Rows far above: for the lower half of the rows nothing is left of it.
        outline.operators[1].rowNeeds = [
            .window(RowWindow(scale: 1, lower: 8, upper: 8)), .window(.same),
        ]
        let hosts = (0..<2).map { PlannerInstances.member($0) }
        let fragments = [
            Fragment(host: hosts[0], operators: 0..<1),
            Fragment(host: hosts[0], operators: 1..<2, rows: 0..<5),
            Fragment(host: hosts[1], operators: 1..<2, rows: 5..<10),
        ]
        let plan = Plan(
            manifest: outline.manifest, ballot: Ballot(round: 1, proposer: hosts[0]),
            stages: [
                Stage(operators: 0..<1, mode: .single, fragments: 0..<1),
                Stage(operators: 1..<2, mode: .rows, fragments: 1..<3),
            ], fragments: fragments,
            routes: Plan.routes(for: outline, fragments: fragments), window: 4,
            predictedPeriodMicroseconds: 0, predictedLatencyMicroseconds: 0)
        let slices = try #require(Plan.slices(of: fragments[2], in: outline))
        #expect(slices.inputs.map(\.tensor) == [1])
        #expect(PlanCheck.reason(against: plan, outline: outline) == nil)
        let first = try #require(Plan.slices(of: fragments[1], in: outline))
        #expect(first.inputs.map(\.tensor) == [0, 1])
    }
}
