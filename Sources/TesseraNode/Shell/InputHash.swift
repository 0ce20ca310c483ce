import Crypto
import NIOCore
import TesseraCore

extension InputDigest {
    /// The SHA-256 of a request's inputs, one after the other.
    init(of inputs: [ByteBuffer]) {
        var hasher = SHA256()
        for input in inputs {
            input.withUnsafeReadableBytes { hasher.update(bufferPointer: $0) }
        }
        let words = hasher.finalize().withUnsafeBytes { bytes in
            (0..<4).map {
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
            }
        }
        self.init(words[0], words[1], words[2], words[3])
    }
}
