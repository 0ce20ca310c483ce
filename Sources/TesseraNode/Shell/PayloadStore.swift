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
        piece.cut == nil
            ? buffer(piece.payload.id)
            : bytes(of: JoinedTensor(pieces: [piece], blocks: piece.blocks))
    }

    /// The bytes of a tensor: its one payload's own, or a copy of the pieces put together.
    func bytes(of tensor: JoinedTensor) -> ByteBuffer {
        if let payload = tensor.payload { return buffer(payload.id) }
        let sources = tensor.pieces.map { piece in
            let bytes = buffer(piece.payload.id)
            let held = bytes.readableBytes / max(tensor.blocks, 1)
            let range = piece.cut.map { cut in
                (cut.rows.lowerBound * cut.rowBytes)..<(cut.rows.upperBound * cut.rowBytes)
            }
            return (bytes: bytes, blockBytes: held, range: range ?? 0..<held)
        }
        var result = ByteBufferAllocator().buffer(capacity: tensor.byteCount)
        for block in 0..<tensor.blocks {
            for source in sources where !source.range.isEmpty {
                let start =
                    source.bytes.readerIndex + block * source.blockBytes + source.range.lowerBound
                guard let part = source.bytes.getSlice(at: start, length: source.range.count)
                else { fatalError("a payload is shorter than the core says") }
                result.writeImmutableBuffer(part)
            }
        }
        return result
    }

    /// Forgets a payload.
    mutating func release(_ id: PayloadID) {
        guard buffers.removeValue(forKey: id) != nil else {
            fatalError("the core releases payload \(id.number) a second time")
        }
    }
}
