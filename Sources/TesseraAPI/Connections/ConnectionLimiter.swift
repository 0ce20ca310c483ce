import NIOCore
import Synchronization

/// Counts the open connections of the API, over HTTP and gRPC, in all and by address.
final class ConnectionLimiter: Sendable {
    private struct State {
        var open = 0
        /// Only looked up, never walked.
        var byAddress: [[UInt8]: Int] = [:]
    }

    /// How many bytes of an IPv6 address are one caller's: whoever has one has all of its network.
    private static let networkBytes = 8

    private let openMax: Int
    private let perAddressMax: Int
    private let metrics: RequestMetrics
    private let state = Mutex(State())

    init(configuration: APIConfiguration, metrics: RequestMetrics) {
        openMax = configuration.connectionsMax
        perAddressMax = configuration.connectionsPerAddressMax
        self.metrics = metrics
    }

    /// How many are open.
    var open: Int { state.withLock { $0.open } }

    /// Lets a connection in until it closes; false if there are too many.
    func admit(_ channel: any Channel) -> Bool {
        let address = channel.remoteAddress.flatMap(Self.caller)
        guard admit(address) else { return false }
        channel.closeFuture.whenComplete { _ in self.leave(address) }
        return true
    }

    /// Takes a place for a caller; one of this machine has no address, because whoever forwards
    /// others here would be one.
    func admit(_ address: [UInt8]?) -> Bool {
        let reached = state.withLock { state -> APILimit? in
            guard state.open < openMax else { return .connections }
            if let address {
                let count = state.byAddress[address] ?? 0
                guard count < perAddressMax else { return .addressConnections }
                state.byAddress[address] = count + 1
            }
            state.open += 1
            return nil
        }
        if let reached { metrics.note(reached) }
        return reached == nil
    }

    /// Gives a place back.
    func leave(_ address: [UInt8]?) {
        state.withLock { state in
            state.open -= 1
            guard let address else { return }
            let count = state.byAddress[address] ?? 0
            state.byAddress[address] = count > 1 ? count - 1 : nil
        }
    }

    /// What callers are told apart by; nil for this machine.
    static func caller(_ address: SocketAddress) -> [UInt8]? {
        // The addresses stand at the same place in the structures of all systems.
        let all = address.withSockAddr { pointer, byteCount in
            Array(UnsafeRawBufferPointer(start: pointer, count: byteCount))
        }
        switch address.protocol {
        case .inet:
            let bytes = Array(all[4..<8])
            return bytes[0] == 127 ? nil : bytes
        case .inet6:
            let bytes = Array(all[8..<24])
            // An IPv4 caller of a socket that takes both (RFC 4291 §2.5.5.2).
            if bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] {
                return bytes[12] == 127 ? nil : Array(bytes.suffix(4))
            }
            return bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
                ? nil : Array(bytes.prefix(networkBytes))
        default: return nil
        }
    }
}
