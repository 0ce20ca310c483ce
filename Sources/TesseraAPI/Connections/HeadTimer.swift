import NIOCore

/// Ends a connection of HTTP/1.1 whose client does not send the head of a request whole in time.
///
/// It stands before the decoder and sees bytes; `SenderGuard` behind the decoder tells it what they
/// were. Everything happens on the connection's event loop.
final class HeadTimer: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// Between two requests.
        case between
        /// A head is on its way.
        case head
        /// The rest of a request.
        case rest
    }

    /// A loop that is so late was busy or stopped: what the client sent may wait in the socket.
    static let latenessMax = TimeAmount.milliseconds(100)

    private let timeout: TimeAmount
    private let metrics: RequestMetrics
    private var phase = Phase.head
    /// Whether somebody here waits for bytes: else it is not the client that is slow.
    private var isReading = false
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(timeout: TimeAmount, metrics: RequestMetrics) {
        self.timeout = timeout
        self.metrics = metrics
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // The first request has to come soon after the connection.
        start(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    func read(context: ChannelHandlerContext) {
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if phase == .between {
            phase = .head
            start(context)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.fireChannelReadComplete()
    }

    /// A head came whole.
    func headCame() {
        phase = .rest
        deadline?.cancel()
        deadline = nil
    }

    /// A request came whole.
    func requestCame() { phase = .between }

    /// The connection is not one of HTTP/1.1.
    func stop() {
        deadline?.cancel()
        deadline = nil
        context = nil
    }

    /// Sends a line that is not part of a response: the client may send its body.
    func sendContinue() {
        guard let context else { return }
        let line = ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")
        context.writeAndFlush(wrapOutboundOut(line), promise: nil)
    }

    private func start(_ context: ChannelHandlerContext) {
        let end = NIODeadline.now() + timeout
        deadline = context.eventLoop.assumeIsolated().scheduleTask(deadline: end) {
            guard self.phase == .head, self.context != nil else { return }
            guard self.isReading, .now() - end < Self.latenessMax else {
                return self.start(context)
            }
            self.metrics.note(.headTime)
            let answer = ByteBuffer(
                string: "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                    + "Content-Length: 0\r\n\r\n")
            context.writeAndFlush(self.wrapOutboundOut(answer), promise: nil)
            context.close(promise: nil)
        }
    }
}
