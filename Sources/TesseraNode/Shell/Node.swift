public import Logging
import NIOCore
import NIOPosix
import Synchronization
public import TesseraCore
import TesseraEngine
import TesseraModel
import TesseraWire
public import Tracing

/// A running agent without its API: everything between the core and the world.
public final class Node: Sendable {
    /// The node and this run of it.
    public let member: NodeBoot
    /// Where it listens for peers.
    public let address: Address
    /// What happened in the mesh, as this agent saw it.
    public let log: EventLog
    /// The models on disk.
    public let library: ModelLibrary
    /// What this node was told at its start.
    public let settings: NodeSettings

    let shell: NodeShell
    let transport: PeerTransport
    private let engine: EngineRoom
    let discovery: Mutex<Discovery>
    let beaconSeal: BeaconSeal
    private let controlGroup: MultiThreadedEventLoopGroup
    private let dataGroup: MultiThreadedEventLoopGroup
    private let disk: NIOThreadPool
    /// What the engine was doing when the process before this one ended.
    private let crashes: [CrashMark]
    private let left: EventLoopFuture<Void>
    let logger: Logger

    /// Runs that wait inside the engine beyond those that it computes: one hides the way back and
    /// forth between engine and loop.
    private static let queuedRuns = 1
    /// Threads of the engine's room that do not run requests.
    private static let builders = 1
    /// Slices that may be arriving at once, beside what plans reserve.
    private static let incomingSliceBytesMax = 1 << 30

    /// Takes up identity, disk, engine and port; nothing runs before `run`.
    ///
    /// A tracer gets the spans of requests.
    public init(
        _ settings: NodeSettings, logger: Logger, tracer: (any Tracer)? = nil
    ) throws {
        self.settings = settings
        self.logger = logger
        Discovery.prepareProcess()
        let identity = try NodeIdentity(dataFolder: settings.dataFolder)
        let keyring = try MeshKeyring(settings.secrets, name: settings.mesh)
        library = try ModelLibrary(
            path: settings.dataFolder + "/models", quotaBytes: settings.diskBytes)
        let slots = settings.threads + Self.queuedRuns
        let marks = try CrashMarks(
            path: settings.dataFolder + "/engine-work", member: identity.member,
            places: settings.threads + Self.builders)
        crashes = marks.found
        engine = try EngineRoom(threads: settings.threads, library: library, marks: marks)
        controlGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        dataGroup = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        disk = NIOThreadPool(numberOfThreads: 1)
        let loop = controlGroup.next()
        var transportSettings = TransportConfiguration(
            listen: settings.listen, identity: identity, name: settings.name, keyring: keyring,
            incomingSliceBytesMax: Self.incomingSliceBytesMax,
            dataEncryption: settings.encryptsTensors, logger: logger)
        #if DEBUG
        transportSettings.versions = TestVersions.told ?? .supported
        #endif
        transport = try PeerTransport(
            transportSettings, controlLoop: loop, dataLoops: dataGroup,
            blobs: StoredBlobs(store: library.store))
        member = identity.member
        address = transport.address
        log = EventLog()
        let leftPromise = loop.makePromise(of: Void.self)
        left = leftPromise.futureResult
        var generator = SystemRandomNumberGenerator()
        let agentSettings = Agent.Settings(
            me: identity.member, name: settings.name, address: transport.address,
            executionSlots: slots, seed: generator.next())
        let journal = try settings.journalFile.map {
            try JournalFile(path: $0, settings: agentSettings)
        }
        shell = NodeShell(
            loop: loop, transport: transport, engine: engine, library: library,
            identity: identity, log: log,
            catalogueFile: CatalogueFile(path: settings.dataFolder + "/catalogue"),
            disk: disk, agent: Agent(agentSettings), journal: journal, left: leftPromise,
            traces: tracer.map { TraceRecorder(tracer: $0, node: settings.name) },
            logger: logger)
        let seal = BeaconSeal(keyring: keyring, member: identity.member)
        beaconSeal = seal
        discovery = Mutex(
            Self.makeDiscovery(
                settings, keyring: keyring, member: identity.member, address: transport.address,
                seal: seal, shell: shell, logger: logger))
    }

    static func makeDiscovery(
        _ settings: NodeSettings, keyring: MeshKeyring, member: NodeBoot, address: Address,
        seal: BeaconSeal, shell: NodeShell, logger: Logger
    ) -> Discovery {
        Discovery(
            settings: DiscoverySettings(
                mode: settings.discovery, seeds: settings.seeds, node: member.node,
                boot: member.boot, port: address.port, meshTag: keyring.used.tag,
                acceptedTags: keyring.tags),
            seal: { seal.seal($0) }, open: { seal.open($0) },
            onFound: { address in shell.deliver(.discovered(address)) },
            onNotice: { notice in
                logger.log(
                    level: notice.isProblem ? .warning : .info, "discovery",
                    metadata: ["notice": "\(notice)"])
            })
    }

