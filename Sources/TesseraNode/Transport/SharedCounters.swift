import Synchronization

/// The counters that the threads of a transport share.
final class SharedCounters: Sendable {
    private let counters = Mutex(TransportCounters())

    /// What they say now.
    var snapshot: TransportCounters { counters.withLock(\.self) }

    /// Counts.
    func change(_ body: (inout TransportCounters) -> Void) {
        counters.withLock { body(&$0) }
    }
}

/// The bytes of slices that may be arriving at once, shared by all connections.
final class IncomingBudget: Sendable {
    private let left: Mutex<Int>

    /// Makes a budget of so many bytes.
    init(bytes: Int) {
        left = Mutex(bytes)
    }

    /// Takes bytes; false, and nothing taken, if they are not there.
    func take(_ bytes: Int) -> Bool {
        left.withLock { left in
            guard bytes <= left else { return false }
            left -= bytes
            return true
        }
    }

    /// Puts bytes back.
    func giveBack(_ bytes: Int) {
        left.withLock { $0 += bytes }
    }
}
