/// A line that says how far a long command is, while messages go to a terminal.
struct ProgressBar {
    /// Faster than this nobody reads.
    private static let period = Duration.milliseconds(100)

    private let total: Int
    private let unit: (Int) -> String
    private let isShown = Console.messagesAreOnTerminal
    private let begin = ContinuousClock.now
    private var shownAt: ContinuousClock.Instant?
    private var hasText = false

    /// Makes a bar for so many steps; `unit` writes a count of them.
    init(total: Int, unit: @escaping (Int) -> String = { "\($0)" }) {
        self.total = total
        self.unit = unit
    }

    /// Shows how many steps are done.
    mutating func show(_ done: Int, errors: Int = 0) {
        guard isShown else { return }
        let now = ContinuousClock.now
        if let shownAt, now - shownAt < Self.period, done < total { return }
        shownAt = now
        hasText = true
        let seconds = (now - begin) / .seconds(1)
        let rate = seconds > 0 ? Double(done) / seconds : 0
        var text = " \(unit(done)) of \(unit(total))"
        if rate > 0, done < total {
            let left = Int64(Double(total - done) / rate * 1_000_000)
            text += ", \(Figures.span(microseconds: left)) left"
        }
        if errors > 0 { text += ", \(errors) errors" }
        let width = max(0, min(40, Console.messageColumns - text.count - 3))
        let filled = total > 0 ? width * done / total : width
        let bar =
            String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        Console.messagePart("\r\u{1B}[K\(bar)\(text)")
    }

    /// Clears the line.
    mutating func end() {
        if hasText { Console.messagePart("\r\u{1B}[K") }
        hasText = false
    }
}
