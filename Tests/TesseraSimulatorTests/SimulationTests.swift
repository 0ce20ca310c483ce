import TesseraCore
import Testing

@testable import TesseraSimulator

@Suite struct SimulationTests {
    /// A fixed list, and some that nobody has looked at before.
    private static let seeds = Array(UInt64(1)...500)
    private static let freshSeeds: [UInt64] = {
        var system = SystemRandomNumberGenerator()
        let seeds = (0..<20).map { _ in system.next() % 1_000_000_000 + 1_000 }
        print("fresh seeds of this test run: \(seeds)")
        return seeds
    }()

    /// Seeds that found bugs in the core.
    private static let regressions: [UInt64] = [
        // A host gave a staging up for a later one, and its proposer waited on for a minute.
        11_202
    ]

    @Test(
        "a quiet mesh answers every request rightly and keeps nothing", arguments: [1, 2, 3, 4, 6])
    func quiet(nodes: Int) throws {
        var scenario = Scenario.quiet(seed: UInt64(nodes), nodes: nodes)
        scenario.healAt = .zero + .seconds(13)
        let simulation = Simulation(scenario)
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
        scenario.workload.period = .milliseconds(1)
        let outcome = Simulation(scenario).run()
        #expect(outcome.violation == nil)
        #expect(outcome.retries == 0 && outcome.overfull == 0)
    }

    @Test("a model that no node can hold alone is served by several")
    func tight() throws {
        var scenario = Scenario.quiet(seed: 4, nodes: 4)
        scenario.healAt = .zero + .seconds(13)
        for index in scenario.mesh.devices.indices {
            scenario.mesh.devices[index].memoryBytes = 12 << 20
        }
        let outcome = Simulation(scenario).run()
        #expect(outcome.violation == nil)
        #expect(outcome.isPlannable)
        #expect(outcome.answered == 104, "rejected: \(outcome.rejected)")
    }

    @Test("properties hold in drawn meshes with faults", arguments: seeds)
    func drawn(seed: UInt64) { check(seed, .short) }

    @Test("properties hold in meshes that nobody has looked at before", arguments: freshSeeds)
    func fresh(seed: UInt64) { check(seed, .short) }

    @Test("seeds that found a bug pass", arguments: regressions)
    func regression(seed: UInt64) { check(seed, .short) }

    private func check(_ seed: UInt64, _ length: Scenario.Length) {
        let outcome = Simulation(.drawn(seed: seed, length: length)).run()
        guard let violation = outcome.violation else { return }
        let short = length == .short ? " --short" : ""
        Issue.record(
            "seed \(seed): \(violation). Again: tessera simulate --seed \(seed) --count 1\(short)")
    }

    /// The traces of some seeds, in a process of their own.
    private static func traces() -> [UInt64] {
        (600..<608).map { Simulation(.drawn(seed: $0, length: .short)).run().trace }
    }

    @Test("two processes with the same seeds have the same traces")
    func twoProcesses() async throws {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) {
            print("traces \(SimulationTests.traces())")
        }
        let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
        #expect(output.contains("traces \(Self.traces())"))
    }

    @Test("requests leave early, and what each of them gets is what its exit says")
    func exits() {
        var left = 0
        for seed in UInt64(1)...60 {
            let outcome = Simulation(.drawn(seed: seed, length: .short)).run()
            #expect(outcome.violation == nil, "seed \(seed)")
            left += outcome.exits
        }
        #expect(left > 20)
    }

    @Test("answers do without late branches, and each is that of the model without them")
    func leftOut() {
        var left = 0
        for seed in UInt64(1)...60 {
            var scenario = Scenario.drawn(seed: seed, length: .short)
            scenario.models[0].modes = [.single, .branches]
            scenario.models[0].operators = max(scenario.models[0].operators, 6)
            let outcome = Simulation(scenario).run()
            #expect(outcome.violation == nil, "seed \(seed)")
            left += outcome.leftOut
        }
        #expect(left > 5)
    }

    @Test("another seed gives another run")
    func seedsDiffer() {
        let first = Simulation(.drawn(seed: 3, length: .short))
        let second = Simulation(.drawn(seed: 4, length: .short))
        #expect(first.run().trace != second.run().trace)
    }

    @Test("a fault that is taken out leaves the drawn knobs and the other faults as they were")
    func reduction() {
        let scenario = Scenario.drawn(seed: 7)
        let reduced = scenario.reduced(
            by: Reduction(faults: [1], nodes: 2, requests: 4, without: [.loss]))
        #expect(reduced.faults.count <= 1)
        #expect(reduced.mesh.devices.count == 2 && reduced.nodes == 2)
        #expect(reduced.network.lossPerMille == 0)
        #expect(reduced.network.jitter == scenario.network.jitter)
        #expect(reduced.workload.requests == 4)
        #expect(scenario.reduced(by: Reduction()) == scenario)
    }
}
