public import TesseraCore

/// How an operator wants a model to be planned.
public struct ModelSettingsDocument: Codable, Sendable, Equatable {
    /// `throughput`, `latency` or `energy`.
    public var objective: String
    /// The longest time per item in a stream.
    public var maxPeriodMicroseconds: Int64?
    /// The longest time of one item alone.
    public var maxLatencyMicroseconds: Int64?
    /// The most energy per item.
    public var maxEnergyMicrojoules: Int64?
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

    /// The outputs by which a request may be answered early; nil or empty for none.
    public var exits: [ExitDocument]?

    /// Which branches answers may leave out; nil for none.
    public var degrade: DegradeDocument?

    /// That answers may leave branches out which are late or lost.
    public struct DegradeDocument: Codable, Sendable, Equatable {
        /// What stands for a branch that is left out: of `BranchFill`.
        public var branches: String
        /// How many branches of one join may be left out.
        public var most: Int

        /// Writes what is allowed.
        public init(_ degrade: BranchDegrade) {
            branches = degrade.fill.name
            most = degrade.most
        }

        init(json: JSONValue) throws(APIError) {
            guard let branches = json["branches"]?.stringValue else {
                throw .badRequest("settings: degrade does not say what stands for branches")
            }
            self.branches = branches
            most = 1
            guard let value = json["most"], value != .null else { return }
            guard let most = value.integerValue else {
                throw .badRequest("settings: most of degrade is not a whole number")
            }
            self.most = Int(clamping: most)
        }

        /// What is allowed, checked as far as that goes without the model.
        func degrade() throws(ControlError) -> BranchDegrade {
            guard let fill = BranchFill(name: branches) else {
                throw .invalid(
                    reason: "what stands for branches, \"\(branches.prefix(40))\", is not one of "
                        + BranchFill.allCases.map(\.name).joined(separator: ", "))
            }
            guard (1...BranchDegrade.mostMax).contains(most) else {
                throw .invalid(
                    reason: "most of degrade is not from 1 to \(BranchDegrade.mostMax)")
            }
            return BranchDegrade(fill: fill, most: most)
        }
    }

    /// An output by which a request may be answered early.
    public struct ExitDocument: Codable, Sendable, Equatable {
        /// The output.
        public var output: String
        /// How its confidence is measured: of `ExitMeasure.names`.
        public var measure: String
        /// The least confidence, from 0 to 1, with which it answers.
        public var threshold: Double
        /// The share of requests, from 0 to 1, that it is expected to answer; nil if nobody said.
        public var share: Double?

        /// Writes an exit.
        public init(_ exit: ModelExit) {
            output = exit.output
            measure = exit.measure.name
            threshold = Double(exit.threshold) / Double(ModelExit.unit)
            share = exit.share > 0 ? Double(exit.share) / Double(ModelExit.unit) : nil
        }

        init(output: String, measure: String, threshold: Double, share: Double?) {
            self.output = output
            self.measure = measure
            self.threshold = threshold
            self.share = share
        }
    }

    /// The names of the modes.
    public static let modeNames = ["single", "replicas", "rows", "branches"]
    private static let modeSets: [ModeSet] = [.single, .replicas, .rows, .branches]
    /// A day, in microseconds; limits of plans are shorter.
    private static let microsecondsMax: Int64 = 86_400_000_000
    /// A megajoule; items take less.
    private static let microjoulesMax: Int64 = 1_000_000_000_000
    /// The most percent of memory that may stay free.
    public static let headroomMax = 95

