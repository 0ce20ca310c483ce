import ArgumentParser
import TesseraAPI
import TesseraCore

/// How a model is to be planned, as options of several commands.
struct PlanningOptions: ParsableArguments {
    @Option(
        help: "What plans are to be best at: throughput, latency or energy.",
        transform: PlanningOptions.objective)
    var objective: PlanGoal.Objective?

    @Option(
        help: ArgumentHelp("The longest time per item in a stream.", valueName: "80ms"),
        transform: PlanningOptions.microseconds)
    var maxPeriod: Int64?

    @Option(
        help: ArgumentHelp("The longest time of one item alone.", valueName: "80ms"),
        transform: PlanningOptions.microseconds)
    var maxLatency: Int64?

    @Option(
        help: ArgumentHelp("How much of each node's memory stays free.", valueName: "20%"),
        transform: PlanningOptions.percent)
    var memoryHeadroom: Int?

    @Option(
        help: ArgumentHelp(
            "The modes that stages may have.", valueName: "single,replicas,rows"),
        transform: PlanningOptions.modes)
    var allow: [String]?

    @Option(
        help: ArgumentHelp(
            "Run a baseline's plan instead of the best one: "
                + PlanBaseline.allCases.map(\.rawValue).joined(separator: ", ")
                + "; or `best`."))
    var mode: String?

    func validate() throws {
        if let mode, mode != Self.best, PlanBaseline(rawValue: mode) == nil {
            let names = PlanBaseline.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(mode)' is no baseline; there are \(names), and best.")
        }
    }

    /// Whether nothing is said.
    var isEmpty: Bool {
        objective == nil && maxPeriod == nil && maxLatency == nil && memoryHeadroom == nil
            && allow == nil && mode == nil
    }

    /// What the options say; the rest as in `old`.
    func settings(changing old: ModelSettingsDocument? = nil) -> ModelSettingsDocument {
        var result = old ?? ModelSettingsDocument(ModelSettings())
        if let objective { result.objective = objective.rawValue }
        if let maxPeriod { result.maxPeriodMicroseconds = maxPeriod }
        if let maxLatency { result.maxLatencyMicroseconds = maxLatency }
        if let memoryHeadroom { result.memoryHeadroomPercent = memoryHeadroom }
        if let allow { result.modes = allow }
        if let mode { result.baseline = mode == Self.best ? nil : mode }
        return result
    }

    /// The word for no baseline.
    private static let best = "best"

    /// Reads the name of an objective.
    static func objective(_ text: String) throws -> PlanGoal.Objective {
        guard let objective = PlanGoal.Objective(rawValue: text) else {
            let names = PlanGoal.Objective.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is no objective; there are \(names).")
        }
        return objective
    }

    /// Reads `80ms`, `1.5s` or `250us`.
    static func microseconds(_ text: String) throws -> Int64 {
        for (unit, factor) in [("us", 1.0), ("ms", 1_000.0), ("s", 1_000_000.0)]
        where text.hasSuffix(unit) {
            let number = Double(text.dropLast(unit.count)) ?? -1
            let value = number * factor
            guard value >= 1, value <= 86_400e6 else { break }
            return Int64(value)
        }
        throw ValidationError("'\(text)' is no time; write 80ms, 1.5s or 250us.")
    }

    /// Reads `20%` or `20`.
    static func percent(_ text: String) throws -> Int {
        let digits = text.hasSuffix("%") ? String(text.dropLast()) : text
        guard let number = Int(digits), (0...95).contains(number) else {
            throw ValidationError("'\(text)' is no share of memory; write 0% to 95%.")
        }
        return number
    }

    /// Reads `single,rows`.
    static func modes(_ text: String) throws -> [String] {
        let names = text.split(separator: ",").map(String.init)
        guard !names.isEmpty, names.allSatisfy(ModelSettingsDocument.modeNames.contains) else {
            throw ValidationError(
                "'\(text)' is no list of modes; there are "
                    + ModelSettingsDocument.modeNames.joined(separator: ", ") + ".")
        }
        return names
    }
}
