import NIOCore
import NIOSSL
import Synchronization

/// Why a certificate and its key cannot be used.
public enum APICertificateError: Error, Equatable, CustomStringConvertible {
    /// The first file holds no certificate.
    case noCertificate
    /// The second file holds no private key, or one that is sealed with a password.
    case noKey
    /// The key is not that of the first certificate, or of a kind that TLS does not take.
    case wrongKey
    /// The certificate's time is over.
    case expired(secondsAgo: Int)

    /// What happened and what to do.
    public var description: String {
        switch self {
        case .noCertificate:
            "the file of the certificate holds none in PEM form (-----BEGIN CERTIFICATE-----)"
        case .noKey:
            "the file of the key holds no private key in PEM form, or one sealed with a password; "
                + "`openssl pkey -in FILE -out NEW` takes the password away"
        case .wrongKey:
            "the key does not belong to the first certificate of the file; put the agent's own "
                + "certificate before those that signed it"
        case .expired(let seconds):
            "the certificate expired \(seconds / 86_400) days and \(seconds % 86_400 / 3_600) hours "
                + "ago; renew it"
        }
    }
}

/// What the API proves itself with over TLS; may be exchanged while it serves.
public final class APICertificate: Sendable {
    private struct Contexts {
        var http: NIOSSLContext
        var grpc: NIOSSLContext
        var ends: Int
    }

    private let contexts: Mutex<Contexts>

    /// Takes a certificate, followed by those that signed it, and its key, both in PEM form.
    public init(
        certificates: [UInt8], key: [UInt8], secondsSince1970 now: Int
    ) throws(APICertificateError) {
        contexts = Mutex(try Self.contexts(certificates: certificates, key: key, now: now))
    }

    /// Takes others from the next connection on; throws and changes nothing if they are not right.
    public func replace(
        certificates: [UInt8], key: [UInt8], secondsSince1970 now: Int
    ) throws(APICertificateError) {
        let new = try Self.contexts(certificates: certificates, key: key, now: now)
        contexts.withLock { $0 = new }
    }

    /// When its time is over, in seconds since 1970.
    public var ends: Int { contexts.withLock { $0.ends } }

    /// Puts TLS before everything else of a connection of HTTP.
    func protectHTTP(_ channel: any Channel) throws {
        try protect(channel, contexts.withLock { $0.http })
    }

    /// Puts TLS before everything else of a connection of gRPC.
    func protectGRPC(_ channel: any Channel) throws {
        try protect(channel, contexts.withLock { $0.grpc })
    }

    private func protect(_ channel: any Channel, _ context: NIOSSLContext) throws {
        try channel.pipeline.syncOperations.addHandler(
            NIOSSLServerHandler(context: context), position: .first)
    }

    private static func contexts(
        certificates: [UInt8], key: [UInt8], now: Int
    ) throws(APICertificateError) -> Contexts {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMBytes(certificates)
        } catch {
            throw .noCertificate
        }
        guard let own = chain.first else { throw .noCertificate }
        let ends = Int(own.notValidAfter)
        // A clock that was never set is early, so what is not valid yet may be.
        guard ends > now else { throw .expired(secondsAgo: now - ends) }
        let privateKey: NIOSSLPrivateKey
        do {
            // An answer to the question for a password: that nobody is here.
            privateKey = try NIOSSLPrivateKey(bytes: key, format: .pem) { $0("".utf8) }
        } catch {
            throw .noKey
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        do {
            configuration.applicationProtocols = ["h2", "http/1.1"]
            let http = try NIOSSLContext(configuration: configuration)
            configuration.applicationProtocols = ["h2"]
            let grpc = try NIOSSLContext(configuration: configuration)
            return Contexts(http: http, grpc: grpc, ends: ends)
        } catch {
            throw .wrongKey
        }
    }
}
