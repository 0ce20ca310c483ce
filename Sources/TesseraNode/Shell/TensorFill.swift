package import NIOCore
package import TesseraCore

/// What stands for a branch that a join does without.
package enum TensorFill {
    /// The mean of some tensors element by element, or zeros if there are none.
    ///
    /// - Parameters:
    ///   - descriptor: The type, a float, and the shape of all of them.
    ///   - tensors: Their bytes, least significant byte first.
    /// - Returns: As many bytes as the descriptor says. The sums are of 64 bits and in the order of the
    ///   tensors, so that the same tensors always have the same mean.
    package static func bytes(
        of descriptor: TensorDescriptor, mean tensors: [ByteBuffer]
    ) -> ByteBuffer {
        guard !tensors.isEmpty else {
            return ByteBuffer(repeating: 0, count: descriptor.byteCount)
        }
        switch descriptor.type {
        case .float16:
            return mean(of: tensors, descriptor, as: UInt16.self) {
                Double(Float16(bitPattern: $0))
            } bits: {
                Float16($0).bitPattern
            }
        case .float32:
            return mean(of: tensors, descriptor, as: UInt32.self) {
                Double(Float(bitPattern: $0))
            } bits: {
                Float($0).bitPattern
            }
        case .float64:
            return mean(of: tensors, descriptor, as: UInt64.self) {
                Double(bitPattern: $0)
            } bits: {
                $0.bitPattern
            }
        default:
            fatalError("the core leaves out \(descriptor.type), no float of 16 to 64 bits")
        }
    }

    private static func mean<Bits: FixedWidthInteger>(
        of tensors: [ByteBuffer], _ descriptor: TensorDescriptor, as: Bits.Type,
        value: (Bits) -> Double, bits: (Double) -> Bits
    ) -> ByteBuffer {
        var tensors = tensors
        var result = ByteBufferAllocator().buffer(capacity: descriptor.byteCount)
        let count = Double(tensors.count)
        for _ in 0..<descriptor.elementCount {
            var sum = 0.0
            for index in tensors.indices {
                guard let own = tensors[index].readInteger(endianness: .little, as: Bits.self)
                else { fatalError("a tensor is shorter than the core says") }
                sum += value(own)
            }
            result.writeInteger(bits(sum / count), endianness: .little)
        }
        return result
    }
}
