import NIOCore
import NIOPosix
import NIOSSL
import TesseraCore
import TesseraWire

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the TLS handshake of one connection found out about the other end; stays on one loop.
final class TLSVerdict {
    /// The node that the certificate names, once it is checked.
    private(set) var node: NodeID?
    /// The tag of the secret that the certificate proves.
    private(set) var tag: String?
    /// Why the certificate was refused.
    private(set) var refusal: CertificateRefusal?

    /// The handlers that make a connection one of the mesh: checks the peer's certificate, and
    /// wants one.
    static func handler(
        isDialled: Bool, contexts: TLSContexts, verdict: TLSVerdict
    ) throws -> NIOSSLHandler {
        let verify: NIOSSLCustomVerificationCallback = { chain, promise in
            switch contexts.certificates.check(chain) {
            case .success(let peer):
                verdict.node = peer.node
                verdict.tag = peer.tag
                promise.succeed(.certificateVerified)
            case .failure(let refusal):
                verdict.refusal = refusal
                promise.succeed(.failed)
            }
        }
        // Without a bound the handler would keep the largest burst that it ever encrypted.
        var configuration = NIOSSLHandler.Configuration()
        configuration.maximumPreservedOutboundBufferCapacity = 2 * TransportLimits.inFlightBytesMax
        return isDialled
            ? try NIOSSLClientHandler(
                context: contexts.client, serverHostname: nil,
                customVerificationCallback: verify, configuration: configuration)
            : NIOSSLServerHandler(
                context: contexts.server, customVerificationCallback: verify,
                configuration: configuration)
    }
}

/// The TLS contexts of a transport: made once, used by every connection.
struct TLSContexts: Sendable {
    let certificates: MeshCertificates
    let client: NIOSSLContext
    let server: NIOSSLContext

    init(_ certificates: MeshCertificates) throws {
        self.certificates = certificates
        client = try certificates.clientContext()
        server = try certificates.serverContext()
    }
}

/// Sends the preamble as soon as the connection is there, before TLS says its first word.
final class PreambleSender: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let purpose: Preamble.Purpose

    init(_ purpose: Preamble.Purpose) {
        self.purpose = purpose
    }

    func channelActive(context: ChannelHandlerContext) {
        let bytes = ByteBuffer(bytes: Preamble.bytes(purpose))
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        context.fireChannelActive()
    }
}

/// Turns what ended a connection into words for people.
enum CloseReason {
    /// The words for an error; the verdict on the certificate explains more than TLS does.
    static func text(_ error: (any Error)?, verdict: TLSVerdict?) -> String {
        if let refusal = verdict?.refusal { return refusal.description }
        guard let error else { return "the peer closed the connection" }
        switch error {
        case let error as WireError: return "the peer broke the protocol: \(error)"
        case let error as Refusal: return error.description
        case let error as NIOSSLError:
            if case .uncleanShutdown = error { return "the connection broke" }
            return handshakeText(String(describing: error))
        case let error as BoringSSLError: return handshakeText(String(describing: error))
        case let error as IOError: return text(error)
        case let error as NIOConnectionError:
            let first = error.connectionErrors.first
            return first.map { text($0.error, verdict: nil) } ?? "nobody listens there"
        case let error as ChannelError:
            guard case .connectTimeout(let time) = error else { return "\(error)" }
            return "nobody answered within \(time.nanoseconds / 1_000_000) ms"
        default: return String(describing: error)
        }
    }

    private static func text(_ error: IOError) -> String {
        switch error.errnoCode {
        case ECONNRESET, EPIPE: "the connection broke"
        case ECONNREFUSED: "nobody listens there"
        case EHOSTUNREACH, ENETUNREACH: "there is no route to it"
        default: String(describing: error)
        }
    }

    /// The peer's alert says only that it did not like our certificate.
    private static func handshakeText(_ text: String) -> String {
        let isCertificateAlert =
            text.contains("CERTIFICATE") || text.contains("UNKNOWN_CA")
            || text.contains("ACCESS_DENIED") || text.contains("DECRYPT_ERROR")
        return isCertificateAlert
            ? "the peer refused this node's certificate: its secret or its mesh name differs. If "
                + "the mesh has exchanged its secret, bring the new one to this device"
            : "the TLS handshake failed (\(text))"
    }
}
