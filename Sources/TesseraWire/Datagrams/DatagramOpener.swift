public import Crypto
public import NIOCore
public import TesseraCore

/// Opens the datagrams that arrive at one run of this node for one purpose.
///
/// Nothing is remembered of a sender before a datagram of it proved authentic, and never more than
/// a fixed number of senders. It cannot be copied: a copy would accept replays.
public struct DatagramOpener: ~Copyable, Sendable {
    /// A datagram that is authentic, for this run, and new.
    public struct Opened: Hashable, Sendable {
        /// The run that sealed it.
        public var sender: NodeBoot
        /// What it sealed.
        public var payload: ByteBuffer
    }

    /// Senders that are remembered: a large mesh with a restart of every node.
    ///
    /// The one heard least recently goes first; with it goes the knowledge of what it sent, so that
    /// its old datagrams could be replayed until the core hears of a newer run.
    public static let sendersMax = 2_048

    private struct Sender {
        var key: SymmetricKey
        var window = ReplayWindow()
        var lastUse: UInt64

        mutating func note(_ counter: UInt64, use: UInt64) {
            window.insert(counter)
            lastUse = use
        }
    }

    private let purpose: SealedDatagram.Purpose
    private let purposeKey: SymmetricKey
    private let generation: UInt32
    private let receiver: NodeBoot
    private var senders: [NodeBoot: Sender] = [:]
    private var useCount: UInt64 = 0

    /// Makes the opener of this run from the mesh's key for the purpose.
    public init(
        purpose: SealedDatagram.Purpose, key: SymmetricKey, generation: UInt32, receiver: NodeBoot
    ) {
        self.purpose = purpose
        purposeKey = key
        self.generation = generation
        self.receiver = receiver
    }

    /// How many senders are remembered.
    public var senderCount: Int { senders.count }

    /// Opens a message of membership.
    public mutating func openMessage(
        _ datagram: ByteBuffer
    ) throws(WireError) -> (message: MembershipMessage, sender: NodeBoot) {
        let opened = try open(datagram)
        let message = try MembershipMessage(decodingBytes: opened.payload)
        if case .sync = message { throw .unexpectedFrame("sync in a datagram") }
        return (message, opened.sender)
    }

    /// Opens a beacon.
    public mutating func openBeacon(_ datagram: ByteBuffer) throws(WireError) -> Beacon {
        let opened = try open(datagram)
        let beacon = try Beacon(decodingBytes: opened.payload)
        guard beacon.member == opened.sender else { throw .invalidValue(what: "beacon member") }
        return beacon
    }

    /// Opens a datagram.
    ///
    /// What is plainly not for this run costs no cryptography; garbage that looks right costs one
    /// key derivation and one failed check, and leaves nothing behind.
    public mutating func open(_ datagram: ByteBuffer) throws(WireError) -> Opened {
        guard datagram.readableBytes <= WireLimits.datagramBytesMax else {
            throw .limitExceeded(what: "datagram", max: WireLimits.datagramBytesMax)
        }
        let (header, associated, sealed) = try split(datagram)
        let known = senders[header.sender]
        if let known, !known.window.isNew(header.counter) { throw .replayed }
        let key =
            known?.key
            ?? SealedDatagram.key(
                from: purposeKey, purpose: purpose, generation: generation, sender: header.sender)
        let payload = try decrypt(sealed, header: header, associated: associated, key: key)
        remember(header, key: key)
        return Opened(sender: header.sender, payload: payload)
    }

    private func split(
        _ datagram: ByteBuffer
    ) throws(WireError) -> (header: DatagramHeader, associated: ByteBuffer, sealed: ByteBuffer) {
        var reader = WireReader(datagram)
        let (header, associated) = try reader.readWithBytes(DatagramHeader.self)
        guard header.purpose == purpose else { throw .otherPurpose }
        guard header.generation == generation else { throw .otherGeneration(header.generation) }
        guard header.sender != receiver else { throw .ownDatagram }
        let expected = purpose == .beacon ? SealedDatagram.everybody : receiver
        guard header.receiver == expected else { throw .otherReceiver }
        let sealed = reader.readRest()
        guard sealed.readableBytes >= SealedDatagram.tagByteCount else {
            throw .truncated(what: "datagram")
        }
        return (header, associated, sealed)
    }

    private func decrypt(
        _ sealed: ByteBuffer, header: DatagramHeader, associated: ByteBuffer, key: SymmetricKey
    ) throws(WireError) -> ByteBuffer {
        do {
            let combined = SealedDatagram.nonce(of: header.counter) + sealed.readableBytesView
            let box = try ChaChaPoly.SealedBox(combined: combined)
            let payload = try ChaChaPoly.open(
                box, using: key, authenticating: Array(associated.readableBytesView))
            return ByteBuffer(bytes: payload)
        } catch {
            throw .notAuthentic
        }
    }

    private mutating func remember(_ header: DatagramHeader, key: SymmetricKey) {
        useCount += 1
        let use = useCount
        // Written through the dictionary in place, so that the window's words are not copied.
        senders[header.sender, default: Sender(key: key, lastUse: use)].note(
            header.counter, use: use)
        guard senders.count > Self.sendersMax else { return }
        // Each use has its own number, so the order of the dictionary does not matter.
        if let oldest = senders.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            senders[oldest.key] = nil
        }
    }
}
