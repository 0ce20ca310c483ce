public import Crypto
public import NIOCore
public import TesseraCore

/// Seals the datagrams that one run of this node sends for one purpose.
///
/// Under one key no counter may be used twice. So there is exactly one sealer per run and purpose,
/// and it cannot be copied.
public struct DatagramSealer: ~Copyable, Sendable {
    private let purpose: SealedDatagram.Purpose
    private let generation: UInt32
    private let sender: NodeBoot
    private var key: SymmetricKey
    private var lastCounter: UInt64 = 0

    /// Makes the sealer of this run from the mesh's key for the purpose.
    public init(
        purpose: SealedDatagram.Purpose, key: SymmetricKey, generation: UInt32, sender: NodeBoot
    ) {
        self.purpose = purpose
        self.generation = generation
        self.sender = sender
        self.key = SealedDatagram.key(
            from: key, purpose: purpose, generation: generation, sender: sender)
    }

    /// Seals with another key of the mesh from now on.
    ///
    /// The counter goes on: so no counter is used twice under one key, even if that key comes back,
    /// and receivers need one window for all of them.
    public mutating func use(_ key: SymmetricKey) {
        self.key = SealedDatagram.key(
            from: key, purpose: purpose, generation: generation, sender: sender)
    }

    /// Seals a message for one run of one node.
    ///
    /// Trailing rumours that do not fit are left out; `droppedRumours` says how many. A `sync` is
    /// refused: it goes over the connection.
    public mutating func seal(
        _ message: MembershipMessage, to receiver: NodeBoot
    ) throws(WireError) -> (datagram: ByteBuffer, droppedRumours: Int) {
        if case .sync = message { throw .unexpectedFrame("sync in a datagram") }
        let (fitting, droppedRumours) = message.fitted()
        let payload = try fitting.encodedBytes(capacity: SealedDatagram.payloadBytesMax)
        return (try seal(payload, to: receiver), droppedRumours)
    }

    /// Seals a beacon for everybody near.
    public mutating func seal(_ beacon: Beacon) throws(WireError) -> ByteBuffer {
        try seal(try beacon.encodedBytes(), to: nil)
    }

    /// Seals bytes for one run of one node, or for everybody if there is no receiver.
    public mutating func seal(
        _ payload: ByteBuffer, to receiver: NodeBoot?
    ) throws(WireError) -> ByteBuffer {
        guard payload.readableBytes <= SealedDatagram.payloadBytesMax else {
            throw .limitExceeded(what: "datagram payload", max: SealedDatagram.payloadBytesMax)
        }
        guard lastCounter < .max else { throw .limitExceeded(what: "counter", max: .max) }
        lastCounter += 1
        let header = DatagramHeader(
            version: Version.datagrams, purpose: purpose, generation: generation,
            sender: sender, receiver: receiver ?? SealedDatagram.everybody, counter: lastCounter)
        var datagram = try header.encodedBytes(capacity: WireLimits.datagramBytesMax)
        do {
            let box = try ChaChaPoly.seal(
                Array(payload.readableBytesView), using: key,
                nonce: ChaChaPoly.Nonce(data: SealedDatagram.nonce(of: lastCounter)),
                authenticating: Array(datagram.readableBytesView))
            datagram.writeBytes(box.ciphertext)
            datagram.writeBytes(box.tag)
        } catch {
            // Key, nonce and sizes are fixed above, so the library has no reason to refuse.
            throw .invalidValue(what: "datagram")
        }
        return datagram
    }
}
