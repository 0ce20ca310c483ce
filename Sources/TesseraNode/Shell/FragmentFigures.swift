public import TesseraCore

/// How one fragment ran on this node since it was compiled.
public struct FragmentFigures: Hashable, Sendable {
    /// The fragment.
    public var key: FragmentKey
    /// Runs that ended, failed ones too.
    public var runs = 0
    /// Runs that failed.
    public var failures = 0
    /// How long all runs took together, by the clock.
    public var ranSpan = TimeSpan.zero
    /// How long they waited together for one of the engine's threads, after the core started them.
    public var waitedSpan = TimeSpan.zero

    init(key: FragmentKey) { self.key = key }

    /// A run ended.
    mutating func note(waited: TimeSpan, ran: TimeSpan, isFailure: Bool) {
        runs += 1
        if isFailure { failures += 1 }
        ranSpan = ranSpan + ran
        waitedSpan = waitedSpan + waited
    }
}
