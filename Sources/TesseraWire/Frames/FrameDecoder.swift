public import NIOCore
import TesseraCore

/// Cuts the bytes of a connection into frames.
///
/// It buffers at most one frame that is not a chunk. The bytes of chunks are handed on as they
/// arrive, as slices of the buffer they arrived in, so a large tensor is never collected here and
/// never copied. The first frame must be the other end's greeting, and from then on every frame
/// must have the version that the greetings agree on. After an error the decoder only repeats it.
public struct FrameDecoder: NIOSingleStepByteToMessageDecoder {
    /// What the decoder gives.
    public typealias InboundOut = Frame

    /// Which end of the connection reads.
    public enum Side: Hashable, Sendable {
        /// This end dialled: it waits for a welcome.
        case dialer
        /// This end was dialled: it waits for a hello.
        case listener
    }

    private enum State {
        /// Nothing has arrived but parts of the greeting.
        case greeting
        /// Between two frames.
        case idle
        /// A header was read and its payload is not complete.
        case payload(FrameHeader)
        /// Inside the bytes of a slice chunk.
        case sliceBytes(stream: UInt32, remaining: Int)
        /// Inside the bytes of a blob chunk; the head's offset is that of the next byte.
        case blobBytes(BlobChunkHead, remaining: Int)
        /// The other end said goodbye.
        case closed
        /// The bytes made no sense.
        case failed(WireError)
    }

    private let side: Side
    private let versions: WireVersions
    private var version: UInt16?
    private var state = State.greeting

    /// Makes a decoder for one connection.
    public init(side: Side, versions: WireVersions = .supported) {
        self.side = side
        self.versions = versions
    }

    /// The version of the frames after the greeting; nil before it, or if the ends share none.
    public var agreedVersion: UInt16? { version }

