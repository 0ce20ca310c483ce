public import TesseraCore

extension Simulation {
    /// What a finished run tells.
    public struct Outcome: Sendable {
        /// What failed first, if anything.
        public var violation: Violation?
        /// Right answers.
        public var answered: Int
        /// Clear errors, by text.
        public var rejected: [String: Int]
        /// Events handled.
        public var steps: Int
        /// A fold of every event's node and time and of every message's bytes: equal runs have
        /// equal traces, in every process.
        public var trace: UInt64
        /// Faults that happened.
        public var faults: Int
        /// Decisions, each counted at every node that heard of it.
        public var decisions: Int
        /// Attempts that a host had no room for.
        public var overfull: Int
        /// Attempts that were started a second time or more often.
        public var retries: Int
        /// Requests that an early exit answered.
        public var exits: Int
        /// Answers that did without branches, and said so.
        public var leftOut: Int
        /// From the healing to agreement in all parts; nil if the run ended before.
        public var convergence: TimeSpan?
        /// Whether every part could serve at the end: all blobs, and memory for a plan.
        public var isPlannable: Bool
        /// When the run ended.
        public var ended: Timestamp
    }

    func outcome(_ violation: Violation?) -> Outcome {
        Outcome(
            violation: violation, answered: checks.ends.answered, rejected: checks.ends.rejected,
            steps: steps, trace: trace, faults: figures.faults, decisions: figures.decisions,
            overfull: figures.overfull, retries: figures.retries,
            exits: figures.exits, leftOut: figures.leftOut,
            convergence: liveness.agreedAt.map { $0 - scenario.healAt },
            isPlannable: liveness.isPlannable, ended: now)
    }
}
