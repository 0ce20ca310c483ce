import TesseraCore

/// One device: what survives a crash (disk), and the running agent with what it holds.
struct SimulatedNode {
    let index: Int
    let scenarioSeed: UInt64
    let capability: Capability
    let address: Address
    /// What signs its records: its hash is the node's identity.
    let publicKey: [UInt8]

    // MARK: Disk

    var bootCounter: UInt64 = 0
    var catalogue: [CatalogueEntry] = []
    var hasManifest = false
    var blobs: Set<Int> = []
    var hasLeft = false
    /// It went without a word: nobody refuses a call at its address.
    var isSilent = false

    // MARK: The running agent

    var agent: Agent?
    var member: NodeBoot
    var payloads = PayloadTable()
    var compiled: Set<FragmentKey> = []
    /// Blobs on their way, in the order in which they were asked for.
    var fetches: [(blob: BlobID, source: NodeBoot)] = []
    var wakeAt = Timestamp.never
    var pausedUntil = Timestamp.zero
    var engineFreeAt = Timestamp.zero

    var hasBooted: Bool { bootCounter > 0 }

    init(index: Int, scenario: Scenario, directory: NodeDirectory) {
        self.index = index
        scenarioSeed = scenario.seed
        capability = Capability(
            threads: 1, memoryBytes: scenario.memory[index], diskBytes: 1 << 40,
            operationsPerMicrosecond: scenario.speeds[index], movedBytesPerMicrosecond: 10_000,
            fingerprint: EngineFingerprint(text: "simulated"))
        address = Address(host: "10.0.0.\(index + 1)", port: 8_701)
        publicKey = directory.keys[index]
        member = NodeBoot(node: directory.ids[index], boot: Boot(counter: 0, random: 0))
    }

    mutating func boot(at now: Timestamp, into directives: inout [Directive]) -> NodeBoot {
        bootCounter += 1
        var draw = SeededGenerator(seed: scenarioSeed)
            .derived(name: "node \(index) boot \(bootCounter)")
        member = NodeBoot(
            node: member.node, boot: Boot(counter: bootCounter, random: draw.next()))
        payloads = PayloadTable()
        compiled = []
        fetches = []
        wakeAt = .never
        pausedUntil = .zero
        engineFreeAt = now
        hasLeft = false
        isSilent = false
        agent = Agent(
            Agent.Settings(
                me: member, name: "node-\(index)", address: address, executionSlots: 2,
                seed: draw.next()))
        agent?.start(at: now, into: &directives)
        return member
    }
}
