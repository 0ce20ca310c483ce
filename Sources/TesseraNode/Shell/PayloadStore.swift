import NIOCore
import TesseraCore

/// The bytes behind the core's payload ids.
///
/// Used on the control loop only.
///
/// Buffers are shared, never copied: a slice that waits to be sent keeps its own reference, so the
/// core may release a payload as soon as it has said what is to be done with it.
struct PayloadStore {
    private var buffers: [PayloadID: ByteBuffer] = [:]
    private var nextNumber: UInt64 = 1

    /// Payloads that the core has not released.
    var count: Int { buffers.count }

    /// Keeps a buffer under a new id.
    mutating func insert(_ buffer: ByteBuffer) -> Payload {
        let id = PayloadID(number: nextNumber)
        nextNumber += 1
        buffers[id] = buffer
        return Payload(id: id, byteCount: buffer.readableBytes)
    }

    /// The bytes of a payload that is not released.
    func buffer(_ id: PayloadID) -> ByteBuffer {
        guard let buffer = buffers[id] else {
            fatalError("the core uses payload \(id.number), which it has released")
        }
        return buffer
    }

    /// The bytes of a piece: the payload's own, or a copy of the rows that are wanted.
    func bytes(of piece: TensorPiece) -> ByteBuffer {
        source(of: JoinedTensor(pieces: [piece], blocks: piece.blocks)).bytes()
    }

    /// Where the bytes of a tensor are; what must be copied is copied by whoever asks for them.
    func source(of tensor: JoinedTensor) -> TensorSource {
        if let payload = tensor.payload { return TensorSource(whole: buffer(payload.id)) }
        let parts = tensor.pieces.map { piece in
            let bytes = buffer(piece.payload.id)
            let held = bytes.readableBytes / max(tensor.blocks, 1)
            let range = piece.cut.map { cut in
                (cut.rows.lowerBound * cut.rowBytes)..<(cut.rows.upperBound * cut.rowBytes)
            }
            return TensorSource.Part(bytes: bytes, blockByteCount: held, range: range ?? 0..<held)
        }
        return TensorSource(parts: parts, blocks: tensor.blocks)
    }

    /// Forgets a payload.
    mutating func release(_ id: PayloadID) {
        guard buffers.removeValue(forKey: id) != nil else {
            fatalError("the core releases payload \(id.number) a second time")
        }
    }
}

/// A tensor whose bytes lie in several buffers.
struct TensorSource: Sendable {
    /// What one buffer holds of each block.
    struct Part: Sendable {
        var bytes: ByteBuffer
        /// Bytes of a block in the buffer.
        var blockByteCount: Int
        /// Those of them that belong to the tensor.
        var range: Range<Int>
    }

    private let parts: [Part]
    /// Nil if the one part is the tensor.
    private let blocks: Int?

    /// A tensor that is a buffer as it is.
    init(whole buffer: ByteBuffer) {
        let count = buffer.readableBytes
        parts = [Part(bytes: buffer, blockByteCount: count, range: 0..<count)]
        blocks = nil
    }

    /// A tensor of so many blocks, each put together from all parts.
    init(parts: [Part], blocks: Int) {
        self.parts = parts
        self.blocks = blocks
    }

    /// The bytes in one buffer: the only part's own, or a copy.
    func bytes() -> ByteBuffer {
        guard let blocks else { return parts[0].bytes }
        let rowBytes = parts.reduce(0) { $0 + $1.range.count }
        var result = ByteBufferAllocator().buffer(capacity: rowBytes * blocks)
        result.writeWithUnsafeMutableBytes(minimumWritableBytes: rowBytes * blocks) { target in
            var offset = 0
            for part in parts where !part.range.isEmpty {
                part.bytes.withUnsafeReadableBytes { source in
                    precondition(
                        blocks == 0
                            || (blocks - 1) * part.blockByteCount + part.range.upperBound
                                <= source.count,
                        "a payload is shorter than the core says")
                    for block in 0..<blocks {
                        let from = block * part.blockByteCount + part.range.lowerBound
                        UnsafeMutableRawBufferPointer(
                            rebasing: target[(block * rowBytes + offset)...]
                        ).copyMemory(
                            from: UnsafeRawBufferPointer(
                                rebasing: source[from..<(from + part.range.count)]))
                    }
                }
                offset += part.range.count
            }
            return rowBytes * blocks
        }
        return result
    }
}
