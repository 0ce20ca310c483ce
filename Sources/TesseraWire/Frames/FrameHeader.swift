import NIOCore

/// The kinds of frames.
enum FrameKind: UInt8, CaseIterable {
    case hello = 1
    case welcome
    case goodbye
    case keepalive
    case message
    case sliceBegin
    case sliceChunk
    case sliceAbort
    case blobRequest
    case blobChunk
    case blobRefusal
    case probe
    case probeReply
    case transferred
    case trial

    /// The most bytes that a payload of this kind may have.
    var payloadBytesMax: Int {
        switch self {
        case .hello, .welcome, .goodbye: WireLimits.greetingBytesMax
        case .keepalive, .sliceAbort: 0
        case .probe: 8
        case .probeReply, .transferred: 16
        case .trial: WireLimits.trialBytesMax + 4
        case .message: WireLimits.messageBytesMax
        case .sliceBegin, .blobRequest, .blobRefusal: WireLimits.headBytesMax
        case .sliceChunk: WireLimits.chunkBytesMax
        case .blobChunk: WireLimits.chunkBytesMax + BlobChunk.headByteCount
        }
    }

    /// Whether frames of this kind belong to a slice, which the header's stream number names.
    var hasStream: Bool {
        switch self {
        case .sliceBegin, .sliceChunk, .sliceAbort: true
        default: false
        }
    }

    /// Whether frames of this kind have the same form in every version of the protocol.
    var isGreeting: Bool {
        switch self {
        case .hello, .welcome, .goodbye: true
        default: false
        }
    }
}

/// What goes before every payload on a connection: 20 bytes that are the same in all versions.
///
/// Magic (2 bytes), version (2), kind (1), flags (1, zero), reserved (2, zero), stream (4), payload
/// length (4), CRC-32C of the 16 bytes before (4).
struct FrameHeader: Hashable {
    static let byteCount = 20
    static let magic: UInt16 = 0x5453

    /// 0 for frames that are sent in the form that all versions share.
    var version: UInt16
    var kind: FrameKind
    var stream: UInt32 = 0
    var length: Int

    func write(into buffer: inout ByteBuffer) {
        let words = words
        buffer.writeMultipleIntegers(words.0, words.1, HeaderChecksum.of(words.0, words.1))
    }

    func set(in buffer: inout ByteBuffer, at index: Int) {
        let words = words
        buffer.setInteger(words.0, at: index)
        buffer.setInteger(words.1, at: index + 8)
        buffer.setInteger(HeaderChecksum.of(words.0, words.1), at: index + 16)
    }

    /// Reads a header; nil if there are fewer bytes than it has.
    static func read(from buffer: inout ByteBuffer) throws(WireError) -> FrameHeader? {
        guard
            let (first, second, checksum) = buffer.readMultipleIntegers(
                as: (UInt64, UInt64, UInt32).self)
        else {
            // A stranger is found out at its first two bytes, however few it sends.
            if let magic = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self),
                magic != Self.magic
            {
                throw .badMagic
            }
            return nil
        }
        guard UInt16(truncatingIfNeeded: first >> 48) == magic else { throw .badMagic }
        guard HeaderChecksum.of(first, second) == checksum else { throw .badChecksum }
        let number = UInt8(truncatingIfNeeded: first >> 24)
        guard let kind = FrameKind(rawValue: number) else { throw .unknownFrameKind(number) }
        let flags = UInt8(truncatingIfNeeded: first >> 16)
        guard flags == 0 else { throw .unknownFlags(flags) }
        guard UInt16(truncatingIfNeeded: first) == 0 else {
            throw .invalidValue(what: "reserved bytes")
        }
        let stream = UInt32(truncatingIfNeeded: second >> 32)
        guard kind.hasStream || stream == 0 else { throw .invalidValue(what: "stream") }
        let length = Int(UInt32(truncatingIfNeeded: second))
        guard length <= kind.payloadBytesMax else {
            throw .limitExceeded(what: "payload length", max: kind.payloadBytesMax)
        }
        return FrameHeader(
            version: UInt16(truncatingIfNeeded: first >> 32), kind: kind, stream: stream,
            length: length)
    }

    private var words: (UInt64, UInt64) {
        (
            UInt64(Self.magic) << 48 | UInt64(version) << 32 | UInt64(kind.rawValue) << 24,
            UInt64(stream) << 32 | UInt64(UInt32(truncatingIfNeeded: length))
        )
    }
}
