import NIOCore
import TesseraCore
import TesseraWire

/// The catalogue on disk: the wire's encoding of an update without records, replaced whole.
///
/// The file begins with a byte 0 and the version of the encoding (2 bytes). Builds that spoke version
/// 2 wrote neither: their files begin with the message, whose first byte is never 0.
struct CatalogueFile: Sendable {
    /// A file larger than any catalogue that the limits allow is not ours.
    private static let bytesMax = 16 << 20

    let path: String

    /// The entries that were stored last; none if there is no file.
    ///
    /// Throws if the file is damaged, or of a newer build: the catalogue comes back from the peers, but
    /// a person should know.
    func read() throws -> [CatalogueEntry] {
        guard StoredFile.exists(path) else { return [] }
        var bytes = ByteBuffer(bytes: try StoredFile.read(path, bytesMax: Self.bytesMax).bytes)
        var version: UInt16 = 2
        if bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) == 0 {
            bytes.moveReaderIndex(forwardBy: 1)
            version = bytes.readInteger() ?? 0
            guard WireVersions.supported.contains(version) else {
                throw WireError.invalidValue(what: "version of the catalogue")
            }
        }
        var reader = WireReader(bytes)
        reader.version = version
        let message = try MeshMessage(from: &reader)
        try reader.finish()
        guard case .update(_, let entries) = message else { return [] }
        return entries
    }

    /// Replaces the file.
    func write(_ entries: [CatalogueEntry]) throws {
        var writer = WireWriter()
        writer.write(UInt8(0))
        writer.write(writer.version)
        MeshMessage.update(records: [], catalogue: entries).encode(into: &writer)
        try StoredFile.replace(path, bytes: Array(try writer.finish().readableBytesView))
    }
}
