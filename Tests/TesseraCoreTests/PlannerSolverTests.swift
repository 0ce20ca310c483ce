import Testing

@testable import TesseraCore

@Suite struct PlannerSolverTests {
    @Test("the least period equals brute force on 1500 random instances")
    func exactPeriod() {
        var feasible = 0
        for seed in 0..<1_500 {
            let problem = PlannerInstances.random(
                seed: UInt64(seed), tightMemory: seed % 2 == 0, skips: seed % 3 == 0)
            let table = StageTable(CostModel(problem), window: 3)
            let expected = PlannerInstances.allChains(table).map(table.period(of:)).min()
            let solver = SubsetSolver(table)
            #expect(solver.optimum(upperBound: nil) == expected, "seed \(seed)")
            guard let expected else { continue }
            feasible += 1
            #expect(solver.optimum(upperBound: expected * 2) == expected, "seed \(seed)")
            #expect(PeriodBound(table).nanoseconds <= expected, "seed \(seed)")
        }
        #expect((800..<1_500).contains(feasible))
    }

    @Test("of equal periods the preferred chain equals brute force on 700 random instances")
    func preferred() {
        for seed in 0..<700 {
            var problem = PlannerInstances.random(
                seed: UInt64(9_000 + seed), tightMemory: seed % 2 == 0, skips: false)
            let count = problem.outline.operators.count
            if seed % 3 == 0, count > 1 {
                // Something runs already, so that changes cost.
                let fragments = [
                    Fragment(host: problem.nodes[0].member, operators: 0..<(count / 2)),
                    Fragment(
                        host: problem.nodes[problem.nodes.count - 1].member,
                        operators: (count / 2)..<count),
                ]
                problem.current = Plan(
                    manifest: problem.outline.manifest, ballot: problem.ballot, stages: [],
                    fragments: fragments, routes: [], window: 1, predictedPeriodMicroseconds: 0,
                    predictedLatencyMicroseconds: 0)
            }
            let table = StageTable(CostModel(problem), window: 3)
            let solver = SubsetSolver(table)
            guard let period = solver.optimum(upperBound: nil) else { continue }
            let limit = period * 3 / 2
            let expected = PlannerInstances.allChains(table)
                .filter { table.period(of: $0) <= limit }.map(table.preference(of:)).min()
            let shortest = solver.shortest(within: limit) ?? []
            #expect(table.period(of: shortest) <= limit, "seed \(seed)")
            #expect(shortest.count == expected?.nodeCount, "seed \(seed)")
            let chain = solver.preferred(within: limit, nodeCount: shortest.count) ?? []
            #expect(table.period(of: chain) <= limit, "seed \(seed)")
            #expect(table.preference(of: chain) == expected, "seed \(seed)")
        }
    }

    @Test("for a fixed order period and preference equal brute force on 700 random instances")
    func fixedOrder() {
        for seed in 0..<700 {
            var numbers = TestNumbers(seed: UInt64(seed))
            let problem = PlannerInstances.random(
                seed: UInt64(20_000 + seed), tightMemory: seed % 2 == 0, skips: false)
            let table = StageTable(CostModel(problem), window: 3)
            let order = numbers.shuffled(Array(0..<table.nodeCount))
            func follows(_ chain: [ChainStep]) -> Bool {
                let places = chain.compactMap { order.firstIndex(of: $0.node) }
                return places == places.sorted()
            }
            let chains = PlannerInstances.allChains(table).filter(follows)
            let solver = OrderedSolver(table)
            let found = solver.optimum(order: order)
            #expect(found?.period == chains.map(table.period(of:)).min(), "seed \(seed)")
            guard let found else { continue }
            #expect(table.period(of: found.chain) == found.period, "seed \(seed)")
            let limit = found.period * 3 / 2
            let expected = chains.filter { table.period(of: $0) <= limit }
                .map(table.preference(of:)).min()
            let chain = solver.preferred(order: order, periodLimit: limit) ?? []
            #expect(table.preference(of: chain) == expected, "seed \(seed)")
        }
    }

    @Test("local search over orders is never better than exact, nor worse than its starts")
    func localSearch() {
        var exactHits = 0
        for seed in 0..<150 {
            let problem = PlannerInstances.random(
                seed: UInt64(50_000 + seed), nodes: 5...7, operators: 8...14,
                tightMemory: false, skips: true)
            let table = StageTable(CostModel(problem), window: 3)
            let solver = OrderedSolver(table)
            let starts = solver.starts(current: [])
            let found = solver.search(starts: starts)?.period ?? 0
            let exact = SubsetSolver(table).optimum(upperBound: nil) ?? 0
            #expect(found >= exact, "seed \(seed)")
            for start in starts {
                #expect(found <= solver.optimum(order: start)?.period ?? 0, "seed \(seed)")
            }
            if found == exact { exactHits += 1 }
        }
        #expect(exactHits > 75)
    }

    @Test("slices and memory of a range equal what the plan's routes say")
    func ranges() {
        for seed in 0..<300 {
            var numbers = TestNumbers(seed: UInt64(seed))
            let outline = PlannerInstances.graph(
                &numbers, operators: numbers.next(3...9), skips: true)
            let count = outline.operators.count
            let first = numbers.next(1...(count - 2))
            let second = numbers.next((first + 1)...(count - 1))
            let ranges = [0..<first, first..<second, second..<count]
            let fragments = ranges.enumerated().map { index, range in
                Fragment(host: PlannerInstances.member(index), operators: range)
            }
            let routes = Plan.routes(for: outline, fragments: fragments)
            func bytes(_ isCounted: (Route) -> Bool) -> Int {
                routes.filter(isCounted)
                    .reduce(0) { $0 + outline.tensors[$1.tensor].descriptor.byteCount }
            }
            let middle = FragmentMemory.of(ranges[1], in: outline)
            #expect(middle.inputBytes == bytes { $0.destination == .fragment(1) }, "seed \(seed)")
            #expect(middle.outputBytes == bytes { $0.source == .fragment(1) }, "seed \(seed)")
            #expect(middle.weightBytes == outline.weightBytes(of: ranges[1]), "seed \(seed)")
            #expect(middle.intermediateBytes >= middle.outputBytes, "seed \(seed)")
        }
    }

    @Test("more operators than positions are thinned out, and the cuts in use stay")
    func thinning() {
        let outline = PlannerInstances.chain(
            operations: Array(repeating: 1_000_000, count: 1_000))
        let fragments = [
            Fragment(host: PlannerInstances.member(0), operators: 0..<333),
            Fragment(host: PlannerInstances.member(1), operators: 333..<1_000),
        ]
        let current = Plan(
            manifest: outline.manifest,
            ballot: Ballot(round: 1, proposer: PlannerInstances.member(0)), stages: [],
            fragments: fragments, routes: [], window: 1, predictedPeriodMicroseconds: 0,
            predictedLatencyMicroseconds: 0)
        let problem = PlannerInstances.problem(
            outline, nodes: [PlannerInstances.node(0), PlannerInstances.node(1)], current: current)
        let model = CostModel(problem)
        #expect(model.positionCount <= CostModel.positionsMax)
        #expect(model.positions.contains(333))
        #expect(model.positions.first == 0)
        #expect(model.positions.last == 1_000)
        let period = PlannerInstances.bundle(problem)?.bundle.primary.plan
            .predictedPeriodMicroseconds
        #expect((period ?? 0) < 520_000)
    }
}
