import NIOCore
public import TesseraCore

extension TensorCodec {
    /// The floats that speeds are measured with: an intermediate tensor of a small network.
    private static let measuredCount = 1 << 16

    /// Measures how quickly this machine packs and unpacks; takes some milliseconds.
    ///
    /// Each codec is tried twice and the quicker run counts: the first one meets cold memory, and
    /// other work only makes runs longer.
    public static func measure() -> [CodecSpeed] {
        var generator = SeededGenerator(seed: 1)
        var tensor = ByteBufferAllocator().buffer(capacity: measuredCount * 4)
        for _ in 0..<measuredCount {
            // About what an activation leaves: half of it zero, the rest of all sizes below 1.
            let value = Float(Int32(truncatingIfNeeded: generator.next() >> 40)) / Float(1 << 23)
            tensor.writeInteger(max(value - 0.5, 0).bitPattern, endianness: .little)
        }
        let shape = [1, 64, measuredCount / 64]
        return Codec.allCases.filter { $0 != .none }.map { codec in
            var speed = CodecSpeed(codec: codec, packedPerMicrosecond: 1, unpackedPerMicrosecond: 1)
            for _ in 0..<2 {
                var packed: ByteBuffer?
                let packing = microseconds {
                    packed = pack(tensor, type: .float32, shape: shape, by: codec)
                }
                guard let packed else { continue }
                let unpacking = microseconds {
                    // What was packed a moment ago can be unpacked; else the speed stays at its least.
                    _ = try? unpack(packed, type: .float32, shape: shape, by: codec)
                }
                let count = UInt64(tensor.readableBytes)
                speed.packedPerMicrosecond = max(speed.packedPerMicrosecond, count / packing)
                speed.unpackedPerMicrosecond = max(speed.unpackedPerMicrosecond, count / unpacking)
            }
            return speed
        }
    }

    private static func microseconds(_ work: () -> Void) -> UInt64 {
        let span = ContinuousClock().measure(work)
        return UInt64(max(1, span.components.attoseconds / 1_000_000_000_000))
            + UInt64(span.components.seconds) * 1_000_000
    }
}
