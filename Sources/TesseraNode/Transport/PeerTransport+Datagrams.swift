import Logging
import NIOCore
import NIOPosix
public import TesseraCore
import TesseraWire

/// Membership's datagrams: sealed, and heard only of runs that a TLS handshake has proved,
/// or that a member vouches for who knows them.
extension PeerTransport {
    /// Sends as one sealed datagram; a datagram that cannot be sent is lost, as datagrams are.
    public func sendDatagram(
        _ message: MembershipMessage, to receiver: NodeBoot, at address: Address
    ) {
        controlLoop.preconditionInEventLoop()
        guard let datagrams, !isClosing else { return }
        do {
            let sealed = try sealer.seal(message, to: receiver)
            let destination = try Hosts.destination(
                address, isIPv6: self.address.host.utf8.contains(0x3A))
            let envelope = AddressedEnvelope(remoteAddress: destination, data: sealed.datagram)
            datagrams.writeAndFlush(envelope, promise: nil)
            counters.change { $0.datagramsSent += 1 }
        } catch {
            counters.change { $0.datagramsDropped += 1 }
            logger.debug("datagram not sent", metadata: ["reason": "\(error)"])
        }
    }

    /// Heeds the datagrams of a run that a member vouches for, as of one that was connected.
    public func hear(_ member: NodeBoot) {
        controlLoop.preconditionInEventLoop()
        knownBoots.insert(member, at: .now())
    }

    /// Opens the socket for datagrams.
    func openDatagrams(_ sockets: ListeningSockets) -> EventLoopFuture<Void> {
        DatagramBootstrap(group: controlLoop)
            .channelOption(
                .recvAllocator,
                // One byte more than legal, so that a longer datagram is seen to be longer.
                value: FixedSizeRecvByteBufferAllocator(capacity: WireLimits.datagramBytesMax + 1)
            )
            .channelOption(.maxMessagesPerRead, value: 16)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramReceiver(self))
                }
            }
            .withBoundSocket(sockets.datagram).hop(to: controlLoop).map { self.datagrams = $0 }
    }

    /// Takes what arrived.
    func receiveDatagram(_ datagram: ByteBuffer) {
        do throws(WireError) {
            let (message, sender) = try opener.openMessage(datagram)
            let session = session(sender)
            session?.shownTags.insert(opener.lastTag)
            guard session != nil || knownBoots.contains(sender, at: .now()) else {
                return counters.change { $0.datagramsDropped += 1 }
            }
            counters.change { $0.datagramsReceived += 1 }
            tell { $0.received(.membership(message), from: sender) }
        } catch {
            counters.change { $0.datagramsDropped += 1 }
        }
    }
}

/// Hands datagrams to the transport; lives on the control loop.
private final class DatagramReceiver: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let transport: PeerTransport

    init(_ transport: PeerTransport) {
        self.transport = transport
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        transport.receiveDatagram(unwrapInboundIn(data).data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An ICMP answer to an earlier datagram shows up here; the socket stays good.
        transport.logger.debug("datagram socket", metadata: ["reason": "\(error)"])
    }
}
