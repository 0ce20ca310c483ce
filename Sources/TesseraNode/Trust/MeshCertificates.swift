import Crypto
import NIOCore
import NIOSSL
import SwiftASN1
import TesseraCore
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Why a peer's certificate was refused.
public enum CertificateRefusal: Error, Hashable, Sendable {
    /// The peer sent no certificate, or more than a leaf.
    case wrongCount(Int)
    /// The certificate cannot be read, or its key is not a P-256 key.
    case unreadable
    /// The mesh's authority did not sign it.
    case foreignMesh
    /// It is not a leaf that a node may use: an authority, or outside its validity.
    case notALeaf
}

extension CertificateRefusal: CustomStringConvertible {
    /// What happened and what to do.
    public var description: String {
        switch self {
        case .wrongCount(let count):
            "the peer sent \(count) certificates instead of one"
        case .unreadable:
            "the peer's certificate cannot be read"
        case .foreignMesh:
            "the peer belongs to another mesh: its secret or its mesh name differs. Start both "
                + "with the same --secret-file and --mesh to join them; if the mesh has exchanged "
                + "its secret, bring the new one to the device that missed it"
        case .notALeaf:
            "the peer's certificate is not the leaf of a node"
        }
    }
}

/// The certificates of one node of a mesh and the check of those of its peers.
///
/// Every node derives the mesh's authority key from the secret and signs its own leaf with it. So a
/// leaf proves two things: its owner knows the secret, and (by TLS itself) holds the node's key.
public struct MeshCertificates: Sendable {
    /// Checks use this time, 2040-01-01T00:00:00Z, instead of the clock: a board without a clock
    /// battery starts in 1970.
    private static let validationSeconds = 2_208_988_800.0
    /// 2020-01-01T00:00:00Z.
    private static let notBeforeSeconds = 1_577_836_800.0
    /// 9999-12-31T23:59:59Z: "no well-defined expiration" (RFC 5280, 4.1.2.5).
    private static let notAfterSeconds = 253_402_300_799.0

    /// The authorities whose leafs are accepted, each with the tag of its secret.
    private let authorities: [(key: Certificate.PublicKey, tag: String)]
    let authority: NIOSSLCertificate
    let leaf: NIOSSLCertificate
    private let leafKey: NIOSSLPrivateKey

    /// Makes the certificates of a node.
    public init(keyring: MeshKeyring, identity: NodeIdentity) throws {
        let signer = Certificate.PrivateKey(keyring.used.authority)
        authorities = keyring.accepted.map {
            (Certificate.PrivateKey($0.authority).publicKey, $0.tag)
        }
        let authorityName = try DistinguishedName { CommonName("tessera authority") }
        let root = try Self.certificate(
            of: signer.publicKey, subject: authorityName, issuer: authorityName, isAuthority: true,
            signer: signer)
        // The subject says nothing: whoever connects sees the leaf before he must show his own.
        let node = try Self.certificate(
            of: Certificate.PublicKey(identity.key.publicKey),
            subject: DistinguishedName { CommonName("tessera node") }, issuer: authorityName,
            isAuthority: false, signer: signer)
        authority = try NIOSSLCertificate(bytes: Self.bytes(of: root), format: .der)
        leaf = try NIOSSLCertificate(bytes: Self.bytes(of: node), format: .der)
        leafKey = try NIOSSLPrivateKey(
            bytes: Array(identity.key.derRepresentation), format: .der)
    }

    /// The TLS context for connections that this node dials.
    func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = [.certificate(leaf)]
        configuration.privateKey = .privateKey(leafKey)
        return try context(configuration)
    }

    /// The TLS context for connections that this node accepts; it wants a client certificate.
    func serverContext() throws -> NIOSSLContext {
        try context(
            TLSConfiguration.makeServerConfiguration(
                certificateChain: [.certificate(leaf)], privateKey: .privateKey(leafKey)))
    }

    private func context(_ base: TLSConfiguration) throws -> NIOSSLContext {
        var configuration = base
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        // `check` replaces the library's verification; the root is given so that no system roots
        // are ever read or believed.
        configuration.trustRoots = .certificates([authority])
        configuration.sendCANameList = false
        configuration.renegotiationSupport = .none
        configuration.shutdownTimeout = .milliseconds(500)
        return try NIOSSLContext(configuration: configuration)
    }

    /// Checks what a peer presented; gives the node that it is, and the tag of the secret that it
    /// proved to know.
    func check(
        _ chain: [NIOSSLCertificate]
    ) -> Result<(node: NodeID, tag: String), CertificateRefusal> {
        guard chain.count == 1 else { return .failure(.wrongCount(chain.count)) }
        let certificate: Certificate
        do {
            certificate = try Certificate(derEncoded: chain[0].toDERBytes())
        } catch {
            return .failure(.unreadable)
        }
        let signer = authorities.first { authority in
            authority.key.isValidSignature(certificate.signature, for: certificate)
        }
        guard let signer else { return .failure(.foreignMesh) }
        guard let key = P256.Signing.PublicKey(certificate.publicKey) else {
            return .failure(.unreadable)
        }
        let now = Date(timeIntervalSince1970: Self.validationSeconds)
        guard certificate.notValidBefore <= now, now <= certificate.notValidAfter,
            !authorities.contains(where: { $0.key == certificate.publicKey }),
            Self.isLeaf(certificate)
        else { return .failure(.notALeaf) }
        let node = NodeIdentity.node(of: Array(key.x963Representation))
        return .success((node, signer.tag))
    }

    private static func isLeaf(_ certificate: Certificate) -> Bool {
        // Ignoring the error is right: constraints that cannot be read are none of ours.
        guard let constraints = try? certificate.extensions.basicConstraints else { return false }
        return constraints == .notCertificateAuthority
    }

    private static func certificate(
        of key: Certificate.PublicKey, subject: DistinguishedName, issuer: DistinguishedName,
        isAuthority: Bool, signer: Certificate.PrivateKey
    ) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key,
            notValidBefore: Date(timeIntervalSince1970: notBeforeSeconds),
            notValidAfter: Date(timeIntervalSince1970: notAfterSeconds),
            issuer: issuer, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(
                    isAuthority
                        ? BasicConstraints.isCertificateAuthority(maxPathLength: 0)
                        : BasicConstraints.notCertificateAuthority)
                Critical(
                    isAuthority ? KeyUsage(keyCertSign: true) : KeyUsage(digitalSignature: true))
            }, issuerPrivateKey: signer)
    }

    private static func bytes(of certificate: Certificate) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }
}
