import Testing

@testable import TesseraCore

@Suite struct PlannerCheckTests {
    private let outline = PlannerInstances.chain(operations: [1_000_000, 1_000_000, 1_000_000])

    private func plan() throws -> Plan {
        let problem = PlannerInstances.problem(
            outline, nodes: (0..<3).map { PlannerInstances.node($0) })
        return try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
    }

    @Test("a plan with any flaw is refused with the reason")
    func flaws() throws {
        let good = try plan()
        #expect(PlanCheck.isValid(good, outline: outline))
        func expect(_ part: String, _ change: (inout Plan) -> Void) {
            var bad = good
            change(&bad)
            let reason = PlanCheck.reason(against: bad, outline: outline)
            #expect(reason?.contains(part) == true, "\(reason ?? "nothing")")
        }
        expect("is for model") { $0.manifest = ManifestID(9, 9, 9, 9) }
        expect("no stages") { $0.stages = [] }
        expect("the window is 0") { $0.window = 0 }
        expect("the window is 65") { $0.window = 65 }
        expect("negative") { $0.predictedPeriodMicroseconds = -1 }
        expect("is next") { $0.stages.swapAt(0, 1) }
        expect("is next") { $0.stages[0].operators = 0..<0 }
        expect("is next") { $0.stages[1].operators = 0..<2 }
        expect("ends at operator 9") { $0.stages[2].operators = 2..<9 }
        expect("has 1 branches") { $0.stages[1].mode = .branches }
        expect("cannot be split by rows") { $0.stages[1].mode = .rows }
        expect("do not match") { $0.fragments[1].rows = 0..<1 }
        expect("do not match") { $0.stages[1].fragments = 0..<1 }
        expect("do not match") { $0.fragments[1].operators = 0..<1 }
        expect("do not match") { $0.fragments.removeLast() }
        expect("cover 2 of 3") { plan in
            plan.stages.removeLast()
            plan.fragments.removeLast()
        }
        expect("belong to no stage") { $0.fragments.append($0.fragments[0]) }
        expect("two boots") { plan in
            plan.fragments[1].host = plan.fragments[0].host
            plan.fragments[1].host.boot.counter += 1
        }
        expect("uses it") { $0.without = $0.fragments[0].host }
        expect("routes") { $0.routes.removeLast() }
        expect("routes") { $0.routes.swapAt(0, 1) }
    }

    @Test("a node that holds two fragments has their times added up")
    func sums() throws {
        let good = try plan()
        let problem = PlannerInstances.problem(
            outline, nodes: (0..<3).map { PlannerInstances.node($0) })
        let before = try #require(PlanEvaluation.evaluate(good, problem))
        #expect(before.stages.map(\.computeMicroseconds) == [1_000, 1_000, 1_000])
        var doubled = good
        doubled.fragments[2].host = doubled.fragments[0].host
        let after = try #require(PlanEvaluation.evaluate(doubled, problem))
        // Two fragments of 1000 µs, with four ends of slices of 4000 bytes at 17 µs each.
        #expect(after.periodMicroseconds == 2_068)
        #expect(after.bottleneck == .node(doubled.fragments[0].host))
        #expect(after.memory.count == 2)
        // Neighbours on one node hand their slices over for nothing.
        var merged = good
        merged.fragments[1].host = merged.fragments[0].host
        let joined = try #require(PlanEvaluation.evaluate(merged, problem))
        #expect(joined.periodMicroseconds == 2_034)
        #expect(joined.stages[1].linkMicroseconds == 0)
    }

    @Test("the latency is that of computing, slices and links one after the other")
    func latency() throws {
        let good = try plan()
        let links = (0..<3).flatMap { source in
            (0..<3).map { destination in
                PlanningProblem.Link(
                    source: PlannerInstances.member(source).node,
                    destination: PlannerInstances.member(destination).node,
                    bytesPerSecond: 40_000_000, latencyMicroseconds: 300)
            }
        }
        let problem = PlannerInstances.problem(
            outline, nodes: (0..<3).map { PlannerInstances.node($0) }, links: links)
        let evaluation = try #require(PlanEvaluation.evaluate(good, problem))
        // 3 × (1000 + 2 × 17) + 2 × (300 + 4000 / 40)
        #expect(evaluation.latencyMicroseconds == 3_902)
        #expect(evaluation.stages.map(\.linkMicroseconds) == [0, 400, 400])
        #expect(evaluation.periodMicroseconds == 1_034)
    }

    @Test("a slow link and a narrow window are named as what sets the period")
    func bottlenecks() throws {
        var narrow = try plan()
        let slow = PlanningProblem.Link(
            source: narrow.fragments[0].host.node, destination: narrow.fragments[1].host.node,
            bytesPerSecond: 1_000_000, latencyMicroseconds: 0)
        let problem = PlannerInstances.problem(
            outline, nodes: (0..<3).map { PlannerInstances.node($0) }, links: [slow])
        let linked = try #require(PlanEvaluation.evaluate(narrow, problem))
        #expect(
            linked.bottleneck
                == .link(from: narrow.fragments[0].host, to: narrow.fragments[1].host))
        #expect(linked.periodMicroseconds == 4_000)
        narrow.window = 1
        let limited = try #require(PlanEvaluation.evaluate(narrow, problem))
        #expect(limited.bottleneck == .window(1))
        #expect(limited.periodMicroseconds == limited.latencyMicroseconds)
    }

    @Test("a plan over nodes that the problem does not have is not evaluated")
    func unknownNode() throws {
        let good = try plan()
        let problem = PlannerInstances.problem(outline, nodes: [PlannerInstances.node(0)])
        #expect(PlanEvaluation.evaluate(good, problem) == nil)
    }

    @Test("the bound names an operator that is too large alone, else the computing power")
    func bounds() throws {
        let nodes = (0..<4).map { PlannerInstances.node($0) }
        let uneven = PlannerInstances.chain(operations: [1_000_000, 9_000_000, 1_000_000])
        let first = try #require(PlanBound.of(PlannerInstances.problem(uneven, nodes: nodes)))
        #expect(first.binding == .indivisibleOperator(name: "operator-1"))
        #expect(first.periodMicroseconds == 9_000)
        let even = PlannerInstances.chain(operations: Array(repeating: 1_000_000, count: 8))
        let second = try #require(PlanBound.of(PlannerInstances.problem(even, nodes: nodes)))
        #expect(second.binding == .compute)
        #expect(second.periodMicroseconds == 2_000)
    }
}
