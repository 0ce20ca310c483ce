import TesseraAPI

/// How an agent and its mesh are, in the words and exit codes of monitoring plugins.
enum CheckState: String, Codable, Comparable, Sendable {
    case ok
    case warning
    case critical
    case unknown

    /// What the process says with its exit code.
    var code: Int32 {
        switch self {
        case .ok: 0
        case .warning: 1
        case .critical: 2
        case .unknown: 3
        }
    }

    static func < (left: CheckState, right: CheckState) -> Bool { left.code < right.code }
}

/// One thing that is not as it has to be.
struct CheckFinding: Codable, Equatable, Sendable {
    /// How bad it is.
    var state: CheckState
    /// For people.
    var text: String
}

/// A figure for the graphs of a monitoring system.
struct CheckFigure: Codable, Equatable, Sendable {
    /// What it is.
    var name: String
    /// The value.
    var value: Double
    /// `%`, `ms`, or nothing for a count.
    var unit: String
    /// Above this it is a warning.
    var warningAbove: Double?
    /// Below this it is critical.
    var criticalBelow: Double?
}

/// `check --json`.
struct CheckDocument: Codable, Equatable, Sendable {
    /// The version of this form.
    var version = controlVersion
    /// The worst of all findings.
    var state: CheckState
    /// The exit code.
    var code: Int32
    /// What is wrong, or that nothing is.
    var text: String
    /// What is wrong, one by one, the worst first.
    var findings: [CheckFinding]
    /// What was measured.
    var figures: [CheckFigure]

    /// The result for findings; without any all is well, as `summary` says.
    init(findings: [CheckFinding], figures: [CheckFigure], summary: String) {
        self.findings =
            findings.filter { $0.state == .critical } + findings.filter { $0.state != .critical }
        self.figures = figures
        state = findings.map(\.state).max() ?? .ok
        code = state.code
        text = findings.isEmpty ? summary : self.findings.map(\.text).joined(separator: "; ")
    }

    /// The result if no agent could be asked.
    init(unknown reason: String) {
        self.init(
            findings: [CheckFinding(state: .unknown, text: reason)], figures: [], summary: "")
    }

    /// One line as monitoring plugins print it: state, text, and behind a bar the figures.
    var line: String {
        let words = Figures.printable(text.replacing("|", with: "/"))
        let line = "TESSERA \(state.rawValue.uppercased()): \(words)"
        return figures.isEmpty
            ? line : line + " | " + figures.map(\.text).joined(separator: " ")
    }
}

extension CheckFigure {
    /// `name=value[unit];[warning];[critical]`.
    fileprivate var text: String {
        // The form has no way to write other characters that every reader understands.
        let label = name.map { character in
            character.isASCII
                && (character.isLetter || character.isNumber || character == "-"
                    || character == "." || character == "_")
                ? character : "_"
        }
        func short(_ value: Double) -> String {
            let text = Figures.decimal(value, places: 2)
            return text.hasSuffix(".00") ? String(text.dropLast(3)) : text
        }
        var text = "\(String(label))=\(short(value))\(unit)"
        if warningAbove != nil || criticalBelow != nil {
            text += ";" + (warningAbove.map(short) ?? "")
        }
        if let criticalBelow { text += ";\(short(criticalBelow)):" }
        return text
    }
}

/// Compares what an agent says with what an operator expects.
struct Check {
    /// At least so many members have to be alive.
    var membersMin: Int?
    /// These models have to be ready.
    var models: [String] = []
    /// One item alone may take this long.
    var latencyMicrosecondsMax: Int64?
    /// In a stream there has to be an answer each time this has passed.
    var periodMicrosecondsMax: Int64?
    /// So much of the memory budget may be reserved.
    var memoryPercentMax: Int?

    /// Whether a limit is compared with plans.
    var needsPlans: Bool { latencyMicrosecondsMax != nil || periodMicrosecondsMax != nil }

    /// The names of the models whose plans are looked at: those named, else all that are ready.
    func planned(_ document: ModelsDocument) -> [String] {
        guard needsPlans else { return [] }
        return document.models.filter { model in
            model.isReady && (models.isEmpty || models.contains(model.name))
        }.map(\.name).sorted()
    }

