import Crypto
import TesseraCore

/// SHA-256 as identities.
enum Digest {
    /// The hash of an array.
    static func identity<Kind>(of bytes: [UInt8]) -> Identity<Kind> {
        bytes.withUnsafeBytes { identity(of: $0) }
    }

    /// The hash of a buffer.
    static func identity<Kind>(of bytes: UnsafeRawBufferPointer) -> Identity<Kind> {
        var hasher = SHA256()
        hasher.update(bufferPointer: bytes)
        return identity(of: hasher.finalize())
    }

    /// A finished hash.
    static func identity<Kind>(of digest: SHA256.Digest) -> Identity<Kind> {
        digest.withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 {
                UInt64(
                    bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
            }
            return Identity(word(0), word(1), word(2), word(3))
        }
    }
}