    /// Takes the next frame; nil if more bytes are needed for one.
    public mutating func decode(buffer: inout ByteBuffer) throws -> Frame? {
        do throws(WireError) {
            return try next(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Takes what is left when the connection ends: an end inside a frame is an error.
    public mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> Frame? {
        if let frame = try decode(buffer: &buffer) { return frame }
        guard seenEOF else { return nil }
        switch state {
        case .greeting, .idle, .closed:
            if buffer.readableBytes > 0 { throw WireError.truncated(what: "frame header") }
        case .payload, .sliceBytes, .blobBytes:
            throw WireError.truncated(what: "frame")
        case .failed(let error):
            throw error
        }
        return nil
    }

    private mutating func next(_ buffer: inout ByteBuffer) throws(WireError) -> Frame? {
        while true {
            switch state {
            case .greeting:
                guard let header = try FrameHeader.read(from: &buffer) else { return nil }
                try checkGreeting(header)
                state = .payload(header)
            case .idle:
                guard let header = try FrameHeader.read(from: &buffer) else { return nil }
                try check(header)
                state =
                    header.kind == .sliceChunk
                    ? .sliceBytes(stream: header.stream, remaining: header.length)
                    : .payload(header)
            case .payload(let header) where header.kind == .blobChunk:
                guard let head = try blobHead(header, &buffer) else { return nil }
                let length = header.length - BlobChunk.headByteCount
                state = .blobBytes(head, remaining: length)
                if length == 0 { return .blobChunk(head.chunk(of: ByteBuffer())) }
            case .payload(let header):
                guard let payload = buffer.readSlice(length: header.length) else { return nil }
                return try frame(header, payload)
            case .sliceBytes(_, remaining: 0), .blobBytes(_, remaining: 0):
                state = .idle
            case .sliceBytes(let stream, let remaining):
                guard let bytes = take(remaining, from: &buffer) else { return nil }
                state = .sliceBytes(stream: stream, remaining: remaining - bytes.readableBytes)
                return .sliceBytes(stream: stream, bytes)
            case .blobBytes(let head, let remaining):
                guard let bytes = take(remaining, from: &buffer) else { return nil }
                var rest = head
                rest.offset += bytes.readableBytes
                state = .blobBytes(rest, remaining: remaining - bytes.readableBytes)
                return .blobChunk(head.chunk(of: bytes))
            case .closed:
                if buffer.readableBytes > 0 { throw .unexpectedFrame("after goodbye") }
                return nil
            case .failed(let error):
                throw error
            }
        }
    }

    private func take(_ count: Int, from buffer: inout ByteBuffer) -> ByteBuffer? {
        buffer.readableBytes == 0 ? nil : buffer.readSlice(length: min(count, buffer.readableBytes))
    }

    private func checkGreeting(_ header: FrameHeader) throws(WireError) {
        let expected: FrameKind = side == .dialer ? .welcome : .hello
        guard header.kind == expected || header.kind == .goodbye else {
            throw .unexpectedFrame("\(header.kind) before the greeting")
        }
        guard header.version == 0 else { throw .unknownVersion(header.version) }
    }

    private func check(_ header: FrameHeader) throws(WireError) {
        switch header.kind {
        case .hello, .welcome:
            throw .unexpectedFrame("\(header.kind) after the greeting")
        case .goodbye:
            guard header.version == 0 else { throw .unknownVersion(header.version) }
        default:
            guard header.version == version else { throw .unknownVersion(header.version) }
        }
        let least =
            switch header.kind {
            case .sliceChunk: 1
            case .blobChunk: BlobChunk.headByteCount
            default: 0
            }
        guard header.length >= least else { throw .invalidValue(what: "chunk length") }
    }

    private func blobHead(
        _ header: FrameHeader, _ buffer: inout ByteBuffer
    ) throws(WireError) -> BlobChunkHead? {
        guard let bytes = buffer.readSlice(length: BlobChunk.headByteCount) else { return nil }
        let head = try BlobChunkHead(decodingBytes: bytes)
        try head.check(byteCount: header.length - BlobChunk.headByteCount)
        return head
    }

    /// Reads a value in the agreed version that the bytes hold exactly.
    private func read<Value: WireValue>(_ payload: ByteBuffer) throws(WireError) -> Value {
        var reader = WireReader(payload)
        if let version { reader.version = version }
        let value: Value = try reader.read()
        try reader.finish()
        return value
    }

    private mutating func frame(
        _ header: FrameHeader, _ payload: ByteBuffer
    ) throws(WireError) -> Frame {
        state = .idle
        switch header.kind {
        case .hello:
            // Later versions may append fields: what follows the known ones is ignored.
            var reader = WireReader(payload)
            let greeting = try reader.read(Greeting.self)
            version = WireVersions.negotiate(ours: versions, theirs: greeting.versions)
            return .hello(greeting)
        case .welcome:
            var reader = WireReader(payload)
            let welcome = try reader.read(Welcome.self)
            guard versions.contains(welcome.version) else {
                throw .unknownVersion(welcome.version)
            }
            version = welcome.version
            return .welcome(welcome)
        case .goodbye:
            state = .closed
            var reader = WireReader(payload)
            return .goodbye(try reader.read())
        case .keepalive: return .keepalive
        case .message: return .message(try read(payload))
        case .sliceBegin:
            let begin: SliceBeginPayload = try read(payload)
            return .sliceBegin(begin.begin(stream: header.stream))
        case .sliceAbort: return .sliceAbort(stream: header.stream)
        case .blobRequest: return .blobRequest(try BlobRequest(decodingBytes: payload))
        case .blobRefusal: return .blobRefusal(try BlobRefusal(decodingBytes: payload))
        case .probe: return .probe(try ProbePayload(decodingBytes: payload).number)
        case .probeReply: return .probeReply(try probeReply(payload))
        case .transferred:
            let transfer = try TransferPayload(decodingBytes: payload)
            return .transferred(bytes: transfer.bytes, microseconds: transfer.microseconds)
        case .trial:
            let trial = try TrialPayload(decodingBytes: payload)
            return .trial(left: trial.left, trial.bytes)
        case .sliceChunk, .blobChunk: throw .unexpectedFrame("\(header.kind) in one piece")
        }
    }

    private func probeReply(_ payload: ByteBuffer) throws(WireError) -> ProbeReply {
        guard let version, version >= 3 else {
            return ProbeReply(number: try ProbePayload(decodingBytes: payload).number)
        }
        let timed = try TimedProbePayload(decodingBytes: payload)
        return ProbeReply(
            number: timed.number, timeOfDayMicroseconds: timed.timeOfDayMicroseconds)
    }
}
