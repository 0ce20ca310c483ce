import TesseraCore

/// One device: what survives a crash (disk), and the running agent with what it holds.
struct SimulatedNode {
    let index: Int
    let scenarioSeed: UInt64
    let capability: Capability
    let address: Address

    // MARK: Disk

    var bootCounter: UInt64 = 0
    var catalogue: [CatalogueEntry] = []
    var hasManifest = false
    var blobs: Set<Int> = []
    var hasLeft = false

    // MARK: The running agent

    var agent: Agent?
    var member: NodeBoot
    var payloads = PayloadTable()
    var compiled: Set<FragmentKey> = []
    var wakeAt = Timestamp.never
    var pausedUntil = Timestamp.zero
    var engineFreeAt = Timestamp.zero

    var hasBooted: Bool { bootCounter > 0 }

    init(index: Int, scenario: Scenario) {
        self.index = index
        scenarioSeed = scenario.seed
        capability = Capability(
            threads: 1, memoryBytes: scenario.memory[index], diskBytes: 1 << 40,
            operationsPerMicrosecond: scenario.speeds[index], movedBytesPerMicrosecond: 10_000,
            fingerprint: EngineFingerprint(text: "simulated"))
        address = Address(host: "10.0.0.\(index + 1)", port: 8_701)
        member = NodeBoot(node: Self.id(index), boot: Boot(counter: 0, random: 0))
    }

    /// Node ids do not follow the index, so that nothing leans on the order of starting.
    private static func id(_ index: Int) -> NodeID {
        let mixed = UInt64(index + 1) &* 0x9e37_79b9_7f4a_7c15
        return NodeID(mixed, 0, 0, UInt64(index))
    }

    static func index(of node: NodeID) -> Int { Int(node.words.3) }

    mutating func boot(at now: Timestamp, into directives: inout [Directive]) -> NodeBoot {
        bootCounter += 1
        var draw = SeededGenerator(seed: scenarioSeed)
            .derived(name: "node \(index) boot \(bootCounter)")
        member = NodeBoot(
            node: Self.id(index), boot: Boot(counter: bootCounter, random: draw.next()))
        payloads = PayloadTable()
        compiled = []
        wakeAt = .never
        pausedUntil = .zero
        engineFreeAt = now
        hasLeft = false
        agent = Agent(
            Agent.Settings(
                me: member, name: "node-\(index)", address: address, executionSlots: 2,
                seed: draw.next()))
        agent?.start(at: now, into: &directives)
        return member
    }
}
