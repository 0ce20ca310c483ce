import Logging
import Synchronization
import TesseraNode

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The file with the mesh's secrets, which may change while the agent runs.
final class SecretFile: Sendable {
    let path: String
    private let logger: Logger
    /// What the agent uses.
    private let current = Mutex<MeshSecrets?>(nil)

    init(path: String, logger: Logger) {
        self.path = path
        self.logger = logger
    }

    /// Waits until the file is there.
    func awaitFile() async throws {
        // A service manager may ask to read the file again; nobody listens yet.
        signal(SIGHUP, SIG_IGN)
        guard await !isThere else { return }
        logger.notice(
            "this device is in no mesh yet; waiting for its secret. Put it there with `tessera mesh join`",
            metadata: ["file": "\(path)"])
        while await !isThere { try await Task.sleep(for: FileWatch.period) }
    }

    private var isThere: Bool {
        get async {
            let path = path
            return await Blocking.value { FileStamp(path) != nil }
        }
    }

    /// The secrets in the file.
    func read() async throws -> MeshSecrets {
        let path = path
        let secrets = try await Blocking.run { try MeshSecrets(file: path) }
        current.withLock { $0 = secrets }
        return secrets
    }

    /// Gives the node the secrets that are in the file now, if they are others.
    func reload(_ node: Node) async {
        do {
            let before = current.withLock { $0 }
            let secrets = try await read()
            if secrets != before { try await node.use(secrets) }
        } catch {
            // Half a file, or none: the next change is read again.
            logger.warning(
                "the mesh secret was not read again; the agent goes on with what it has",
                metadata: ["reason": "\(error)"])
        }
    }
}
