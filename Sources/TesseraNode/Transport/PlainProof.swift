import Crypto
import NIOCore
import TesseraCore

/// What a data connection without encryption shows instead of TLS.
///
/// It says that the dialler knows the mesh's secret. For benchmarks among agents that were all told
/// to do without encryption.
struct PlainProof {
    private static let byteCount = 32

    private var bytes: [UInt8] = []

    /// The proof that a dialler shows to a listener.
    static func bytes(_ key: SymmetricKey, dialler: NodeBoot, listener: NodeBoot) -> [UInt8] {
        Array(
            HMAC<SHA256>.authenticationCode(
                for: signed(dialler: dialler, listener: listener), using: key))
    }

    /// Takes the proof off the beginning of a connection; false until it is there.
    mutating func take(_ buffer: inout ByteBuffer) -> Bool {
        let missing = min(Self.byteCount - bytes.count, buffer.readableBytes)
        bytes += buffer.readBytes(length: missing) ?? []
        return bytes.count == Self.byteCount
    }

    /// Whether it is the right one.
    func proves(_ key: SymmetricKey, dialler: NodeBoot, listener: NodeBoot) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(
            bytes, authenticating: Self.signed(dialler: dialler, listener: listener), using: key)
    }

    private static func signed(dialler: NodeBoot, listener: NodeBoot) -> [UInt8] {
        var bytes: [UInt8] = []
        for member in [dialler, listener] {
            bytes += member.node.bytes
            for number in [member.boot.counter, member.boot.random] {
                bytes += (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
            }
        }
        return bytes
    }
}
