import ArgumentParser
import TesseraAPI
import TesseraCore

/// How a model is to be planned, as options of several commands.
struct PlanningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            What is to be best: throughput (the period of a stream), latency (of one item alone) \
            or energy (per item; of nodes whose watts are known). Default: throughput.
            """, valueName: "objective"), transform: PlanQuantities.objective)
    var objective: PlanGoal.Objective?

    @Option(
        help: ArgumentHelp("The longest period that will do, such as 40ms.", valueName: "time"),
        transform: PlanQuantities.nanoseconds)
    var maxPeriod: Int?

    @Option(
        help: ArgumentHelp("The longest latency that will do, such as 80ms.", valueName: "time"),
        transform: PlanQuantities.nanoseconds)
    var maxLatency: Int?

    @Option(
        help: ArgumentHelp(
            "The most energy per item that will do, such as 2.5J.", valueName: "energy"),
        transform: PlanQuantities.nanojoules)
    var maxEnergy: Int?

    @Option(
        help: ArgumentHelp(
            "The part of each node's memory that stays free, such as 20%.", valueName: "percent"),
        transform: PlanQuantities.percent)
    var memoryHeadroom: Int?

    @Option(
        help: ArgumentHelp(
            """
            The modes that stages may have: single, replicas, rows and branches, with commas between \
            them. single always may. Default: single,replicas,rows.
            """, valueName: "modes"), transform: PlanQuantities.modes)
    var allow: ModeSet?

    @Option(
        help: ArgumentHelp(
            "The plan of a baseline instead of the best one: "
                + PlanBaseline.allCases.map(\.rawValue).joined(separator: ", ") + "; or best.",
            valueName: "baseline"), transform: PlanQuantities.choice)
    var mode: PlanChoice?

    @Option(
        help: ArgumentHelp(
            """
            Run the first so many operators (as `tessera plan` counts them, from the input) where a \
            request comes in, so that what comes in never leaves that node; 0 ends it. Operators \
            that read an input are always among them. See Docs/Privacy.md.
            """, valueName: "operators"), transform: PlanQuantities.operators)
    var keepInputLocal: Int?

    /// Whether nothing is said.
    var isEmpty: Bool {
        objective == nil && maxPeriod == nil && maxLatency == nil && maxEnergy == nil
            && memoryHeadroom == nil && allow == nil && mode == nil && keepInputLocal == nil
    }

    /// What a plan is to be best at.
    var goal: PlanGoal {
        PlanGoal(
            objective: objective ?? .throughput, periodNanosecondsMax: maxPeriod,
            latencyNanosecondsMax: maxLatency, nanojoulesMax: maxEnergy,
            memoryHeadroomPercent: memoryHeadroom ?? 0)
    }

    /// What the options say; the rest as in `old`.
    func settings(changing old: ModelSettingsDocument? = nil) -> ModelSettingsDocument {
        var result = old ?? ModelSettingsDocument(ModelSettings())
        if let objective { result.objective = objective.rawValue }
        if let maxPeriod { result.maxPeriodMicroseconds = Self.microseconds(maxPeriod) }
        if let maxLatency { result.maxLatencyMicroseconds = Self.microseconds(maxLatency) }
        // A limit, as settings have it: at least 1.
        if let maxEnergy { result.maxEnergyMicrojoules = Int64(max(1, maxEnergy / 1_000)) }
        if let memoryHeadroom { result.memoryHeadroomPercent = memoryHeadroom }
        if let allow { result.modes = ModelSettingsDocument.names(of: allow) }
        if let mode { result.baseline = mode.baseline?.rawValue }
        if let keepInputLocal {
            result.keepInputLocal = keepInputLocal == 0 ? nil : keepInputLocal
        }
        return result
    }

    /// A limit, as settings have it: at least 1.
    private static func microseconds(_ nanoseconds: Int) -> Int64 {
        Int64(max(1, nanoseconds / 1_000))
    }
}

/// Whose plan is wanted.
enum PlanChoice: Equatable {
    /// The planner's own.
    case best
    /// A baseline's.
    case baseline(PlanBaseline)

    /// The baseline, if it is one's.
    var baseline: PlanBaseline? {
        if case .baseline(let baseline) = self { baseline } else { nil }
    }
}
