import TesseraCore

/// One device: what survives a crash (disk), and the running agent with what it holds.
final class SimulatedNode {
    /// What a device has on its disk.
    struct Disk {
        var catalogue: [CatalogueEntry] = []
        /// By model.
        var hasManifest: [Bool]
        /// By model, then by blob.
        var blobs: [[Bool]]
    }

    /// What its engine does wrong, and until when.
    struct Trouble {
        var kind: Fault.Trouble
        var until: Timestamp
    }

    let index: Int
    let device: SimulatedMesh.Device
    let capability: Capability
    let address: Address
    private let scenarioSeed: UInt64
    private let directory: NodeDirectory

    // MARK: Disk

    private(set) var identity: NodeDirectory.Identity
    private var bootCounter: UInt64 = 0
    private var diskNumber = 0
    var disk: Disk
    /// The disk before its last write.
    private var diskBefore: Disk
    var hasLeft = false
    /// It went without a word: nobody refuses a call at its address.
    var isSilent = false

    // MARK: The running agent

    var agent: Agent?
    /// The number of the run, of all runs of the simulation; that of the last one if none is on.
    var run = -1
    private(set) var member: NodeBoot
    var payloads = PayloadTable()
    var compiled: Set<FragmentKey> = []
    /// Runs whose datagrams are heeded: they were connected, or a member vouches for them.
    var heard: Set<Int> = []
    /// Blobs on their way, in the order in which they were asked for.
    var fetches: [(blob: BlobID, source: Int)] = []
    /// What the agent wants to be woken at, and when the queue wakes it.
    var wakeAt = Timestamp.never
    var queuedWake = Timestamp.never
    var pausedUntil = Timestamp.zero
    var engineFreeAt = Timestamp.zero
    var slowPercent = 100
    var slowUntil = Timestamp.zero
    var trouble: Trouble?
    var runsDone: UInt64 = 0
    var dials: UInt64 = 0
    /// Clients that wait for an answer, in the order in which they came.
    var clients: [ClientID] = []

    var hasBooted: Bool { bootCounter > 0 || diskNumber > 0 }

    init(index: Int, scenario: Scenario, models: [SimulatedModel], directory: NodeDirectory) {
        self.index = index
        self.directory = directory
        scenarioSeed = scenario.seed
        device = scenario.mesh.devices[index]
        capability = Capability(
            threads: 1, memoryBytes: device.memoryBytes, diskBytes: 1 << 40,
            operationsPerMicrosecond: device.operationsPerMicrosecond,
            movedBytesPerMicrosecond: device.movedBytesPerMicrosecond,
            fingerprint: EngineFingerprint(text: "simulated"))
        address = Address(host: "10.0.\(index >> 8).\(index & 255)", port: 8_701)
        identity = directory.identity(of: index, disk: 0)
        member = NodeBoot(node: identity.id, boot: Boot(counter: 0, random: 0))
        disk = Disk(
            hasManifest: models.map { _ in false },
            blobs: models.map { .init(repeating: false, count: $0.outline.blobs.count) })
        diskBefore = disk
    }

    /// Starts the agent on what is on the disk; gives what it is told about itself.
    func boot(
        at now: Timestamp, run: Int, membership: MembershipSettings,
        into directives: inout [Directive]
    ) -> Agent.Settings {
        bootCounter += 1
        var draw = SeededGenerator(seed: scenarioSeed)
            .derived(name: "node \(index) disk \(diskNumber) boot \(bootCounter)")
        member = NodeBoot(
            node: identity.id, boot: Boot(counter: bootCounter, random: draw.next()))
        self.run = run
        payloads = PayloadTable()
        compiled = []
        heard = []
        fetches = []
        clients = []
        wakeAt = .never
        queuedWake = .never
        pausedUntil = .zero
        engineFreeAt = now
        hasLeft = false
        isSilent = false
        let settings = Agent.Settings(
            me: member, name: device.name, address: address, executionSlots: 2,
            seed: draw.next(), membership: membership)
        agent = Agent(settings)
        agent?.start(at: now, into: &directives)
        return settings
    }

    /// Writes to the disk.
    func write(_ change: (inout Disk) -> Void) {
        diskBefore = disk
        change(&disk)
    }

    /// What the next boot will find.
    func lose(_ fate: Fault.Disk) {
        switch fate {
        case .whole: break
        case .withoutLastWrite: disk = diskBefore
        case .empty:
            diskNumber += 1
            bootCounter = 0
            identity = directory.identity(of: index, disk: diskNumber)
            for model in disk.blobs.indices {
                disk.hasManifest[model] = false
                for blob in disk.blobs[model].indices { disk.blobs[model][blob] = false }
            }
            disk.catalogue = []
        }
        diskBefore = disk
    }

    /// The blobs of a model that the disk has.
    func blobs(of model: Int) -> [Int] {
        disk.blobs[model].indices.filter { disk.blobs[model][$0] }
    }

    /// What the engine does wrong now.
    func trouble(at now: Timestamp) -> Fault.Trouble? {
        guard let trouble, now < trouble.until else { return nil }
        return trouble.kind
    }
}
