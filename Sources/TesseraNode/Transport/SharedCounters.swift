import Synchronization
import TesseraCore

/// The counters that the threads of a transport share.
final class SharedCounters: Sendable {
    /// Nodes whose bytes are counted one by one: those that there are sessions with, twice.
    static let countedPeersMax = 512

    private let counters = Mutex(TransportCounters())
    // Only looked up; sorted when it is read.
    private let traffic = Mutex([NodeID: PeerTraffic]())

    /// What they say now.
    var snapshot: TransportCounters { counters.withLock(\.self) }

    /// Counts.
    func change(_ body: (inout TransportCounters) -> Void) {
        counters.withLock { body(&$0) }
    }

    /// Counts the bytes of a connection to a node.
    func moved(sent: Int = 0, received: Int = 0, of node: NodeID) {
        traffic.withLock { traffic in
            guard traffic.count < Self.countedPeersMax || traffic[node] != nil else { return }
            traffic[node, default: PeerTraffic(node: node)].sentBytes += sent
            traffic[node, default: PeerTraffic(node: node)].receivedBytes += received
        }
    }

    /// What went to and came from each node, ascending by node.
    var peerTraffic: [PeerTraffic] {
        traffic.withLock { $0.values.sorted { $0.node < $1.node } }
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
