import Logging
import NIOCore
import ServiceLifecycle
import TesseraAPI
import TesseraCore
import TesseraEngine
import TesseraNode
import UnixSignals

/// Runs an agent until it leaves.
struct AgentRun {
    private let configuration: AgentConfiguration
    /// Whether it waits for the secret's file, if there is none yet.
    private let awaitsSecret: Bool

    init(_ configuration: AgentConfiguration, awaitsSecret: Bool = false) {
        self.configuration = configuration
        self.awaitsSecret = awaitsSecret
    }

    func run() async throws {
        ProcessMemory.keepHeapsFew()
        FileLimit.raise()
        let level = configuration.logLevel
        let format = configuration.logFormat
        LoggingSystem.bootstrap { label in
            guard format == .text else {
                return JSONLogHandler(label: label, level: level) { Console.message($0) }
            }
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "tessera")
        let traceFile = try configuration.traceFile.map { path in
            try TraceFile(
                path: path, node: configuration.name, mesh: configuration.mesh,
                release: Version.current)
        }
        defer { traceFile?.flush() }
        let tokens = try AgentTokens(configuration, logger)
        let certificate = try AgentCertificate(configuration)
        let secretFile = SecretFile(path: configuration.secretFile, logger: logger)
        if awaitsSecret { try await secretFile.awaitFile() }
        let node = try makeNode(await secretFile.read(), logger, traceFile)
        try tokens.writeAdminToken()
        var api = APIConfiguration(
            host: configuration.api.host, port: configuration.api.port,
            grpcPort: configuration.grpcPort, hostNames: configuration.apiHostNames,
            tokens: tokens.tokens, anonymousRight: configuration.anonymousRight)
        api.certificate = certificate?.certificate
        let energy = EnergyMeter()
        let scheme = certificate == nil ? "http" : "https"
        let name = configuration.name
        let host = configuration.api.reachable.host
        let service = APIService(
            backend: NodeBackend(
                node: node, release: Version.current, traceFile: traceFile, energy: energy),
            configuration: api,
            logger: logger
        ) { ports in
            if let port = ports.grpc { Console.line("grpc: \(HostPort(host: host, port: port))") }
            let place = HostPort(host: host, port: ports.http)
            Console.line(
                "ready: api \(scheme)://\(place), peers \(node.address), node \(name) "
                    + node.member.node.hexadecimal)
        }
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(
                        service: FileWatch(tokens.paths) {
                            await Blocking.value { tokens.reload(logger) }
                        }),
                    .init(
                        service: FileWatch(certificate?.paths ?? []) {
                            await Blocking.value { certificate?.reload(logger) }
                        }),
                    .init(
                        service: FileWatch([secretFile.path]) { await secretFile.reload(node) }),
                    .init(service: EnergyWatch(energy, node: node)),
                    .init(service: service, failureTerminationBehavior: .cancelGroup),
                    .init(
                        service: NodeService(node: node),
                        successTerminationBehavior: .gracefullyShutdownGroup),
                ], logger: logger))
        try await run(group)
    }

    private func makeNode(
        _ secrets: MeshSecrets, _ logger: Logger, _ traceFile: TraceFile?
    ) throws -> Node {
        try Node(
            NodeSettings(
                name: configuration.name,
                listen: Address(
                    host: configuration.listen.host, port: UInt16(configuration.listen.port)),
                dataFolder: configuration.dataFolder, mesh: configuration.mesh,
                secrets: secrets,
                discovery: configuration.discovery, seeds: configuration.seeds,
                memoryBytes: configuration.memoryBytes, diskBytes: configuration.diskBytes,
                threads: configuration.threads, milliwatts: configuration.milliwatts,
                journalFile: configuration.journalFile),
            logger: logger, tracer: traceFile.map { FileTracer($0) })
    }

    /// The first signal makes the agent leave in order, the second ends it at once.
    private func run(_ group: ServiceGroup) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            tasks.addTask {
                var signals = 0
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                    signals += 1
                    if signals == 1 {
                        await group.triggerGracefulShutdown()
                    } else {
                        ProcessEnd.now(CommandExit.failed.rawValue)
                    }
                }
                // Ended by cancellation only: the services ended by themselves.
                try Task.checkCancellation()
            }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }
}

/// The node as a service: graceful shutdown is leaving the mesh.
private struct NodeService: Service {
    let node: Node

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await node.run()
        } onGracefulShutdown: {
            node.leave()
        }
    }
}
