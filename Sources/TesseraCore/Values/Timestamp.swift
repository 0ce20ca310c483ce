/// A point on one node's monotonic clock, in nanoseconds since an origin that only that node knows.
///
/// The core never reads a clock: every event carries the time at which it happened. Timestamps of
/// different nodes are never compared; what travels is a remaining `TimeSpan`.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Nanoseconds since the origin.
    public var nanoseconds: Int64

    /// The origin.
    public static let zero = Timestamp(nanoseconds: 0)
    /// Later than every event.
    public static let never = Timestamp(nanoseconds: .max)

    /// Makes the time so many nanoseconds after the origin.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The order of time.
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The time one span later; `never` stays `never`.
    public static func + (time: Timestamp, span: TimeSpan) -> Timestamp {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(span.nanoseconds)
        return overflow ? .never : Timestamp(nanoseconds: sum)
    }

    /// The time one span earlier.
    public static func - (time: Timestamp, span: TimeSpan) -> Timestamp {
        Timestamp(nanoseconds: time.nanoseconds - span.nanoseconds)
    }

    /// The span from the right time to the left one; negative if the left one is earlier.
    public static func - (left: Timestamp, right: Timestamp) -> TimeSpan {
        TimeSpan(nanoseconds: left.nanoseconds - right.nanoseconds)
    }
}

/// A length of time in nanoseconds.
public struct TimeSpan: Hashable, Comparable, Sendable {
    /// The length.
    public var nanoseconds: Int64

    /// No time at all.
    public static let zero = TimeSpan(nanoseconds: 0)

    /// Makes a span of so many nanoseconds.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// A span of whole microseconds.
    public static func microseconds(_ count: Int64) -> TimeSpan {
        TimeSpan(nanoseconds: count * 1_000)
    }

    /// A span of whole milliseconds.
    public static func milliseconds(_ count: Int64) -> TimeSpan {
        TimeSpan(nanoseconds: count * 1_000_000)
    }

    /// A span of whole seconds.
    public static func seconds(_ count: Int64) -> TimeSpan {
        TimeSpan(nanoseconds: count * 1_000_000_000)
    }

    /// Whole microseconds, rounded towards zero.
    public var microseconds: Int64 { nanoseconds / 1_000 }
    /// Whole milliseconds, rounded towards zero.
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    /// The order of length.
    public static func < (left: TimeSpan, right: TimeSpan) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Both lengths one after the other.
    public static func + (left: TimeSpan, right: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: left.nanoseconds + right.nanoseconds)
    }

    /// What the left length has more than the right one.
    public static func - (left: TimeSpan, right: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: left.nanoseconds - right.nanoseconds)
    }

    /// The length so many times.
    public static func * (span: TimeSpan, factor: Int64) -> TimeSpan {
        TimeSpan(nanoseconds: span.nanoseconds * factor)
    }

    /// The length in so many equal parts.
    public static func / (span: TimeSpan, divisor: Int64) -> TimeSpan {
        TimeSpan(nanoseconds: span.nanoseconds / divisor)
    }
}
