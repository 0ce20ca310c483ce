import TesseraAPI
import TesseraCore
import TesseraSimulator

/// How one simulated run ended.
struct SimulationDocument: Codable {
    /// What every knob was drawn from.
    var seed: UInt64
    /// Every knob with its value.
    var knobs: [String: String]
    /// What went wrong, and when.
    var faults: [String]
    /// Right answers.
    var answered: Int
    /// Requests that ended with a clear error.
    var rejected: Int
    /// Plans decided, counted at every node.
    var decisions: Int
    /// Milliseconds from the healing to agreement of every connected part.
    var convergenceMilliseconds: Int64?
    /// Events handled.
    var steps: Int
    /// A fold of every event: equal runs have equal traces.
    var trace: String
    /// What failed, if anything.
    var violation: String?
    /// The checker that fired.
    var checker: String?
    /// The faults that are left when it is shrunk.
    var shrunkFaults: [String]?
    /// What runs the shrunk scenario again.
    var replay: String?
}

/// `simulate --json`.
struct SimulationsDocument: Codable {
    /// The version of this form.
    var version = controlVersion
    /// The runs by seed.
    var runs: [SimulationDocument]
}

extension SimulationDocument {
    init(_ scenario: Scenario, _ outcome: Simulation.Outcome) {
        let digits = String(outcome.trace, radix: 16)
        self.init(
            seed: scenario.seed,
            knobs: Dictionary(
                scenario.knobs.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }),
            faults: scenario.faults.map(\.description), answered: outcome.answered,
            rejected: outcome.rejected.values.reduce(0, +), decisions: outcome.decisions,
            convergenceMilliseconds: outcome.convergence?.milliseconds, steps: outcome.steps,
            trace: String(repeating: "0", count: 16 - digits.count) + digits,
            violation: outcome.violation?.description, checker: outcome.violation?.checker)
    }
}
