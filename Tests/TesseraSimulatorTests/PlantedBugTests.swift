import TesseraCore
import Testing

@testable import TesseraSimulator

/// A checker is worth nothing until it has caught a bug: each is shown agents with one.
@Suite struct PlantedBugTests {
    /// What fires for a bug.
    private static let checkers: [Sabotage: [String]] = [
        .swapsAttempts: ["no attempt joins slices of two plans"],
        .tellsResultTwice: ["payloads are released exactly once"],
        .skipsOperator: ["results equal the whole model's"],
        .answersTwice: ["every request ends exactly once"],
        .trustsAnyExit: ["results equal the whole model's"],
        .hidesLeftOut: ["results equal the whole model's"],
        .answersNever: ["every request ends by its deadline"],
        .joinsWithoutPlan: ["no attempt joins slices of two plans"],
        .forgetsPromises: ["promises only grow"],
        .acceptsBeforeReady: ["accepted plans are ready"],
        .epochWithoutProposer: ["one plan per ballot", "decided by a majority"],
        .dropsWithoutGone: ["gone is told"],
        .creditPerRoute: ["buffers stay within their reservation"],
        .revivesTheDead: ["nobody returns from dead"],
        .votesAcrossBoots: ["decided by a majority"],
        .doubtsDecisions: ["one plan change at a heal"],
        .packsAnything: ["packing stays within the allowance"],
    ]
    /// A bug must show within so many seeds.
    private static let seedsMax: UInt64 = 1_000
    /// A shrunk scenario has no more faults than this: bugs of this kind need a loss and a return.
    private static let faultsMax = 3

    @Test("a planted bug is caught within 1,000 seeds, and shrunk", arguments: Sabotage.allCases)
    func caught(bug: Sabotage) throws {
        let checkers = try #require(Self.checkers[bug])
        for seed in 1...Self.seedsMax {
            let scenario = Scenario.drawn(seed: seed, length: .short)
            let simulation = Simulation(scenario)
            simulation.sabotage = bug
            guard let violation = simulation.run().violation,
                checkers.contains(violation.checker)
            else { continue }
            let small = Shrinker.shrink(scenario, violation) { $0.sabotage = bug }
            #expect(small.violation.checker == violation.checker)
            let faults = scenario.reduced(by: small.reduction).faults
            // Some scenarios need each of many faults: the bug is to show in a small one too.
            guard faults.count <= Self.faultsMax else { continue }
            print("\(bug): seed \(seed), \(scenario.faults.count) faults shrunk to \(faults)")
            return
        }
        Issue.record(
            "\(bug) was not caught by \(Self.faultsMax) faults within \(Self.seedsMax) seeds")
    }
}
