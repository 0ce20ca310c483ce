import Logging
import Synchronization
import TesseraAPI
import TesseraNode

/// The certificate of an agent's API, in files that may be exchanged while it serves.
final class AgentCertificate: Sendable {
    /// A chain of certificates is a few of them.
    private static let bytesMax = 1 << 20

    /// What the API proves itself with.
    let certificate: APICertificate
    /// The files that are followed.
    let paths: [String]
    /// What was in them when they were read last.
    private let known: Mutex<[[UInt8]]>

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
        let files = try Self.read(paths)
        known = Mutex(files)
        do {
            certificate = try APICertificate(
                certificates: files[0], key: files[1], secondsSince1970: Self.now)
        } catch {
            throw Self.failure(error, paths)
        }
    }

    /// Reads the files again; what is wrong with them changes nothing.
    func reload(_ logger: Logger) {
        do {
            let files = try Self.read(paths)
            let isChanged = known.withLock { known in
                defer { known = files }
                return known != files
            }
            guard isChanged else { return }
            do {
                try certificate.replace(
                    certificates: files[0], key: files[1], secondsSince1970: Self.now)
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

    /// The certificates, then the key.
    private static func read(_ paths: [String]) throws -> [[UInt8]] {
        if let stamp = FileStamp(paths[1]), stamp.mode & 0o007 != 0 {
            throw CommandFailure(
                "everybody on this machine may touch \(paths[1]), the key of the API. Run `chmod "
                    + "o= \(paths[1])`.")
        }
        return [
            try Files.read(paths[0], bytesMax: bytesMax, what: "the certificate of the API"),
            try Files.read(paths[1], bytesMax: bytesMax, what: "the key of the API"),
        ]
    }

    private static func failure(_ error: APICertificateError, _ paths: [String]) -> CommandFailure {
        CommandFailure("TLS with \(paths[0]) and \(paths[1]) is not possible: \(error).")
    }
}
