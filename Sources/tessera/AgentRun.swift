/// Runs an agent until it leaves.
struct AgentRun {
    private let configuration: AgentConfiguration

    init(_ configuration: AgentConfiguration) { self.configuration = configuration }

    func run() async throws {
        throw CommandFailure("agent \(configuration.name) is not wired")
    }
}
