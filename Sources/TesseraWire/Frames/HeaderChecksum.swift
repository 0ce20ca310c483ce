/// CRC-32C (Castagnoli) over a frame header.
///
/// TLS guards every byte against change. What is left to find is two ends that lost step, or a
/// stranger's bytes, and for that the sixteen header bytes are enough: payloads are not summed.
enum HeaderChecksum {
    private static let table: [UInt32] = (0..<256).map { index in
        var remainder = UInt32(index)
        for _ in 0..<8 {
            remainder = remainder & 1 == 1 ? (remainder >> 1) ^ 0x82F6_3B78 : remainder >> 1
        }
        return remainder
    }

    /// The checksum of the big-endian bytes of two words.
    static func of(_ first: UInt64, _ second: UInt64) -> UInt32 {
        ~update(update(.max, with: first, byteCount: 8), with: second, byteCount: 8)
    }

    /// Goes on with the lowest bytes of the word, the highest of them first.
    static func update(_ state: UInt32, with word: UInt64, byteCount: Int) -> UInt32 {
        let table = table
        var state = state
        for index in stride(from: byteCount - 1, through: 0, by: -1) {
            let byte = UInt32(truncatingIfNeeded: word >> UInt64(8 * index))
            state = table[Int((state ^ byte) & 0xFF)] ^ (state >> 8)
        }
        return state
    }
}
