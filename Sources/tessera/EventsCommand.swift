import ArgumentParser
import TesseraAPI

/// `tessera events`.
struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show what happened in the mesh, as one agent saw it.",
        discussion: """
            Times are since the agent started. --failover shows for each lost node what followed, \
            in milliseconds since the loss was noticed.

            Of --kind, --model and --node an event has to match each one given; the exit code is 2 \
            if none does. Kinds are: \(EventKind.allCases.map(\.rawValue).joined(separator: ", ")).
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

    @Option(
        help: ArgumentHelp(
            "Only events after the one with this number, or not older than this time, such as 10m.",
            valueName: "number|time"))
    var since = "0"

    @Option(
        name: .customLong("kind"),
        help: ArgumentHelp("Only events of this kind; repeatable.", valueName: "kind"))
    var kinds: [String] = []

    @Option(help: ArgumentHelp("Only events about this model.", valueName: "name"))
    var model: String?

    @Option(help: ArgumentHelp("Only events about this node.", valueName: "name"))
    var node: String?

    func validate() throws {
        if follow && failover {
            throw ValidationError("--failover looks back; it cannot be combined with --follow.")
        }
        if failover && (!kinds.isEmpty || model != nil) {
            throw ValidationError(
                "--failover shows what follows a loss; it cannot be combined with --kind and "
                    + "--model.")
        }
        if EventFilter.start(since) == nil {
            throw ValidationError(
                "'\(since)' after --since is neither the number of an event nor a time such as "
                    + "90s, 10m, 2h or 1d.")
        }
        for kind in kinds where EventKind(rawValue: kind) == nil {
            throw ValidationError(
                "'\(kind)' is not a kind of event; known are "
                    + EventKind.allCases.map(\.rawValue).joined(separator: ", ") + ".")
        }
    }

    func run() async throws {
        var timeline = FailoverTimeline()
        // What follows a loss is not all about the node: it is filtered when it is put together.
        var filter = EventFilter(
            kinds: Set(kinds), model: model, node: failover ? nil : node)
        var shown = 0
        try await APIClient.with(api) { client in
            var after: UInt64 = 0
            switch EventFilter.start(since) {
            case .ago(let microseconds):
                let status = try await client.document(
                    StatusDocument.self, at: "/tessera/v1/status")
                filter.earliestMicroseconds = status.uptimeMicroseconds - microseconds
            case .number(let number): after = number
            case nil: break
            }
            let path = "/tessera/v1/events?since=\(after)" + (follow ? "&follow=1" : "")
            try await client.lines(at: path) { line in
                let event = try client.event(line)
                guard filter.accepts(event) else { return true }
                if failover {
                    timeline.take(event)
                } else {
                    try show(event)
                    shown += 1
                }
                return true
            }
        }
        if failover { return try show(timeline) }
        if shown == 0 && filter.isParticular && !follow {
            throw CommandFailure("no event matches.", code: .nothingMatched)
        }
    }

    private func show(_ event: EventDocument) throws {
        if isJSON {
            Console.line(try JSONText.compact(event))
            return
        }
        let line = EventLine(event)
        Console.line("\(line.time)  \(Style.bold(line.kind))  \(line.text)")
    }

    private func show(_ all: FailoverTimeline) throws {
        let timeline = node.map(all.only(about:)) ?? all
        if isJSON {
            Console.line(try JSONText.pretty(FailoversDocument(losses: timeline.losses)))
        } else if timeline.losses.isEmpty {
            Console.message("no node was lost since this agent started")
        } else {
            timeline.table.show()
        }
    }
}
