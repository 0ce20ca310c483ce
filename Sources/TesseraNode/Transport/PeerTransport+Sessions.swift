import Logging
import NIOCore
import TesseraCore
import TesseraWire

/// Which connections belong together, and when a peer counts as connected.
///
/// Both sides may dial at once. Then both connections work, and once a connection is surely open on
/// both sides, the dialler of the other one retires it: kept is the lower node's.
extension PeerTransport {
    /// The greetings of a control connection are done.
    func controlOpened(_ connection: ControlConnection, member: NodeBoot, address: Address) {
        opening.removeAll { $0 === connection }
        if case .dialled(let dialled) = connection.origin { dials.remove(dialled) }
        knownBoots.insert(member, at: .now())
        if let session = sessions[member.node] {
            if session.member != member {
                end(
                    session, reason: "a newer run of the node connected", goodbye: .init(.staleBoot)
                )
            } else if isReplacement(connection, of: session) {
                end(session, reason: "the peer connected anew", goodbye: .init(.duplicate))
            }
        }
        let session: PeerSession
        if let current = sessions[member.node] {
            session = current
        } else {
            session = PeerSession(member: member, address: address)
            sessions[member.node] = session
            tell { $0.connected(member, address: address) }
        }
        session.connections.append(connection)
        if let tag = connection.provenTag { session.shownTags.insert(tag) }
        settle(session)
        if connection.isDialled, session.data.isEmpty, session.dataDialled == nil {
            dialData(session, plain: !configuration.dataEncryption)
        }
    }

    /// Whether the peer must have lost the session: it dials only what it does not have, except
    /// for a dial that crossed ours, which comes within the time of a handshake.
    private func isReplacement(
        _ connection: ControlConnection, of session: PeerSession
    ) -> Bool {
        guard !connection.isDialled else { return false }
        if session.connections.contains(where: { !$0.isDialled }) { return true }
        let limit = TransportLimits.connectTimeout + TransportLimits.handshakeTimeout
        return session.connections.allSatisfy { connection.opened - $0.opened > limit }
    }

    /// The peer surely has the connection open too.
    func controlConfirmed(_ connection: ControlConnection, of member: NodeBoot) {
        guard let session = session(member) else { return }
        settle(session)
    }

    /// Retires what this side dialled too much.
    private func settle(_ session: PeerSession) {
        let own = session.connections.filter(\.isDialled)
        let isOwnKept = member.node < session.member.node
        let hasConfirmed = session.connections.contains { !$0.isDialled && $0.isConfirmed }
        let retired = isOwnKept ? own.dropFirst() : hasConfirmed ? own[...] : own.dropFirst()
        for connection in retired {
            session.connections.removeAll { $0 === connection }
            connection.retire(Goodbye(.duplicate))
        }
    }

    /// A control connection broke or was closed.
    func controlClosed(_ connection: ControlConnection, of member: NodeBoot, reason: String) {
        guard let session = session(member) else { return }
        session.connections.removeAll { $0 === connection }
        if session.connections.isEmpty { end(session, reason: reason, goodbye: nil) }
    }

    /// The peer said goodbye on a control connection.
    func controlRetired(_ connection: ControlConnection, of member: NodeBoot, reason: String) {
        guard let session = session(member) else { return }
        session.connections.removeAll { $0 === connection }
        if session.connections.isEmpty {
            end(session, reason: "the peer said goodbye: \(reason)", goodbye: nil)
        }
    }

    /// Ends a session: everything of it is closed, and the delegate hears of it once.
    func end(_ session: PeerSession, reason: String, goodbye: Goodbye?) {
        guard sessions[session.member.node] === session else { return }
        sessions[session.member.node] = nil
        let member = session.member
        // Its datagrams are heard on for a while: the network may just be cut for connections.
        knownBoots.insert(member, at: .now())
        for connection in session.connections {
            if let goodbye { connection.retire(goodbye) } else { connection.close(reason) }
        }
        session.connections.removeAll()
        session.data.forEach { $0.close(reason) }
        session.data.removeAll()
        session.waitingFetches.forEach { $0.finish(reason) }
        session.waitingFetches.removeAll()
        session.waitingSlices.removeAll()
        logger.debug(
            "disconnected", metadata: ["peer": "\(member.node)", "reason": "\(reason)"])
        tell { $0.disconnected(member, reason: reason) }
    }

    // MARK: Messages and measurements

    func controlReceived(_ message: Message, from member: NodeBoot) {
        guard session(member) != nil else { return }
        tell { $0.received(message, from: member) }
    }

    func roundTripMeasured(nanoseconds: Int64, of member: NodeBoot) {
        guard let session = session(member) else { return }
        let isFirst = !session.link.hasRoundTrip
        session.link.returned(nanoseconds: nanoseconds)
        if isFirst { reportLink(of: session) }
    }

    func transferMeasured(
        bytes: Int, microseconds: Int64, kernel: KernelRate?,
        transfer: (bytes: UInt64, microseconds: UInt64)?, isTrial: Bool, of member: NodeBoot
    ) {
        if isTrial, let began = openTrial(of: member) { trialEnded(began: began) }
        guard let session = session(member) else { return }
        let isFirst = session.link.bytesPerSecond == 0
        if let kernel {
            session.link.rated(bytesPerSecond: kernel.lastBytesPerSecond)
            if let transfer {
                session.link.delivered(
                    bytes: transfer.bytes, microseconds: transfer.microseconds)
            }
        } else {
            session.link.transferred(bytes: bytes, microseconds: microseconds)
        }
        session.lastTransfer = .now()
        if isFirst { reportLink(of: session) }
    }

