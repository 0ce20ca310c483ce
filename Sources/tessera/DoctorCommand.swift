import ArgumentParser
import TesseraAPI

/// What one check of `doctor` found.
struct DoctorFinding: Codable, Equatable, Sendable {
    /// How serious it is.
    enum State: String, Codable, Sendable {
        /// As it has to be.
        case good = "ok"
        /// It works, but not as well as it could.
        case warning
        /// It does not work.
        case broken
    }

    /// What was checked.
    var check: String
    /// How serious it is.
    var state: State
    /// What was found.
    var text: String
    /// What to do; nil if there is nothing to do.
    var next: String?

    /// All is well.
    static func good(_ check: String, _ text: String) -> DoctorFinding {
        DoctorFinding(check: check, state: .good, text: text, next: nil)
    }

    /// Not as well as it could be.
    static func warning(_ check: String, _ text: String, next: String) -> DoctorFinding {
        DoctorFinding(check: check, state: .warning, text: text, next: next)
    }

    /// It does not work.
    static func broken(_ check: String, _ text: String, next: String) -> DoctorFinding {
        DoctorFinding(check: check, state: .broken, text: text, next: next)
    }
}

/// `doctor --json`.
struct DoctorDocument: Codable {
    /// The version of this form.
    var version = controlVersion
    /// The findings, in the order in which the checks ran.
    var checks: [DoctorFinding]
}

/// `tessera doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check what an agent needs on this machine, and say what to do.",
        discussion: """
            Takes the flags of `tessera agent` to look at an agent with other settings. Exit code 1 \
            if something is broken. What it prints is fit to paste into a report; it shows no \
            secret.
            """)

    @OptionGroup var options: AgentOptions

    @Flag(name: .customLong("json"), help: "Print one JSON document with a version field.")
    var isJSON = false

    func run() async throws {
        let configuration = try options.configuration()
        let findings = await Doctor(configuration).run()
        if isJSON {
            Console.line(try JSONText.pretty(DoctorDocument(checks: findings)))
        } else {
            for finding in findings { show(finding) }
        }
        let broken = findings.count { $0.state == .broken }
        if broken > 0 {
            throw CommandFailure("\(broken) of \(findings.count) checks failed.")
        }
    }

    private func show(_ finding: DoctorFinding) {
        let mark =
            switch finding.state {
            case .good: Style.good("ok     ")
            case .warning: Style.warning("warning")
            case .broken: Style.bad("BROKEN ")
            }
        Console.line("\(mark)  \(finding.check): \(Figures.printable(finding.text))")
        if let next = finding.next { Console.line("         -> \(next)") }
    }
}
