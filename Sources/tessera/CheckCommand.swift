import ArgumentParser
import TesseraAPI

/// `tessera check`.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare an agent and its mesh with limits, for monitoring.",
        discussion: """
            Prints one line as monitoring plugins do: the state, what is wrong, and behind a bar \
            figures for graphs.

            Critical is: the agent is not ready, too few members, a model of --model that is not \
            ready. A warning is: a limit of time or memory is exceeded, or the agent's health says \
            that something is wrong (the lines of `tessera status` that begin with #). Times are \
            those that the plan's stages were measured with; one that was not measured yet exceeds \
            nothing.

            Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown: no agent answers, or not as one. \
            64 wrong usage.
            """)

    @Option(
        name: .customLong("members"),
        help: ArgumentHelp("At least so many members are alive.", valueName: "count"))
    var membersMin: Int?

    @Option(
        name: .customLong("model"),
        help: ArgumentHelp("This model is ready; repeatable.", valueName: "name"))
    var models: [String] = []

    @Option(
        name: .customLong("max-latency"),
        help: ArgumentHelp(
            "One item alone takes no longer, such as 80ms: for each --model, else for all.",
            valueName: "time"))
    var latencyMax: String?

    @Option(
        name: .customLong("max-period"),
        help: ArgumentHelp(
            "In a stream an answer takes no longer, such as 20ms: for each --model, else for all.",
            valueName: "time"))
    var periodMax: String?

    @Option(
        name: .customLong("memory"),
        help: ArgumentHelp(
            "No more of the agent's memory budget is reserved, such as 80.", valueName: "percent"))
    var memoryMax: String?

    @OptionGroup var reading: ReadingOptions

    func validate() throws { _ = try check() }

    private func check() throws -> Check {
        if let membersMin, membersMin < 1 {
            throw ValidationError("--members is at least 1.")
        }
        func microseconds(_ text: String?) throws -> Int64? {
            try text.map { Int64(max(1, try PlanQuantities.nanoseconds($0) / 1_000)) }
        }
        return Check(
            membersMin: membersMin, models: models,
            latencyMicrosecondsMax: try microseconds(latencyMax),
            periodMicrosecondsMax: try microseconds(periodMax),
            memoryPercentMax: try memoryMax.map(Self.percent))
    }

    private static func percent(_ text: String) throws -> Int {
        let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
        guard let value = Int(digits), (0...100).contains(value) else {
            throw ValidationError("'\(text)' after --memory is not a percentage from 0 to 100.")
        }
        return value
    }

    func run() async throws {
        let check = try check()
        let result: CheckDocument
        do {
            result = try await APIClient.with(reading.api) { client in
                let status = try await client.document(
                    StatusDocument.self, at: "/tessera/v1/status")
                let models = try await client.document(
                    ModelsDocument.self, at: "/tessera/v1/models")
                var plans: [PlanDocument] = []
                for name in check.planned(models) {
                    if let plan = try await client.plan(of: name) { plans.append(plan) }
                }
                return check.result(status: status, models: models, plans: plans)
            }
        } catch let failure as CommandFailure where failure.code != .usage {
            let reason = failure.message.split(separator: "\n").first.map(String.init)
            result = CheckDocument(unknown: reason ?? "it cannot be told")
        }
        Console.line(reading.isJSON ? try JSONText.pretty(result) : result.line)
        if result.state != .ok { throw ExitCode(result.code) }
    }
}
