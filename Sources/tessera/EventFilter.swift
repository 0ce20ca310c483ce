import TesseraAPI

/// Which events are asked for.
struct EventFilter: Equatable {
    /// From where on.
    enum Start: Equatable {
        /// After the event with this number.
        case number(UInt64)
        /// Not longer ago than this.
        case ago(microseconds: Int64)
    }

    /// Only these kinds; empty for all.
    var kinds: Set<String> = []
    /// Only about this model.
    var model: String?
    /// Only about this node.
    var node: String?
    /// Only not before this time of the agent's clock.
    var earliestMicroseconds = Int64.min

    /// Whether it asks for something in particular.
    var isParticular: Bool { !kinds.isEmpty || model != nil || node != nil }

    /// Whether an event is asked for.
    func accepts(_ event: EventDocument) -> Bool {
        event.atMicroseconds >= earliestMicroseconds
            && (kinds.isEmpty || kinds.contains(event.kind))
            && (model == nil || event.model == model) && (node == nil || event.node == node)
    }

    /// Reads a number, or a span such as `10m`; nil for anything else.
    static func start(_ text: String) -> Start? {
        if let number = UInt64(text) { return .number(number) }
        return SpanText.microseconds(text).map { .ago(microseconds: $0) }
    }
}

/// An event as people read it.
struct EventLine {
    /// When, since the agent started.
    let time: String
    /// The kind.
    let kind: String
    /// What happened.
    let text: String

    init(_ event: EventDocument) {
        let seconds = Figures.decimal(Double(event.atMicroseconds) / 1_000_000, places: 3)
        time = String(repeating: " ", count: max(0, 11 - seconds.count)) + seconds + " s"
        let name = Figures.printable(event.kind)
        kind = name + String(repeating: " ", count: max(0, 12 - name.count))
        text = Figures.printable(event.text)
    }
}

extension APIClient {
    /// An event of a line.
    func event(_ line: [UInt8]) throws -> EventDocument {
        do {
            return try JSONText.read(EventDocument.self, line)
        } catch {
            throw CommandFailure(
                "an event of \(base) cannot be read (\(error)). Compare `tessera "
                    + "version` with the version of the agent.")
        }
    }
}
