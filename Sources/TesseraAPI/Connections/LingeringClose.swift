import NIOCore

/// Ends a connection that this end said its last word on, if the client does not.
///
/// After an answer that ends a connection (headers beyond their limit, bytes that are not HTTP) the
/// server closes its side and waits for the client to close the other one, and reads nothing more. A
/// client that goes on sending then never comes to its end: the connection would stay as long as the
/// client likes, and count among those that are allowed.
final class LingeringClose: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    /// Time for the answer to arrive: closing with unread bytes resets a connection, and the client may
    /// lose what it has not read yet.
    static let time = TimeAmount.seconds(5)

    private var end: Scheduled<Void>?

    func handlerRemoved(context: ChannelHandlerContext) { end?.cancel() }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output, end == nil else {
            context.close(mode: mode, promise: promise)
            return
        }
        let isSent = promise ?? context.eventLoop.makePromise(of: Void.self)
        // Not before: a long answer may take longer than that to be sent.
        isSent.futureResult.assumeIsolated().whenComplete { _ in
            self.end = context.eventLoop.assumeIsolated().scheduleTask(in: Self.time) {
                context.close(mode: .all, promise: nil)
            }
        }
        context.close(mode: mode, promise: isSent)
    }
}
