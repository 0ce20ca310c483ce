package import TesseraCore

extension Stage: WireValue {
    /// Operators (range), mode (1 byte), fragments (range).
    package func encode(into writer: inout WireWriter) {
        writer.write(range: operators, "stage operators", max: WireLimits.modelPartsMax)
        writer.write(mode)
        writer.write(range: fragments, "stage fragments", max: WireLimits.fragmentsMax)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            operators: try reader.readRange("stage operators", max: WireLimits.modelPartsMax),
            mode: try reader.readChoice("stage mode"),
            fragments: try reader.readRange("stage fragments", max: WireLimits.fragmentsMax))
    }
}

extension Fragment: WireValue {
    /// Host, operators (range), optional rows (range), weight (4 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(host)
        writer.write(range: operators, "fragment operators", max: WireLimits.modelPartsMax)
        writer.write(rows: rows)
        if weight < 1 { writer.note(.invalidValue(what: "fragment weight")) }
        writer.write(count: weight, "fragment weight", max: WireLimits.weightMax)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            host: try reader.read(),
            operators: try reader.readRange("fragment operators", max: WireLimits.modelPartsMax),
            rows: try reader.readRows(),
            weight: try reader.readCount("fragment weight", max: WireLimits.weightMax))
        guard weight >= 1 else { throw .invalidValue(what: "fragment weight") }
    }
}

extension FragmentKey: WireValue {
    /// Manifest, operators (range), optional rows (range).
    package func encode(into writer: inout WireWriter) {
        writer.write(manifest)
        writer.write(range: operators, "fragment operators", max: WireLimits.modelPartsMax)
        writer.write(rows: rows)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            manifest: try reader.read(),
            operators: try reader.readRange("fragment operators", max: WireLimits.modelPartsMax),
            rows: try reader.readRows())
    }
}

extension Endpoint: WireValue {
    /// 0 for the entry; 1 and the index (4 bytes) for a fragment.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .entry:
            writer.write(0 as UInt8)
        case .fragment(let index):
            writer.write(1 as UInt8)
            writer.write(count: index, "fragment index", max: WireLimits.fragmentsMax - 1)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read("endpoint", as: UInt8.self) {
        case 0:
            self = .entry
        case 1:
            self = .fragment(
                try reader.readCount("fragment index", max: WireLimits.fragmentsMax - 1))
        default:
            throw .invalidValue(what: "endpoint")
        }
    }

    /// The index of the fragment; the entry is the number after the last possible one.
    fileprivate var number: Int {
        switch self {
        case .entry: WireLimits.fragmentsMax
        case .fragment(let index): index
        }
    }

    /// Whether a plan with so many fragments has this end.
    fileprivate func exists(among fragmentCount: Int) -> Bool {
        switch self {
        case .entry: true
        case .fragment(let index): index < fragmentCount
        }
    }
}

extension Route: WireValue {
    /// Tensor (4 bytes), optional rows (range), source, destination, 0 (1 byte).
    ///
    /// The last byte once was to name a codec; since version 3 the frame of each slice does.
    package func encode(into writer: inout WireWriter) {
        writer.write(count: tensor, "tensor index", max: WireLimits.modelPartsMax)
        writer.write(rows: rows)
        writer.write(source)
        writer.write(destination)
        writer.write(0 as UInt8)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            tensor: try reader.readCount("tensor index", max: WireLimits.modelPartsMax),
            rows: try reader.readRows(), source: try reader.read(), destination: try reader.read())
        guard try reader.read("route", as: UInt8.self) == 0 else {
            throw .invalidValue(what: "route")
        }
    }

    /// Tensor, source and destination in one number, which tells the routes of a plan apart.
    ///
    /// Quicker to compare and to hash than the route. From one fragment to another at most one range
    /// of a tensor's rows travels, so the rows are not needed for that.
    fileprivate var identity: UInt64 {
        UInt64(truncatingIfNeeded: tensor) << 32
            | UInt64(UInt16(truncatingIfNeeded: source.number)) << 16
            | UInt64(UInt16(truncatingIfNeeded: destination.number))
    }
}

