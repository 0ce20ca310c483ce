import HummingbirdCore

/// Lets so many connections be open at once, and counts how often that many were.
struct CountedConnections: AvailableConnectionsDelegate {
    private let limit: Int
    private let metrics: RequestMetrics
    private var count = 0

    init(limit: Int, metrics: RequestMetrics) {
        self.limit = limit
        self.metrics = metrics
    }

    mutating func connectionOpened() {
        count += 1
        // Further ones wait now.
        if count == limit { metrics.note(.connections) }
    }

    mutating func connectionClosed() { count -= 1 }

    func isAcceptingNewConnections() -> Bool { count < limit }
}
