import GRPCCore
import NIOCore
import NIOHTTP2
import Synchronization

/// Watches over the connections and streams of the gRPC server: how many there are, who calls, and
/// how many bytes are held.
final class GRPCGuardian: Sendable {
    /// The header field that tells a call which ledger is its stream's.
    ///
    /// The agent sets it itself; what a client sends under this name is dropped.
    static let streamField = "tessera-stream"

    /// What a request has beside its tensors: names, shapes, parameters.
    private static let headBytesMax = 1 << 20

    private struct State {
        var streams: UInt64 = 0
        /// Only looked up, never walked.
        var ledgers: [String: StreamLedger] = [:]
    }

    /// What is counted, with HTTP.
    let metrics: RequestMetrics
    /// The bodies that are held, of HTTP too.
    let budget: BodyBudget
    let access: AccessControl
    /// In each of these a request brings at least so many bytes, until it is whole.
    let window: TimeAmount
    let bytesPerWindowMin: Int
    /// A longer request is refused.
    let requestBytesMax: Int
    private let connections: ConnectionLimiter
    private let certificate: APICertificate?
    private let state = Mutex(State())

    init(configuration: APIConfiguration, usage: APIUsage) {
        metrics = usage.metrics
        budget = usage.inference
        access = AccessControl(configuration, metrics: metrics)
        window = configuration.bodyWindow
        bytesPerWindowMin = configuration.bodyBytesPerWindowMin
        requestBytesMax = configuration.inferenceBytesMax + Self.headBytesMax
        connections = usage.connections
        certificate = configuration.certificate
    }

    /// Lets a connection in, under TLS if there is a certificate, or closes it.
    func admit(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard connections.admit(channel) else {
            return channel.close().flatMapThrowing { throw TooManyConnections() }
        }
        return channel.eventLoop.makeCompletedFuture { try certificate?.protectGRPC(channel) }
    }

    private struct TooManyConnections: Error {}

    /// Puts a guard before a stream.
    func protect(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            let name = state.withLock { state in
                state.streams += 1
                return "\(state.streams)"
            }
            let ledger = StreamLedger(budget: budget)
            state.withLock { $0.ledgers[name] = ledger }
            channel.closeFuture.whenComplete { _ in
                self.state.withLock { _ = $0.ledgers.removeValue(forKey: name) }
                ledger.close()
            }
            try channel.pipeline.syncOperations.addHandler(
                GRPCStreamGuard(guardian: self, name: name, ledger: ledger), position: .first)
        }
    }

    /// The ledger of a call's stream.
    func ledger(of metadata: Metadata) -> StreamLedger? {
        for name in metadata[stringValues: Self.streamField] {
            return state.withLock { $0.ledgers[name] }
        }
        return nil
    }
}

/// The bytes of a stream's requests that are held, request by request.
final class StreamLedger: Sendable {
    private struct State {
        var held = 0
        /// Of the requests that came whole, oldest first.
        var requests: [Int] = []
        var isClosed = false
    }

    private let budget: BodyBudget
    private let state = Mutex(State())

    init(budget: BodyBudget) { self.budget = budget }

    /// Takes bytes that came; false if there is no room for them.
    func take(_ byteCount: Int) -> Bool {
        state.withLock { state in
            guard !state.isClosed, budget.take(byteCount) else { return false }
            state.held += byteCount
            return true
        }
    }

    /// Notes that a request of so many bytes came whole.
    func noteRequest(byteCount: Int) {
        state.withLock { $0.requests.append(byteCount) }
    }

    /// Gives the bytes of the oldest request back, which is answered.
    func finishOne() {
        state.withLock { state in
            guard !state.isClosed, !state.requests.isEmpty else { return }
            let byteCount = min(state.requests.removeFirst(), state.held)
            state.held -= byteCount
            budget.give(byteCount)
        }
    }

    /// Gives all back.
    func close() {
        state.withLock { state in
            budget.give(state.held)
            state.held = 0
            state.isClosed = true
        }
    }
}