extension WireWriter {
    /// A flag byte and, if it is 1, the range.
    mutating func write(rows: Range<Int>?) {
        write(rows != nil)
        if let rows { write(range: rows, "rows", max: WireLimits.rowsMax) }
    }
}

extension WireReader {
    /// Reads what `write(rows:)` writes.
    mutating func readRows() throws(WireError) -> Range<Int>? {
        try readFlag("rows") ? try readRange("rows", max: WireLimits.rowsMax) : nil
    }
}

extension Plan: WireValue {
    /// Manifest, ballot, optional `without`, stages, fragments, routes, window (4 bytes), predicted
    /// period and latency (8 bytes each).
    package func encode(into writer: inout WireWriter) {
        writer.write(manifest)
        writer.write(ballot)
        writer.write(without)
        writer.write(list: stages, "stages", max: WireLimits.stagesMax)
        writer.write(list: fragments, "fragments", max: WireLimits.fragmentsMax)
        writer.write(distinct: routes, "routes", max: WireLimits.routesMax) { $0.identity }
        writer.write(count: window, "window", max: WireLimits.windowMax)
        writer.write(microseconds: predictedPeriodMicroseconds, "predicted period")
        writer.write(microseconds: predictedLatencyMicroseconds, "predicted latency")
        writer.check(checkIndices)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            manifest: try reader.read(), ballot: try reader.read(),
            without: try reader.readOptional("without"),
            stages: try reader.readList("stages", max: WireLimits.stagesMax),
            fragments: try reader.readList("fragments", max: WireLimits.fragmentsMax),
            routes: try reader.readDistinct(
                "routes", max: WireLimits.routesMax, by: { $0.identity }),
            window: try reader.readCount("window", max: WireLimits.windowMax),
            predictedPeriodMicroseconds: try reader.readMicroseconds("predicted period"),
            predictedLatencyMicroseconds: try reader.readMicroseconds("predicted latency"))
        try checkIndices()
    }

    /// Everything that the plan's own indices say must exist, so that no reader of the plan can run
    /// out of an array.
    ///
    /// Whether it is a good plan for the model is the acceptor's question.
    private func checkIndices() throws(WireError) {
        if stages.isEmpty { throw .invalidValue(what: "stages") }
        if window < 1 { throw .invalidValue(what: "window") }
        for stage in stages where stage.fragments.upperBound > fragments.count {
            throw .invalidValue(what: "stage fragments")
        }
        for route in routes {
            let exists =
                route.source.exists(among: fragments.count)
                && route.destination.exists(among: fragments.count)
            if !exists || route.source == route.destination {
                throw .invalidValue(what: "route")
            }
        }
    }
}

extension NamedPlan: WireValue {
    /// The plan alone: its name never travels beside it.
    package func encode(into writer: inout WireWriter) {
        writer.write(plan)
    }

    /// Reads the plan and computes its name from the very bytes.
    package init(from reader: inout WireReader) throws(WireError) {
        let (plan, bytes) = try reader.readWithBytes(Plan.self)
        self.init(id: PlanNaming.id(ofCanonicalBytes: bytes), plan: plan)
    }
}

extension PlanBundle: WireValue {
    /// Primary plan, alternates (list, ascending by `without`).
    package func encode(into writer: inout WireWriter) {
        writer.write(primary)
        writer.check(checkAlternates)
        writer.write(list: alternates, "alternates", max: WireLimits.alternatesMax)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            primary: try reader.read(),
            alternates: try reader.readList("alternates", max: WireLimits.alternatesMax))
        try checkAlternates()
    }

    private func checkAlternates() throws(WireError) {
        var last: NodeBoot?
        for alternate in alternates {
            guard let without = alternate.plan.without else {
                throw .invalidValue(what: "alternate")
            }
            if let last, last >= without { throw .notAscending(what: "alternates") }
            last = without
        }
    }
}
