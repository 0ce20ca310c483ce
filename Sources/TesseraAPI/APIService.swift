#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Hummingbird
import GRPCCore
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle

/// Serves the API of an agent, over HTTP and gRPC, until it is cancelled or told to stop.
///
/// Each of the two runs on one event loop: a request is read, answered and written on one thread,
/// and only what waits for the node goes to another. Waking threads would cost more than the work
/// does. gRPC has a thread of its own, because it reads and inflates long messages at once.
public struct APIService: Service {
    private let configuration: APIConfiguration
    private let service: InferenceService
    private let logger: Logger
    private let group: MultiThreadedEventLoopGroup
    private let executor: EventLoopExecutor
    private let grpcGroup: MultiThreadedEventLoopGroup?
    private let onRunning: @Sendable (APIPorts) async -> Void

    /// Makes the service.
    ///
    /// `onRunning` is called once, when it listens on all its ports.
    public init(
        backend: any AgentBackend, configuration: APIConfiguration, logger: Logger,
        onRunning: @escaping @Sendable (APIPorts) async -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.onRunning = onRunning
        service = InferenceService(backend: backend)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        executor = EventLoopExecutor(loop: group.next())
        grpcGroup = configuration.grpcPort.map { _ in
            MultiThreadedEventLoopGroup(numberOfThreads: 1)
        }
    }

    /// Serves; once.
    ///
    /// Throws `APIServiceError` if the system does not let it listen.
    public func run() async throws {
        let result = await withTaskExecutorPreference(executor) {
            () async -> Result<Void, any Error> in
            do {
                return .success(try await serve())
            } catch {
                return .failure(error)
            }
        }
        try await group.shutdownGracefully()
        try await grpcGroup?.shutdownGracefully()
        try result.get()
    }

    private func serve() async throws {
        let usage = APIUsage(configuration, metrics: service.metrics)
        let grpc = try grpcGroup.map { group in
            try GRPCServing(
                service: service, configuration: configuration, usage: usage, group: group)
        }
        let onRunning = onRunning
        let application = APIApplication.make(
            service: service, configuration: configuration, usage: usage, logger: logger,
            group: group
        ) { channel in
            let grpcPort = await grpc?.listeningPort()
            // Without its port the server of gRPC ends with an error, which ends the service.
            guard grpc == nil || grpcPort != nil else { return }
            await onRunning(APIPorts(http: channel.localAddress?.port ?? 0, grpc: grpcPort))
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try await listening(on: configuration.port, setting: "--api HOST:PORT") {
                    try await application.run()
                }
            }
            if let grpc {
                tasks.addTask {
                    try await listening(on: grpc.port, setting: "--grpc-port PORT") {
                        try await withGracefulShutdownHandler {
                            try await grpc.serve()
                        } onGracefulShutdown: {
                            grpc.beginGracefulShutdown()
                        }
                    }
                }
            }
            // The first error ends both.
            while try await tasks.next() != nil {}
        }
    }

    /// Says which port could not be had.
    private func listening(
        on port: Int, setting: String, _ operation: () async throws -> Void
    ) async throws {
        do {
            try await operation()
        } catch {
            let cause = (error as? RuntimeError)?.cause ?? error
            guard let cause = cause as? IOError else { throw error }
            throw APIServiceError(
                host: configuration.host, port: port, errorNumber: cause.errnoCode,
                setting: setting)
        }
    }
}

/// The ports that an agent's API listens on.
public struct APIPorts: Hashable, Sendable {
    /// For HTTP.
    public var http: Int
    /// For gRPC; nil if it is not served.
    public var grpc: Int?
}

/// The system does not let the API listen where it should.
public struct APIServiceError: Error, Equatable, CustomStringConvertible {
    /// Where.
    public var host: String
    /// Where.
    public var port: Int
    /// Why, as the system numbers its errors.
    public var errorNumber: Int32
    /// The setting that chooses another place.
    public var setting: String

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
            + "with \(setting)."
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
