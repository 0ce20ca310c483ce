import Testing

@testable import TesseraCore

@Suite struct PlannerBranchTests {
    /// A graph by the operators that each operator reads; every tensor has `elements` floats, every
    /// operator takes `operations`.
    private func outline(
        reads: [[Int]], operations: Int = 4_000_000, elements: Int = 1_000
    ) -> ModelOutline {
        var outline = PlannerInstances.chain(
            operations: reads.map { _ in operations }, elements: elements)
        for index in outline.tensors.indices { outline.tensors[index].consumers = [] }
        for (reader, makers) in reads.enumerated() {
            for maker in makers { outline.tensors[maker + 1].consumers.append(reader) }
        }
        outline.tensors[0].consumers = reads.indices.filter { reads[$0].contains(-1) }
        return outline
    }

    private func problem(
        _ outline: ModelOutline, nodes: Int, bytesPerSecond: UInt64 = 1_000_000_000,
        objective: PlanGoal.Objective = .latency
    ) -> PlanningProblem {
        var links: [PlanningProblem.Link] = []
        for source in 0..<nodes {
            for target in 0..<nodes where source != target {
                links.append(
                    PlanningProblem.Link(
                        source: PlannerInstances.member(source).node,
                        destination: PlannerInstances.member(target).node,
                        bytesPerSecond: bytesPerSecond, latencyMicroseconds: 100))
            }
        }
        var result = PlannerInstances.problem(
            outline, nodes: (0..<nodes).map { PlannerInstances.node($0) }, links: links)
        result.goal = PlanGoal(objective: objective)
        result.allowedModes = [.single, .branches]
        return result
    }

    /// A stem, four branches of two operators, and a join.
    private let inception = [
        [-1], [0], [1], [0], [3], [0], [5], [0], [7], [2, 4, 6, 8],
    ]

    @Test(
        "parallel regions are found, and nothing where there is none",
        arguments: [
            ([[-1], [0], [1], [2]], []),
            // A residual sum whose short way holds no operator.
            ([[-1], [0], [1], [0, 2]], []),
            ([[-1], [0], [0], [1, 2]], [[1..<2, 2..<3]]),
            ([[-1], [0], [1], [0], [3], [0], [2, 4, 5]], [[1..<3, 3..<5, 5..<6]]),
            // A branch with branches of its own stays whole; its join is its last operator.
            ([[-1], [0], [0], [0], [2, 3], [1, 4]], [[1..<2, 2..<5]]),
            // Two regions, one behind the other, and branches from the model's input on.
            (
                [[-1], [-1], [0, 1], [2], [2], [3, 4]],
                [[0..<1, 1..<2], [3..<4, 4..<5]]
            ),
            // Branches that end as outputs.
            ([[-1], [0], [0]], [[1..<2, 2..<3]]),
        ] as [([[Int]], [[Range<Int>]])])
    func regions(reads: [[Int]], expected: [[Range<Int>]]) {
        #expect(outline(reads: reads).branchRegions.map(\.branches) == expected)
    }

    @Test("branches of random graphs read nothing of each other, and cover their region")
    func randomRegions() {
        var found = 0
        for seed in UInt64(0)..<2_000 {
            var numbers = TestNumbers(seed: seed)
            let reads = (0..<numbers.next(1...14)).map { index in
                Array(Set((0..<numbers.next(1...2)).map { _ in numbers.next(-1...(index - 1)) }))
            }
            let outline = outline(reads: reads)
            var next = 0
            for region in outline.branchRegions {
                found += 1
                #expect(region.branches.count > 1 && outline.areBranches(region.branches))
                #expect(region.operators.lowerBound >= next)
                next = region.operators.upperBound
                for (branch, follower) in zip(region.branches, region.branches.dropFirst()) {
                    #expect(branch.upperBound == follower.lowerBound && !branch.isEmpty)
                }
            }
        }
        #expect(found > 500)
    }

    @Test("branches are dealt out where links are quick, and stay where they are slow")
    func dealtOut() throws {
        let outline = outline(reads: inception)
        let quick = problem(outline, nodes: 4)
        let plan = try #require(PlannerInstances.bundle(quick)).bundle.primary.plan
        #expect(plan.stages.map(\.mode) == [.single, .branches, .single])
        #expect(plan.stages.map(\.operators) == [0..<1, 1..<9, 9..<10])
        #expect(Set(plan.fragments[1..<5].map(\.host)).count == 4)
        #expect(plan.fragments[0].host == plan.fragments[5].host)
        #expect(PlanCheck.isValid(plan, outline: outline))
        // Ten operators of 4 ms one after the other, or four.
        #expect((16_000..<18_000).contains(plan.predictedLatencyMicroseconds))
        let slow = problem(outline, nodes: 4, bytesPerSecond: 100_000)
        let whole = try #require(PlannerInstances.bundle(slow)).bundle.primary.plan
        #expect(whole.stages.map(\.mode) == [.single])
        var forbidden = quick
        forbidden.allowedModes = .single
        let without = try #require(PlannerInstances.bundle(forbidden)).bundle.primary.plan
        #expect(without.stages.allSatisfy { $0.mode == .single })
        #expect(without.predictedLatencyMicroseconds >= 40_000)
    }

