import TesseraAPI

/// What `tessera top` shows at one moment.
struct TopFrame: Sendable {
    /// The agent now.
    var status: StatusDocument
    /// The agent one look before, for what is counted per second.
    var previous: StatusDocument?
    /// The members.
    var members: [MemberDocument]
    /// The models.
    var models: [ModelDocument]
    /// What runs for the models, by name.
    var plans: [String: PlanDocument]
    /// The last events, oldest first.
    var events: [EventDocument]
    /// Why there is nothing newer, if there is not.
    var notice: String?
}

/// One line of a terminal, without anything in it that the terminal would obey.
struct TopLine: Equatable, Sendable {
    /// What it says.
    let text: String
    /// How it looks where colours may be shown.
    var style: Style?

    init(_ text: String = "", _ style: Style? = nil) {
        self.text = Figures.printable(text)
        self.style = style
    }

    /// The line for a terminal of this width.
    func rendered(columns: Int?, hasColour: Bool) -> String {
        var shown = text
        if let columns, shown.count > columns {
            shown = columns > 1 ? shown.prefix(columns - 1) + "…" : String(shown.prefix(columns))
        }
        guard hasColour, let style else { return shown }
        return style.marked(shown)
    }
}

/// Makes the lines of `tessera top` out of documents.
struct TopView {
    /// Events on a terminal of any height.
    static let eventsMax = 12
    /// A part that is cut keeps its title, one line, and the word how many more there are.
    private static let sectionLinesMin = 3

    private let frame: TopFrame

    init(_ frame: TopFrame) { self.frame = frame }

    /// The lines; no more than `rows`, if there is such a limit.
    func lines(rows: Int? = nil) -> [TopLine] {
        var sections = [Section(head, keepsEnd: false), members].filter { !$0.lines.isEmpty }
        sections += [models, events].filter { !$0.lines.isEmpty }
        if let rows { Self.fit(&sections, rows: rows) }
        var lines: [TopLine] = []
        for section in sections {
            if !lines.isEmpty { lines.append(TopLine()) }
            lines += section.shown
        }
        return rows.map { Array(lines.prefix($0)) } ?? lines
    }

    // MARK: Fitting

    private struct Section {
        var lines: [TopLine]
        /// Whether the last lines count most.
        var keepsEnd: Bool
        var limit: Int

        init(_ lines: [TopLine], keepsEnd: Bool) {
            self.lines = lines
            self.keepsEnd = keepsEnd
            limit = lines.count
        }

        /// The lines, cut to the limit with a word of what is missing.
        var shown: [TopLine] {
            guard limit < lines.count, limit >= TopView.sectionLinesMin else { return lines }
            let missing = TopLine("  … \(lines.count - limit + 1) more lines", .dim)
            return keepsEnd
                ? lines.prefix(1) + [missing] + lines.suffix(limit - 2)
                : lines.prefix(limit - 1) + [missing]
        }
    }

    /// Shortens the longest part again and again; the first, the agent itself, stays whole.
    private static func fit(_ sections: inout [Section], rows: Int) {
        func total() -> Int { sections.reduce(sections.count - 1) { $0 + $1.limit } }
        while total() > rows {
            let candidates = sections.indices.dropFirst().filter {
                sections[$0].limit > sectionLinesMin
            }
            guard let longest = candidates.max(by: { sections[$0].limit < sections[$1].limit })
            else { return }
            sections[longest].limit -= 1
        }
    }

    // MARK: The agent

    private var head: [TopLine] {
        let status = frame.status
        let state =
            status.isReady ? "ready" : "not ready: " + (status.reason ?? "it does not say why")
        var lines = [
            TopLine(
                "\(status.name) of mesh \(status.mesh): \(state), up for "
                    + Figures.span(microseconds: status.uptimeMicroseconds)
                    + ", version \(status.release)", status.isReady ? .bold : .bad)
        ]
        if let notice = frame.notice { lines.append(TopLine(notice, .bad)) }
        let rates = TopRates(frame.previous, status)
        lines.append(
            TopLine(
                "members \(status.membersAlive) alive   open \(status.openRequests)   answers "
                    + "\(rates.count("requestsAnswered"))   refused "
                    + rates.count("requestsRefused")))
        let percent =
            status.memoryBytes > 0
            ? Double(status.reservedBytes) * 100 / Double(status.memoryBytes) : 0
        lines.append(
            TopLine(
                "memory \(Figures.bytes(status.reservedBytes)) of "
                    + "\(Figures.bytes(status.memoryBytes)) (\(Figures.decimal(percent, places: 0))"
                    + " %)   tensors out \(rates.bytes("sliceBytesSent"))   in "
                    + "\(rates.bytes("sliceBytesReceived"))   finds peers by \(status.discovery)"))
        return lines + status.health.map { TopLine("# " + $0, .warning) }
    }

