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

    /// A key of the mesh, and what it is called in the open.
    public struct Key: Sendable {
        /// The mesh's key for the purpose.
        public var key: SymmetricKey
        /// The tag of the secret that it was derived from.
        public var tag: String

        /// Makes a key.
        public init(key: SymmetricKey, tag: String) {
            self.key = key
            self.tag = tag
        }
    }

    private struct Sender {
        /// The key of what it sent last, and that key's place among the mesh's; nil after those
        /// have changed.
        var key: (key: SymmetricKey, place: Int)?
        var window = ReplayWindow()
        var lastUse: UInt64

        mutating func note(
            _ counter: UInt64, key: (key: SymmetricKey, place: Int), use: UInt64
        ) {
            self.key = key
            window.insert(counter)
            lastUse = use
        }
    }

    private let purpose: SealedDatagram.Purpose
    private var keys: [Key]
    private let generation: UInt32
    private let receiver: NodeBoot
    private var senders: [NodeBoot: Sender] = [:]
    private var useCount: UInt64 = 0

    /// The tag of the key that the last datagram which opened was sealed with.
    public private(set) var lastTag = ""

    /// Makes the opener of this run from the mesh's key for the purpose.
    public init(
        purpose: SealedDatagram.Purpose, key: SymmetricKey, generation: UInt32, receiver: NodeBoot
    ) {
        self.init(
            purpose: purpose, keys: [Key(key: key, tag: "")], generation: generation,
            receiver: receiver)
    }

    /// Makes the opener of this run from the mesh's keys for the purpose; any of them opens.
    public init(
        purpose: SealedDatagram.Purpose, keys: [Key], generation: UInt32, receiver: NodeBoot
    ) {
        self.purpose = purpose
        self.keys = keys
        self.generation = generation
        self.receiver = receiver
    }

    /// Opens with other keys of the mesh from now on.
    ///
    /// What was seen stays seen: a sender's counter goes on under its next key.
    public mutating func use(_ keys: [Key]) {
        self.keys = keys
        for sender in Array(senders.keys) { senders[sender]?.key = nil }
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
    /// key derivation and one failed check for each key of the mesh, and leaves nothing behind.
    public mutating func open(_ datagram: ByteBuffer) throws(WireError) -> Opened {
        guard datagram.readableBytes <= WireLimits.datagramBytesMax else {
            throw .limitExceeded(what: "datagram", max: WireLimits.datagramBytesMax)
        }
        let (header, associated, sealed) = try split(datagram)
        let known = senders[header.sender]
        if let known, !known.window.isNew(header.counter) { throw .replayed }
        // Most datagrams have the key of the one before.
        let last = known?.key?.place
        let others = keys.indices.filter { $0 != last }
        for place in (last.map { [$0] } ?? []) + others {
            let key =
                known?.key.flatMap { $0.place == place ? $0.key : nil }
                ?? SealedDatagram.key(
                    from: keys[place].key, purpose: purpose, generation: generation,
                    sender: header.sender)
            guard
                let payload = decrypt(sealed, header: header, associated: associated, key: key)
            else { continue }
            remember(header, key: (key, place))
            lastTag = keys[place].tag
            return Opened(sender: header.sender, payload: payload)
        }
        throw .notAuthentic
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
    ) -> ByteBuffer? {
        do {
            let combined = SealedDatagram.nonce(of: header.counter) + sealed.readableBytesView
            let box = try ChaChaPoly.SealedBox(combined: combined)
            let payload = try ChaChaPoly.open(
                box, using: key, authenticating: Array(associated.readableBytesView))
            return ByteBuffer(bytes: payload)
        } catch {
            return nil
        }
    }

    private mutating func remember(
        _ header: DatagramHeader, key: (key: SymmetricKey, place: Int)
    ) {
        useCount += 1
        let use = useCount
        // Written through the dictionary in place, so that the window's words are not copied.
        senders[header.sender, default: Sender(key: key, lastUse: use)].note(
            header.counter, key: key, use: use)
        guard senders.count > Self.sendersMax else { return }
        // Each use has its own number, so the order of the dictionary does not matter.
        if let oldest = senders.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            senders[oldest.key] = nil
        }
    }
}
