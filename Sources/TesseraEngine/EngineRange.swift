public import TesseraCore

/// Which numbers the engine can take: OpenVINO's processor plugin computes integers of 64 bits in 32,
/// and keeps the lowest of them without a word.
public enum EngineRange {
    /// The first number of a tensor that would become another one.
    public struct Excess: Hashable, Sendable {
        /// Its place in the tensor's memory.
        public var index: Int
        /// The number.
        public var value: String
    }

    /// Looks for a number that would become another one; nil if there is none.
    ///
    /// Looks at integers of 64 bits only. Numbers of 64 bits with a fraction are rounded to 32, which
    /// is not looked at.
    public static func excess(in bytes: UnsafeRawBufferPointer, of type: ElementType) -> Excess? {
        switch type {
        case .int64:
            excess(in: bytes) { (value: Int64) in Int32(exactly: value) != nil }
        case .uint64:
            excess(in: bytes) { (value: UInt64) in Int32(exactly: value) != nil }
        case .boolean, .int8, .int16, .int32, .uint8, .uint16, .uint32, .float16, .bfloat16,
            .float32, .float64:
            nil
        }
    }

    private static func excess<Number: FixedWidthInteger & BitwiseCopyable>(
        in bytes: UnsafeRawBufferPointer, fits: (Number) -> Bool
    ) -> Excess? {
        let size = MemoryLayout<Number>.size
        for index in 0..<(bytes.count / size) {
            let value = bytes.loadUnaligned(fromByteOffset: index * size, as: Number.self)
            if !fits(value) { return Excess(index: index, value: "\(value)") }
        }
        return nil
    }
}
