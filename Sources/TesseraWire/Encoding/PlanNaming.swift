public import NIOCore
public import TesseraCore
import Crypto

/// Names plans by content.
public enum PlanNaming {
    /// Pairs a plan with the SHA-256 of its canonical encoding.
    public static func name(_ plan: Plan) -> NamedPlan {
        NamedPlan(id: PlanID.of(plan), plan: plan)
    }

    /// The name of the plan whose canonical encoding these bytes are.
    static func id(ofCanonicalBytes bytes: ByteBuffer) -> PlanID {
        bytes.withUnsafeReadableBytes { PlanID(sha256Of: $0) }
    }
}

extension Plan {
    /// The canonical encoding, which the PlanID is the SHA-256 of.
    public var canonicalBytes: ByteBuffer {
        // A plan above a limit has a name all the same; it just cannot be sent.
        var writer = WireWriter(capacity: 256 + 64 * fragments.count + 16 * routes.count)
        encode(into: &writer)
        return writer.buffer
    }
}

extension Identity where Kind == PlanKind {
    /// The name of a plan: the SHA-256 of its canonical encoding.
    public static func of(_ plan: Plan) -> PlanID {
        PlanNaming.id(ofCanonicalBytes: plan.canonicalBytes)
    }
}

extension Identity {
    /// The SHA-256 of the bytes.
    package init(sha256Of bytes: UnsafeRawBufferPointer) {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        let words = hash.finalize().withUnsafeBytes { digest in
            (
                digest.loadUnaligned(fromByteOffset: 0, as: UInt64.self).bigEndian,
                digest.loadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian,
                digest.loadUnaligned(fromByteOffset: 16, as: UInt64.self).bigEndian,
                digest.loadUnaligned(fromByteOffset: 24, as: UInt64.self).bigEndian
            )
        }
        self.init(words.0, words.1, words.2, words.3)
    }
}
