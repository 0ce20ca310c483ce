import Crypto
import NIOCore
import TesseraCore

/// The form of every datagram: a header in the open, then the payload sealed with it.
///
/// Magic (2 bytes), version (2), purpose (1), flags (1, zero), key generation (4), sender (node and
/// boot, 48), receiver (node and boot, 48, all zero for everybody), counter (8); then the payload
/// under ChaCha20-Poly1305 with its tag of 16 bytes. ChaCha20 because small boards have no
/// instructions for AES.
public enum SealedDatagram {
    /// What datagrams are for.
    ///
    /// Each purpose has keys of its own.
    public enum Purpose: UInt8, CaseIterable, Sendable {
        /// SWIM's messages, to one run of one node.
        case membership = 1
        /// "I am here", to everybody near.
        case beacon
    }

    /// Bytes of the header.
    static let headerByteCount = 2 + 2 + 1 + 1 + 4 + 2 * NodeBoot.encodedByteCount + 8
    /// Bytes of the authentication tag.
    static let tagByteCount = 16
    /// Bytes that a payload may have.
    public static let payloadBytesMax =
        WireLimits.datagramBytesMax - headerByteCount - tagByteCount

    static let magic: UInt16 = 0x5444
    static let everybody = NodeBoot(
        node: NodeID(0, 0, 0, 0), boot: Boot(counter: 0, random: 0))

    /// The key of one run of one sender: HKDF-SHA256 over the purpose's key.
    static func key(
        from purposeKey: SymmetricKey, purpose: Purpose, generation: UInt32, sender: NodeBoot
    ) -> SymmetricKey {
        var writer = WireWriter(capacity: 64)
        writer.write(purpose)
        writer.write(generation)
        writer.write(sender)
        return HKDF<SHA256>.deriveKey(
            inputKeyMaterial: purposeKey, salt: Array("tessera datagram 1".utf8),
            info: Array(writer.buffer.readableBytesView), outputByteCount: 32)
    }

    /// Four zero bytes and the counter: never the same twice under one key.
    static func nonce(of counter: UInt64) -> [UInt8] {
        [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: counter >> (56 - 8 * $0)) }
    }
}

/// The open part of a datagram.
struct DatagramHeader: Hashable, WireValue {
    var version: UInt16
    var purpose: SealedDatagram.Purpose
    var generation: UInt32
    var sender: NodeBoot
    var receiver: NodeBoot
    var counter: UInt64

    init(
        version: UInt16, purpose: SealedDatagram.Purpose, generation: UInt32, sender: NodeBoot,
        receiver: NodeBoot, counter: UInt64
    ) {
        self.version = version
        self.purpose = purpose
        self.generation = generation
        self.sender = sender
        self.receiver = receiver
        self.counter = counter
    }

    /// The layout that `SealedDatagram` describes.
    package func encode(into writer: inout WireWriter) {
        writer.write(SealedDatagram.magic)
        writer.write(version)
        writer.write(purpose)
        writer.write(0 as UInt8)
        writer.write(generation)
        writer.write(sender)
        writer.write(receiver)
        writer.write(counter)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        guard try reader.read("magic", as: UInt16.self) == SealedDatagram.magic else {
            throw .badMagic
        }
        let version = try reader.read("version", as: UInt16.self)
        guard version == Version.datagrams else { throw .unknownVersion(version) }
        let purpose = try reader.readChoice("purpose", as: SealedDatagram.Purpose.self)
        let flags = try reader.read("flags", as: UInt8.self)
        guard flags == 0 else { throw .unknownFlags(flags) }
        self.init(
            version: version, purpose: purpose, generation: try reader.read("generation"),
            sender: try reader.read(), receiver: try reader.read(),
            counter: try reader.read("counter"))
    }
}
