import Synchronization
import TesseraCore

/// Where discovery's parts put what they find, say and count.
final class DiscoveryLedger: Sendable {
    private let counts = Mutex(DiscoveryCounts())
    private let isClosed = Atomic(false)
    private let onFound: @Sendable (Address) -> Void
    private let onNotice: @Sendable (DiscoveryNotice) -> Void

    /// Makes an open ledger.
    init(
        onFound: @escaping @Sendable (Address) -> Void,
        onNotice: @escaping @Sendable (DiscoveryNotice) -> Void
    ) {
        self.onFound = onFound
        self.onNotice = onNotice
    }

    /// Proposes addresses, until the ledger is closed.
    func propose(_ addresses: [Address]) {
        for address in addresses where !isClosed.load(ordering: .acquiring) {
            count(\.proposals)
            onFound(address)
        }
    }

    /// Says something, until the ledger is closed.
    func say(_ notice: DiscoveryNotice) {
        guard !isClosed.load(ordering: .acquiring) else { return }
        onNotice(notice)
    }

    /// Counts one.
    func count(_ what: any WritableKeyPath<DiscoveryCounts, UInt64> & Sendable) {
        counts.withLock { $0[keyPath: what] += 1 }
    }

    /// Ends proposals and notices.
    func close() {
        isClosed.store(true, ordering: .releasing)
    }

    /// What was counted.
    var total: DiscoveryCounts { counts.withLock { $0 } }
}
