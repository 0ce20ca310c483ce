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

    /// Forgets a payload.
    mutating func release(_ id: PayloadID) {
        guard buffers.removeValue(forKey: id) != nil else {
            fatalError("the core releases payload \(id.number) a second time")
        }
    }
}
