import Testing

@testable import TesseraCore
@testable import TesseraSimulator

@Suite struct SimulatedModelTests {
    @Test("a model drawn with branches has a parallel region, and gives what it gives in any order")
    func branches() throws {
        for seed in UInt64(0)..<200 {
            let operators = 4 + Int(seed % 20)
            let model = SimulatedModel(
                Scenario.Model(operators: operators, modes: [.single, .branches]), number: 0,
                seed: seed)
            let outline = model.outline
            let region = try #require(outline.branchRegions.first, "seed \(seed)")
            #expect(outline.areBranches(region.branches))
            for (index, tensor) in outline.tensors.enumerated() {
                #expect(tensor.consumers == tensor.consumers.sorted())
                #expect(index == operators || !tensor.consumers.isEmpty || tensor.isOutput)
                #expect(tensor.consumers.allSatisfy { $0 > tensor.producer ?? -1 })
            }
            var values = model.noValues
            values[0] = seed
            model.run(0..<region.operators.lowerBound, &values)
            for branch in region.branches.reversed() { model.run(branch, &values) }
            model.run(region.operators.upperBound..<operators, &values)
            #expect(outline.outputs.map { values[$0] } == model.expected(seed))
        }
    }
}
