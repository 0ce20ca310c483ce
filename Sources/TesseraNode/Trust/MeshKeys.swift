public import Crypto

/// Why a mesh's keys cannot be made.
public enum MeshKeysError: Error, Hashable, Sendable {
    /// The name is empty, too long, or has characters that cannot be printed.
    case badName(String)
}

extension MeshKeysError: CustomStringConvertible {
    /// What happened and what to do.
    public var description: String {
        switch self {
        case .badName(let name):
            "The mesh name \"\(name)\" cannot be used. Choose 1 to \(MeshKeys.nameBytesMax) bytes "
                + "of printable text."
        }
    }
}

/// Every key of a mesh, derived from its secret: HKDF-SHA256(secret, salt = mesh name, info =
/// purpose and generation).
///
/// Another secret, another name or another generation gives keys that have nothing in common, so
/// meshes on one network cannot talk by accident.
public struct MeshKeys: Sendable {
    /// A name fits into one DNS label.
    public static let nameBytesMax = 63

    /// The mesh's name.
    public let name: String
    /// Counts rotations: all nodes of a mesh use the same one.
    public let generation: UInt32
    /// Seals the datagrams of membership.
    public let gossip: SymmetricKey
    /// Seals the discovery beacon.
    public let beacon: SymmetricKey
    /// Proves membership on data connections that a benchmark runs without encryption.
    let plainData: SymmetricKey
    /// Sixteen hexadecimal digits that tell meshes apart in the open (mDNS TXT) and reveal nothing
    /// of the secret.
    public let tag: String

    /// Signs the TLS leaf of every node of the mesh.
    let authority: P256.Signing.PrivateKey

    private enum Purpose: String {
        case authority = "tls-authority"
        case gossip
        case beacon
        case plainData = "plain-data"
        case tag = "mesh-tag"
    }

    /// Derives the keys.
    public init(
        secret: MeshSecret, name: String, generation: UInt32 = 1
    ) throws(MeshKeysError) {
        let isPrintable = name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        guard (1...Self.nameBytesMax).contains(name.utf8.count), isPrintable else {
            throw .badName(name)
        }
        func key(_ purpose: Purpose, attempt: UInt8 = 0, byteCount: Int = 32) -> SymmetricKey {
            let number = (0..<4).map { UInt8(truncatingIfNeeded: generation >> (24 - 8 * $0)) }
            let info = Array("tessera \(purpose.rawValue)".utf8) + [0] + number + [attempt]
            return HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: secret.bytes), salt: Array(name.utf8),
                info: info, outputByteCount: byteCount)
        }
        self.name = name
        self.generation = generation
        gossip = key(.gossip)
        beacon = key(.beacon)
        plainData = key(.plainData)
        tag = key(.tag, byteCount: 8).withUnsafeBytes { bytes in
            bytes.map { Self.hexadecimal($0) }.joined()
        }
        // A P-256 key is a number below the curve's order; 32 random bytes miss it with a chance
        // of 2^-32, and then the next candidate serves (FIPS 186-5, A.2.2).
        for attempt in UInt8.min...UInt8.max {
            let candidate = key(.authority, attempt: attempt).withUnsafeBytes { Array($0) }
            // Ignoring the error is right: it only says that the candidate is out of range.
            if let found = try? P256.Signing.PrivateKey(rawRepresentation: candidate) {
                authority = found
                return
            }
        }
        fatalError("256 candidates in a row were out of the P-256 range")
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 2 ? digits : "0" + digits
    }
}
