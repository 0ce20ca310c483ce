#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Hummingbird
public import Logging
public import NIOCore
import NIOPosix
public import ServiceLifecycle

/// Serves the API of an agent until it is cancelled or told to stop.
///
/// All of it runs on one event loop: a request is read, answered and written on one thread, and
/// only what waits for the node goes to another. Waking threads would cost more than the work does.
public struct APIService: Service {
    private let application: Application<APIResponder>
    private let group: MultiThreadedEventLoopGroup
    private let executor: EventLoopExecutor
    private let address: (host: String, port: Int)

    /// Makes the service; see `APIApplication.make`.
    public init(
        backend: any AgentBackend, configuration: APIConfiguration, logger: Logger,
        onRunning: @escaping @Sendable (any Channel) async -> Void = { _ in }
    ) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        executor = EventLoopExecutor(loop: group.next())
        address = (configuration.host, configuration.port)
        application = APIApplication.make(
            backend: backend, configuration: configuration, logger: logger, group: group,
            onRunning: onRunning)
    }

    /// Serves; once.
    ///
    /// Throws `APIServiceError` if the system does not let it listen.
    public func run() async throws {
        let result = await withTaskExecutorPreference(executor) {
            () async -> Result<Void, any Error> in
            do {
                return .success(try await application.run())
            } catch let error as IOError {
                return .failure(
                    APIServiceError(
                        host: address.host, port: address.port, errorNumber: error.errnoCode))
            } catch {
                return .failure(error)
            }
        }
        try await group.shutdownGracefully()
        try result.get()
    }
}

/// The system does not let the API listen where it should.
public struct APIServiceError: Error, Equatable, CustomStringConvertible {
    /// Where.
    public var host: String
    /// Where.
    public var port: Int
    /// Why, as the system numbers its errors.
    public var errorNumber: Int32

    /// What happened and what to do.
    public var description: String {
        let reason =
            switch errorNumber {
            case EADDRINUSE: "another program uses the port"
            case EADDRNOTAVAIL: "this machine has no such address"
            case EACCES: "this user may not use the port"
            default: String(cString: strerror(errorNumber))
            }
        return "The API cannot listen on \(host), port \(port): \(reason). Choose another place "
            + "with --api HOST:PORT."
    }
}

/// Runs tasks on an event loop.
final class EventLoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    /// An executor for tasks that prefer this loop.
    init(loop: any EventLoop) { self.loop = loop }

    /// Runs a job on the loop, soon.
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Work that takes long goes to the threads that all tasks share, so that it holds up no other
/// request.
enum LongWork {
    /// Texts up to this are read and written where the request is: about a millisecond.
    static let textBytesMax = 64 << 10

    /// Runs `work` where it is, or elsewhere if it is about so many bytes of text.
    static func run<Result: Sendable>(
        textBytes: Int, _ work: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        if textBytes <= textBytesMax { return try work() }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { try work() }
    }
}
