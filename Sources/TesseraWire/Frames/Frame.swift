public import NIOCore
public import TesseraCore

/// Begins a slice on a data connection.
public struct SliceBegin: Hashable, Sendable {
    /// Chosen by the sender; free again when the slice is complete or aborted.
    public var stream: UInt32
    /// What the slice is.
    public var header: SliceHeader
    /// How many bytes follow in chunks.
    ///
    /// Without a codec that is `header.byteCount`, with one it is less and not 0; 0 says that the
    /// slice is complete with this frame.
    public var totalBytes: Int
    /// How the bytes are packed.
    public var codec: Codec

    /// Makes the frame.
    public init(stream: UInt32, header: SliceHeader, totalBytes: Int, codec: Codec = .none) {
        self.stream = stream
        self.header = header
        self.totalBytes = totalBytes
        self.codec = codec
    }
}

/// The payload of `SliceBegin`; the stream is in the frame header.
package struct SliceBeginPayload: WireValue, Hashable {
    private var header: SliceHeader
    private var totalBytes: Int
    private var codec: Codec

    /// Takes what a frame says beside its stream.
    package init(_ begin: SliceBegin) {
        header = begin.header
        totalBytes = begin.totalBytes
        codec = begin.codec
    }

    /// The frame of a stream.
    package func begin(stream: UInt32) -> SliceBegin {
        SliceBegin(stream: stream, header: header, totalBytes: totalBytes, codec: codec)
    }

    /// Slice header, total bytes (8 bytes); since version 2 the trace if there is one; since version
    /// 3 the codec (1 byte) and the tensors that were left out (list of 4 bytes, ascending).
    package func encode(into writer: inout WireWriter) {
        writer.write(header)
        writer.check(checkTotal)
        writer.write(byteCount: totalBytes, "slice bytes", max: WireLimits.sliceBytesMax)
        if writer.version >= 2 { writer.write(header.trace) }
        if writer.version >= 3 {
            writer.write(codec)
            writer.write(leftOut: header.leftOut)
        } else {
            if codec != .none { writer.note(.invalidValue(what: "codec")) }
            // Never silently: such a peer could not say that something is missing.
            if !header.leftOut.isEmpty { writer.note(.invalidValue(what: "left out")) }
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        header = try reader.read()
        totalBytes = try reader.readByteCount("slice bytes", max: WireLimits.sliceBytesMax)
        header.trace = reader.version >= 2 ? try reader.readOptional("trace") : nil
        codec = reader.version >= 3 ? try reader.readChoice("codec") : .none
        if reader.version >= 3 { header.leftOut = try reader.readLeftOut() }
        try checkTotal()
    }

    /// A codec is used only where it makes a slice smaller, so what is announced bounds what comes.
    private func checkTotal() throws(WireError) {
        let count = try header.checkedByteCount()
        let isRight = codec == .none ? totalBytes == count : (1..<max(count, 1)) ~= totalBytes
        guard isRight, codec.takes(header.type) else { throw .invalidValue(what: "slice bytes") }
    }
}

/// Everything that arrives on a connection.
public enum Frame: Hashable, Sendable {
    /// The dialling end's first frame.
    case hello(Greeting)
    /// The listening end's first frame, unless it says goodbye.
    case welcome(Welcome)
    /// The end closes.
    case goodbye(Goodbye)
    /// The end is there.
    case keepalive
    /// A message.
    case message(Message)
    /// A slice begins.
    case sliceBegin(SliceBegin)
    /// The next bytes of a slice: as many as have arrived, which may be part of a chunk.
    case sliceBytes(stream: UInt32, ByteBuffer)
    /// The sender gave a slice up; its stream number is free again.
    case sliceAbort(stream: UInt32)
    /// The peer wants a part of a blob.
    case blobRequest(BlobRequest)
    /// Bytes of a blob: as many as have arrived, which may be part of a chunk.
    case blobChunk(BlobChunk)
    /// The peer cannot send a blob.
    case blobRefusal(BlobRefusal)
    /// Are you there? The number is the asker's own and comes back.
    case probe(UInt64)
    /// The answer to a probe.
    case probeReply(ProbeReply)
    /// So many bytes of slices arrived from you in so much time: what your link to me does.
    case transferred(bytes: Int, microseconds: Int64)
    /// Bytes that mean nothing: they show how fast the link is where nothing else travels. So many
    /// more such frames follow.
    case trial(left: Int, ByteBuffer)

    /// The name in the protocol.
    var name: String {
        switch self {
        case .hello: "hello"
        case .welcome: "welcome"
        case .goodbye: "goodbye"
        case .keepalive: "keepalive"
        case .message: "message"
        case .sliceBegin: "sliceBegin"
        case .sliceBytes: "sliceChunk"
        case .sliceAbort: "sliceAbort"
        case .blobRequest: "blobRequest"
        case .blobChunk: "blobChunk"
        case .blobRefusal: "blobRefusal"
        case .probe: "probe"
        case .probeReply: "probeReply"
        case .transferred: "transferred"
        case .trial: "trial"
        }
    }
}
