import ArgumentParser
import NIOHTTP1
import TesseraAPI

/// `tessera drain`.
struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Make an agent leave the mesh without dropping a request.",
        discussion: """
            Does what SIGTERM does, from anywhere: the agent takes no new requests, the others \
            decide plans without it, it ends what it has begun, and its process ends with 0. \
            Returns when that is done. Needs the agent's admin token, or one with the right to admin. A service manager that \
            restarts agents which end with 0 starts it again.
            """)

    @Option(
        help: ArgumentHelp(
            """
            How long to wait for it; it leaves all the same. An agent goes after 25 s, whatever is \
            left.
            """, valueName: "time"))
    var timeout = "60s"

    @OptionGroup var api: APIOptions

    /// Often enough for a person, rarely enough for the agent.
    private static let pollPeriod = Duration.milliseconds(100)

    func validate() throws { _ = try limit() }

    private func limit() throws -> Duration {
        try SpanText.duration(timeout, option: "--timeout", from: .seconds(1), to: .seconds(86_400))
    }

    func run() async throws {
        let limit = try limit()
        try await APIClient.with(api, token: try api.adminToken()) { client in
            let status = try await client.document(StatusDocument.self, at: "/tessera/v1/status")
            let name = Figures.printable(status.name)
            let begin = ContinuousClock.now
            try APIClient.check(try await client.call(.POST, "/tessera/v1/drain"))
            Console.message("\(name) is leaving")
            while await client.isServed() {
                guard ContinuousClock.now - begin < limit else {
                    throw CommandFailure(
                        """
                        \(name) is still there after \(timeout). It goes on leaving; its log says \
                        what it does. `tessera drain` again waits on, and a signal SIGTERM ends it.
                        """)
                }
                try await Task.sleep(for: Self.pollPeriod)
            }
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            Console.line("\(name) has left after \(Figures.decimal(seconds, places: 1)) s")
        }
    }
}
