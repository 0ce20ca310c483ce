import Hummingbird
import NIOCore
import ZlibShim

/// How the body of a request or a response is compressed.
enum ContentCoding: String, Sendable {
    case identity
    case gzip
    case deflate

    /// So many bytes at once are got from zlib.
    fileprivate static let pieceBytes = 64 << 10

    /// The coding that a client likes best, by its Accept-Encoding fields.
    static func accepted(by fields: [String]) -> ContentCoding {
        var best: (coding: ContentCoding, quality: Double) = (.identity, 0)
        var identity: Double?
        for part in fields.flatMap({ $0.split(separator: ",") }) {
            let words = part.split(separator: ";").map { $0.filter { !$0.isWhitespace } }
            guard let name = words.first?.lowercased() else { continue }
            var quality = 1.0
            for word in words.dropFirst() where word.lowercased().hasPrefix("q=") {
                quality = Double(word.dropFirst(2)) ?? 0
            }
            guard let coding = ContentCoding(rawValue: name) else { continue }
            if coding == .identity {
                identity = quality
            } else if quality > best.quality || quality == best.quality && coding == .gzip {
                best = (coding, quality)
            }
        }
        if let identity, identity > best.quality { return .identity }
        return best.quality > 0 ? best.coding : .identity
    }

    /// The bytes, compressed: quickly rather than well, because on a local network a better level
    /// costs more time than it saves.
    func compress(_ parts: [ByteBuffer]) throws(APIError) -> ByteBuffer {
        guard let zlib = ZlibStream(tessera_zlib_deflater(self == .gzip)) else {
            throw Self.noMemory
        }
        var result = ByteBuffer()
        for (index, part) in parts.enumerated() {
            var part = part
            let isLast = index == parts.count - 1
            while true {
                let (status, _) = zlib.step(&part, into: &result, finish: isLast)
                guard status != tessera_zlib_failed else { throw Self.noMemory }
                if isLast ? status == tessera_zlib_end : part.readableBytes == 0 { break }
            }
        }
        return result
    }

    fileprivate static let noMemory = APIError(
        status: .internalServerError, message: "there is no memory to compress or inflate")

    /// What undoes the coding; nil if there is nothing to undo.
    func inflater() throws(APIError) -> Inflater? {
        if self == .identity { return nil }
        guard let zlib = ZlibStream(tessera_zlib_inflater(self == .gzip)) else {
            throw Self.noMemory
        }
        return Inflater(zlib, coding: self)
    }
}

/// A stream of zlib.
private final class ZlibStream {
    private let stream: OpaquePointer

    /// Takes a stream over; nil if there is none.
    init?(_ stream: OpaquePointer?) {
        guard let stream else { return nil }
        self.stream = stream
    }

    deinit { tessera_zlib_free(stream) }

    /// Takes bytes from one buffer and writes at most a piece behind another; gives what came of it
    /// and how many bytes were written.
    func step(
        _ given: inout ByteBuffer, into result: inout ByteBuffer, finish: Bool
    ) -> (tessera_zlib_status, written: Int) {
        var status = tessera_zlib_failed
        var taken = 0
        var written = 0
        let piece = ContentCoding.pieceBytes
        _ = given.withUnsafeReadableBytes { bytes in
            result.writeWithUnsafeMutableBytes(minimumWritableBytes: piece) { room in
                status = tessera_zlib_step(
                    stream, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count,
                    room.bindMemory(to: UInt8.self).baseAddress, min(room.count, piece), finish,
                    &taken, &written)
                return written
            }
        }
        given.moveReaderIndex(forwardBy: taken)
        return (status, written)
    }

    /// Begins anew behind the end.
    func restart() -> Bool { tessera_zlib_restart(stream) }
}

/// Undoes the compression of a body piece by piece, and stops when too much comes out.
final class Inflater {
    private let zlib: ZlibStream
    private let coding: ContentCoding
    private var isAtEnd = false

    fileprivate init(_ zlib: ZlibStream, coding: ContentCoding) {
        self.zlib = zlib
        self.coding = coding
    }

    /// Inflates one piece of a body behind what is in the buffer, which may hold `limit` bytes.
    ///
    /// `take` is asked for what the buffer then holds more.
    func inflate(
        _ part: ByteBuffer, into buffer: inout ByteBuffer, limit: Int, _ take: (Int) throws -> Void
    ) throws {
        var part = part
        // A full piece may leave more behind, which zlib gives without further bytes.
        var mayHaveMore = false
        while part.readableBytes > 0 || mayHaveMore {
            if isAtEnd {
                // Files of gzip may stand one behind the other.
                guard coding == .gzip, zlib.restart() else {
                    throw APIError.badRequest("bytes follow the end of the compressed body")
                }
                isAtEnd = false
            }
            let (status, written) = zlib.step(&part, into: &buffer, finish: false)
            guard buffer.readableBytes <= limit else { throw APIError.tooLarge(limit: limit) }
            try take(written)
            guard status != tessera_zlib_failed else {
                throw APIError.badRequest(
                    "the body is not \(coding.rawValue), as its encoding says")
            }
            isAtEnd = status == tessera_zlib_end
            mayHaveMore = !isAtEnd && written == ContentCoding.pieceBytes
        }
    }

    /// Throws if the body ended too soon.
    func finish() throws {
        guard isAtEnd else { throw APIError.badRequest("the compressed body ends too soon") }
    }
}
