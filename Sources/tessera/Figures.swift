/// Figures and foreign text as people read them.
enum Figures {
    /// Bytes with a binary unit.
    static func bytes(_ count: Int) -> String {
        var value = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
            if value < 1_024 || unit == "TiB" {
                return unit == "B" ? "\(count) B" : "\(decimal(value, places: 1)) \(unit)"
            }
            value /= 1_024
        }
        return "\(count) B"
    }

    /// Milliseconds with three significant places or so.
    static func milliseconds(_ value: Double) -> String {
        decimal(value, places: value < 10 ? 2 : value < 100 ? 1 : 0)
    }

    /// Microseconds as milliseconds.
    static func milliseconds(microseconds: Int64) -> String {
        milliseconds(Double(microseconds) / 1_000)
    }

    /// An energy in joules or millijoules.
    static func energy(joules: Double) -> String {
        joules < 1 ? milliseconds(joules * 1_000) + " mJ" : milliseconds(joules) + " J"
    }

    /// A span as days, hours, minutes and seconds, the two greatest of them.
    static func span(microseconds: Int64) -> String {
        let seconds = microseconds / 1_000_000
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"),
            (seconds % 60, "s"),
        ]
        let shown = parts.drop { $0.0 == 0 }.prefix(2).map { "\($0.0) \($0.1)" }
        return shown.isEmpty ? "0 s" : shown.joined(separator: " ")
    }

    /// A number with a fixed count of places.
    static func decimal(_ value: Double, places: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        var scale = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = Int((abs(value) * Double(scale)).rounded())
        let sign = value < 0 && scaled != 0 ? "-" : ""
        guard places > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: places - fraction.count)
        return "\(sign)\(scaled / scale).\(zeros)\(fraction)"
    }

    /// Text from elsewhere without anything that a terminal would obey.
    static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.value {
                    case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069:
                        " "
                    default: scalar
                    }
                }))
    }
}
