import Hummingbird
import HummingbirdCore
import HummingbirdHTTP2
import Logging
import NIOCore

/// Serves HTTP/1.1 and HTTP/2 on one port: a client with prior knowledge begins with HTTP/2's
/// preface, which no request of HTTP/1.1 begins with (RFC 9113 §3.4).
struct VersionedChannel: ServerChildChannel {
    /// What a connection turned out to speak.
    enum Spoken: Sendable {
        case http1(HTTP1Channel.Value)
        case http2(HTTP2Channel.Value)
    }

    /// A connection.
    struct Value: ServerChildChannelValue {
        let spoken: EventLoopFuture<Spoken>
        let channel: any Channel
    }

    private let http1: HTTP1Channel
    private let http2: HTTP2Channel
    private let api: APIConfiguration
    private let usage: APIUsage

    /// A channel that gives requests to the responder.
    init(
        responder: @escaping HTTPChannelHandler.Responder,
        configuration: HTTP1Channel.Configuration, api: APIConfiguration, usage: APIUsage
    ) {
        http1 = HTTP1Channel(responder: responder, configuration: configuration)
        http2 = HTTP2Channel(
            responder: responder,
            configuration: HTTP2Channel.Configuration(
                idleTimeout: .nanoseconds(api.idleTimeout.nanoseconds),
                streamConfiguration: configuration))
        self.api = api
        self.usage = usage
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        guard usage.connections.admit(channel) else {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        return channel.eventLoop.makeCompletedFuture {
            try api.certificate?.protectHTTP(channel)
            let sync = channel.pipeline.syncOperations
            let timer = HeadTimer(timeout: api.headTimeout, metrics: usage.metrics)
            try sync.addHandler(timer)
            let spoken = channel.eventLoop.makePromise(of: Spoken.self)
            let detector = PrefaceDetector { isHTTP2 in
                guard isHTTP2 else {
                    do {
                        try sync.addHandler(LingeringClose())
                    } catch {
                        spoken.fail(error)
                    }
                    http1.setup(channel: channel, logger: logger).map { .http1($0) }
                        .cascade(to: spoken)
                    return
                }
                timer.stop()
                do {
                    try sync.addHandler(HalfCloseIsClose())
                } catch {
                    spoken.fail(error)
                }
                http2.setup(channel: channel, logger: logger).map { .http2($0) }
                    .cascade(to: spoken)
            } onEnd: {
                spoken.fail(ChannelError.eof)
            }
            try sync.addHandler(detector)
            return Value(spoken: spoken.futureResult, channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.spoken.get() {
            case .http1(let value): await http1.handle(value: value, logger: logger)
            case .http2(let value): await http2.handle(value: value, logger: logger)
            }
        } catch {
            // It ended before it said anything.
            value.channel.close(promise: nil)
        }
    }
}

/// Ends a connection of HTTP/2 whose client says no more: it has no answers to wait for that it could
/// acknowledge.
private final class HalfCloseIsClose: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }
}

/// Reads the first bytes of a connection until they tell the version of HTTP, then leaves them to
/// the handlers for it.
private final class PrefaceDetector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let onTold: (Bool) -> Void
    private let onEnd: () -> Void
    private var received = ByteBuffer()
    private var isDone = false

    /// `onTold` adds the handlers for HTTP/2, or for HTTP/1.1; `onEnd` learns that there is nothing
    /// to add any for.
    init(onTold: @escaping (Bool) -> Void, onEnd: @escaping () -> Void) {
        self.onTold = onTold
        self.onEnd = onEnd
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isDone {
            context.fireChannelRead(data)
            return
        }
        received.writeImmutableBuffer(unwrapInboundIn(data))
        let bytes = received.readableBytesView
        let isAlike = zip(bytes, Self.preface).allSatisfy { $0 == $1 }
        if isAlike, bytes.count < Self.preface.count { return }
        tell(isHTTP2: isAlike, context: context)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent where !isDone: context.close(promise: nil)
        case let event as ChannelEvent where event == .inputClosed && !isDone:
            // What is there is no preface; a request of HTTP/1.1 is refused as one.
            tell(isHTTP2: false, context: context)
            context.fireUserInboundEventTriggered(event)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func tell(isHTTP2: Bool, context: ChannelHandlerContext) {
        isDone = true
        onTold(isHTTP2)
        if received.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(received))
            context.fireChannelReadComplete()
        }
        received = ByteBuffer()
    }

    private func end() {
        guard !isDone else { return }
        isDone = true
        onEnd()
    }
}
