import Logging
import ServiceLifecycle
import TesseraNode
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The file with the mesh's secrets, which may change while the agent runs.
struct SecretWatch: Sendable {
    let path: String
    let logger: Logger

    /// Between two looks at the file.
    static let interval = Duration.seconds(1)

    /// Waits until the file is there.
    func awaitFile() async throws {
        // A service manager may ask to read the file again; nobody listens yet.
        signal(SIGHUP, SIG_IGN)
        guard await stamp() == nil else { return }
        logger.notice(
            "this device is in no mesh yet; waiting for its secret. Put it there with `tessera mesh join`",
            metadata: ["file": "\(path)"])
        while await stamp() == nil { try await Task.sleep(for: Self.interval) }
    }

    /// What the file is now; nil if it is not there.
    func stamp() async -> FileStamp? {
        let path = path
        return await Blocking.value { FileStamp(path) }
    }

    /// The secrets in the file.
    func read() async throws -> MeshSecrets {
        let path = path
        return try await Blocking.run { try MeshSecrets(file: path) }
    }
}

/// Gives the node the secrets that are in the file: within a second after it has changed, and at
/// once on SIGHUP.
struct SecretService: Service {
    let watch: SecretWatch
    let node: Node
    /// What the node began with.
    let first: MeshSecrets

    func run() async throws {
        // One look is as good as several: the file is read as it is then.
        let (looks, teller) = AsyncStream.makeStream(
            of: Bool.self, bufferingPolicy: .bufferingNewest(1))
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    for await _ in await UnixSignalsSequence(trapping: .sighup) {
                        teller.yield(true)
                    }
                }
                tasks.addTask {
                    while !Task.isCancelled {
                        // A sleep that is cancelled ends the loop.
                        try? await Task.sleep(for: SecretWatch.interval)
                        teller.yield(false)
                    }
                }
                tasks.addTask { await follow(looks) }
            }
        }
    }

    private func follow(_ looks: AsyncStream<Bool>) async {
        var current = first
        // The file may have changed since it was read, so the first look reads it again.
        var last: FileStamp?
        for await isAsked in looks {
            let stamp = await watch.stamp()
            guard isAsked || stamp != last else { continue }
            last = stamp
            do {
                let secrets = try await watch.read()
                guard secrets != current else { continue }
                try await node.use(secrets)
                current = secrets
            } catch {
                // Half a file, or none: the next change is read again.
                watch.logger.warning(
                    "the mesh secret was not read again; the agent goes on with what it has",
                    metadata: ["reason": "\(error)"])
            }
        }
    }
}
