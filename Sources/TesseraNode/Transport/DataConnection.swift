import NIOCore
import NIOTLS
import TesseraCore
import TesseraWire

/// One data connection: slices and blobs, in both directions; lives on a data loop.
///
/// Methods that say so may be called from everywhere; they hop to the loop.
///
/// Sendable by confinement: every property that changes is used on `loop` only.
final class DataConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum State {
        /// TLS or greetings are under way.
        case opening
        /// The peer said hello; the control loop decides.
        case admitting(NodeBoot)
        /// The peer is known.
        case open(NodeBoot)
        /// Nothing more happens.
        case closed
    }

    /// Who opened it.
    let origin: ConnectionOrigin
    /// Its event loop.
    let loop: any EventLoop
    /// The peer that a dialled connection is for.
    let expected: NodeBoot?

    let transport: PeerTransport
    private let verdict: TLSVerdict?
    private let place: HalfOpenPlace?
    private var proof: PlainProof?
    private var input: FrameInput
    private var handshakeTimer: Scheduled<Void>?
    private var closeError: (any Error)?
    private var closeText: String?

    var state = State.opening
    var context: ChannelHandlerContext?
    var encoder = FrameEncoder()

    // What is on its way out, see `DataConnection+Sending`.
    var frames = CircularBuffer<Frame>()
    var slices = CircularBuffer<OutgoingSlice>()
    var blobs = CircularBuffer<BlobChunk>()
    var lastStream: UInt32 = 0
    var inFlightBytes = 0
    var sliceChunksSinceBlob = 0
    var isPumping = false

    /// Slices that are measured: how many are on their way, when the last one began, and what the
    /// kernel saw when the first one did.
    var largeSlices: (open: Int, began: NIODeadline, since: KernelRate?) = (0, .now(), nil)

    // What is on its way in, see `DataConnection+Receiving`.
    var incoming: [UInt32: IncomingSlice] = [:]
    var discarded: [UInt32: Int] = [:]
    var receivedSliceBytes = 0
    var fetches: [BlobID: BlobFetch] = [:]
    var asked = CircularBuffer<BlobRequest>()
    var isReadingBlob = false
    var silenceTimer: Scheduled<Void>?

    // Trials of the link: frames still to send, when the first one went and how many bytes the peer
    // is to report, and what came in of the peer's.
    var trialFramesLeft = 0
    var trialSent: (began: NIODeadline, bytes: Int)?
    /// What the kernel said when it began.
    var trialSince: KernelRate?
    var incomingTrial: (began: NIODeadline, bytes: Int)?

    /// Makes the handler; without a verdict the connection is not encrypted and wants a proof.
    init(
        origin: ConnectionOrigin, loop: any EventLoop, transport: PeerTransport,
        verdict: TLSVerdict?, proof: PlainProof?, place: HalfOpenPlace?, expected: NodeBoot?
    ) {
        self.origin = origin
        self.loop = loop
        self.transport = transport
        self.verdict = verdict
        self.proof = proof
        self.place = place
        self.expected = expected
        input = FrameInput(side: origin.side, versions: transport.versions)
    }

    /// Whether it is not encrypted.
    var isPlain: Bool { verdict == nil }

    /// Whether the peer can unpack slices: codecs came with version 3.
    var hasCodecs: Bool { (encoder.version ?? 0) >= 3 }

    /// The peer, once it is known.
    var member: NodeBoot? {
        if case .open(let member) = state { member } else { nil }
    }

    /// Closes; from everywhere.
    func close(_ reason: String) {
        loop.execute { self.closeNow(reason) }
    }

    /// Closes at once; on the loop.
    func closeNow(_ reason: String) {
        if closeText == nil { closeText = reason }
        context?.close(mode: .all, promise: nil)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        handshakeTimer = loop.assumeIsolated()
            .scheduleTask(in: origin.openingTimeout) {
                switch self.state {
                case .opening, .admitting: self.closeNow("the handshake took too long")
                case .open, .closed: break
                }
            }
    }

    func channelActive(context: ChannelHandlerContext) {
        if verdict == nil, origin.isDialled, let expected {
            let proof = PlainProof.bytes(transport.plainKey, dialler: own, listener: expected)
            context.write(wrapOutboundOut(ByteBuffer(bytes: proof)), promise: nil)
            sayHello()
        }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.handshakeCompleted) = event as? TLSUserEvent, origin.isDialled {
            sayHello()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if let member {
            transport.counters.moved(received: buffer.readableBytes, of: member.node)
        }
        do {
            if proof?.take(&buffer) == false { return }
            while let frame = try input.next(&buffer) {
                try receive(frame)
                if case .closed = state { return }
            }
        } catch {
            if case .open = state { transport.counters.change { $0.connectionsBroken += 1 } }
            fail(error)
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

    /// The peer broke the protocol.
    func fail(_ error: any Error) {
        if closeError == nil { closeError = error }
        closeNow(CloseReason.text(error, verdict: verdict))
    }

    private var own: NodeBoot { transport.member }

    /// The end, once, however it came.
    private func end() {
        if case .closed = state { return }
        let wasOpen = member
        state = .closed
        context = nil
        handshakeTimer?.cancel()
        silenceTimer?.cancel()
        place?.giveBack()
        let reason = closeText ?? CloseReason.text(closeError, verdict: verdict)
        for slice in incoming.values { transport.budget.giveBack(slice.budgetBytes) }
        incoming.removeAll()
        frames.removeAll()
        slices.removeAll()
        blobs.removeAll()
        for fetch in fetches.values { fetch.finish(reason) }
        fetches.removeAll()
        transport.controlLoop.execute {
            if let wasOpen {
                self.transport.dataClosed(self, of: wasOpen, reason: reason)
            } else {
                self.transport.dataFailed(self, reason: reason)
            }
        }
    }

    // MARK: Greetings

    private func sayHello() {
        write(.hello(transport.greeting(for: .data)))
    }

    /// Writes a frame of the greetings.
    private func write(_ frame: Frame) {
        guard let context else { return }
        var buffer = ByteBufferAllocator().buffer(capacity: 256)
        do throws(WireError) {
            try encoder.write(frame, into: &buffer)
        } catch {
            return fail(error)
        }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    private func receive(_ frame: Frame) throws {
        switch (state, frame) {
        case (.opening, .hello(let greeting)):
            try check(greeting)
            state = .admitting(greeting.member)
            transport.controlLoop.execute {
                let refusal = self.transport.admitData(self, of: greeting.member)
                self.loop.execute { self.decided(refusal, greeting) }
            }
        case (.opening, .welcome(let welcome)):
            try check(welcome.greeting)
            guard welcome.greeting.member == expected else { throw Refusal.badGreeting }
            opened(welcome.greeting.member)
            tellOpened(welcome.greeting.member)
        case (_, .goodbye(let goodbye)):
            closeNow(goodbye.detail.isEmpty ? "\(goodbye.reason)" : goodbye.detail)
        case (.open(let member), _):
            try receive(frame, from: member)
        default:
            throw WireError.unexpectedFrame("before the greetings are done")
        }
    }

    private func check(_ greeting: Greeting) throws {
        do {
            // Without TLS the proof stands for the certificate.
            let certified = verdict?.node ?? greeting.member.node
            if let verdict, verdict.node == nil { throw Refusal.badGreeting }
            try Refusal.check(
                greeting, against: transport.greeting(for: .data), tags: transport.acceptedTags,
                certified: certified)
            if let proof, !origin.isDialled {
                let isProven = transport.plainKeys.contains { key in
                    proof.proves(key, dialler: greeting.member, listener: own)
                }
                guard isProven else { throw Refusal.plainNotAllowed }
            }
        } catch let refusal as Refusal {
            write(.goodbye(Goodbye(refusal.reason, detail: refusal.description)))
            throw refusal
        }
    }

    private func decided(_ refusal: Refusal?, _ greeting: Greeting) {
        guard case .admitting = state else { return }
        if let refusal {
            write(.goodbye(Goodbye(refusal.reason, detail: refusal.description)))
            return fail(refusal)
        }
        guard let version = input.agreedVersion else {
            return fail(Refusal.version(of: greeting, and: transport.greeting(for: .data)))
        }
        write(.welcome(Welcome(version: version, greeting: transport.greeting(for: .data))))
        opened(greeting.member)
        tellOpened(greeting.member)
    }

    private func tellOpened(_ member: NodeBoot) {
        let hasCodecs = hasCodecs
        transport.controlLoop.execute {
            self.transport.dataOpened(self, of: member, hasCodecs: hasCodecs)
        }
    }

    private func opened(_ member: NodeBoot) {
        state = .open(member)
        encoder = FrameEncoder(version: input.agreedVersion)
        handshakeTimer?.cancel()
        place?.giveBack()
    }
}
