import TesseraAPI
import TesseraCore
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
    /// No clock that is right shows an earlier time than this program's (2025-01-01).
    private static let clockSecondsMin = 1_735_689_600.0

    /// Two weeks before its end a certificate is to be renewed.
    private static let certificateSecondsMin = 14 * 86_400

    private let configuration: AgentConfiguration

    init(_ configuration: AgentConfiguration) { self.configuration = configuration }

    /// Runs every check.
    func run() async -> [DoctorFinding] {
        let (isAgentThere, findings) = await agent()
        return findings + [
            await engine(), await MulticastDNSCheck.run(),
            await Blocking.value { MulticastCheck.run() },
        ] + ports.map { port($0, $1, $2, isAgentThere: isAgentThere) } + [
            clock(Machine.secondsSince1970), DiskCheck.dataFolder(configuration.dataFolder),
            disk(), memory(isAgentThere: isAgentThere),
            Self.energy(milliwatts: configuration.milliwatts, EnergyZones()), secret(),
        ] + (certificate().map { [$0] } ?? [])
    }

    // MARK: The agent

    private func agent() async -> (isThere: Bool, [DoctorFinding]) {
        var options = APIOptions()
        options.address = configuration.apiURL
        options.certificateFlag = configuration.apiCertificateFile
        options.tokenFileFlag = configuration.apiTokenFile
        do {
            let mesh = try await DoctorMesh.ask(options)
            return (
                true, mesh.findings(address: options.address, mesh: configuration.mesh)
            )
        } catch {
            let failure = error as? CommandFailure
            let line = failure?.message.split(separator: "\n").first.map(String.init)
            guard failure?.code == .unreachable else {
                // Something answers, and not as an agent does.
                return (
                    false,
                    [
                        .failed(
                            "agent", line ?? "\(error)",
                            next: "look what answers there; if it needs a token, run this as the "
                                + "agent's user")
                    ]
                )
            }
            return (
                false,
                [
                    .warning(
                        "agent", line ?? "\(error)",
                        next: "start it with `tessera agent`, or name its place with --api "
                            + "HOST:PORT")
                ]
            )
        }
    }

    private func engine() async -> DoctorFinding {
        do {
            let text = try await Blocking.run { try TinyModel.run() }
            return .good("OpenVINO", "computes rightly: \(text)")
        } catch {
            return .failed(
                "OpenVINO", "\(error)",
                next: "install the package again; from the sources, run Tools/setup")
        }
    }

    // MARK: The network

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
            guard error == EADDRINUSE else {
                return .failed(
                    name, "\(place) cannot be used: \(Files.systemReason(error))",
                    next: "name an address of this machine and a port above 1023")
            }
            guard isAgentThere else {
                return .failed(
                    name, "\(place) is in use by another program",
                    next: "end that program, or take another port with --listen, --api or "
                        + "--grpc-port")
            }
            guard PortCheck.accepts(place.reachable) else {
                return .failed(
                    name, "\(place) is taken, and accepts no connection",
                    next: "look at the firewall of this machine; restart the agent if it hangs")
            }
            return .good(name, "\(place) is the agent's and accepts connections")
        }
        return .good(name, "\(place) is free")
    }

    // MARK: The machine

    /// Nothing rests on the time of day; logs and traces are read by it.
    func clock(_ secondsSince1970: Double) -> DoctorFinding {
        let text = WallClock.text(secondsSince1970: secondsSince1970)
        guard secondsSince1970 >= Self.clockSecondsMin else {
            return .warning(
                "clock", "it shows \(text)",
                next: "set it, or start a time service; the mesh works without, and times in logs "
                    + "and traces are wrong")
        }
        return .good("clock", "it shows \(text)")
    }

    /// Whether energy is modelled, measured, both or neither: each is well, and to be known.
    static func energy(milliwatts: Int?, _ zones: EnergyZones) -> DoctorFinding {
        let power =
            milliwatts.map {
                "modelled with \(Figures.decimal(Double($0) / 1_000, places: 3)) W"
            } ?? "not modelled: no --power-watts is given, so plans by energy leave this node out"
        return .good("energy", power + "; " + EnergyMeter.summary(zones))
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

    private func memory(isAgentThere: Bool) -> DoctorFinding {
        memory(
            budget: configuration.memoryBytes, machine: Machine.memoryBytes,
            available: isAgentThere ? nil : Machine.availableMemoryBytes)
    }

    /// Compares the budget with what the machine has, and with what is available before the agent
    /// takes its part.
    func memory(budget: Int, machine: Int, available: Int?) -> DoctorFinding {
        let text = "models may take \(Figures.bytes(budget)) of \(Figures.bytes(machine))"
        guard budget <= machine else {
            return .failed(
                "memory", text, next: "give less with --memory: the kernel would end the agent")
        }
        if let available, budget > available {
            return .warning(
                "memory", "\(text), and \(Figures.bytes(available)) are available now",
                next: "end other programs, or give less with --memory")
        }
        return .good("memory", text)
    }

    /// The certificate of the API, if it has one.
    private func certificate() -> DoctorFinding? {
        do {
            guard let own = try AgentCertificate(configuration) else { return nil }
            let left = own.certificate.ends - Int(Machine.secondsSince1970)
            guard left >= Self.certificateSecondsMin else {
                return .warning(
                    "certificate", "the API's certificate ends \(own.ends)",
                    next: "renew it; the agent takes the new file over while it runs")
            }
            return .good("certificate", "the API's certificate is good until \(own.ends)")
        } catch {
            return .failed(
                "certificate", (error as? CommandFailure)?.message ?? "\(error)",
                next: "look at --api-certificate and --api-key; the agent would not start")
        }
    }

    private func secret() -> DoctorFinding {
        let path = configuration.secretFile
        do {
            let secrets = try MeshSecrets(file: path)
            guard secrets.alsoAccepted == nil else {
                return .warning(
                    "mesh secret", "\(path) has two secrets: the mesh exchanges its secret",
                    next: "go on with `tessera mesh use` and `tessera mesh drop`, each on every "
                        + "device before the next")
            }
            return .good("mesh secret", "\(path) is there and yours alone")
        } catch {
            return .failed(
                "mesh secret", "\(error)",
                next: "make one with `tessera mesh secret --output \(path)`, or copy that of the "
                    + "mesh to there")
        }
    }
}
