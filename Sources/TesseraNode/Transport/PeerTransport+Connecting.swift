import Logging
import NIOCore
import NIOPosix
public import TesseraCore
import TesseraWire

/// Dialling and accepting.
extension PeerTransport {
    /// Opens a control connection to the address unless there is one.
    ///
    /// Ends in `connected`, `alreadyConnected` or `unreachable`.
    public func connect(_ address: Address) {
        controlLoop.preconditionInEventLoop()
        guard !isClosing, !dials.contains(address),
            !sessions.values.contains(where: { $0.address == address })
        else { return }
        guard dials.count < TransportLimits.dialsMax else {
            return tell { $0.unreachable(address, reason: "too many dials at once") }
        }
        dials.insert(address)
        let origin = ConnectionOrigin.dialled(address)
        dial(address, purpose: .control, on: controlLoop) { channel in
            let verdict = TLSVerdict()
            let connection = ControlConnection(
                origin: origin, transport: self, verdict: verdict, place: nil)
            try channel.pipeline.syncOperations.addHandlers([
                PreambleSender(.control),
                TLSVerdict.handler(isDialled: true, contexts: self.contexts, verdict: verdict),
                connection,
            ])
            self.opening.append(connection)
        }.whenFailure { error in
            // After the network connection came about, the connection itself tells its end.
            self.dialFailed(address, reason: CloseReason.text(error, verdict: nil))
        }
    }

    private func dialFailed(_ address: Address, reason: String) {
        guard dials.remove(address) != nil else { return }
        tell { $0.unreachable(address, reason: reason) }
    }

    /// Opens the data connection of a session.
    func dialData(_ session: PeerSession, plain: Bool) {
        let member = session.member
        session.dataDialled = .now()
        let loop = nextDataLoop
        let address = session.address
        dial(address, purpose: plain ? .plainData : .data, on: loop) { channel in
            let verdict = plain ? nil : TLSVerdict()
            let connection = DataConnection(
                origin: .dialled(address), loop: loop, transport: self, verdict: verdict,
                proof: nil, place: nil, expected: member)
            try self.addDataHandlers(
                connection, verdict, purpose: plain ? .plainData : .data, to: channel)
        }.whenFailure { error in
            let reason = CloseReason.text(error, verdict: nil)
            self.logger.debug(
                "data connection failed", metadata: ["peer": "\(address)", "reason": "\(reason)"])
        }
    }

