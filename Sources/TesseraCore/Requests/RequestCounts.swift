/// What an entry did for its requests since it started, for the agent's counters.
public struct RequestCounts: Hashable, Sendable {
    /// Why an attempt ended without an answer.
    public enum Loss: String, CaseIterable, Sendable {
        /// A node that it used was lost.
        case nodeLost
        /// Two nodes that it used lost the connection to each other.
        case linkLost
        /// It took too long.
        case late
        /// A host does not hold its plan (any more).
        case gone
        /// A host had no room for it.
        case full
        /// The engine of a host failed.
        case engine
        /// A slice had another size or type than its plan says.
        case malformedSlice
        /// A host is leaving.
        case leaving
        /// A host had no connection to the next one.
        case unreachable

        /// What a host said of an attempt.
        init(_ failure: AttemptFailure) {
            switch failure {
            case .gone: self = .gone
            case .full: self = .full
            case .engine: self = .engine
            case .malformedSlice: self = .malformedSlice
            case .leaving: self = .leaving
            case .unreachable: self = .unreachable
            }
        }
    }

    /// Attempts that were started.
    public var attempts = 0
    /// Attempts beyond the first one of their request.
    public var retries = 0
    /// Attempts that ended without an answer, by the cause; in the order of `Loss.allCases`.
    public private(set) var losses = [Int](repeating: 0, count: Loss.allCases.count)
    /// Requests that were refused because too many were open, or their inputs too large together.
    public var refusedFull = 0
    /// Requests that were refused because they would have waited too long.
    public var refusedWaiting = 0

    /// Counts nothing yet.
    public init() {}

    /// How many attempts ended for one cause.
    public func count(_ loss: Loss) -> Int {
        zip(Loss.allCases, losses).first { $0.0 == loss }?.1 ?? 0
    }

    /// An attempt ended without an answer.
    mutating func note(_ loss: Loss) {
        for (index, cause) in Loss.allCases.enumerated() where cause == loss { losses[index] += 1 }
    }
}
