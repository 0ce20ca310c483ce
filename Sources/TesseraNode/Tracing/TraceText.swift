import Tracing

/// How values are written in OTLP's JSON.
enum TraceText {
    /// Longer texts are cut: reasons of engines may be pages.
    private static let textScalarsMax = 1_024

    /// A text in quotes, not longer than is of use.
    static func quoted(_ text: String) -> String {
        String(text.unicodeScalars.prefix(textScalarsMax)).quotedForJSON
    }

    /// Attributes, ascending by name.
    static func list(_ attributes: SpanAttributes) -> String {
        var pairs: [(key: String, value: String)] = []
        attributes.forEach { key, value in pairs.append((key, text(of: value))) }
        pairs.sort { $0.key < $1.key }
        let texts = pairs.map { "{\"key\":\(quoted($0.key)),\"value\":{\($0.value)}}" }
        return "[" + texts.joined(separator: ",") + "]"
    }

    private static func text(of value: SpanAttribute) -> String {
        switch value {
        case .int32(let number): "\"intValue\":\"\(number)\""
        case .int64(let number): "\"intValue\":\"\(number)\""
        case .double(let number) where number.isFinite: "\"doubleValue\":\(number)"
        case .bool(let flag): "\"boolValue\":\(flag)"
        case .string(let text): "\"stringValue\":" + quoted(text)
        case .stringConvertible(let value): "\"stringValue\":" + quoted("\(value)")
        // Lists are not used here; their text says enough.
        default: "\"stringValue\":" + quoted("\(value)")
        }
    }
}
