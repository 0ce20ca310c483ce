public import NIOCore
public import TesseraCore

/// Asks a peer for a part of a blob or manifest.
public struct BlobRequest: Hashable, Sendable {
    /// The blob; for a manifest its hash.
    public var id: BlobID
    /// Whether it is a manifest.
    public var isManifest: Bool
    /// Where the wanted bytes begin.
    public var offset: Int
    /// How many bytes are wanted, at least 1; the answer ends earlier where the blob ends.
    public var length: Int

    /// Makes a request.
    public init(id: BlobID, isManifest: Bool, offset: Int, length: Int) {
        self.id = id
        self.isManifest = isManifest
        self.offset = offset
        self.length = length
    }
}

extension BlobRequest: WireValue {
    /// Blob, manifest flag (1 byte), offset (8 bytes), length (8 bytes, not 0).
    package func encode(into writer: inout WireWriter) {
        writer.write(id)
        writer.write(isManifest)
        writer.write(byteCount: offset, "blob offset")
        if length == 0 { writer.note(.invalidValue(what: "blob length")) }
        writer.write(byteCount: length, "blob length")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            id: try reader.read(), isManifest: try reader.readFlag("manifest"),
            offset: try reader.readByteCount("blob offset"),
            length: try reader.readByteCount("blob length"))
        if length == 0 { throw .invalidValue(what: "blob length") }
    }
}

/// Bytes of a blob.
///
/// One chunk on the wire may arrive as several, each with its own offset.
public struct BlobChunk: Hashable, Sendable {
    /// The blob; for a manifest its hash.
    public var id: BlobID
    /// Where the bytes belong.
    public var offset: Int
    /// The size of the whole blob.
    public var total: Int
    /// The bytes.
    public var bytes: ByteBuffer

    /// The bytes of a chunk's payload before the blob's own.
    static let headByteCount = 48

    /// Makes a chunk.
    public init(id: BlobID, offset: Int, total: Int, bytes: ByteBuffer) {
        self.id = id
        self.offset = offset
        self.total = total
        self.bytes = bytes
    }
}

/// What goes before the bytes of a chunk.
struct BlobChunkHead: Hashable, WireValue {
    var id: BlobID
    var offset: Int
    var total: Int

    /// Blob, offset (8 bytes), total (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(id)
        writer.write(byteCount: offset, "blob offset")
        writer.write(byteCount: total, "blob size")
    }

    init(id: BlobID, offset: Int, total: Int) {
        self.id = id
        self.offset = offset
        self.total = total
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            id: try reader.read(), offset: try reader.readByteCount("blob offset"),
            total: try reader.readByteCount("blob size"))
    }

    /// The chunk that has these bytes.
    func chunk(of bytes: ByteBuffer) -> BlobChunk {
        BlobChunk(id: id, offset: offset, total: total, bytes: bytes)
    }

    /// Throws unless so many bytes from the offset on are part of the blob.
    func check(byteCount: Int) throws(WireError) {
        guard byteCount <= WireLimits.chunkBytesMax else {
            throw .limitExceeded(what: "chunk bytes", max: WireLimits.chunkBytesMax)
        }
        // An empty chunk says something only of an empty blob.
        guard byteCount > 0 || total == 0 else { throw .invalidValue(what: "chunk length") }
        // Both are below 2^51: no overflow.
        guard offset + byteCount <= total else { throw .invalidValue(what: "blob offset") }
    }
}

/// Says that a request for a blob cannot be met.
public struct BlobRefusal: Hashable, Sendable {
    /// Why.
    public enum Reason: UInt8, CaseIterable, Sendable {
        /// The node has it not (any more).
        case missing = 1
        /// The offset is beyond the end.
        case outOfRange
        /// Too many requests are waiting; ask again or ask another node.
        case busy
        /// The node's disk failed.
        case unreadable
        /// The node is leaving.
        case leaving
    }

    /// The blob; for a manifest its hash.
    public var id: BlobID
    /// Why.
    public var reason: Reason

    /// Makes a refusal.
    public init(id: BlobID, reason: Reason) {
        self.id = id
        self.reason = reason
    }
}

extension BlobRefusal: WireValue {
    /// Blob, reason (1 byte).
    package func encode(into writer: inout WireWriter) {
        writer.write(id)
        writer.write(reason)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(id: try reader.read(), reason: try reader.readChoice("blob refusal"))
    }
}