    private func reportLink(of session: PeerSession) {
        let member = session.member
        guard let known = session.link.measurement(of: member.node) else { return }
        let measurement = TestLinks.told(known)
        tell { $0.linkMeasured(measurement, of: member) }
    }

    // MARK: Data connections

    /// Decides on a data connection that a peer opened.
    func admitData(_ connection: DataConnection, of member: NodeBoot) -> Refusal? {
        guard !isClosing else { return .leaving }
        guard let session = session(member) else { return .noSession }
        return session.data.count < TransportLimits.connectionsPerSession ? nil : .duplicate
    }

    /// The greetings of a data connection are done.
    func dataOpened(
        _ connection: DataConnection, of member: NodeBoot, hasCodecs: Bool
    ) {
        guard let session = session(member) else {
            return connection.close("the control connection is gone")
        }
        session.data.append(connection)
        session.dataDialled = nil
        guard session.data.count == 1 else { return }
        if hasCodecs, !session.hasCodecs {
            session.hasCodecs = true
            tell { $0.peerUnpacks(member) }
        }
        connection.send(session.waitingSlices)
        session.waitingSlices.removeAll()
        connection.fetch(session.waitingFetches)
        session.waitingFetches.removeAll()
    }

    /// A data connection could not be opened.
    func dataFailed(_ connection: DataConnection, reason: String) {
        logger.debug(
            "data connection failed",
            metadata: ["peer": "\(connection.origin.host)", "reason": "\(reason)"])
        switch connection.origin {
        case .accepted(let host):
            counters.change { $0.handshakesFailed += 1 }
            tell { $0.refused(host: host, reason: reason) }
        case .dialled:
            // A peer that was not told to do without encryption closes at once: encrypt, then.
            guard let member = connection.expected, let session = session(member),
                connection.isPlain, session.data.isEmpty
            else { return }
            dialData(session, plain: false)
        }
    }

    /// A data connection broke: what was on its way is lost, so the session is over.
    func dataClosed(_ connection: DataConnection, of member: NodeBoot, reason: String) {
        guard let session = session(member),
            session.data.contains(where: { $0 === connection })
        else { return }
        end(session, reason: "data connection: \(reason)", goodbye: Goodbye(.other))
    }

    // MARK: Signs of life

    /// Looks after silence, missing data connections and measurements.
    func tick() {
        let now = NIODeadline.now()
        let isStalled = now - lastTick > TransportLimits.stallTolerated
        lastTick = now
        let isProbing = now - lastProbe >= TransportLimits.keepaliveInterval
        if isProbing { lastProbe = now }
        tryLink(at: now)
        for session in sessions.values.sorted(by: { $0.member < $1.member }) {
            for connection in session.connections {
                if isStalled {
                    // This loop slept: the peers' signs may wait unread in the kernel.
                    connection.lastHeard = now
                } else if now - connection.lastHeard > TransportLimits.silenceMax {
                    connection.close(
                        "silent for \(TransportLimits.silenceMax.nanoseconds / 1_000_000_000) s")
                    continue
                }
                // Who was just asked by the peer, or answered, need not ask: one of both does.
                if isProbing, now - connection.lastHeard > TransportLimits.keepaliveQuiet {
                    connection.probe()
                }
            }
            guard isProbing, sessions[session.member.node] === session else { continue }
            reportLink(of: session)
            watchData(of: session, at: now)
        }
    }

    /// Measures one of the links that carry nothing large by themselves: the one of which least is
    /// known.
    ///
    /// One at a time, since trials that share the way out of this device would each see a part of
    /// it, and with a pause behind each, since what is in the way waits behind a trial.
    private func tryLink(at now: NIODeadline) {
        if let trial, now - trial.began < TransportLimits.trialPatience { return }
        trial = nil
        guard now >= nextTrial else { return }
        let due = sessions.values.filter { $0.isTrialDue(at: now) }
        guard
            let session = due.min(by: {
                ($0.trials, $0.lastTrial ?? $0.began, $0.member)
                    < ($1.trials, $1.lastTrial ?? $1.began, $1.member)
            }), let connection = session.data.first
        else { return }
        session.trials += 1
        session.lastTrial = now
        trial = (session.member, now)
        connection.tryLink(
            frames: TransportLimits.trialFrames(bytesPerSecond: session.link.bytesPerSecond))
    }

    private func openTrial(of member: NodeBoot) -> NIODeadline? {
        trial?.member == member ? trial?.began : nil
    }

    private func trialEnded(began: NIODeadline) {
        trial = nil
        let now = NIODeadline.now()
        nextTrial = now + (now - began) * TransportLimits.trialPauseFactor
    }

    /// A session without a data connection is given up; its dialler tries in between.
    private func watchData(of session: PeerSession, at now: NIODeadline) {
        guard session.data.isEmpty else { return }
        guard now - session.began <= TransportLimits.dataMissingMax else {
            return end(
                session, reason: "no data connection came about", goodbye: Goodbye(.timeout))
        }
        let isDialler = session.active(own: member.node)?.isDialled ?? false
        let isDue = session.dataDialled.map { now - $0 > TransportLimits.connectTimeout } ?? true
        if isDialler, isDue { dialData(session, plain: false) }
    }
}
