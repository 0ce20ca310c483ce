import Synchronization

/// Counts the connections that have not said who they are, in all and per address.
final class HalfOpenLimiter: Sendable {
    private struct State {
        var total = 0
        var perHost: [String: Int] = [:]
    }

    private let state = Mutex(State())

    /// How many are open now.
    var count: Int { state.withLock(\.total) }

    /// Takes a place for a connection from this host; nil if none is left.
    func take(host: String) -> HalfOpenPlace? {
        let isTaken = state.withLock { state in
            let fromHost = state.perHost[host, default: 0]
            guard state.total < TransportLimits.halfOpenTotal,
                fromHost < TransportLimits.halfOpenPerAddress
            else { return false }
            state.total += 1
            state.perHost[host] = fromHost + 1
            return true
        }
        return isTaken ? HalfOpenPlace(limiter: self, host: host) : nil
    }

    fileprivate func giveBack(host: String) {
        state.withLock { state in
            state.total -= 1
            let left = state.perHost[host, default: 1] - 1
            state.perHost[host] = left == 0 ? nil : left
        }
    }
}

/// One place among the half-open connections; given back once, at the latest by its end.
final class HalfOpenPlace: Sendable {
    private let limiter: HalfOpenLimiter
    private let host: String
    private let isHeld = Mutex(true)

    fileprivate init(limiter: HalfOpenLimiter, host: String) {
        self.limiter = limiter
        self.host = host
    }

    /// The connection is closed, or known.
    func giveBack() {
        let wasHeld = isHeld.withLock { held in
            defer { held = false }
            return held
        }
        if wasHeld { limiter.giveBack(host: host) }
    }

    deinit {
        giveBack()
    }
}
