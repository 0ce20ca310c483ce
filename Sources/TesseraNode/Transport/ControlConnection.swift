import NIOCore
import NIOTLS
import TesseraCore
import TesseraWire

/// One control connection; lives on the control loop.
final class ControlConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// TLS or greetings are under way.
        case opening
        /// The peer is known.
        case open(NodeBoot)
        /// This side has said goodbye; what comes is still read.
        case retiring(NodeBoot)
        /// Nothing more happens.
        case closed
    }

    /// Who opened it.
    let origin: ConnectionOrigin
    /// When the peer was last heard.
    var lastHeard = NIODeadline.now()
    /// Whether the other side surely has it open too, so that it may replace another one.
    private(set) var isConfirmed = false
    /// When it was opened.
    private(set) var opened = NIODeadline.now()
    /// The node that its certificate names, once this side has greeted it.
    private(set) var greetedNode: NodeID?
    /// What the peer said of itself, once it is known.
    private(set) var peerGreeting: Greeting?
    /// Whether an end of it belongs to another mesh or speaks another protocol.
    private(set) var isMisfit = false
    /// Whether the network connection ever came about.
    private(set) var wasActive = false

    private let transport: PeerTransport
    private let verdict: TLSVerdict
    private let place: HalfOpenPlace?
    private var state = State.opening
    private var context: ChannelHandlerContext?
    private var input: FrameInput
    private var encoder = FrameEncoder()
    private var handshakeTimer: Scheduled<Void>?
    private var queuedBytes = 0
    private var closeError: (any Error)?
    private var closeText: String?

    init(
        origin: ConnectionOrigin, transport: PeerTransport, verdict: TLSVerdict,
        place: HalfOpenPlace?
    ) {
        self.origin = origin
        self.transport = transport
        self.verdict = verdict
        self.place = place
        input = FrameInput(side: origin.side, versions: transport.versions)
    }

    /// The node that its certificate names.
    var certifiedNode: NodeID? { verdict.node }

    /// The tag of the secret that its certificate proves.
    var provenTag: String? { verdict.tag }

    /// The version of the protocol that the ends agreed on, once they did.
    var agreedVersion: UInt16? { input.agreedVersion }

    /// Whether this node dialled it.
    var isDialled: Bool { origin.isDialled }

    // MARK: Sending

    /// Sends a frame; a peer that does not read loses the connection.
    func send(_ frame: Frame) {
        guard let context else { return }
        var buffer = ByteBufferAllocator().buffer(capacity: 512)
        do throws(WireError) {
            try encoder.write(frame, into: &buffer)
        } catch {
            return transport.cannotEncode(frame, error: error)
        }
        let count = buffer.readableBytes
        guard queuedBytes + count <= TransportLimits.controlQueueBytesMax else {
            return close("the peer does not read: \(queuedBytes) bytes wait for it")
        }
        queuedBytes += count
        if case .open(let member) = state {
            transport.counters.moved(sent: count, of: member.node)
        }
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in
            self.queuedBytes -= count
        }
    }

    /// Asks for a sign of life; the answer measures the round trip.
    func probe() {
        send(.probe(NIODeadline.now().uptimeNanoseconds))
    }

    /// Says that nothing more will be sent, and closes when the peer has said it too.
    func retire(_ goodbye: Goodbye) {
        guard case .open(let member) = state else { return close(goodbye.detail) }
        state = .retiring(member)
        send(.goodbye(goodbye))
        guard let context else { return }
        context.eventLoop.assumeIsolated().scheduleTask(in: TransportLimits.goodbyeTimeout) {
            self.close("the peer did not answer a goodbye")
        }
    }

    /// Closes at once.
    func close(_ reason: String) {
        if closeText == nil { closeText = reason }
        context?.close(mode: .all, promise: nil)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        handshakeTimer = context.eventLoop.assumeIsolated()
            .scheduleTask(in: origin.openingTimeout) {
                guard case .opening = self.state else { return }
                self.close("the handshake took too long")
            }
    }

    func channelActive(context: ChannelHandlerContext) {
        wasActive = true
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.handshakeCompleted) = event as? TLSUserEvent, isDialled,
            let node = verdict.node
        {
            // The node is known before a greeting is sent: so a dial that found a peer that is
            // connected already, or this node itself, ends without the peer noticing.
            if let refusal = transport.refusalOfGreeting(node) {
                closeError = refusal
                close(refusal.description)
            } else {
                greetedNode = node
                send(.hello(transport.greeting(for: .control)))
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastHeard = .now()
        var buffer = unwrapInboundIn(data)
        if case .open(let member) = state {
            transport.counters.moved(received: buffer.readableBytes, of: member.node)
        }
        do {
            while let frame = try input.next(&buffer) {
                try receive(frame)
                if case .closed = state { return }
            }
        } catch {
            if case .open = state { transport.counters.change { $0.connectionsBroken += 1 } }
            if closeError == nil { closeError = error }
            close(CloseReason.text(error, verdict: verdict))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if closeError == nil { closeError = error }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
    }

    /// The end, once, however it came.
    private func end() {
        if case .closed = state { return }
        let before = state
        state = .closed
        context = nil
        handshakeTimer?.cancel()
        place?.giveBack()
        let reason = closeText ?? CloseReason.text(closeError, verdict: verdict)
        if let refusal = closeError as? Refusal, Refusal.isMisfit(refusal.reason) {
            isMisfit = true
        }
        if verdict.refusal != nil { isMisfit = true }
        switch before {
        case .opening:
            transport.controlFailed(self, reason: reason, refusal: closeError as? Refusal)
        case .open(let member): transport.controlClosed(self, of: member, reason: reason)
        case .retiring, .closed: break
        }
    }

    // MARK: Frames

    private func receive(_ frame: Frame) throws {
        switch (state, frame) {
        case (.opening, .hello(let greeting)): try open(greeting)
        case (.opening, .welcome(let welcome)): try open(welcome.greeting)
        case (.opening, .goodbye(let goodbye)):
            isMisfit = Refusal.isMisfit(goodbye.reason)
            close("the peer refuses: " + Self.text(goodbye))
        case (.open(let member), .goodbye(let goodbye)):
            state = .retiring(member)
            transport.controlRetired(self, of: member, reason: Self.text(goodbye))
            send(.goodbye(Goodbye(goodbye.reason)))
            closeWhenSent()
        case (.retiring, .goodbye):
            closeWhenSent()
        case (.open(let member), .message(let message)),
            (.retiring(let member), .message(let message)):
            transport.controlReceived(message, from: member)
        case (.open(let member), .probe(let time)):
            send(.probeReply(transport.answer(toProbe: time)))
            if !isConfirmed {
                isConfirmed = true
                transport.controlConfirmed(self, of: member)
            }
        case (.open(let member), .probeReply(let reply)):
            transport.probeAnswered(reply, of: member)
        case (.retiring, .probe), (.retiring, .probeReply), (.open, .keepalive),
            (.retiring, .keepalive):
            break
        default:
            throw WireError.unexpectedFrame("on a control connection")
        }
    }

    private static func text(_ goodbye: Goodbye) -> String {
        goodbye.detail.isEmpty ? "\(goodbye.reason)" : goodbye.detail
    }

    private func closeWhenSent() {
        guard let context else { return }
        // An empty write is done when all before it are.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            self.close("goodbye")
        }
    }

    private func open(_ greeting: Greeting) throws {
        let own = transport.greeting(for: .control)
        do {
            guard let node = verdict.node else { throw Refusal.badGreeting }
            let tags = transport.acceptedTags
            try Refusal.check(greeting, against: own, tags: tags, certified: node)
            guard let tag = verdict.tag, tags.contains(tag) else { throw Refusal.droppedSecret }
            try transport.admit(greeting.member)
        } catch let refusal as Refusal {
            send(.goodbye(Goodbye(refusal.reason, detail: refusal.description)))
            throw refusal
        }
        guard let version = input.agreedVersion else {
            throw Refusal.version(of: greeting, and: own)
        }
        if !isDialled { send(.welcome(Welcome(version: version, greeting: own))) }
        encoder = FrameEncoder(version: version)
        state = .open(greeting.member)
        peerGreeting = greeting
        opened = .now()
        lastHeard = opened
        // The listener opened before it answered, so for the dialler both sides are open.
        isConfirmed = isDialled
        handshakeTimer?.cancel()
        place?.giveBack()
        let address =
            switch origin {
            case .dialled(let address): address
            case .accepted(let host): Address(host: host, port: greeting.listenPort)
            }
        transport.controlOpened(self, member: greeting.member, address: address)
        probe()
    }
}

/// Who opened a connection.
enum ConnectionOrigin: Hashable, Sendable {
    /// This node, to that address.
    case dialled(Address)
    /// A peer at that host.
    case accepted(host: String)

    /// Whether this node opened it.
    var isDialled: Bool {
        if case .dialled = self { true } else { false }
    }

    /// How long the way to a known peer may take.
    var openingTimeout: TimeAmount {
        isDialled
            ? TransportLimits.connectTimeout + TransportLimits.handshakeTimeout
            : TransportLimits.handshakeTimeout
    }

    /// The end that this node is.
    var side: FrameDecoder.Side { isDialled ? .dialer : .listener }

    /// The other end, for logs.
    var host: String {
        switch self {
        case .dialled(let address): address.description
        case .accepted(let host): host
        }
    }
}
