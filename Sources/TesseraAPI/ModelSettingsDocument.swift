public import TesseraCore

/// How an operator wants a model to be planned.
public struct ModelSettingsDocument: Codable, Sendable, Equatable {
    /// `throughput`, `latency` or `energy`.
    public var objective: String
    /// The longest time per item in a stream.
    public var maxPeriodMicroseconds: Int64?
    /// The longest time of one item alone.
    public var maxLatencyMicroseconds: Int64?
    /// Percent of each node's memory that stay free.
    public var memoryHeadroomPercent: Int
    /// The modes that stages may have: of `single`, `replicas`, `rows`, `branches`.
    public var modes: [String]
    /// The baseline whose plan runs; nil for the best plan.
    public var baseline: String?
    /// How many of the first operators run where a request comes in; nil or 0 for no such wish.
    public var keepInputLocal: Int?
    /// What packing for links may change; nil for nothing.
    public var codecs: CodecsDocument?

    /// The names of the modes.
    public static let modeNames = ["single", "replicas", "rows", "branches"]
    private static let modeSets: [ModeSet] = [.single, .replicas, .rows, .branches]
    /// A day, in microseconds; limits of plans are shorter.
    private static let microsecondsMax: Int64 = 86_400_000_000
    /// The most percent of memory that may stay free.
    public static let headroomMax = 95

    /// Writes settings.
    public init(_ settings: ModelSettings) {
        objective = settings.goal.objective.rawValue
        maxPeriodMicroseconds = settings.goal.periodNanosecondsMax.map { Int64($0 / 1_000) }
        maxLatencyMicroseconds = settings.goal.latencyNanosecondsMax.map { Int64($0 / 1_000) }
        memoryHeadroomPercent = settings.goal.memoryHeadroomPercent
        modes = Self.names(of: settings.allowedModes)
        baseline = settings.baseline?.rawValue
        keepInputLocal = settings.keepInputLocal > 0 ? settings.keepInputLocal : nil
        codecs = settings.codecs.map(CodecsDocument.init)
    }

    /// The names of the modes of a set.
    public static func names(of modes: ModeSet) -> [String] {
        zip(modeNames, modeSets).filter { modes.contains($1) }.map(\.0)
    }

    /// The settings.
    ///
    /// - Throws: `ControlError.invalid` with the field and what is allowed.
    public func settings() throws(ControlError) -> ModelSettings {
        func fail(_ reason: String) -> ControlError { .invalid(reason: reason) }
        guard let objective = PlanGoal.Objective(rawValue: objective) else {
            throw fail(
                "objective \"\(self.objective.prefix(40))\" is not one of "
                    + PlanGoal.Objective.allCases.map(\.rawValue).joined(separator: ", "))
        }
        for (name, limit) in [
            ("maxPeriodMicroseconds", maxPeriodMicroseconds),
            ("maxLatencyMicroseconds", maxLatencyMicroseconds),
        ] {
            guard limit.map({ (1...Self.microsecondsMax).contains($0) }) ?? true else {
                throw fail("\(name) is not from 1 to \(Self.microsecondsMax)")
            }
        }
        guard (0...Self.headroomMax).contains(memoryHeadroomPercent) else {
            throw fail("memoryHeadroomPercent is not from 0 to \(Self.headroomMax)")
        }
        var allowed: ModeSet = []
        for mode in modes {
            guard let index = Self.modeNames.firstIndex(of: mode) else {
                throw fail(
                    "mode \"\(mode.prefix(40))\" is not one of "
                        + Self.modeNames.joined(separator: ", "))
            }
            allowed.formUnion(Self.modeSets[index])
        }
        guard !allowed.isEmpty else { throw fail("modes names no mode") }
        var wanted: PlanBaseline?
        if let baseline {
            wanted = PlanBaseline(rawValue: baseline)
            guard wanted != nil else {
                throw fail(
                    "baseline \"\(baseline.prefix(40))\" is not one of "
                        + PlanBaseline.allCases.map(\.rawValue).joined(separator: ", "))
            }
        }
        guard (0...ModelSettings.keepInputLocalMax).contains(keepInputLocal ?? 0) else {
            throw fail("keepInputLocal is not from 0 to \(ModelSettings.keepInputLocalMax)")
        }
        return ModelSettings(
            goal: PlanGoal(
                objective: objective,
                periodNanosecondsMax: maxPeriodMicroseconds.map { Int($0) * 1_000 },
                latencyNanosecondsMax: maxLatencyMicroseconds.map { Int($0) * 1_000 },
                memoryHeadroomPercent: memoryHeadroomPercent),
            allowedModes: allowed, baseline: wanted, keepInputLocal: keepInputLocal ?? 0,
            codecs: try codecs?.allowance())
    }
}

extension ModelSettingsDocument {
    /// Reads what a client sent; what it does not say is as usual.
    init(json: JSONValue) throws(APIError) {
        self.init(ModelSettings())
        func text(_ name: String, _ old: String?) throws(APIError) -> String? {
            guard let value = json[name], value != .null else { return old }
            guard let text = value.stringValue else {
                throw .badRequest("settings: \(name) is not a text")
            }
            return text
        }
        func number(_ name: String) throws(APIError) -> Int64? {
            guard let value = json[name], value != .null else { return nil }
            guard let number = value.integerValue else {
                throw .badRequest("settings: \(name) is not a whole number")
            }
            return number
        }
        guard case .object = json else { throw .badRequest("settings is not a JSON object") }
        objective = try text("objective", objective) ?? objective
        baseline = try text("baseline", nil)
        maxPeriodMicroseconds = try number("maxPeriodMicroseconds")
        maxLatencyMicroseconds = try number("maxLatencyMicroseconds")
        keepInputLocal = try number("keepInputLocal").map { Int(clamping: $0) }
        memoryHeadroomPercent = Int(try number("memoryHeadroomPercent") ?? 0)
        if let value = json["codecs"], value != .null {
            codecs = try CodecsDocument(json: value)
        }
        guard let list = json["modes"], list != .null else { return }
        guard let names = list.arrayValue?.map(\.stringValue), !names.contains(nil) else {
            throw .badRequest("settings: modes is not a list of texts")
        }
        modes = names.compactMap { $0 }
    }
}
