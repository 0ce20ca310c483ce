import TesseraCore

/// What a beacon says, before it is sealed.
///
/// Layout, big-endian: `TSRB`, protocol version (2 bytes), port (2), node (32), boot counter (8),
/// boot random (8).
struct BeaconMessage: Hashable, Sendable {
    /// Who sends it.
    var node: NodeID
    /// Its run.
    var boot: Boot
    /// Where it listens, at the address that the datagram comes from.
    var port: UInt16

    /// Its size in bytes.
    static let byteCount = 56
    private static let magic = Array("TSRB".utf8)

    /// The bytes.
    var encoded: [UInt8] {
        var bytes = Self.magic
        bytes.reserveCapacity(Self.byteCount)
        Self.put(Version.wireProtocol, into: &bytes)
        Self.put(port, into: &bytes)
        bytes += node.bytes
        Self.put(boot.counter, into: &bytes)
        Self.put(boot.random, into: &bytes)
        return bytes
    }

    private static func put(_ number: some FixedWidthInteger, into bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes += $0 }
    }
}

extension BeaconMessage {
    /// Reads exactly one beacon.
    init(parsing bytes: [UInt8]) throws(BeaconError) {
        guard bytes.count == Self.byteCount else { throw .wrongSize(bytes.count) }
        guard bytes.starts(with: Self.magic) else { throw .wrongMagic }
        let version = UInt16(truncatingIfNeeded: Self.number(bytes[4..<6]))
        guard version == Version.wireProtocol else { throw .otherVersion(version) }
        let port = UInt16(truncatingIfNeeded: Self.number(bytes[6..<8]))
        guard port != 0 else { throw .noPort }
        guard let node = NodeID(bytes: bytes[8..<40]) else { throw .wrongSize(bytes.count) }
        let boot = Boot(
            counter: Self.number(bytes[40..<48]), random: Self.number(bytes[48..<56]))
        self.init(node: node, boot: boot, port: port)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Why bytes are not a beacon.
enum BeaconError: Error, Hashable {
    /// Another size than a beacon's.
    case wrongSize(Int)
    /// It does not begin as a beacon does.
    case wrongMagic
    /// Another version of the protocol.
    case otherVersion(UInt16)
    /// Port 0.
    case noPort
}
