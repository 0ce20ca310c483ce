public import NIOCore
public import TesseraCore

extension Message: WireValue {
    private enum Tag: UInt8 {
        case membership = 1
        case mesh
        case agreement
        case request
    }

    /// A tag (1 byte), then the message of that group.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .membership(let message):
            writer.write(Tag.membership)
            writer.write(message)
        case .mesh(let message):
            writer.write(Tag.mesh)
            writer.write(message)
        case .agreement(let message):
            writer.write(Tag.agreement)
            writer.write(message)
        case .request(let message):
            writer.write(Tag.request)
            writer.write(message)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.readChoice("message group", as: Tag.self) {
        case .membership: self = .membership(try reader.read())
        case .mesh: self = .mesh(try reader.read())
        case .agreement: self = .agreement(try reader.read())
        case .request: self = .request(try reader.read())
        }
    }

    /// The canonical encoding; throws if the message breaks a limit that its receiver would refuse.
    public func encoded() throws(WireError) -> ByteBuffer {
        let bytes = try encodedBytes()
        guard bytes.readableBytes <= WireLimits.messageBytesMax else {
            throw .limitExceeded(what: "message bytes", max: WireLimits.messageBytesMax)
        }
        return bytes
    }

    /// Reads a message that the bytes hold exactly.
    public init(decoding bytes: ByteBuffer) throws(WireError) {
        guard bytes.readableBytes <= WireLimits.messageBytesMax else {
            throw .limitExceeded(what: "message bytes", max: WireLimits.messageBytesMax)
        }
        try self.init(decodingBytes: bytes)
    }
}
