/// Writes metrics in Prometheus's text format, version 0.0.4.
public enum MetricText {
    /// The content type of the format.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// The text of families, in their order; those without samples are left out.
    public static func render(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in families where !family.samples.isEmpty {
            text += "# HELP \(family.name) \(escaped(help: family.help))\n"
            text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                text += family.name + sample.suffix + labels(sample.labels) + " "
                text += number(sample.value) + "\n"
            }
        }
        return text
    }

    private static func labels(_ labels: [MetricSample.Label]) -> String {
        guard !labels.isEmpty else { return "" }
        let parts = labels.map { "\($0.name)=\"\(escaped(value: $0.value))\"" }
        return "{" + parts.joined(separator: ",") + "}"
    }

    /// Backslashes and line ends are escaped.
    static func escaped(help text: String) -> String {
        escape(text, quotes: false)
    }

    /// Backslashes, line ends and quotes are escaped.
    static func escaped(value text: String) -> String {
        escape(text, quotes: true)
    }

    private static func escape(_ text: String, quotes: Bool) -> String {
        var result = ""
        // Scalar by scalar: a line end of two characters is one `Character`.
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A number as the format has it; whole ones without a fraction.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Beyond this not every whole number is a `Double`.
        if value == value.rounded(), abs(value) < 9_007_199_254_740_992 {
            return "\(Int64(value))"
        }
        return "\(value)"
    }
}
