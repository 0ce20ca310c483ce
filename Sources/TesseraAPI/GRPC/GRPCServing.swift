import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix

/// The gRPC server of an agent.
struct GRPCServing: Sendable {
    /// Calls that one connection may have open.
    private static let streamsMax = 128
    /// So much of a stream may be on its way before it was read: enough for a fast network.
    private static let windowBytes = 1 << 20
    /// A frame of data; the usual 16 KiB make many of a tensor.
    private static let frameBytesMax = 256 << 10
    /// What open calls get when the agent leaves: it has answered them by then.
    private static let graceSeconds = 5

    /// The port that it is to listen on; 0 takes a free one.
    let port: Int
    private let executor: EventLoopExecutor
    private let server: GRPCServer<HTTP2ServerTransport.Posix>

    /// A server that listens on the port that the configuration has for it.
    ///
    /// Throws if the host has no address.
    init(
        service: InferenceService, configuration: APIConfiguration, usage: APIUsage,
        group: MultiThreadedEventLoopGroup
    ) throws {
        port = configuration.grpcPort ?? 0
        executor = EventLoopExecutor(loop: group.next())
        let address = try NIOCore.SocketAddress.makeAddressResolvingHost(
            configuration.host, port: port)
        let host = address.ipAddress ?? configuration.host
        let guardian = GRPCGuardian(
            configuration: configuration, usage: usage)
        let transport = HTTP2ServerTransport.Posix(
            address: address.protocol == .inet6
                ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port),
            transportSecurity: .plaintext,
            config: Self.transportConfiguration(configuration, guardian: guardian),
            eventLoopGroup: group)
        server = GRPCServer(
            transport: transport,
            services: [GRPCInference(service: service, guardian: guardian)])
    }

    private static func transportConfiguration(
        _ configuration: APIConfiguration, guardian: GRPCGuardian
    ) -> HTTP2ServerTransport.Posix.Config {
        .defaults { transport in
            transport.rpc.maxRequestPayloadSize = guardian.requestBytesMax
            transport.compression.enabledAlgorithms = [.gzip, .deflate]
            transport.http2.maxConcurrentStreams = streamsMax
            transport.http2.targetWindowSize = windowBytes
            transport.http2.maxFrameSize = frameBytesMax
            transport.connection.maxIdleTime = .nanoseconds(configuration.idleTimeout.nanoseconds)
            transport.connection.maxGraceTime = .seconds(graceSeconds)
            // Finds clients that went without a word, and lets clients look for the agent.
            transport.connection.keepalive.time = .seconds(60)
            transport.connection.keepalive.clientBehavior.allowWithoutCalls = true
            transport.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(10)
            // A request waits for nothing else.
            transport.connection.flushCoalescing = nil
            transport.channelDebuggingCallbacks.onAcceptTCPConnection = { guardian.admit($0) }
            transport.channelDebuggingCallbacks.onAcceptHTTP2Stream = { guardian.protect($0) }
        }
    }

    /// Serves until it is told to stop or cancelled.
    func serve() async throws {
        try await withTaskExecutorPreference(executor) { try await server.serve() }
    }

    /// Takes no more calls, and ends when the open ones have.
    func beginGracefulShutdown() { server.beginGracefulShutdown() }

    /// The port that it listens on, once it does; nil if it could not.
    func listeningPort() async -> Int? {
        // Why it does not listen, the server itself ends with.
        guard let address = try? await server.transport.listeningAddress else { return nil }
        return address.ipv4?.port ?? address.ipv6?.port
    }
}
