import Testing

@testable import TesseraCore

/// Plans that keep the first operators where a request comes in.
@Suite struct PlannerLocalTests {
    private static let variants: [ModeSet] = [
        .all, [.single, .replicas], [.single, .rows], .single,
    ]

    /// A random space with an entry that keeps some pieces.
    private func figures(_ seed: Int, _ knobs: SpaceKnobs) -> SpaceFigures {
        var figures = SpaceFigures.random(seed: UInt64(70_000 + seed), knobs)
        figures.entry = figures.entry ?? 0
        figures.local = 1 + seed % figures.end
        return figures
    }

    private func best(
        _ figures: SpaceFigures, _ goal: PlanGoal, _ modes: ModeSet, usesBaselines: Bool = false
    ) -> PlanSketch? {
        PlanSearch(figures.space, goal: goal, modes: modes, usesBaselines: usesBaselines).best()
            .sketch
    }

    @Test("the least period with pieces kept at the entry equals brute force over 900 spaces")
    func throughput() {
        var costly = 0
        for seed in 0..<900 {
            var figures = figures(
                seed,
                SpaceKnobs(
                    nodes: 1...3, pieces: 1...4, tightMemory: seed % 3 == 0,
                    hasMedium: seed % 11 == 0))
            let modes = Self.variants[seed % Self.variants.count]
            let expected = PlannerBruteForce(figures, modes: modes).results(repeating: false)
                .map(\.period).min()
            let found = best(figures, PlanGoal(), modes, usesBaselines: seed % 2 == 0)
            // Some baselines use nodes in several stages, which may be better.
            let isRight =
                seed % 2 == 0
                ? (found?.periodNanoseconds ?? .max) <= (expected ?? .max)
                : found?.periodNanoseconds == expected
            #expect(isRight, "seed \(seed)")
            #expect(
                found?.stages.allSatisfy {
                    $0.from >= figures.local || $0.nodes == [figures.entry]
                } ?? true, "seed \(seed)")
            figures.local = 0
            if let found, let free = best(figures, PlanGoal(), modes),
                free.periodNanoseconds < found.periodNanoseconds
            {
                costly += 1
            }
        }
        #expect(costly > 100)
    }

    @Test("the least latency and energy with pieces kept equal brute force over 900 spaces")
    func latency() {
        for seed in 0..<900 {
            let figures = figures(
                seed, SpaceKnobs(nodes: 1...3, pieces: 1...3, tightMemory: seed % 3 == 0))
            let modes = Self.variants[seed % Self.variants.count]
            let results = PlannerBruteForce(figures, modes: modes).results(repeating: true)
            let found = best(figures, PlanGoal(objective: .latency), modes)
            #expect(
                found?.latencyNanoseconds == results.map(\.latency).min(), "seed \(seed)")
            let least = best(figures, PlanGoal(objective: .energy), modes)
            #expect(least?.nanojoules == results.compactMap(\.energy).min(), "seed \(seed)")
        }
    }

    @Test("the space behind a head has its memory and time taken off")
    func behind() {
        for seed in 0..<300 {
            var figures = SpaceFigures.random(
                seed: UInt64(80_000 + seed),
                SpaceKnobs(nodes: 1...3, pieces: 2...4, tightMemory: seed % 2 == 0))
            figures.entry = nil
            let first = 1 + seed % (figures.end - 1)
            let (count, rest) = (figures.positionCount, figures.positionCount - first)
            let holders = (0..<figures.nodeCount).filter {
                figures.bytes[first] <= figures.memory[$0]
            }
            let space = figures.space.behind(first, heldBy: holders, countsHead: true)
            var cut = figures
            func part(_ table: [Int], adding more: Int = 0) -> [Int] {
                var result: [Int] = []
                for from in first..<count {
                    for to in first..<count { result.append(table[from * count + to] + more) }
                }
                return result
            }
            for node in 0..<figures.nodeCount {
                let isHolder = holders.contains(node)
                if isHolder { cut.memory[node] -= figures.bytes[first] }
                let head = figures.times[node][first]
                let share = isHolder ? (head + holders.count - 1) / holders.count : 0
                cut.times[node] = part(figures.times[node], adding: share)
                cut.excess[node] = part(figures.excess[node])
            }
            cut.crossing = Array(figures.crossing.suffix(rest))
            (cut.bytes, cut.counts, cut.halo, cut.overheads) = (
                part(figures.bytes), part(figures.counts), part(figures.halo),
                part(figures.overheads)
            )
            let results = PlannerBruteForce(cut, modes: .all).results(repeating: false)
            let found = PlanSearch(
                space, goal: PlanGoal(), modes: .all, usesBaselines: false
            ).best().sketch
            #expect(found?.periodNanoseconds == results.map(\.period).min(), "seed \(seed)")
        }
    }

    private func problem(keeping count: Int, memory: [Int] = []) -> PlanningProblem {
        let outline = PlannerInstances.chain(
            operations: [4_000_000, 3_000_000, 5_000_000, 2_000_000, 6_000_000], weights: 2_000)
        var nodes = (0..<3).map { PlannerInstances.node($0, rate: 500 + 300 * $0) }
        for (index, bytes) in memory.enumerated() { nodes[index].freeMemoryBytes = bytes }
        var problem = PlannerInstances.problem(outline, nodes: nodes, links: [])
        problem.keepInputLocal = count
        problem.allowedModes = .all
        return problem
    }

    @Test("without a known entry every node with room holds the head, and its alternates too")
    func heads() throws {
        for count in 1...5 {
            let problem = problem(keeping: count, memory: [1_000])
            let bundle = try #require(PlannerInstances.bundle(problem)?.bundle)
            let holders = problem.nodes.dropFirst().map(\.member)
            for named in bundle.all {
                let plan = named.plan
                #expect(PlanCheck.reason(against: plan, outline: problem.outline) == nil)
                let expected = holders.filter { $0 != plan.without }
                #expect(plan.entries == expected)
                for entry in expected {
                    #expect(plan.keepsLocal(operators: count, at: entry))
                    let attempt = AttemptID(
                        request: RequestID(entry: entry, counter: 7), number: 1, plan: named.id)
                    let used = plan.fragments(usedBy: attempt).map { plan.fragments[$0] }
                    #expect(
                        used.filter { $0.operators.lowerBound < count }
                            .allSatisfy { $0.host == entry })
                }
                #expect(!plan.keepsLocal(operators: count, at: problem.nodes[0].member))
            }
        }
    }

    @Test("with a known entry the first operators run there, and an input is read nowhere else")
    func knownEntry() throws {
        var problem = problem(keeping: 1)
        // The third operator reads the input as well.
        problem.outline.tensors[0].consumers.append(2)
        problem.outline.operators[2].reads = [0, 2]
        #expect(problem.outline.localOperators(keeping: 1) == 3)
        problem.entry = problem.nodes[0].member.node
        let plan = try #require(PlannerInstances.bundle(problem)?.bundle).primary.plan
        #expect(plan.keepsLocal(operators: 3, at: problem.nodes[0].member))
        #expect(plan.entries == nil)
    }

    @Test("a stage of the mode entry anywhere but at the beginning is no valid plan")
    func onlyFirst() throws {
        let problem = problem(keeping: 2)
        var plan = try #require(PlannerInstances.bundle(problem)?.bundle).primary.plan
        try #require(plan.stages.count > 1)
        #expect(PlanCheck.isValid(plan, outline: problem.outline))
        plan.stages[1].mode = .entry
        #expect(!PlanCheck.isValid(plan, outline: problem.outline))
    }
}
