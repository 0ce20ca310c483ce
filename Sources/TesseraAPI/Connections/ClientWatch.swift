import Hummingbird
import NIOCore
import Synchronization

/// Knows when the client of a connection is gone.
///
/// The connection's reading half ends when the client closes it, which the handler sees although
/// nobody reads while an answer is being made.
final class ClientWatch: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = Any
    typealias InboundOut = Any

    private struct State {
        var isGone = false
        var nextWaiter: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    /// The watches of all open connections, by channel.
    ///
    /// Only looked up, never walked.
    private static let all = Mutex<[ObjectIdentifier: ClientWatch]>([:])

    private let state = Mutex(State())

    /// The watch of a connection; nil if it is closed already.
    static func of(_ channel: any Channel) -> ClientWatch? {
        all.withLock { $0[ObjectIdentifier(channel)] }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let key = ObjectIdentifier(context.channel)
        Self.all.withLock { $0[key] = self }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        let key = ObjectIdentifier(context.channel)
        Self.all.withLock { _ = $0.removeValue(forKey: key) }
        becomeGone()
    }

    func channelInactive(context: ChannelHandlerContext) {
        becomeGone()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { becomeGone() }
        context.fireUserInboundEventTriggered(event)
    }

    private func becomeGone() {
        let waiters = state.withLock { state in
            state.isGone = true
            defer { state.waiters = [:] }
            return state.waiters.values.map { $0 }
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the client is gone or the task is cancelled.
    private func wait() async {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isGone || Task.isCancelled { return true }
                    state.waiters[number] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: number) }
            waiter?.resume()
        }
    }

    /// Runs `operation` and cancels it if the client goes away.
    static func cancelling<Result: Sendable>(
        on channel: any Channel, _ operation: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        guard let watch = of(channel) else { return try await operation() }
        return try await cancelling(when: { await watch.wait() }, operation)
    }

    /// Runs `operation` and cancels it when `isGone` returns.
    ///
    /// - Throws: What the operation throws; `CancellationError` if it was cancelled, whatever it makes
    ///   of that.
    static func cancelling<Result: Sendable>(
        when isGone: @escaping @Sendable () async -> Void,
        _ operation: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await operation() }
            group.addTask {
                await isGone()
                return nil
            }
            defer { group.cancelAll() }
            var isOver = false
            while let ended = await group.nextResult() {
                switch ended {
                case .success(let result?): return result
                case .success(nil):
                    isOver = true
                    group.cancelAll()
                case .failure(let error):
                    throw isOver || Task.isCancelled ? CancellationError() : error
                }
            }
            throw CancellationError()
        }
    }
}
