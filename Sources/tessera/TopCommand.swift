import ArgumentParser
import UnixSignals

/// `tessera top`.
struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Watch an agent and its mesh live.",
        discussion: """
            Shows the agent, the members with their links, what runs for each model with the stage \
            that limits it, and the last events, until Ctrl-C. Answers and bytes per second are \
            what the agent counted between two looks. Without a terminal it prints one frame after \
            the other.
            """)

    @Option(
        help: ArgumentHelp("How long from frame to frame, such as 500ms or 5s.", valueName: "time"))
    var interval = "1s"

    @Flag(help: "Print one frame, with what was counted during one interval, and end.")
    var once = false

    @OptionGroup var api: APIOptions

    func validate() throws { _ = try period() }

    private func period() throws -> Duration {
        try SpanText.duration(
            interval, option: "--interval", from: .milliseconds(100), to: .seconds(3_600))
    }

    func run() async throws {
        let period = try period()
        try await APIClient.with(api, connections: 2) { client in
            var source = TopSource(client)
            // Before the screen is taken: is there an agent at all?
            let first = try await source.next()
            if once {
                try await Task.sleep(for: period)
                Screen.show(TopView(try await source.next()), isLive: false)
                return
            }
            let isLive = Console.isTerminal
            if isLive { Screen.enter() }
            defer { if isLive { Screen.leave() } }
            let begun = source
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    try await Self.watch(begun, first: first, period: period, isLive: isLive)
                }
                tasks.addTask {
                    for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { return }
                }
                defer { tasks.cancelAll() }
                try await tasks.next()
            }
        }
    }

    /// Draws until it is cancelled.
    private static func watch(
        _ source: TopSource, first: TopFrame, period: Duration, isLive: Bool
    ) async throws {
        var source = source
        var frame = first
        while true {
            Screen.show(TopView(frame), isLive: isLive)
            try await Task.sleep(for: period)
            if !isLive { Console.line() }
            do {
                frame = try await source.next()
            } catch let failure as CommandFailure {
                // It may come back; what it said last stays on the screen.
                frame.notice = failure.message.split(separator: "\n").first.map(String.init)
            }
        }
    }
}

/// The terminal that `tessera top` draws on.
private enum Screen {
    /// Takes the other screen, hides the cursor, and cuts long lines rather than wrapping them.
    static func enter() { Console.part("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l") }

    /// Gives the terminal back as it was.
    static func leave() { Console.part("\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l") }

    /// Draws a frame over the one before, or prints it.
    static func show(_ view: TopView, isLive: Bool) {
        let size = Console.size
        let hasColour = Console.hasColour
        let lines = view.lines(rows: isLive ? size?.rows : nil).map {
            $0.rendered(columns: size?.columns, hasColour: hasColour)
        }
        guard isLive else { return Console.part(lines.joined(separator: "\n") + "\n") }
        // From the top, each line cleared behind its end, and then what is below.
        Console.part(
            "\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J")
    }
}
