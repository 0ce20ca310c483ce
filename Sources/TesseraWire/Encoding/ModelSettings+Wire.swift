package import TesseraCore

extension ModelSettings: WireValue {
    /// Objective (1 byte), optional limits of period, latency (nanoseconds) and energy (nanojoules) of
    /// 8 bytes each, memory headroom in percent (1 byte), modes (1 byte, a bit for each), baseline
    /// (1 byte, 0 for none); since version 3 how many operators are kept at the entry, the exits, what
    /// codecs may change, if anything, and which branches may be left out, if any.
    ///
    /// An older version gets what it knows of them: ``asVersion2PassesOn``.
    package func encode(into writer: inout WireWriter) {
        writer.write(Self.number(of: goal.objective))
        for limit in [goal.periodNanosecondsMax, goal.latencyNanosecondsMax, goal.nanojoulesMax] {
            writer.write(limit != nil)
            if let limit { writer.write(byteCount: limit, "limit of a plan") }
        }
        if !(0...Self.headroomMax).contains(goal.memoryHeadroomPercent) {
            writer.note(.invalidValue(what: "memory headroom"))
        }
        writer.write(UInt8(truncatingIfNeeded: goal.memoryHeadroomPercent))
        if !Self.isValid(allowedModes) { writer.note(.invalidValue(what: "modes")) }
        let isOld = writer.version < 3
        writer.write((isOld ? asVersion2PassesOn.allowedModes : allowedModes).rawValue)
        writer.write(baseline.map(Self.number(of:)) ?? 0)
        guard !isOld else { return }
        writer.write(byteCount: keepInputLocal, "operators kept at the entry")
        writer.write(list: exits, "exits", max: ModelExit.countMax)
        writer.write(codecs)
        writer.write(degrade)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let objective: PlanGoal.Objective = try Self.choice(
            try reader.read("objective", as: UInt8.self), what: "objective")
        func limit() throws(WireError) -> Int? {
            try reader.readFlag("limit of a plan")
                ? try reader.readByteCount("limit of a plan") : nil
        }
        let period = try limit()
        let latency = try limit()
        let energy = try limit()
        let headroom = Int(try reader.read("memory headroom", as: UInt8.self))
        guard headroom <= Self.headroomMax else { throw .invalidValue(what: "memory headroom") }
        let modes = ModeSet(rawValue: try reader.read("modes", as: UInt8.self))
        guard Self.isValid(modes) else { throw .invalidValue(what: "modes") }
        let baseline = try reader.read("baseline", as: UInt8.self)
        self.init(
            goal: PlanGoal(
                objective: objective, periodNanosecondsMax: period, latencyNanosecondsMax: latency,
                nanojoulesMax: energy, memoryHeadroomPercent: headroom),
            allowedModes: modes,
            baseline: baseline == 0 ? nil : try Self.choice(baseline, what: "baseline"))
        guard reader.version >= 3 else { return }
        keepInputLocal = try reader.readByteCount("operators kept at the entry")
        guard keepInputLocal <= ModelSettings.keepInputLocalMax else {
            throw .invalidValue(what: "operators kept at the entry")
        }
        exits = try reader.readList("exits", max: ModelExit.countMax)
        codecs = try reader.readOptional("codecs")
        degrade = try reader.readOptional("branches to leave out")
    }

    /// More headroom than this leaves nothing to plan with.
    package static let headroomMax = 95

    private static func isValid(_ modes: ModeSet) -> Bool {
        !modes.isEmpty && modes.isSubset(of: .all)
    }

    /// The place of a case in the order of its declaration, from 1: new ones go to the end.
    private static func number<Choice: CaseIterable & Equatable>(of choice: Choice) -> UInt8 {
        UInt8(Choice.allCases.prefix { $0 != choice }.count + 1)
    }

    private static func choice<Choice: CaseIterable>(
        _ number: UInt8, what: String
    ) throws(WireError) -> Choice {
        guard number >= 1, Int(number) <= Choice.allCases.count else {
            throw .invalidValue(what: what)
        }
        let index = Choice.allCases.index(Choice.allCases.startIndex, offsetBy: Int(number) - 1)
        return Choice.allCases[index]
    }
}

extension ModelExit: WireValue {
    /// Output (text), measure (1 byte), threshold and share in millionths (4 bytes each).
    package func encode(into writer: inout WireWriter) {
        writer.write(text: output, "exit", max: Self.nameBytesMax)
        writer.write(measure)
        writer.write(count: threshold, "threshold", max: Self.unit)
        writer.write(count: share, "share of an exit", max: Self.unit)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            output: try reader.readText("exit", max: Self.nameBytesMax),
            measure: try reader.readChoice("measure"),
            threshold: try reader.readCount("threshold", max: Self.unit),
            share: try reader.readCount("share of an exit", max: Self.unit))
    }
}

extension BranchDegrade: WireValue {
    /// What stands for a branch (1 byte), how many are left out at most (4 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(fill)
        if most < 1 { writer.note(.invalidValue(what: "branches to leave out")) }
        writer.write(count: most, "branches to leave out", max: Self.mostMax)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let fill: BranchFill = try reader.readChoice("fill")
        self.init(
            fill: fill, most: try reader.readCount("branches to leave out", max: Self.mostMax))
        guard most >= 1 else { throw .invalidValue(what: "branches to leave out") }
    }
}