    private func addDataHandlers(
        _ connection: DataConnection, _ verdict: TLSVerdict?, purpose: Preamble.Purpose,
        to channel: any Channel
    ) throws {
        let isDialled = connection.origin.isDialled
        if isDialled {
            try channel.pipeline.syncOperations.addHandler(PreambleSender(purpose))
        }
        if let verdict {
            let handler = try TLSVerdict.handler(
                isDialled: isDialled, contexts: contexts, verdict: verdict)
            try channel.pipeline.syncOperations.addHandler(handler)
        }
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    private func dial(
        _ address: Address, purpose: Preamble.Purpose, on loop: any EventLoop,
        initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<Void> {
        let remote: SocketAddress
        do {
            remote = try SocketAddress(ipAddress: address.host, port: Int(address.port))
        } catch {
            return controlLoop.makeFailedFuture(
                Refusal(.other, "\"\(address.host)\" is not a numeric IP address"))
        }
        return bootstrap(on: loop, purpose: purpose, initialize: initialize)
            .connect(to: remote).map { _ in }.hop(to: controlLoop)
    }

    /// A visitor showed its preamble; from the doorkeeper's thread.
    func accept(_ visitor: Doorkeeper.Visitor) {
        let origin = ConnectionOrigin.accepted(host: visitor.host)
        let isControl = visitor.purpose == .control
        let loop = isControl ? controlLoop : nextDataLoop
        if visitor.purpose == .plainData, configuration.dataEncryption {
            closeDescriptor(visitor.socket)
            visitor.place.giveBack()
            return counters.change { $0.handshakesFailed += 1 }
        }
        bootstrap(on: loop, purpose: visitor.purpose) { channel in
            let verdict = visitor.purpose == .plainData ? nil : TLSVerdict()
            if isControl, let verdict {
                let connection = ControlConnection(
                    origin: origin, transport: self, verdict: verdict, place: visitor.place)
                try channel.pipeline.syncOperations.addHandlers([
                    TLSVerdict.handler(
                        isDialled: false, contexts: self.contexts, verdict: verdict), connection,
                ])
                self.opening.append(connection)
                if self.isClosing { connection.close("this node is leaving") }
            } else {
                let connection = DataConnection(
                    origin: origin, loop: loop, transport: self, verdict: verdict,
                    proof: verdict == nil ? PlainProof() : nil, place: visitor.place,
                    expected: nil)
                try self.addDataHandlers(connection, verdict, purpose: visitor.purpose, to: channel)
            }
        }.withConnectedSocket(visitor.socket).whenFailure { _ in visitor.place.giveBack() }
    }

    private func bootstrap(
        on loop: any EventLoop, purpose: Preamble.Purpose,
        initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> ClientBootstrap {
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(TransportLimits.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try initialize(channel)
                    self.track(channel)
                }
            }
        guard purpose != .control else { return bootstrap }
        return DataSocket.configure(bootstrap)
    }

    // MARK: What the connections tell

    /// Whether a dialled connection to this node should end before it greets; by what its
    /// certificate says.
    func refusalOfGreeting(_ node: NodeID) -> Refusal? {
        if node == member.node { return .ownNode }
        let isGreeted = opening.contains { $0.greetedNode == node }
        return isGreeted || sessions[node] != nil ? .duplicate : nil
    }

    /// Throws if a run may not have a session.
    func admit(_ newcomer: NodeBoot) throws(Refusal) {
        guard !isClosing else { throw .leaving }
        if let session = sessions[newcomer.node] {
            guard session.member.boot <= newcomer.boot else { throw .olderRun }
        } else {
            guard sessions.count < configuration.sessionsMax else {
                throw .tooManyPeers(sessions.count)
            }
        }
    }

    /// A connection ended before its peer was known.
    func controlFailed(_ connection: ControlConnection, reason: String, refusal: Refusal?) {
        opening.removeAll { $0 === connection }
        switch connection.origin {
        case .accepted(let host):
            counters.change {
                if refusal?.reason == .overloaded {
                    $0.peersRefused += 1
                } else {
                    $0.handshakesFailed += 1
                }
            }
            tell { $0.refused(host: host, reason: reason) }
        case .dialled(let address):
            // Of a network connection that never came about the dial itself tells the reason.
            guard connection.wasActive, dials.remove(address) != nil else { return }
            if refusal == .duplicate, let node = connection.certifiedNode,
                let session = sessions[node]
            {
                let member = session.member
                tell { $0.alreadyConnected(member, dialled: address) }
            } else {
                if connection.isMisfit { sayMisfit(address, reason) }
                tell { $0.unreachable(address, reason: reason) }
            }
        }
    }

    /// Says that a peer does not belong here: dials come again and again, the word for one reason
    /// does not.
    private func sayMisfit(_ address: Address, _ reason: String) {
        let now = NIODeadline.now()
        saidMisfits = saidMisfits.filter { now - $0.value < TransportLimits.misfitSilence }
        let key = "\(address) \(reason)"
        guard saidMisfits[key] == nil, saidMisfits.count < TransportLimits.misfitsMax else {
            return
        }
        saidMisfits[key] = now
        logger.warning(
            "no connection", metadata: ["address": "\(address)", "reason": "\(reason)"])
    }
}

/// How the sockets of data connections are set up.
private enum DataSocket {
    /// Large reads: a chunk takes a few of them, whatever the kernel has is taken at once.
    private static let readBytes = 256 << 10
    /// Reads per turn of the loop, so that connections on one loop take turns.
    private static let readsPerTurn: UInt = 4

    static func configure(_ bootstrap: ClientBootstrap) -> ClientBootstrap {
        let configured =
            bootstrap
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readBytes)
            )
            .channelOption(.maxMessagesPerRead, value: readsPerTurn)
            // Writability is not used: the completion of writes paces the sending.
            .channelOption(
                .writeBufferWaterMark,
                value: .init(
                    low: TransportLimits.inFlightBytesMax,
                    high: 4 * TransportLimits.inFlightBytesMax))
        #if os(Linux)
        // <linux/tcp.h>; the C library's header may not have it.
        let unsentLowWater = NIOBSDSocket.Option(rawValue: 25)
        return configured.channelOption(
            .tcpOption(unsentLowWater), value: TransportLimits.kernelUnsentBytesMax)
        #else
        return configured
        #endif
    }
}
