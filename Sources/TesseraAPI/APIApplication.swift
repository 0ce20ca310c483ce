public import Hummingbird
import HummingbirdCore
public import Logging
public import NIOCore
public import NIOPosix

/// Makes the HTTP service of an agent.
public enum APIApplication {
    /// Longer header fields are refused.
    static let headerFieldBytesMax = 16 << 10
    /// Longer heads are refused.
    static let headBytesMax = 64 << 10
    /// Heads with more fields are refused.
    static let headerFieldsMax = 100

    /// The service that serves the Open Inference Protocol under `/v2` and the control API under
    /// `/tessera/v1`.
    ///
    /// `run()` ends with an error if the address cannot be bound. `onRunning` gets the listening
    /// channel, and with it the port.
    public static func make(
        backend: any AgentBackend, configuration: APIConfiguration, logger: Logger,
        group: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup,
        onRunning: @escaping @Sendable (any Channel) async -> Void = { _ in }
    ) -> Application<APIResponder> {
        let service = InferenceService(backend: backend)
        return make(
            service: service, configuration: configuration,
            usage: APIUsage(configuration, metrics: service.metrics), logger: logger, group: group,
            onRunning: onRunning)
    }

    static func make(
        service: InferenceService, configuration: APIConfiguration, usage: APIUsage,
        logger: Logger, group: any EventLoopGroup,
        onRunning: @escaping @Sendable (any Channel) async -> Void
    ) -> Application<APIResponder> {
        Application(
            responder: APIResponder(
                service: service, configuration: configuration, usage: usage),
            server: HTTPServerBuilder { responder in
                VersionedChannel(
                    responder: responder,
                    configuration: .init(
                        additionalChannelHandlers: [
                            ClientWatch(),
                            SenderGuard(configuration: configuration, metrics: service.metrics),
                        ],
                        idleTimeout: configuration.idleTimeout,
                        httpDecoderConfiguration: .init(
                            maxHeaderFieldSize: headerFieldBytesMax,
                            maxHeaderListSize: headBytesMax, maxHeaderFieldCount: headerFieldsMax)),
                    api: configuration, usage: usage)
            },
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port),
                serverName: "tessera"),
            onServerRunning: onRunning, eventLoopGroupProvider: .shared(group), logger: logger)
    }
}
