import TesseraCore
import Testing

@testable import TesseraSimulator

@Suite struct SimulationTests {
    /// Runs of these seeds take about half a second each without optimisation.
    private static let seeds = Array(UInt64(1)...40)

    /// Drawn anew in each test run, so that the tests look at new meshes every time.
    private static let freshSeeds: [UInt64] = {
        var system = SystemRandomNumberGenerator()
        let seeds = (0..<5).map { _ in system.next() % 1_000_000_000 + 1_000 }
        print("fresh seeds of this test run: \(seeds)")
        return seeds
    }()

    @Test(
        "a quiet mesh answers every request rightly and keeps nothing", arguments: [1, 2, 3, 4, 6])
    func quiet(nodes: Int) throws {
        var simulation = Simulation(.quiet(seed: UInt64(nodes), nodes: nodes))
        let outcome = simulation.run()
        #expect(outcome.violation == nil)
        #expect(outcome.isPlannable)
        #expect(outcome.answered == 100 + nodes, "rejected: \(outcome.rejected)")
        // Every ticketed attempt finished: none was tried twice, none found its host full.
        #expect(outcome.retries == 0 && outcome.overfull == 0)
        for node in simulation.nodes { #expect(node.payloads.count == 0) }
    }

    @Test("a quiet mesh under overload keeps within its windows and ends every request")
    func quietOverload() throws {
        var scenario = Scenario.quiet(seed: 1, nodes: 3, requests: 1_000)
        scenario.requestPeriod = .milliseconds(1)
        scenario.speeds = scenario.speeds.map { _ in 1_500 }
        var simulation = Simulation(scenario)
        let outcome = simulation.run()
        #expect(outcome.violation == nil)
        #expect(outcome.retries == 0 && outcome.overfull == 0)
    }

    @Test("a model that no node can hold alone is served by several")
    func tight() throws {
        var scenario = Scenario.quiet(seed: 4, nodes: 4)
        scenario.memory = scenario.memory.map { _ in 64 << 20 }
        var simulation = Simulation(scenario)
        let outcome = simulation.run()
        #expect(outcome.violation == nil)
        #expect(outcome.isPlannable)
        #expect(outcome.answered == 104, "rejected: \(outcome.rejected)")
    }

    @Test("properties hold in drawn meshes with faults", arguments: seeds)
    func drawn(seed: UInt64) { check(seed) }

    @Test("properties hold in meshes that nobody has looked at before", arguments: freshSeeds)
    func fresh(seed: UInt64) { check(seed) }

    private func check(_ seed: UInt64) {
        var simulation = Simulation(.drawn(seed: seed))
        if let violation = simulation.run().violation {
            Issue.record(
                "seed \(seed): \(violation). Again: tessera simulate --seed \(seed) --count 1")
        }
    }

    @Test("the same seed gives the same run", arguments: [UInt64(3), 8, 15])
    func repeatable(seed: UInt64) {
        var first = Simulation(.drawn(seed: seed))
        var second = Simulation(.drawn(seed: seed))
        let outcomes = (first.run(), second.run())
        #expect(outcomes.0.trace == outcomes.1.trace)
        #expect(outcomes.0.steps == outcomes.1.steps)
    }

    @Test("another seed gives another run")
    func seedsDiffer() {
        var first = Simulation(.drawn(seed: 3))
        var second = Simulation(.drawn(seed: 4))
        #expect(first.run().trace != second.run().trace)
    }
}

@Suite struct SabotageTests {
    private func violation(_ sabotage: Sabotage) -> String? {
        var scenario = Scenario.quiet(seed: 2, nodes: 3)
        scenario.requestPeriod = .milliseconds(2)
        scenario.memory = scenario.memory.map { _ in 64 << 20 }
        var simulation = Simulation(scenario)
        simulation.sabotage = sabotage
        return simulation.run().violation?.checker
    }

    @Test("slices that arrive under another attempt's name are caught")
    func swapsAttempts() {
        #expect(violation(.swapsAttempts) == "no attempt joins slices of two plans")
    }

    @Test("a result that is told twice is caught by its payloads")
    func tellsResultTwice() {
        #expect(violation(.tellsResultTwice) == "payloads are released exactly once")
    }

    @Test("an operator that is left out is caught by the result")
    func skipsOperator() {
        #expect(violation(.skipsOperator) == "results equal the whole model's")
    }

    @Test("a client that is answered twice is caught")
    func answersTwice() {
        #expect(violation(.answersTwice) == "every request ends exactly once")
    }

    @Test("a client that is never answered is caught")
    func answersNever() {
        #expect(violation(.answersNever) == "every request ends by its deadline")
    }
}