    /// Runs until the node has left, or the task is cancelled.
    public func run() async throws {
        engine.start()
        disk.start()
        try await transport.start(delegate: shell).get()
        try await shell.loop.submit { self.shell.start() }.get()
        shell.deliver(.crashesFound(crashes))
        restore()
        SpeedWatch(settings, shell: shell, engine: engine, logger: logger).start()
        discovery.withLock { $0 }.start()
        await withTaskCancellationHandler {
            // The promise is only ever fulfilled.
            try? await left.get()
        } onCancel: {
            shell.loop.execute { self.shell.stop() }
        }
        await close()
    }

    /// Asks the node to hand over its work and go; `run` returns when it has.
    public func leave() {
        shell.deliver(.leaveRequested)
    }

    private func close() async {
        await discovery.withLock { $0 }.stop()
        // Closing cannot fail in a way that anybody could answer; what is left ends with us.
        try? await shell.loop.submit { self.shell.stop() }.get()
        try? await transport.close().get()
        engine.stop()
        try? await disk.shutdownGracefully()
        try? await dataGroup.shutdownGracefully()
    }

    /// Ends the control loop last: whoever still has the node, such as the API while it closes, gets
    /// an answer, if only that the node has left.
    deinit {
        controlGroup.shutdownGracefully { _ in }
    }

    /// Tells the core what the disk holds.
    private func restore() {
        let shell = shell
        let logger = logger
        let library = library
        disk.submit { _ in
            let entries: [CatalogueEntry]
            do {
                entries = try shell.catalogueFile.read()
            } catch {
                logger.error(
                    "the catalogue on disk cannot be read; it will come back from peers",
                    metadata: ["reason": "\(error)"])
                entries = []
            }
            let models = library.restore()
            shell.loop.execute {
                for model in models {
                    shell.handle(.manifestStored(model.outline, blobs: model.blobs))
                }
                shell.handle(.catalogueRestored(entries))
            }
        }
    }

    // MARK: Asking

    /// What this agent knows now.
    public func snapshot() async -> MeshSnapshot {
        await onLoop { $0.agent.snapshot() }
    }

    /// Grows whenever a name may stand for another model, or a model becomes known; from
    /// everywhere, without waiting.
    public var modelsVersion: UInt64 { shell.modelsVersion.load(ordering: .acquiring) }

    /// What this agent knows of one model now.
    public func model(named name: String) async -> MeshSnapshot.Model? {
        await onLoop { $0.agent.model(named: name) }
    }

    /// How long each fragment took to be compiled here last.
    public var compileMicroseconds: [FragmentKey: Int64] {
        get async { await onLoop { $0.compileMicroseconds } }
    }

    /// What the transport counted.
    public var transportCounters: TransportCounters { transport.countersSnapshot }

    /// The bytes of the connections to each peer.
    public var peerTraffic: [PeerTraffic] { transport.peerTraffic }

    /// What the connected peers told of themselves, ascending by member.
    public var peerFacts: [PeerFacts] {
        get async { await onLoop { $0.transport.peerFacts } }
    }

    /// How each fragment that this node holds ran.
    public var fragmentFigures: [FragmentFigures] { engine.fragmentFigures }

    /// How peers are found now.
    public var discoveryState: DiscoveryState { discovery.withLock { $0 }.state }

    /// Microseconds since the start.
    public var uptime: TimeSpan { MonotonicClock.now - shell.started }

    func onLoop<Value: Sendable>(
        _ body: @escaping @Sendable (NodeShell) -> Value
    ) async -> Value {
        await withCheckedContinuation { continuation in
            shell.loop.execute { continuation.resume(returning: body(self.shell)) }
        }
    }

    // MARK: Models

    /// A blob or manifest was put into the library from outside (the operator's upload).
    public func noteStored(_ blob: BlobID, isManifest: Bool) {
        shell.loop.execute { self.shell.stored(blob, isManifest: isManifest) }
    }

    /// Gives a model a name.
    ///
    /// Its manifest and blobs are in the library.
    public func addModel(
        named name: String, manifest: ManifestID, settings: ModelSettings = ModelSettings()
    ) async throws {
        let refusal = await onLoop { $0.agent.canName(name) }
        if let refusal { throw refusal }
        let found = try await onDisk { try self.library.outlineWithBlobs(manifest) }
        shell.deliver(.manifestStored(found.outline, blobs: found.blobs))
        shell.deliver(.modelAdded(name: name, manifest: manifest, settings: settings))
    }

    /// Removes a name.
    public func removeModel(named name: String) async throws {
        guard await model(named: name) != nil else { throw CatalogueError.unknownName(name) }
        shell.deliver(.modelRemoved(name: name))
    }

    /// Work that touches the disk, on the disk's thread.
    public func onDisk<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await disk.runIfActive { try work() }
    }
}
