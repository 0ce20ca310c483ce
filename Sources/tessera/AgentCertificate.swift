import Logging
import TesseraAPI
import TesseraNode

/// The certificate of an agent's API, in files that may be exchanged while it serves.
struct AgentCertificate: Sendable {
    /// A chain of certificates is a few of them.
    private static let bytesMax = 1 << 20

    /// What the API proves itself with.
    let certificate: APICertificate
    /// The files that are followed.
    let paths: [String]

    /// Reads the files; nil if the settings name none.
    init?(_ configuration: AgentConfiguration) throws {
        guard let place = configuration.apiCertificateFile, let key = configuration.apiKeyFile
        else {
            guard configuration.apiCertificateFile == nil, configuration.apiKeyFile == nil else {
                throw CommandFailure(
                    "TLS for the API needs both --api-certificate FILE and --api-key FILE.",
                    code: .usage)
            }
            return nil
        }
        paths = [place, key]
        let bytes = try Self.read(paths)
        do {
            certificate = try APICertificate(
                certificates: bytes.certificates, key: bytes.key, secondsSince1970: Self.now)
        } catch {
            throw Self.failure(error, paths)
        }
    }

    /// Reads the files again; what is wrong with them changes nothing.
    func reload(_ logger: Logger) {
        do {
            let bytes = try Self.read(paths)
            do {
                try certificate.replace(
                    certificates: bytes.certificates, key: bytes.key, secondsSince1970: Self.now)
            } catch {
                throw Self.failure(error, paths)
            }
            logger.info("the API has a new certificate", metadata: ["ends": "\(ends)"])
        } catch {
            // One file is written after the other: the next change may make it right.
            let reason = (error as? CommandFailure)?.message ?? "\(error)"
            logger.error("the API keeps its certificate, which ends \(ends): \(reason)")
        }
    }

    /// When its time is over.
    var ends: String { WallClock.text(secondsSince1970: Double(certificate.ends)) }

    private static var now: Int { Int(Machine.secondsSince1970) }

    private static func read(_ paths: [String]) throws -> (certificates: [UInt8], key: [UInt8]) {
        if let stamp = FileStamp(paths[1]), stamp.mode & 0o007 != 0 {
            throw CommandFailure(
                "everybody on this machine may touch \(paths[1]), the key of the API. Run `chmod "
                    + "o= \(paths[1])`.")
        }
        return (
            try Files.read(paths[0], bytesMax: bytesMax, what: "the certificate of the API"),
            try Files.read(paths[1], bytesMax: bytesMax, what: "the key of the API")
        )
    }

    private static func failure(_ error: APICertificateError, _ paths: [String]) -> CommandFailure {
        CommandFailure("TLS with \(paths[0]) and \(paths[1]) is not possible: \(error).")
    }
}
