/// What the engine of a node was doing when its process ended, as the next process finds it.
public struct CrashMark: Hashable, Sendable {
    /// The engine's work.
    public enum Work: Hashable, Sendable {
        /// It compiled the fragment, or ran it for the first time.
        case compiling(FragmentKey)
        /// It ran the fragment for a request.
        case running(FragmentKey, RequestID)
    }

    /// The run of the node that ended.
    public var member: NodeBoot
    /// What it did.
    public var work: Work
    /// The signal by which the process died in this very work.
    ///
    /// Nil if the work was only under way when something else ended the process: a signal from
    /// outside, or a loss of power.
    public var signal: Int?

    /// Makes a mark.
    public init(member: NodeBoot, work: Work, signal: Int?) {
        self.member = member
        self.work = work
        self.signal = signal
    }
}
