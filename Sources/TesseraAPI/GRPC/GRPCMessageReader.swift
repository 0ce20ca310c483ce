import Hummingbird
import NIOCore

/// Follows the messages in the bytes of a stream, holds their bytes in the stream's ledger, and
/// inflates those that are compressed.
///
/// The transport could inflate, but says nothing of how much comes out, and does not give zlib's
/// memory back (grpc-swift-nio-transport 2.9).
struct GRPCMessageReader {
    /// A byte that says whether the message is compressed, and four with its length.
    private static let prefixBytes = 5

    private let coding: ContentCoding
    private let limit: Int
    private let ledger: StreamLedger
    private var prefix: [UInt8] = []
    private var restBytes = 0
    /// What is held of the message under way.
    private var heldBytes = 0
    private var inflater: Inflater?
    private var inflated = ByteBuffer()

    /// A reader of messages of up to `limit` bytes, as they come and inflated.
    init(coding: ContentCoding, limit: Int, ledger: StreamLedger) {
        self.coding = coding
        self.limit = limit
        self.ledger = ledger
    }

    /// Reads the next bytes of the stream and gives what stands for them without compression.
    mutating func read(_ bytes: ByteBuffer) throws -> ByteBuffer {
        var given = bytes
        var result = ByteBuffer()
        while given.readableBytes > 0 {
            if prefix.count < Self.prefixBytes {
                guard let byte = given.readInteger(as: UInt8.self) else { break }
                prefix.append(byte)
                guard prefix.count == Self.prefixBytes else { continue }
                try begin(&result)
            } else {
                let count = min(restBytes, given.readableBytes)
                guard let part = given.readSlice(length: count) else { break }
                restBytes -= count
                try go(on: part, &result)
            }
            if restBytes == 0 { try end(&result) }
        }
        return coding == .identity ? bytes : result
    }

    private mutating func take(_ byteCount: Int) throws(APIError) {
        guard ledger.take(byteCount) else { throw BodyBudget.isFull }
        heldBytes += byteCount
    }

    private mutating func begin(_ result: inout ByteBuffer) throws {
        restBytes = prefix.dropFirst().reduce(0) { $0 << 8 | Int($1) }
        guard restBytes <= limit else { throw APIError.tooLarge(limit: limit) }
        try take(Self.prefixBytes)
        if coding != .identity, prefix[0] == 1, restBytes > 0 {
            inflater = try coding.inflater()
        } else {
            result.writeBytes(prefix)
        }
    }

    private mutating func go(on part: ByteBuffer, _ result: inout ByteBuffer) throws {
        guard let inflater else {
            try take(part.readableBytes)
            // Without compression the bytes go on as they came.
            if coding != .identity { result.writeImmutableBuffer(part) }
            return
        }
        var more = 0
        try inflater.inflate(part, into: &inflated, limit: limit) { count in
            guard ledger.take(count) else { throw BodyBudget.isFull }
            more += count
        }
        heldBytes += more
    }

    private mutating func end(_ result: inout ByteBuffer) throws {
        if let inflater {
            try inflater.finish()
            result.writeInteger(UInt8(0))
            result.writeInteger(UInt32(inflated.readableBytes))
            result.writeImmutableBuffer(inflated)
            inflated = ByteBuffer()
        }
        inflater = nil
        ledger.noteRequest(byteCount: heldBytes)
        heldBytes = 0
        prefix.removeAll(keepingCapacity: true)
    }
}
