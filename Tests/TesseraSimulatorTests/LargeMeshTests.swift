import TesseraCore
import Testing

@testable import TesseraSimulator

/// Meshes in which nobody has a session with everybody.
@Suite struct LargeMeshTests {
    @Test("a large mesh is served at every entry, of the pool or not, through a loss")
    func served() throws {
        var scenario = Scenario.quiet(seed: 5, nodes: 36, requests: 0)
        scenario.healAt = .never
        scenario.models = [scenario.models[1]]
        let simulation = Simulation(scenario)
        simulation.membership.fullMeshMax = 12
        try simulation.begin()
        try simulation.run(until: .zero + .seconds(7))
        let all = simulation.nodes.filter { $0.agent != nil }
        let manifest = simulation.models[0].manifest
        let plans = all.compactMap { $0.agent?.currentPlan(manifest)?.plan }
        let plan = try #require(plans.first)
        #expect(all.contains { simulation.network.peers(of: $0.run).count < 30 })
        func askAll() throws -> Int {
            let before = simulation.checks.ends.answered
            for node in all where node.agent != nil {
                _ = try simulation.submit(at: node, model: 0, deadline: .seconds(4))
            }
            try simulation.run(until: simulation.now + .seconds(7))
            return simulation.checks.ends.answered - before
        }
        #expect(try askAll() == 36)
        let lost = try #require(all.first { $0.member == plan.hosts.last })
        try simulation.stop(lost, .powerLoss)
        try simulation.run(until: simulation.now + .seconds(6))
        #expect(try askAll() == 35)
    }
}
