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
        case failed

        /// What the process says with its exit code: the codes of `check`.
        var code: Int32 {
            switch self {
            case .good: 0
            case .warning: 1
            case .failed: 2
            }
        }
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
    static func failed(_ check: String, _ text: String, next: String) -> DoctorFinding {
        DoctorFinding(check: check, state: .failed, text: text, next: next)
    }
}

/// `doctor --json`.
struct DoctorDocument: Codable {
    /// The version of this form.
    var version = controlVersion
    /// The worst of the findings.
    var state: DoctorFinding.State
    /// What the process ends with.
    var code: Int32
    /// The findings, in the order in which the checks ran.
    var checks: [DoctorFinding]

    /// The document of findings.
    init(_ checks: [DoctorFinding]) {
        let worst = checks.map(\.state).max { $0.code < $1.code } ?? .good
        state = worst
        code = worst.code
        self.checks = checks
    }
}

/// `tessera doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check what an agent needs on this machine, and say what to do.",
        discussion: """
            Takes the flags of `tessera agent` to look at an agent with other settings, running or \
            not. For root the settings of the packaged service, /etc/tessera/agent.yaml, are the \
            default. What it prints is fit to paste into a report; it shows no secret.

            Exit codes: 0 ok, 1 warning, 2 something failed. 64 wrong usage.
            """)

    @OptionGroup var options: AgentOptions

    @Flag(name: .customLong("json"), help: "Print one JSON document with a version field.")
    var isJSON = false

    func run() async throws {
        let configuration = try options.configuration(otherwise: Environment.serviceSettings)
        let document = DoctorDocument(await Doctor(configuration).run())
        if isJSON {
            Console.line(try JSONText.pretty(document))
        } else {
            for finding in document.checks { show(finding) }
        }
        if document.state != .good { throw ExitCode(document.code) }
    }

    private func show(_ finding: DoctorFinding) {
        let mark =
            switch finding.state {
            case .good: Style.good("ok     ")
            case .warning: Style.warning("warning")
            case .failed: Style.bad("failed ")
            }
        Console.line("\(mark)  \(finding.check): \(Figures.printable(finding.text))")
        if let next = finding.next { Console.line("         -> \(next)") }
    }
}