    // MARK: Parts

    private var members: Section {
        let lines = MembersCommand.table(frame.members).lines
        let sorted = frame.members
        return Section(
            lines.enumerated().map { index, line in
                guard index > 0, sorted.indices.contains(index - 1) else {
                    return TopLine(line, .bold)
                }
                let member = sorted[index - 1]
                let isWell = member.status == "alive" && !member.isLeaving && member.isConnected
                return TopLine(line, isWell ? nil : member.status == "dead" ? .bad : .warning)
            }, keepsEnd: false)
    }

    private var models: Section {
        Section(frame.models.flatMap { lines(of: $0) }, keepsEnd: false)
    }

    private func lines(of model: ModelDocument) -> [TopLine] {
        guard model.isReady, let plan = frame.plans[model.name] else {
            let reason =
                model.isReady ? "ready" : "not ready: " + (model.reason ?? "no reason given")
            return [TopLine("\(model.name): \(reason)", model.isReady ? .bold : .bad)]
        }
        let load = PlanLoad(plan)
        func span(_ microseconds: Int64) -> String {
            Figures.milliseconds(microseconds: microseconds) + " ms"
        }
        let measured = load.periodMicroseconds.map { ", \(span($0)) measured" } ?? ""
        var table = Table(
            "  STAGE", "MODE", "NODES", ">OPERATORS", ">EXPECTED", ">MEASURED", ">LINKS", "LIMIT")
        for (index, stage) in plan.stages.enumerated() {
            table.add(
                "  \(index + 1)", stage.mode, stage.nodes.joined(separator: ", "),
                "\(stage.first)-\(stage.last)", span(stage.predictedMicroseconds),
                stage.measuredMicroseconds.map(span) ?? "-", span(stage.linkMicroseconds),
                index == load.bottleneck ? "<- bottleneck: \(load.limit.rawValue)" : "")
        }
        let title = TopLine(
            "\(model.name): ready, plan \(plan.plan.prefix(8)), an answer per "
                + "\(span(plan.predictedPeriodMicroseconds)) expected\(measured); limit: "
                + plan.bottleneck, .bold)
        return [title]
            + table.lines.enumerated().map { index, line in
                TopLine(
                    line, index == 0 ? .dim : index - 1 == load.bottleneck ? .warning : nil)
            }
    }

    private var events: Section {
        let shown = frame.events.suffix(Self.eventsMax)
        guard !shown.isEmpty else { return Section([], keepsEnd: true) }
        return Section(
            [TopLine("LAST EVENTS", .bold)]
                + shown.map { event in
                    let line = EventLine(event)
                    return TopLine("\(line.time)  \(line.kind)  \(line.text)")
                }, keepsEnd: true)
    }
}

/// What an agent's counters gained per second between two looks.
struct TopRates {
    private let seconds: Double
    private let before: [String: UInt64]
    private let after: [String: UInt64]

    /// Compares by the agent's own clock; an agent that started again has no past.
    init(_ previous: StatusDocument?, _ status: StatusDocument) {
        let span = status.uptimeMicroseconds - (previous?.uptimeMicroseconds ?? .max)
        seconds = previous?.id == status.id ? Double(span) / 1e6 : 0
        before = previous?.counters ?? [:]
        after = status.counters
    }

    /// Per second; nil if it is not known.
    func perSecond(_ counter: String) -> Double? {
        guard seconds > 0, let old = before[counter], let new = after[counter], new >= old else {
            return nil
        }
        return Double(new - old) / seconds
    }

    /// So many per second, in words.
    func count(_ counter: String) -> String {
        perSecond(counter).map { Figures.decimal($0, places: 1) + "/s" } ?? "-"
    }

    /// So many bytes per second, in words.
    func bytes(_ counter: String) -> String {
        perSecond(counter).map { Figures.decimal($0 / 1e6, places: 2) + " MB/s" } ?? "-"
    }
}
