import ArgumentParser

/// Spans of time as people write them on the command line, such as `10m`.
enum SpanText {
    /// Longer than any agent keeps events.
    private static let daysMax = 1_000.0
    private static let secondsOfUnit = [
        ("ms", 0.001), ("min", 60), ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400),
    ]

    /// Microseconds of a span with a unit; nil for anything else.
    static func microseconds(_ text: String) -> Int64? {
        guard let unit = secondsOfUnit.first(where: { text.hasSuffix($0.0) }) else { return nil }
        return microseconds(text.dropLast(unit.0.count), unitSeconds: unit.1)
    }

    /// A span with a unit, or a number of seconds, within limits; throws what is wrong otherwise.
    static func duration(
        _ text: String, option: String, from least: Duration, to most: Duration
    ) throws -> Duration {
        let value = microseconds(text) ?? microseconds(text[...], unitSeconds: 1)
        guard let value, (least...most).contains(.microseconds(value)) else {
            throw ValidationError(
                "'\(text)' after \(option) is not a time from \(short(least)) to \(short(most)), "
                    + "such as 5s or 2m.")
        }
        return .microseconds(value)
    }

    private static func microseconds(_ digits: Substring, unitSeconds: Double) -> Int64? {
        guard let number = Double(digits),
            digits.utf8.allSatisfy({ "0123456789.".utf8.contains($0) }),
            number * unitSeconds <= daysMax * 86_400
        else { return nil }
        return Int64((number * unitSeconds * 1e6).rounded())
    }

    private static func short(_ duration: Duration) -> String {
        let milliseconds = Int64((duration / .milliseconds(1)).rounded())
        return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000)s" : "\(milliseconds)ms"
    }
}
