import TesseraCore
import Testing

@testable import TesseraSimulator

@Suite struct SimulationTests {
    @Test(
        "a quiet mesh answers every request rightly and keeps nothing", arguments: [1, 2, 3, 4, 6])
    func quiet(nodes: Int) throws {
        var simulation = Simulation(.quiet(seed: UInt64(nodes), nodes: nodes))
        let outcome = simulation.run()
        #expect(outcome.violation == nil)
        #expect(outcome.answered == 100, "rejected: \(outcome.rejected)")
        for node in simulation.nodes { #expect(node.payloads.count == 0) }
    }
}
