public import TesseraCore

/// A property that failed, with the time and what was seen.
public struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
    /// The checker that fired.
    public var checker: String
    /// When, in virtual time.
    public var at: Timestamp
    /// What was seen.
    public var what: String

    /// One line.
    public var description: String {
        "\(checker) at \(at.nanoseconds / 1_000_000) ms: \(what)"
    }
}
