#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The time of day, for people only: nothing is decided by it.
enum WallClock {
    /// Now in UTC, with milliseconds, as RFC 3339 has it.
    static var now: String { text(secondsSince1970: Date().timeIntervalSince1970) }

    /// A moment in UTC.
    static func text(secondsSince1970 seconds: Double) -> String {
        Date(timeIntervalSince1970: seconds)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
