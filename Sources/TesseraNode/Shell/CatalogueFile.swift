import NIOCore
import TesseraCore
import TesseraWire

/// The catalogue on disk: the wire's encoding of an update without records, replaced whole.
struct CatalogueFile: Sendable {
    /// A file larger than any catalogue that the limits allow is not ours.
    private static let bytesMax = 16 << 20

    let path: String

    /// The entries that were stored last; none if there is no file.
    ///
    /// Throws if the file is damaged: the catalogue comes back from the peers, but a person should
    /// know.
    func read() throws -> [CatalogueEntry] {
        guard StoredFile.exists(path) else { return [] }
        let bytes = try StoredFile.read(path, bytesMax: Self.bytesMax).bytes
        let message = try MeshMessage(decodingBytes: ByteBuffer(bytes: bytes))
        guard case .update(_, let entries) = message else { return [] }
        return entries
    }

    /// Replaces the file.
    func write(_ entries: [CatalogueEntry]) throws {
        let message = MeshMessage.update(records: [], catalogue: entries)
        try StoredFile.replace(path, bytes: Array(message.encodedBytes().readableBytesView))
    }
}
