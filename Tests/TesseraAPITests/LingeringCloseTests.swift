import NIOCore
import NIOEmbedded
import Testing

@testable import TesseraAPI

@Suite struct LingeringCloseTests {
    /// A socket keeps its input when its output is closed; an embedded channel would end.
    private final class OutputEnds: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        func close(
            context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?
        ) {
            guard mode == .output else { return context.close(mode: mode, promise: promise) }
            promise?.succeed()
        }
    }

    @Test("a connection that was told the last word ends, whatever the client does")
    func lastWord() throws {
        let channel = EmbeddedChannel(handlers: [OutputEnds(), LingeringClose()])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        channel.close(mode: .output, promise: nil)
        channel.embeddedEventLoop.advanceTime(by: LingeringClose.time - .milliseconds(1))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(!channel.isActive)
    }

    @Test("a connection that is not closed stays")
    func stays() throws {
        let channel = EmbeddedChannel(handlers: [OutputEnds(), LingeringClose()])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        channel.embeddedEventLoop.advanceTime(by: LingeringClose.time * 2)
        #expect(channel.isActive)
        _ = try channel.finish()
    }
}
