import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Ends a request whose body comes too slowly, and tells a client that asks whether its body is
/// wanted.
///
/// It stands behind the decoder of a connection of HTTP/1.1 or a stream of HTTP/2. Only time in
/// which somebody here waited for bytes counts. Everything happens on the event loop.
final class SenderGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let window: TimeAmount
    private let bytesMin: Int
    private let metrics: RequestMetrics
    private var headTimer: HeadTimer?
    private var isInBody = false
    private var waitingSince: NIODeadline?
    private var waited = TimeAmount.zero
    private var received = 0
    private var nextLook: Scheduled<Void>?
    /// Whether the client waits for a word before it sends its body.
    private var isAwaited = false
    private var didAnswer = false

    init(configuration: APIConfiguration, metrics: RequestMetrics) {
        window = configuration.bodyWindow
        bytesMin = configuration.bodyBytesPerWindowMin
        self.metrics = metrics
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // A stream of HTTP/2 has none.
        headTimer = try? context.pipeline.syncOperations.handler(type: HeadTimer.self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func read(context: ChannelHandlerContext) {
        if waitingSince == nil { waitingSince = .now() }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let request):
            headTimer?.headCame()
            (isInBody, waited, received, didAnswer) = (true, .zero, 0, false)
            isAwaited = request.headerFields[.expect]?.lowercased() == "100-continue"
            look(context)
        case .body(let bytes):
            // It did not wait.
            isAwaited = false
            received += bytes.readableBytes
        case .end:
            headTimer?.requestCame()
            end()
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        noteWaited(isOver: true)
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .headerOverflow? = error as? HTTPParserError { metrics.note(.headBytes) }
        context.fireErrorCaught(error)
    }

    func write(
        context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?
    ) {
        var part = unwrapOutboundIn(data)
        if case .head(var response) = part {
            didAnswer = true
            // Whether the body still comes cannot be known: nothing can follow on this connection.
            if isAwaited, headTimer != nil { response.headerFields[.connection] = "close" }
            part = .head(response)
        }
        let isEnd = if case .end = part { true } else { false }
        guard isEnd, isAwaited, headTimer != nil else {
            context.write(wrapOutboundOut(part), promise: promise)
            return
        }
        context.writeAndFlush(wrapOutboundOut(part), promise: promise)
        context.close(promise: nil)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        guard event is AwaitedBody.BodyIsWanted else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        if isAwaited {
            isAwaited = false
            headTimer?.sendContinue()
        }
        promise?.succeed()
    }

    private func look(_ context: ChannelHandlerContext) {
        nextLook?.cancel()
        let end = NIODeadline.now() + window
        nextLook = context.eventLoop.assumeIsolated().scheduleTask(deadline: end) {
            guard self.isInBody else { return }
            self.noteWaited(isOver: false)
            if .now() - end >= HeadTimer.latenessMax { self.waited = .zero }
            // A client that waits for a word is not slow.
            if self.isAwaited { self.waited = .zero }
            guard self.waited.nanoseconds >= self.window.nanoseconds / 2,
                self.received < self.bytesMin
            else {
                // A window in which nobody waited is none.
                if self.received >= self.bytesMin { self.received = 0 }
                self.waited = .zero
                self.look(context)
                return
            }
            self.isTooSlow(context)
        }
    }

    private func isTooSlow(_ context: ChannelHandlerContext) {
        metrics.note(.bodyTime)
        end()
        if !didAnswer {
            let response = HTTPResponse(
                status: .requestTimeout, headerFields: [.connection: "close", .contentLength: "0"])
            context.write(wrapOutboundOut(.head(response)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        context.close(promise: nil)
    }

    private func noteWaited(isOver: Bool) {
        let now = NIODeadline.now()
        if let waitingSince { waited = waited + (now - waitingSince) }
        waitingSince = isOver || waitingSince == nil ? nil : now
    }

    private func end() {
        isInBody = false
        isAwaited = false
        nextLook?.cancel()
        nextLook = nil
    }
}
