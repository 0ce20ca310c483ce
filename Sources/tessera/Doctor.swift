import TesseraAPI
import TesseraCore
import TesseraEngine
import TesseraNode

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Looks at everything that an agent needs on this machine.
struct Doctor {
    /// Less free space than this holds hardly a model.
    private static let diskBytesMin = 1 << 30

    private let configuration: AgentConfiguration

    init(_ configuration: AgentConfiguration) { self.configuration = configuration }

    /// Runs every check.
    func run() async -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        let status = await agent(&findings)
        findings.append(await engine())
        findings.append(await multicastDNS())
        findings.append(await Blocking.value { MulticastCheck.run() })
        for (name, place, kinds) in ports {
            findings.append(port(name, place, kinds, isAgentThere: status != nil))
        }
        findings.append(dataFolder())
        findings.append(disk())
        findings.append(secret())
        return findings
    }

    // MARK: The agent

    private func agent(_ findings: inout [DoctorFinding]) async -> StatusDocument? {
        var options = APIOptions()
        options.address = "http://\(configuration.api.reachable)"
        options.tokenFileFlag = configuration.apiTokenFile
        let status: StatusDocument
        do {
            status = try await APIClient.with(options) { client in
                try await client.document(StatusDocument.self, at: "/tessera/v1/status")
            }
        } catch {
            let text = (error as? CommandFailure)?.message.split(separator: "\n").first
            findings.append(
                .broken(
                    "agent", text.map(String.init) ?? "\(error)",
                    next: "start it with `tessera agent`, or name its place with --api HOST:PORT"))
            return nil
        }
        if status.isReady {
            findings.append(
                .good(
                    "agent", "\(status.name) of mesh \(status.mesh) is ready at \(options.address)")
            )
        } else {
            findings.append(
                .warning(
                    "agent",
                    "\(status.name) is not ready: \(status.reason ?? "it does not say why")",
                    next: "wait a few seconds; `tessera status` shows how it goes on"))
        }
        if status.release == Version.current {
            findings.append(.good("versions", "agent and this program are \(Version.current)"))
        } else {
            findings.append(
                .warning(
                    "versions",
                    "the agent is \(status.release), and this program \(Version.current)",
                    next: "restart the agent with the newer of both"))
        }
        for line in status.health {
            findings.append(.warning("health", line, next: "see `tessera events`"))
        }
        return status
    }

    private func engine() async -> DoctorFinding {
        do {
            let text = try await Blocking.run { try Engine(threads: 1).fingerprint.text }
            return .good("OpenVINO", text)
        } catch {
            return .broken("OpenVINO", "\(error)", next: "run Tools/setup, or install OpenVINO")
        }
    }

    // MARK: The network

    /// Starts an announcement of its own and waits for what becomes of it.
    private func multicastDNS() async -> DoctorFinding {
        let limit = Duration.seconds(6)
        let (notices, continuation) = AsyncStream.makeStream(
            of: DiscoveryNotice?.self, bufferingPolicy: .bufferingNewest(8))
        var generator = SystemRandomNumberGenerator()
        let random = generator.next()
        let discovery = Discovery(
            settings: DiscoverySettings(
                mode: .mdns, node: NodeID(random, 0, 0, 0), boot: Boot(counter: 1, random: random),
                port: 1, meshTag: "0000000000000000"),
            seal: { $0 }, open: { _ in nil }, onFound: { _ in },
            onNotice: { continuation.yield($0) })
        discovery.start()
        let result = await withTaskGroup(of: DiscoveryNotice?.self) { group in
            group.addTask {
                for await notice in notices { return notice }
                return nil
            }
            group.addTask {
                // Cancelled as soon as there is a notice.
                try? await Task.sleep(for: limit)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        await discovery.stop()
        switch result {
        case .multicastDNSInUse: return .good("mDNS", "the Avahi daemon answers")
        case .multicastDNSUnusable(let fault, _):
            return .warning(
                "mDNS", "not usable: \(fault)",
                next: "start avahi-daemon; until then agents find each other by the beacon")
        default:
            return .warning(
                "mDNS", "the Avahi daemon said nothing within \(limit.components.seconds) s",
                next: "restart avahi-daemon; until then agents find each other by the beacon")
        }
    }

    private var ports: [(name: String, HostPort, [PortCheck.Kind])] {
        let all: [(String, HostPort, [PortCheck.Kind])] = [
            ("peer port", configuration.listen, [.stream, .datagram]),
            ("API port", configuration.api, [.stream]),
        ]
        guard let port = configuration.grpcPort else { return all }
        let place = HostPort(host: configuration.api.host, port: port)
        return all + [("gRPC port", place, [.stream])]
    }

    private func port(
        _ name: String, _ place: HostPort, _ kinds: [PortCheck.Kind], isAgentThere: Bool
    ) -> DoctorFinding {
        guard place.port != 0 else { return .good(name, "any free one is taken") }
        for kind in kinds {
            guard let error = PortCheck.errorNumber(binding: place, kind) else { continue }
            if error == EADDRINUSE, isAgentThere { return .good(name, "\(place) is the agent's") }
            if error == EADDRINUSE {
                return .broken(
                    name, "\(place) is in use by another program",
                    next: "end that program, or take another port with --listen, --api or "
                        + "--grpc-port")
            }
            return .broken(
                name, "\(place) cannot be used: \(Files.systemReason(error))",
                next: "name an address of this machine and a port above 1023")
        }
        return .good(name, "\(place) is free")
    }

    // MARK: The disk

    private func dataFolder() -> DoctorFinding {
        let folder = configuration.dataFolder
        if access(folder, F_OK) != 0 {
            let parent = Self.existingParent(of: folder)
            guard access(parent, W_OK | X_OK) == 0 else {
                return .broken(
                    "data folder", "\(folder) is not there, and \(parent) is not writable",
                    next: "make it, or name another with --data-dir")
            }
            return .good("data folder", "\(folder) is made at the first start")
        }
        guard access(folder, R_OK | W_OK | X_OK) == 0 else {
            return .broken(
                "data folder", "\(folder) is not writable: \(Files.systemReason())",
                next: "give the user that runs the agent access, or name another with --data-dir")
        }
        return .good("data folder", "\(folder) is writable")
    }

    private func disk() -> DoctorFinding {
        let free = Machine.freeDiskBytes(at: configuration.dataFolder)
        let text = "\(Figures.bytes(free)) are free"
        guard free >= Self.diskBytesMin else {
            return .warning(
                "disk space", text, next: "free some space, or name another disk with --data-dir")
        }
        return .good("disk space", text)
    }

    private func secret() -> DoctorFinding {
        let path = configuration.secretFile
        do {
            _ = try MeshSecret(file: path)
            return .good("mesh secret", "\(path) is there and yours alone")
        } catch {
            return .broken(
                "mesh secret", "\(error)",
                next: "make one with `tessera mesh secret --output \(path)`, or copy that of the "
                    + "mesh to there")
        }
    }

    private static func existingParent(of path: String) -> String {
        var path = path.hasPrefix("/") ? path : "./" + path
        while access(path, F_OK) != 0, let slash = path.lastIndex(of: "/") {
            if slash == path.startIndex { return "/" }
            path = String(path[..<slash])
        }
        return path
    }
}
