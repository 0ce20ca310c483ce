import ArgumentParser
import TesseraAPI
import TesseraCore
import TesseraSimulator

/// How one simulated run ended.
struct SimulationDocument: Codable {
    /// What every knob was drawn from.
    var seed: UInt64
    /// How many nodes began.
    var nodes: Int
    /// How many faults were planned.
    var faults: Int
    /// Right answers.
    var answered: Int
    /// Requests that ended with a clear error.
    var rejected: Int
    /// Plans decided, counted at every node.
    var decisions: Int
    /// Events handled.
    var steps: Int
    /// A fold of every event: equal runs have equal traces.
    var trace: String
    /// What failed, if anything.
    var violation: String?
}

/// `simulate --json`.
struct SimulationsDocument: Codable {
    /// The version of this form.
    var version = controlVersion
    /// The runs by seed.
    var runs: [SimulationDocument]
}

/// `tessera simulate`.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run the agent's decisions under virtual time, with faults drawn from a seed.",
        discussion: """
            Needs no agent and no network. The same seed gives the same run on every machine. Ends \
            with 1 at the first violation of a property, and says how to see it again.
            """)

    @Option(help: ArgumentHelp("The first seed.", valueName: "seed"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("How many seeds, one after the other.", valueName: "count"))
    var count: UInt64 = 10

    @Flag(name: .customLong("json"), help: "Print one JSON document with a version field.")
    var isJSON = false

    func validate() throws {
        guard count > 0, count <= 1_000_000, !seed.addingReportingOverflow(count).overflow else {
            throw ValidationError("--count is from 1 to 1000000, and --seed leaves room for it.")
        }
    }

    func run() throws {
        var runs: [SimulationDocument] = []
        for seed in seed..<(seed + count) {
            let run = Self.run(seed: seed)
            if isJSON {
                runs.append(run)
            } else {
                show(run)
            }
            guard let violation = run.violation else { continue }
            if isJSON { Console.line(try JSONText.pretty(SimulationsDocument(runs: runs))) }
            throw CommandFailure(
                """
                seed \(seed) breaks a property: \(violation)
                See it again with `tessera simulate --seed \(seed) --count 1`, version \
                \(Version.current).
                """)
        }
        if isJSON { Console.line(try JSONText.pretty(SimulationsDocument(runs: runs))) }
    }

    private static func run(seed: UInt64) -> SimulationDocument {
        let scenario = Scenario.drawn(seed: seed)
        var simulation = Simulation(scenario)
        let outcome = simulation.run()
        let digits = String(outcome.trace, radix: 16)
        return SimulationDocument(
            seed: seed, nodes: scenario.nodes, faults: scenario.faults.count,
            answered: outcome.answered, rejected: outcome.rejected.values.reduce(0, +),
            decisions: outcome.decisions, steps: outcome.steps,
            trace: String(repeating: "0", count: 16 - digits.count) + digits,
            violation: outcome.violation?.description)
    }

    private func show(_ run: SimulationDocument) {
        Console.line(
            "seed \(run.seed): \(run.nodes) nodes, \(run.faults) faults, \(run.answered) answered, "
                + "\(run.rejected) rejected, \(run.decisions) decisions, \(run.steps) steps, "
                + "trace \(run.trace)")
    }
}
