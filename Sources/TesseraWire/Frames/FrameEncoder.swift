public import NIOCore
public import TesseraCore

/// A frame in two pieces, so that large payloads are sent as they lie in memory.
public struct FrameParts: Hashable, Sendable {
    /// The frame's header and what else goes before the payload.
    public var head: ByteBuffer
    /// The payload, a slice of the sender's own buffer.
    public var payload: ByteBuffer
}

/// Writes frames of one version.
///
/// An encoder that was made without a version writes what goes before an agreement: hello, welcome
/// and goodbye.
public struct FrameEncoder: Sendable {
    /// The version that the ends agreed on; nil before.
    public let version: UInt16?

    /// Makes an encoder for the version that the ends agreed on.
    public init(version: UInt16? = nil) {
        self.version = version
    }

    /// Appends a whole frame to the buffer.
    ///
    /// If the frame breaks a limit, the buffer is as it was. Bytes of slices and blobs are copied:
    /// use `nextSliceChunk` and `blobChunk` for those instead.
    public func write(_ frame: Frame, into buffer: inout ByteBuffer) throws(WireError) {
        switch frame {
        case .hello(let greeting): try write(.hello, greeting, into: &buffer)
        case .welcome(let welcome): try write(.welcome, welcome, into: &buffer)
        case .goodbye(let goodbye): try write(.goodbye, goodbye, into: &buffer)
        case .keepalive: try write(.keepalive, WireNothing(), into: &buffer)
        case .message(let message): try write(.message, message, into: &buffer)
        case .sliceBegin(let begin):
            try write(
                .sliceBegin, SliceBeginPayload(begin), stream: begin.stream, into: &buffer)
        case .sliceBytes(let stream, var bytes):
            while let parts = try nextSliceChunk(stream: stream, from: &bytes) {
                buffer.writeImmutableBuffer(parts.head)
                buffer.writeImmutableBuffer(parts.payload)
            }
        case .sliceAbort(let stream):
            try write(.sliceAbort, WireNothing(), stream: stream, into: &buffer)
        case .blobRequest(let request): try write(.blobRequest, request, into: &buffer)
        case .blobChunk(let chunk):
            let parts = try blobChunk(chunk)
            buffer.writeImmutableBuffer(parts.head)
            buffer.writeImmutableBuffer(parts.payload)
        case .blobRefusal(let refusal): try write(.blobRefusal, refusal, into: &buffer)
        case .probe(let number):
            try write(.probe, ProbePayload(number: number), into: &buffer)
        case .probeReply(let reply):
            if version.map({ $0 < 3 }) ?? true {
                try write(.probeReply, ProbePayload(number: reply.number), into: &buffer)
            } else {
                try write(.probeReply, TimedProbePayload(reply), into: &buffer)
            }
        case .transferred(let bytes, let microseconds):
            let payload = TransferPayload(bytes: bytes, microseconds: microseconds)
            try write(.transferred, payload, into: &buffer)
        case .trial(let left, let bytes):
            try write(.trial, TrialPayload(left: left, bytes: bytes), into: &buffer)
        }
    }

    /// Appends a message to the buffer.
    public func write(_ message: Message, into buffer: inout ByteBuffer) throws(WireError) {
        try write(.message, message, into: &buffer)
    }

    /// Takes the next chunk, at most 256 KiB by default, from the bytes of a slice; nil when there
    /// are none left.
    ///
    /// Nothing is copied.
    public func nextSliceChunk(
        stream: UInt32, from bytes: inout ByteBuffer, bytesMax: Int = WireLimits.chunkBytesMax
    ) throws(WireError) -> FrameParts? {
        let length = min(bytes.readableBytes, max(bytesMax, 1), WireLimits.chunkBytesMax)
        guard length > 0, let payload = bytes.readSlice(length: length) else { return nil }
        var head = ByteBufferAllocator().buffer(capacity: FrameHeader.byteCount)
        try header(.sliceChunk, stream: stream, length: length).write(into: &head)
        return FrameParts(head: head, payload: payload)
    }

    /// Appends to the buffer the header of a slice chunk whose bytes the caller sends next by
    /// itself.
    public func writeSliceChunkHeader(
        stream: UInt32, byteCount: Int, into buffer: inout ByteBuffer
    ) throws(WireError) {
        guard byteCount > 0 else { throw .invalidValue(what: "chunk bytes") }
        guard byteCount <= WireLimits.chunkBytesMax else {
            throw .limitExceeded(what: "chunk bytes", max: WireLimits.chunkBytesMax)
        }
        try header(.sliceChunk, stream: stream, length: byteCount).write(into: &buffer)
    }

    /// A chunk of a blob; its bytes are not copied.
    public func blobChunk(_ chunk: BlobChunk) throws(WireError) -> FrameParts {
        let content = BlobChunkHead(id: chunk.id, offset: chunk.offset, total: chunk.total)
        let length = BlobChunk.headByteCount + chunk.bytes.readableBytes
        try content.check(byteCount: chunk.bytes.readableBytes)
        var writer = WireWriter(capacity: FrameHeader.byteCount + BlobChunk.headByteCount)
        try header(.blobChunk, length: length).write(into: &writer.buffer)
        writer.write(content)
        return FrameParts(head: try writer.finish(), payload: chunk.bytes)
    }

    private func header(
        _ kind: FrameKind, stream: UInt32 = 0, length: Int
    ) throws(WireError) -> FrameHeader {
        if kind.isGreeting {
            return FrameHeader(version: 0, kind: kind, stream: stream, length: length)
        }
        guard let version else { throw .unexpectedFrame("before a version is agreed") }
        return FrameHeader(version: version, kind: kind, stream: stream, length: length)
    }

    private func write(
        _ kind: FrameKind, _ payload: some WireValue, stream: UInt32 = 0,
        into buffer: inout ByteBuffer
    ) throws(WireError) {
        let start = buffer.writerIndex
        // The buffer goes into the writer and comes back: it is never shared, so never copied.
        var writer = WireWriter(appendingTo: buffer)
        buffer = ByteBuffer()
        if let version { writer.version = version }
        FrameHeader(version: 0, kind: kind, length: 0).write(into: &writer.buffer)
        writer.write(payload)
        buffer = writer.takeBuffer()
        let length = buffer.writerIndex - start - FrameHeader.byteCount
        do throws(WireError) {
            if let violation = writer.violation { throw violation }
            guard length <= kind.payloadBytesMax else {
                throw .limitExceeded(what: "payload length", max: kind.payloadBytesMax)
            }
            try header(kind, stream: stream, length: length).set(in: &buffer, at: start)
        } catch {
            buffer.moveWriterIndex(to: start)
            throw error
        }
    }
}

/// The payload of frames that have none.
struct WireNothing: WireValue {
    init() {}
    package func encode(into writer: inout WireWriter) {}
    package init(from reader: inout WireReader) throws(WireError) {}
}
