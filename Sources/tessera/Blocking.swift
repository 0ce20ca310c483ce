import Dispatch

/// Calls that block for long run on threads of their own, never in the cooperative pool.
enum Blocking {
    private static let queue = DispatchQueue(label: "tessera.blocking", attributes: .concurrent)

    /// Runs `body` on such a thread.
    static func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }

    /// Runs a `body` that cannot fail on such a thread.
    static func value<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }
}
