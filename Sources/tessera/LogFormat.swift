import Logging
import TesseraNode

/// How lines of the log are written.
enum LogFormat: String, CaseIterable, Sendable {
    /// For people.
    case text
    /// A JSON object per line, for programs.
    case json
}

/// Writes each line of the log as one JSON object: `time`, `level`, `label`, `message`, and what the
/// line is about in `fields`.
struct JSONLogHandler: LogHandler {
    /// Nested values of a field are written as texts from this depth on.
    private static let depthMax = 4

    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let write: @Sendable (String) -> Void

    /// A handler that gives each line, without its end, to `write`.
    init(label: String, level: Logger.Level, write: @escaping @Sendable (String) -> Void) {
        self.label = label
        logLevel = level
        self.write = write
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let given = event.metadata { fields.merge(given) { $1 } }
        write(
            Self.line(
                time: WallClock.now, level: event.level, label: label,
                message: event.message.description, fields: fields))
    }

    /// The text of a line.
    static func line(
        time: String, level: Logger.Level, label: String, message: String, fields: Logger.Metadata
    ) -> String {
        var text = "{\"time\":\(time.quotedForJSON),\"level\":\"\(level)\""
        text += ",\"label\":\(label.quotedForJSON),\"message\":\(message.quotedForJSON)"
        if !fields.isEmpty { text += ",\"fields\":" + object(fields, depth: 0) }
        return text + "}"
    }

    private static func object(_ fields: Logger.Metadata, depth: Int) -> String {
        let parts = fields.sorted { $0.key < $1.key }.map { key, value in
            "\(key.quotedForJSON):\(Self.text(value, depth: depth))"
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    private static func text(_ value: Logger.MetadataValue, depth: Int) -> String {
        switch value {
        case .dictionary(let fields) where depth < depthMax: object(fields, depth: depth + 1)
        case .array(let values) where depth < depthMax:
            "[" + values.map { text($0, depth: depth + 1) }.joined(separator: ",") + "]"
        default: "\(value)".quotedForJSON
        }
    }
}
