import ArgumentParser
import TesseraCore
import TesseraSimulator

/// `tessera simulate`.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run the agent's decisions under virtual time, with faults drawn from a seed.",
        discussion: """
            Needs no agent and no network. The same seed gives the same run on every machine. \
            With a topology, devices and links are as it says, else they are drawn as well. Ends \
            with 1 at the first violation of a property; it is shrunk, and the message says how to \
            see it again.
            """)

    @Argument(help: ArgumentHelp("A described mesh to run on.", valueName: "topology.yaml"))
    var topology: String?

    @Option(help: ArgumentHelp("The first seed.", valueName: "seed"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("How many seeds, one after the other.", valueName: "count"))
    var count: UInt64 = 10

    @Option(
        help: ArgumentHelp(
            "End each run after so many virtual seconds, without waiting for the healed mesh.",
            valueName: "seconds"))
    var until: Double?

    @Flag(help: "Draw short runs in small meshes, as the tests do.")
    var short = false

    @Option(
        name: .customLong("only-faults"),
        help: ArgumentHelp(
            "Keep only these of the drawn faults, by number; 'none' keeps none.",
            valueName: "numbers"))
    var onlyFaults: String?

    @Option(help: ArgumentHelp("Keep so many nodes.", valueName: "count"))
    var nodes: Int?

    @Option(help: ArgumentHelp("Keep so many requests.", valueName: "count"))
    var requests: Int?

    @Option(
        help: ArgumentHelp(
            "Turn knobs to nothing: "
                + Reduction.Knob.allCases.map(\.rawValue).joined(separator: ", ") + ".",
            valueName: "knobs"))
    var without: String?

    @Flag(help: "Print every knob and fault of each run, and what the nodes report.")
    var verbose = false

    @Option(
        help: ArgumentHelp(
            "Instead measure membership in meshes of so many nodes, such as 10,100, and print a "
                + "table.", valueName: "counts"))
    var scale: String?

    @Option(
        help: ArgumentHelp(
            "Instead measure what a decision costs in meshes of so many nodes, such as 2,4,8.",
            valueName: "counts"))
    var agreement: String?

    @Option(
        help: ArgumentHelp(
            "Instead feed the journal of an agent (agent --journal) to this build's core, and say "
                + "where it asks for something else.", valueName: "journal"))
    var replay: String?

    @Flag(name: .customLong("json"), help: "Print one JSON document with a version field.")
    var isJSON = false

    /// Longer runs than an hour of virtual time show nothing new.
    private static let secondsMax = 3_600.0

    func validate() throws {
        guard count > 0, count <= 1_000_000, !seed.addingReportingOverflow(count).overflow else {
            throw ValidationError("--count is from 1 to 1000000, and --seed leaves room for it.")
        }
        if let until, !(until > 0 && until <= Self.secondsMax) {
            throw ValidationError("--until is from 0 to \(Int(Self.secondsMax)) seconds.")
        }
        if let nodes, nodes < 1 { throw ValidationError("--nodes is at least 1.") }
        if let requests, requests < 0 { throw ValidationError("--requests is at least 0.") }
        _ = try reduction()
        _ = try scaleCounts()
        _ = try agreementCounts()
    }

    private func scaleCounts() throws -> [Int] {
        try counts(scale, 2...1_000)
            ?? {
                throw ValidationError("--scale takes counts from 2 to 1000, such as 10,100.")
            }()
    }

    private func agreementCounts() throws -> [Int] {
        try counts(agreement, 3...64)
            ?? {
                throw ValidationError("--agreement takes counts from 3 to 64, such as 4,8,16.")
            }()
    }

    private func counts(_ text: String?, _ range: ClosedRange<Int>) -> [Int]? {
        let counts = (text ?? "").split(separator: ",").map {
            Int($0).flatMap { range.contains($0) ? $0 : nil }
        }
        return counts.contains(nil) ? nil : counts.compactMap { $0 }
    }

    private func reduction() throws -> Reduction {
        var reduction = Reduction(nodes: nodes, requests: requests)
        if let onlyFaults, onlyFaults != "none" {
            reduction.faults = try onlyFaults.split(separator: ",").map { text in
                guard let number = Int(text) else {
                    throw ValidationError("--only-faults takes numbers, such as 0,3,4.")
                }
                return number
            }
        } else if onlyFaults != nil {
            reduction.faults = []
        }
        reduction.without = try (without ?? "").split(separator: ",").map { text in
            guard let knob = Reduction.Knob(rawValue: String(text)) else {
                throw ValidationError("--without knows no '\(text)'.")
            }
            return knob
        }
        return reduction
    }

    func run() throws {
        if let replay {
            return try SimulateReplay(path: replay, isVerbose: verbose).run(isJSON)
        }
        if agreement != nil {
            return try SimulateAgreement(counts: agreementCounts(), seed: seed).run(isJSON)
        }
        if scale != nil { return try SimulateScale(counts: scaleCounts(), seed: seed).run(isJSON) }
        let mesh = try topology.map { try Topology(path: $0).simulatedMesh }
        var runs: [SimulationDocument] = []
        for seed in seed..<(seed + count) {
            var scenario = Scenario.drawn(seed: seed, mesh: mesh, length: short ? .short : .full)
            if let until {
                scenario.until = .zero + .milliseconds(Int64(until * 1_000))
            }
            scenario = scenario.reduced(by: try reduction())
            if verbose, !isJSON { show(scenario) }
            let simulation = Simulation(scenario)
            if verbose, !isJSON {
                simulation.observer = { time, node, report in
                    Console.line("  \(time.nanoseconds / 1_000_000) ms, node \(node): \(report)")
                }
            }
            let outcome = simulation.run()
            var run = SimulationDocument(scenario, outcome)
            if !isJSON { show(run) }
            guard let violation = outcome.violation else {
                if isJSON { runs.append(run) }
                continue
            }
            let (small, last) = Shrinker.shrink(scenario, violation)
            run.shrunkFaults = scenario.reduced(by: small).faults.map(\.description)
            run.replay = try command(seed, small)
            if isJSON {
                runs.append(run)
                Console.line(try JSONText.pretty(SimulationsDocument(runs: runs)))
            }
            throw failure(run, last)
        }
        if isJSON { Console.line(try JSONText.pretty(SimulationsDocument(runs: runs))) }
    }

    // MARK: Text

    private func show(_ scenario: Scenario) {
        Console.line("seed \(scenario.seed)")
        for knob in scenario.knobs { Console.line("  \(knob.name): \(knob.value)") }
        for (number, fault) in scenario.faults.enumerated() {
            Console.line("  fault \(number) at \(fault)")
        }
    }

    private func show(_ run: SimulationDocument) {
        let convergence = run.convergenceMilliseconds.map { ", agreed \($0) ms after healing" }
        Console.line(
            "seed \(run.seed): \(run.knobs["nodes"] ?? "?") nodes, \(run.faults.count) faults, "
                + "\(run.answered) answered, \(run.rejected) rejected, \(run.decisions) decisions"
                + "\(convergence ?? ""), \(run.steps) steps, trace \(run.trace)")
    }

    /// The command that runs the shrunk scenario; what this command took out already stays out.
    private func command(_ seed: UInt64, _ small: Reduction) throws -> String {
        let own = try reduction()
        var words = ["tessera", "simulate"]
        if let topology { words.append(topology) }
        words += ["--seed", "\(seed)", "--count", "1"]
        if short { words.append("--short") }
        if let until { words += ["--until", "\(until)"] }
        let faults = (small.faults ?? []).map { own.faults?[$0] ?? $0 }
        words += ["--only-faults", faults.isEmpty ? "none" : "\(list(faults))"]
        if let nodes = small.nodes ?? own.nodes { words += ["--nodes", "\(nodes)"] }
        if let requests = small.requests ?? own.requests { words += ["--requests", "\(requests)"] }
        let knobs = own.without + small.without.filter { !own.without.contains($0) }
        if !knobs.isEmpty { words += ["--without", list(knobs.map(\.rawValue))] }
        return words.joined(separator: " ")
    }

    private func list(_ items: [some CustomStringConvertible]) -> String {
        items.map(\.description).joined(separator: ",")
    }

    private func failure(_ run: SimulationDocument, _ last: Violation) -> CommandFailure {
        let faults = run.shrunkFaults ?? []
        let lines =
            ["seed \(run.seed) breaks a property: \(run.violation ?? "")"]
            + (faults.isEmpty ? ["No fault is needed for it."] : ["What is needed for it:"])
            + faults.map { "  \($0)" } + ["Then: \(last)"]
            + ["See it again with `\(run.replay ?? "")`, version \(Version.current)."]
        return CommandFailure(lines.joined(separator: "\n"))
    }
}
