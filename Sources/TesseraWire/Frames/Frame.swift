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
    /// While no codec is in use that is `header.byteCount`; 0 says that the slice is complete with
    /// this frame.
    public var totalBytes: Int

    /// Makes the frame.
    public init(stream: UInt32, header: SliceHeader, totalBytes: Int) {
        self.stream = stream
        self.header = header
        self.totalBytes = totalBytes
    }
}

/// The payload of `SliceBegin`; the stream is in the frame header.
struct SliceBeginPayload: WireValue {
    var header: SliceHeader
    var totalBytes: Int

    /// Slice header, total bytes (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(header)
        writer.check(checkTotal)
        writer.write(byteCount: totalBytes, "slice bytes", max: WireLimits.sliceBytesMax)
    }

    init(header: SliceHeader, totalBytes: Int) {
        self.header = header
        self.totalBytes = totalBytes
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            header: try reader.read(),
            totalBytes: try reader.readByteCount("slice bytes", max: WireLimits.sliceBytesMax))
        try checkTotal()
    }

    /// The only codec of version 1 sends bytes as they are.
    private func checkTotal() throws(WireError) {
        guard totalBytes == (try header.checkedByteCount()) else {
            throw .invalidValue(what: "slice bytes")
        }
    }
}

/// The payload of `SliceBegin` since version 2: with the trace of the request.
struct TracedSliceBeginPayload: WireValue {
    var payload: SliceBeginPayload

    /// As version 1, then the trace if there is one.
    package func encode(into writer: inout WireWriter) {
        writer.write(payload)
        writer.write(payload.header.trace)
    }

    init(_ payload: SliceBeginPayload) { self.payload = payload }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        payload = try reader.read()
        payload.header.trace = try reader.readOptional("trace")
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
