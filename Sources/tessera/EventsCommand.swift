import ArgumentParser
import TesseraAPI

/// `tessera events`.
struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show what happened in the mesh, as one agent saw it.",
        discussion: """
            Times are since the agent started. --failover shows for each lost node what followed, \
            in milliseconds since the loss was noticed.
            """)

    @OptionGroup var api: APIOptions

    @Flag(help: "Go on and show events as they come, until interrupted.")
    var follow = false

    @Flag(help: "Show only what followed each loss of a node.")
    var failover = false

    @Flag(
        name: .customLong("json"),
        help: """
            Print JSON: one document per line and event, or with --failover one document for all.
            """)
    var isJSON = false

    @Option(help: ArgumentHelp("Only events after this number.", valueName: "number"))
    var since: UInt64 = 0

    func validate() throws {
        if follow && failover {
            throw ValidationError("--failover looks back; it cannot be combined with --follow.")
        }
    }

    func run() async throws {
        var timeline = FailoverTimeline()
        let path = "/tessera/v1/events?since=\(since)" + (follow ? "&follow=1" : "")
        try await APIClient.with(api) { client in
            try await client.lines(at: path) { line in
                let event: EventDocument
                do {
                    event = try JSONText.read(EventDocument.self, line)
                } catch {
                    throw CommandFailure(
                        "an event of \(client.base) cannot be read (\(error)). Compare `tessera "
                            + "version` with the version of the agent.")
                }
                if failover {
                    timeline.take(event)
                } else {
                    try show(event)
                }
                return true
            }
        }
        if failover { try show(timeline) }
    }

    private func show(_ event: EventDocument) throws {
        if isJSON {
            Console.line(try JSONText.compact(event))
            return
        }
        let seconds = Figures.decimal(Double(event.atMicroseconds) / 1_000_000, places: 3)
        let time = String(repeating: " ", count: max(0, 11 - seconds.count)) + seconds
        let kind = event.kind + String(repeating: " ", count: max(0, 12 - event.kind.count))
        Console.line("\(time) s  \(Style.bold(kind))  \(Figures.printable(event.text))")
    }

    private func show(_ timeline: FailoverTimeline) throws {
        if isJSON {
            Console.line(try JSONText.pretty(FailoversDocument(losses: timeline.losses)))
        } else if timeline.losses.isEmpty {
            Console.message("no node was lost since this agent started")
        } else {
            timeline.table.show()
        }
    }
}