    /// The result for what an agent says; `plans` are those of `planned`.
    func result(
        status: StatusDocument, models document: ModelsDocument, plans: [PlanDocument]
    ) -> CheckDocument {
        var findings: [CheckFinding] = []
        func note(_ state: CheckState, _ text: String) {
            findings.append(CheckFinding(state: state, text: Figures.printable(text)))
        }
        if !status.isReady {
            note(.critical, "\(status.name) is not ready: \(status.reason ?? "it is starting")")
        }
        if let membersMin, status.membersAlive < membersMin {
            note(.critical, "\(status.membersAlive) members alive, expected are \(membersMin)")
        }
        for name in models {
            guard let model = document.models.first(where: { $0.name == name }) else {
                note(.critical, "the mesh has no model \(name)")
                continue
            }
            if !model.isReady {
                note(.critical, "model \(name) is not ready: \(model.reason ?? "no reason given")")
            }
        }
        let percent = Self.percent(status)
        if let memoryPercentMax, percent > Double(memoryPercentMax) {
            note(
                .warning,
                "\(Figures.decimal(percent, places: 0)) % of the memory is reserved, more than "
                    + "\(memoryPercentMax) %")
        }
        var figures = [
            CheckFigure(
                name: "members", value: Double(status.membersAlive), unit: "",
                criticalBelow: membersMin.map(Double.init)),
            CheckFigure(
                name: "models_ready", value: Double(document.models.count(where: \.isReady)),
                unit: ""),
            CheckFigure(name: "open_requests", value: Double(status.openRequests), unit: ""),
            CheckFigure(
                name: "memory", value: percent, unit: "%",
                warningAbove: memoryPercentMax.map(Double.init)),
        ]
        for plan in plans {
            let (slow, times) = compare(plan)
            findings += slow
            figures += times
        }
        // A model that has to be ready and is not is there already, as what it is: critical.
        for line in status.health
        where !models.contains(where: { line.hasPrefix("model \($0) is not served") }) {
            note(.warning, line)
        }
        return CheckDocument(
            findings: findings, figures: figures, summary: summary(status, document, plans))
    }

    private static func percent(_ status: StatusDocument) -> Double {
        status.memoryBytes > 0
            ? Double(status.reservedBytes) * 100 / Double(status.memoryBytes) : 0
    }

    private func compare(_ plan: PlanDocument) -> (findings: [CheckFinding], [CheckFigure]) {
        let load = PlanLoad(plan)
        var findings: [CheckFinding] = []
        var figures: [CheckFigure] = []
        let times = [
            ("latency", latencyMicrosecondsMax, load.latencyMicroseconds, "for one item alone"),
            ("period", periodMicrosecondsMax, load.periodMicroseconds, "per answer in a stream"),
        ]
        for (name, limit, measured, words) in times {
            guard let limit, let measured else { continue }
            figures.append(
                CheckFigure(
                    name: "\(name)_\(plan.model)", value: Double(measured) / 1_000, unit: "ms",
                    warningAbove: Double(limit) / 1_000))
            guard measured > limit else { continue }
            findings.append(
                CheckFinding(
                    state: .warning,
                    text: Figures.printable(
                        "\(plan.model) takes \(Figures.milliseconds(microseconds: measured)) ms "
                            + "\(words), more than \(Figures.milliseconds(microseconds: limit)) ms")
                ))
        }
        return (findings, figures)
    }

    private func summary(
        _ status: StatusDocument, _ document: ModelsDocument, _ plans: [PlanDocument]
    ) -> String {
        let ready = document.models.count(where: \.isReady)
        let unmeasured = plans.filter { PlanLoad($0).periodMicroseconds == nil }.map(\.model)
        return "\(status.name) is ready, \(status.membersAlive) members alive, "
            + "\(ready) of \(document.models.count) models ready, "
            + "\(Figures.decimal(Self.percent(status), places: 0)) % of the memory reserved"
            + (unmeasured.isEmpty
                ? "" : ", not measured yet: " + unmeasured.joined(separator: ", "))
    }
}