    @Test("lcp-like gives every node as many branches as the next, pay it or not")
    func lcpLike() throws {
        var problem = problem(outline(reads: inception), nodes: 2, bytesPerSecond: 100_000)
        problem.baseline = .lcpLike
        let plan = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        #expect(plan.stages.map(\.mode) == [.single, .branches, .single])
        #expect(plan.fragments.map(\.operators) == [0..<1, 1..<5, 5..<9, 9..<10])
        #expect(Set(plan.fragments.map(\.host)).count == 2)
        #expect(plan.fragments[0].host == plan.fragments[1].host)
        #expect(plan.predictedLatencyMicroseconds > 40_000)
        // More nodes than branches: one for each. A chain has none.
        problem = self.problem(outline(reads: inception), nodes: 6)
        problem.baseline = .lcpLike
        let wide = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        #expect(Set(wide.hosts).count == 4)
        var chain = self.problem(outline(reads: [[-1], [0], [1]]), nodes: 2)
        chain.baseline = .lcpLike
        #expect(PlannerInstances.bundle(chain) == nil)
    }

    @Test("two nodes share four branches, and a node's neighbouring ones are one fragment")
    func shared() throws {
        let outline = outline(reads: inception)
        let plan = try #require(PlannerInstances.bundle(problem(outline, nodes: 2))).bundle
            .primary.plan
        let stage = try #require(plan.stages.first { $0.mode == .branches })
        let hosts = plan.fragments[stage.fragments].map(\.host)
        #expect(Set(hosts).count == 2)
        #expect(zip(hosts, hosts.dropFirst()).allSatisfy { $0 != $1 })
        #expect((24_000..<26_000).contains(plan.predictedLatencyMicroseconds))
    }

    @Test("an input that several nodes read costs the way to each of them")
    func fromTheInput() throws {
        let reads = [[-1], [-1], [0, 1]]
        let small = try #require(
            PlannerInstances.bundle(problem(outline(reads: reads), nodes: 2))
        ).bundle.primary.plan
        #expect(small.stages.first?.mode == .branches)
        // 4 MB at 1 GB/s take as long as what is saved.
        var large = outline(reads: reads)
        large.tensors[0].descriptor.shape = [1_000_000]
        let whole = try #require(PlannerInstances.bundle(problem(large, nodes: 2))).bundle
            .primary.plan
        #expect(whole.stages.map(\.mode) == [.single])
    }

    @Test("all plans of a bundle fit their model, also where an alternate is planned anew")
    func alternates() throws {
        var anew = 0
        for seed in UInt64(0)..<24 {
            var numbers = TestNumbers(seed: seed)
            var outline = outline(reads: [[-1], [0], [0], [0], [1, 2, 3]])
            for index in outline.blobs.indices {
                outline.blobs[index].byteCount = numbers.next(1...8_000_000)
            }
            let whole = FragmentMemory.of(0..<5, in: outline).bytes(window: 8)
            var problem = problem(outline, nodes: numbers.next(2...3))
            for index in problem.nodes.indices {
                problem.nodes[index].freeMemoryBytes = whole / 100 * numbers.next(60...120)
            }
            guard let bundle = PlannerInstances.bundle(problem)?.bundle else { continue }
            for plan in bundle.all.map(\.plan) {
                #expect(PlanCheck.reason(against: plan, outline: outline) == nil, "seed \(seed)")
                if plan.stages != bundle.primary.plan.stages { anew += 1 }
            }
        }
        #expect(anew > 0)
    }

    @Test("with branches allowed a plan is never worse", arguments: [0, 1])
    func neverWorse(objective: Int) throws {
        var better = 0
        for seed in UInt64(0)..<150 {
            var numbers = TestNumbers(seed: seed)
            let count = numbers.next(3...9)
            let reads = (0..<count).map { index in
                Array(
                    Set((0..<numbers.next(1...2)).map { _ in numbers.next(-1...(index - 1)) })
                )
            }
            var outline = outline(reads: reads)
            for index in outline.operators.indices {
                outline.operators[index].operationCount = UInt64(numbers.next(1...8_000_000))
            }
            var plain = problem(
                outline, nodes: numbers.next(2...4),
                bytesPerSecond: UInt64(numbers.next(1...100)) * 1_000_000,
                objective: objective == 0 ? .latency : .throughput)
            plain.allowedModes = [.single, .replicas]
            var branched = plain
            branched.allowedModes.insert(.branches)
            let one = try #require(PlannerInstances.bundle(plain)).bundle.primary.plan
            let other = try #require(PlannerInstances.bundle(branched)).bundle.primary.plan
            #expect(PlanCheck.isValid(other, outline: outline))
            if objective == 0 {
                #expect(other.predictedLatencyMicroseconds <= one.predictedLatencyMicroseconds)
            } else {
                #expect(other.predictedPeriodMicroseconds <= one.predictedPeriodMicroseconds)
            }
            if other.stages.contains(where: { $0.mode == .branches }) { better += 1 }
        }
        // Where many items are under way, pipelines and replicas leave little to gain.
        #expect(better > 20 || objective == 1)
    }

    @Test("a plan whose branches do not fit its model is refused")
    func refused() throws {
        let outline = outline(reads: inception)
        let plan = try #require(PlannerInstances.bundle(problem(outline, nodes: 4))).bundle
            .primary.plan
        func expect(_ part: String, _ change: (inout Plan) -> Void) {
            var bad = plan
            change(&bad)
            let reason = PlanCheck.reason(against: bad, outline: outline)
            #expect(reason?.contains(part) == true, "\(reason ?? "nothing")")
        }
        expect("follow each other") { $0.fragments[2].operators = 4..<5 }
        expect("follow each other") { $0.fragments[1].rows = 0..<1 }
        expect("read of each other") { plan in
            plan.fragments[1].operators = 1..<2
            plan.fragments[2].operators = 2..<5
        }
        expect("branches, which end at operator") { $0.fragments[4].operators = 7..<8 }
    }
}