    /// Writes settings.
    public init(_ settings: ModelSettings) {
        objective = settings.goal.objective.rawValue
        maxPeriodMicroseconds = settings.goal.periodNanosecondsMax.map { Int64($0 / 1_000) }
        maxLatencyMicroseconds = settings.goal.latencyNanosecondsMax.map { Int64($0 / 1_000) }
        maxEnergyMicrojoules = settings.goal.nanojoulesMax.map { Int64($0 / 1_000) }
        memoryHeadroomPercent = settings.goal.memoryHeadroomPercent
        modes = Self.names(of: settings.allowedModes)
        baseline = settings.baseline?.rawValue
        keepInputLocal = settings.keepInputLocal > 0 ? settings.keepInputLocal : nil
        codecs = settings.codecs.map(CodecsDocument.init)
        exits = settings.exits.isEmpty ? nil : settings.exits.map(ExitDocument.init)
        degrade = settings.degrade.map(DegradeDocument.init)
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
        for (name, limit, most) in [
            ("maxPeriodMicroseconds", maxPeriodMicroseconds, Self.microsecondsMax),
            ("maxLatencyMicroseconds", maxLatencyMicroseconds, Self.microsecondsMax),
            ("maxEnergyMicrojoules", maxEnergyMicrojoules, Self.microjoulesMax),
        ] {
            guard limit.map({ (1...most).contains($0) }) ?? true else {
                throw fail("\(name) is not from 1 to \(most)")
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
                nanojoulesMax: maxEnergyMicrojoules.map { Int($0) * 1_000 },
                memoryHeadroomPercent: memoryHeadroomPercent),
            allowedModes: allowed, baseline: wanted, keepInputLocal: keepInputLocal ?? 0,
            codecs: try codecs?.allowance(), exits: try wantedExits(),
            degrade: try degrade?.degrade())
    }
}

extension ModelSettingsDocument {
    /// The exits, checked as far as that goes without the model.
    private func wantedExits() throws(ControlError) -> [ModelExit] {
        var result: [ModelExit] = []
        for exit in exits ?? [] {
            guard let measure = ExitMeasure(name: exit.measure) else {
                throw .invalid(
                    reason: "measure \"\(exit.measure.prefix(40))\" is not one of "
                        + ExitMeasure.names.joined(separator: ", "))
            }
            guard exit.threshold >= 0, exit.threshold <= 1, (0...1).contains(exit.share ?? 0) else {
                throw .invalid(
                    reason:
                        "threshold or share of exit \(exit.output.prefix(200)) are not from 0 to 1")
            }
            guard exit.output.utf8.count <= ModelExit.nameBytesMax,
                result.count < ModelExit.countMax
            else {
                throw .invalid(
                    reason: "exits are at most \(ModelExit.countMax), with names of at most "
                        + "\(ModelExit.nameBytesMax) bytes")
            }
            result.append(
                ModelExit(
                    output: exit.output, measure: measure,
                    threshold: Int((exit.threshold * Double(ModelExit.unit)).rounded()),
                    share: Int(((exit.share ?? 0) * Double(ModelExit.unit)).rounded())))
        }
        return result
    }

    private static func number(_ json: JSONValue?) throws(APIError) -> Double? {
        switch json {
        case nil, .null: nil
        case .number(let number): number
        case .integer(let number): Double(number)
        default: throw .badRequest("settings: threshold or share of an exit are no numbers")
        }
    }

    private static func exits(_ json: JSONValue?) throws(APIError) -> [ExitDocument]? {
        guard let json, json != .null else { return nil }
        guard let list = json.arrayValue else { throw .badRequest("settings: exits is no list") }
        var result: [ExitDocument] = []
        for exit in list {
            guard let output = exit["output"]?.stringValue else {
                throw .badRequest("settings: an exit has no output")
            }
            let usual = Double(ModelExit.thresholdUsual) / Double(ModelExit.unit)
            result.append(
                ExitDocument(
                    output: output,
                    measure: exit["measure"]?.stringValue ?? ExitMeasure.maximum.name,
                    threshold: try number(exit["threshold"]) ?? usual,
                    share: try number(exit["share"])))
        }
        return result
    }

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
        exits = try Self.exits(json["exits"])
        maxPeriodMicroseconds = try number("maxPeriodMicroseconds")
        maxLatencyMicroseconds = try number("maxLatencyMicroseconds")
        maxEnergyMicrojoules = try number("maxEnergyMicrojoules")
        keepInputLocal = try number("keepInputLocal").map { Int(clamping: $0) }
        memoryHeadroomPercent = Int(try number("memoryHeadroomPercent") ?? 0)
        if let value = json["codecs"], value != .null {
            codecs = try CodecsDocument(json: value)
        }
        if let value = json["degrade"], value != .null {
            degrade = try DegradeDocument(json: value)
        }
        guard let list = json["modes"], list != .null else { return }
        guard let names = list.arrayValue?.map(\.stringValue), !names.contains(nil) else {
            throw .badRequest("settings: modes is not a list of texts")
        }
        modes = names.compactMap { $0 }
    }
}
