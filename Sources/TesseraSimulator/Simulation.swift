public import TesseraCore
package import TesseraWire

/// The core of every node under virtual time: one thread, one queue, no clock.
///
/// The same seed gives the same run, event for event. The simulation is a shell: it carries
/// directives out on a network, engines and disks that exist as data, sends every message through
/// the wire's encoding, and shows every step to the checkers.
///
/// A run has two phases. In the first one faults happen, and nothing wrong may (safety). Then all
/// heals, no new faults come, and each connected part must agree, serve and come to rest (liveness).
public final class Simulation {
    enum Step {
        /// Something that happens to a run by itself.
        case event(Event, run: Int)
        /// What came over a connection; it is lost with it.
        case arrive(Arrival, from: Int, to: Int, connection: Int)
        case datagram(Message, from: Int, to: Int)
        case wake(Int)
        case dial(Int, Address)
        /// A connection breaks, unless it is a newer one by then.
        case broke(Int, Int, connection: Int?)
        /// A connection was silent for too long, if nothing passes still.
        case silence(Int, Int, connection: Int)
        case ran(Int, EngineRun)
        case fault(Fault)
        case restart(Int)
        case request
        case heal
        /// Looks whether the parts have agreed.
        case look
    }

    /// What travels over a connection.
    enum Arrival {
        case message(Message)
        /// A slice with its value and the attempt whose tensor it is.
        case slice(SliceHeader, UInt64, of: AttemptID)
        /// A packed slice whose bytes its codec cannot have made.
        case unreadable(SliceHeader)
        case blob(BlobID, isManifest: Bool)
        /// Bytes that cannot be what was sent.
        case garbage
    }

    /// One run of a fragment on an engine.
    struct EngineRun {
        var attempt: AttemptID
        var fragment: Int
        var outputs: [EngineOutput]
        var cost: TimeSpan
        var failure: String?
        var isFatal = false
    }

    /// What the simulated engine makes of one output: a fingerprint that stands for so many bytes.
    struct EngineOutput {
        var value: UInt64
        var byteCount: Int
    }

    let scenario: Scenario
    let models: [SimulatedModel]
    let directory: NodeDirectory
    let nodes: [SimulatedNode]
    /// The node that listens at an address.
    let indices: [Address: Int]
    /// A planted bug, in tests of the checkers.
    package var sabotage: Sabotage? {
        didSet { tampering.isOn = sabotage != nil }
    }
    /// How membership is set, in runs for figures of it.
    package var membership = MembershipSettings()

    /// Takes down what each run of an agent is given and asks for.
    package var journal: ((_ run: Int, JournalRecord) -> Void)?

    /// Sees every report of every node, for people who look into a run.
    public var observer: ((_ at: Timestamp, _ node: Int, _ report: Report) -> Void)?

    var now = Timestamp.zero
    var queue = EventQueue<Step>()
    var network: SimulatedNetwork
    /// The node of each run that ever began.
    var runNodes: [Int] = []
    /// Its member.
    var runMembers: [NodeBoot] = []
    var runs: [NodeBoot: Int] = [:]
    var workload: SeededGenerator
    var requestsLeft: Int
    var requestsSent = 0
    var plans = PlanCache()
    /// Plans take so long until then.
    var slowPlanning = (each: TimeSpan.zero, until: Timestamp.zero)
    /// Messages that are to be lost with their connections.
    var toLose: [Fault.Message: Int] = [:]
    /// How long those voters stay away that restart next.
    var voterRestarts: [TimeSpan] = []
    var lastProposer: Int?

    var figures = Figures()
    var checks = Checks()
    var liveness = Liveness()
    var tampering = Tampering()
    private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    private(set) var steps = 0
    private var stepsAtInstant = 0
    private var directives: [Directive] = []

    /// What a run counts.
    struct Figures {
        var decisions = 0
        var overfull = 0
        var retries = 0
        var exits = 0
        var leftOut = 0
        var messages = 0
        var messageBytes = 0
        var datagrams = 0
        var datagramBytes = 0
        var agreementMessages = 0
        var agreementBytes = 0
        var faults = 0
        var packedSlices = 0
    }

    /// Prepares a run.
    public convenience init(_ scenario: Scenario) {
        self.init(
            scenario,
            models: scenario.models.enumerated().map {
                SimulatedModel($0.element, number: $0.offset, seed: scenario.seed)
            })
    }

    /// Prepares a run with models that are not drawn.
    init(_ scenario: Scenario, models: [SimulatedModel]) {
        self.scenario = scenario
        self.models = models
        let directory = NodeDirectory(seed: scenario.seed)
        self.directory = directory
        network = SimulatedNetwork(scenario)
        workload = SeededGenerator(seed: scenario.seed).derived(name: "workload")
        requestsLeft = scenario.workload.requests
        nodes = scenario.mesh.devices.indices.map {
            SimulatedNode(index: $0, scenario: scenario, models: models, directory: directory)
        }
        indices = Dictionary(uniqueKeysWithValues: nodes.map { ($0.address, $0.index) })
    }

    /// Runs to the end or to the first violation.
    public func run() -> Outcome {
        var violation: Violation?
        do {
            try begin()
            while !liveness.isDone, let next = queue.nextTime, next <= end {
                guard let (time, step) = queue.removeFirst() else { break }
                try advance(to: time)
                try perform(step)
                steps += 1
                if steps % 256 == 0 { try checks.ends.onTime(now) }
            }
            try finish()
        } catch {
            violation = error
        }
        return outcome(violation)
    }

    /// Runs on to a time, for figures.
    func run(until time: Timestamp) throws(Violation) {
        while let next = queue.nextTime, next <= time {
            guard let (time, step) = queue.removeFirst() else { break }
            try advance(to: time)
            try perform(step)
            steps += 1
        }
        now = time
    }

    /// More steps than this without time going on are a loop that never ends.
    private static let stepsPerInstantMax = 100_000
    /// Ten times what the busiest drawn runs take, which have a dozen nodes at most.
    private static let stepsMax = 5_000_000
    /// Runs for figures of larger meshes take so many for each of their nodes.
    private static let stepsPerNode = 500_000

    private func advance(to time: Timestamp) throws(Violation) {
        stepsAtInstant = time == now ? stepsAtInstant + 1 : 0
        now = time
        guard
            stepsAtInstant > Self.stepsPerInstantMax
                || steps > max(Self.stepsMax, Self.stepsPerNode * nodes.count)
        else { return }
        throw Violation(
            checker: "time goes on", at: now,
            what: "\(steps) steps, the last \(stepsAtInstant) of them at one instant")
    }

    /// When the run ends at the latest.
    var end: Timestamp {
        let limit = scenario.healAt + Scenario.convergence + Liveness.rest
        return scenario.until.map { min($0, limit) } ?? limit
    }

    /// Starts the first nodes and puts the faults into the queue.
    func begin() throws(Violation) {
        for index in 0..<scenario.nodes { try boot(index) }
        if !models.isEmpty {
            addModel(0, at: nodes[0], time: .zero + .seconds(1))
            queue.insert(.request, at: .zero + .seconds(2))
        }
        for item in scenario.faults { queue.insert(.fault(item.fault), at: item.at) }
        if scenario.healAt != .never { queue.insert(.heal, at: scenario.healAt) }
    }

    private func perform(_ step: Step) throws(Violation) {
        switch step {
        case .event(let event, let run):
            try handle(event, run)
        case .arrive(let arrival, let sender, let target, let connection):
            try arrive(arrival, from: sender, to: target, connection: connection)
        case .datagram(let message, let sender, let target):
            guard living(target)?.heard.contains(sender) == true else { return }
            try handle(.received(message, from: runMembers[sender]), target)
        case .wake(let run):
            try wake(run)
        case .dial(let run, let address):
            try dial(run, address)
        case .broke(let one, let other, let connection):
            if let connection, network.connection(one, other) != connection { return }
            try breakConnection(one, other)
        case .silence(let one, let other, let connection):
            guard network.connection(one, other) == connection,
                network.isCut(runNodes[one], runNodes[other], at: now)
            else { return }
            try breakConnection(one, other)
        case .ran(let run, let result):
            try engineRan(run, result)
        case .fault(let fault):
            figures.faults += 1
            try perform(fault)
        case .restart(let index):
            if nodes[index].agent == nil, !nodes[index].hasLeft { try boot(index) }
        case .request:
            try submitRequest()
        case .heal:
            try heal()
        case .look:
            try look()
        }
    }

    // MARK: Nodes

    /// The node of a run that is on.
    func living(_ run: Int) -> SimulatedNode? {
        let node = nodes[runNodes[run]]
        return node.run == run && node.agent != nil ? node : nil
    }

    private func wake(_ run: Int) throws(Violation) {
        guard let node = living(run), node.queuedWake <= now else { return }
        node.queuedWake = .never
        if node.wakeAt > now {
            // The wish was put off since.
            return queueWake(node)
        }
        node.wakeAt = .never
        try handle(.woke, run)
    }

    /// Has the queue wake a node, unless it will do so earlier anyway.
    func queueWake(_ node: SimulatedNode) {
        guard node.wakeAt < node.queuedWake else { return }
        node.queuedWake = node.wakeAt
        queue.insert(.wake(node.run), at: max(node.wakeAt, now))
    }

    /// Hands an event to a run, at once or when it goes on after a pause.
    func handle(_ event: Event, _ run: Int) throws(Violation) {
        guard let node = living(run) else { return }
        if node.pausedUntil > now {
            queue.insert(.event(event, run: run), at: node.pausedUntil)
            return
        }
        fold(UInt64(node.index))
        fold(UInt64(bitPattern: now.nanoseconds))
        let event = tampering.isOn ? tamper(event, node) : event
        var heldBefore = true
        if case .sliceArrived(let header, _, _) = event {
            heldBefore = node.agent?.inspect { $0.isReady(header.attempt.plan) } ?? false
        }
        var directives = self.directives
        self.directives = []
        directives.removeAll(keepingCapacity: true)
        journal?(run, .event(event, at: now))
        node.agent?.handle(event, at: now, into: &directives)
        journal?(run, .directives(DirectiveFingerprint(directives)))
        if tampering.isOn { tamper(&directives, after: event, node) }
        try check(event, heldBefore: heldBefore, directives, node)
        try carryOut(directives, of: node)
        self.directives = directives
    }

    func fold(_ value: UInt64) {
        trace = (trace ^ value) &* 0x100_0000_01b3
        trace ^= trace >> 29
    }

    func boot(_ index: Int) throws(Violation) {
        let node = nodes[index]
        guard node.agent == nil else { return }
        let before = node.run
        let run = runNodes.count
        var directives: [Directive] = []
        let settings = node.boot(at: now, run: run, membership: membership, into: &directives)
        journal?(run, .header(JournalHeader(settings)))
        journal?(run, .start(at: now))
        journal?(run, .directives(DirectiveFingerprint(directives)))
        plant(node)
        runNodes.append(index)
        runMembers.append(node.member)
        runs[node.member] = run
        // Peers that wait for the silence of the run before learn sooner that it is gone: the new one
        // knows nothing of their connections.
        if before >= 0 {
            for peer in network.peers(of: before) {
                var fate = Fate(seed: scenario.seed, .boot, index, peer)
                queue.insert(
                    .broke(peer, before, connection: nil),
                    at: now + fate.span(.milliseconds(1), .seconds(1)))
            }
        }
        try carryOut(directives, of: node)
        queue.insert(
            .event(.capabilityMeasured(node.capability), run: run), at: now + .milliseconds(200))
        try handle(.catalogueRestored(node.disk.catalogue), run)
        for (number, model) in models.enumerated() where node.disk.hasManifest[number] {
            try handle(.manifestStored(model.outline, blobs: node.blobs(of: number)), run)
        }
        announce(node)
    }

    /// An operator adds a model at a node that is given its blobs.
    func addModel(_ number: Int, at node: SimulatedNode, time: Timestamp) {
        let model = models[number]
        node.write { disk in
            disk.hasManifest[number] = true
            for blob in disk.blobs[number].indices { disk.blobs[number][blob] = true }
        }
        queue.insert(
            .event(
                .manifestStored(model.outline, blobs: Array(model.outline.blobs.indices)),
                run: node.run), at: time)
        queue.insert(
            .event(
                .modelAdded(
                    name: "toy-\(number)", manifest: model.manifest,
                    settings: model.settings), run: node.run),
            at: time)
    }

    // MARK: Requests

    private func submitRequest() throws(Violation) {
        guard requestsLeft > 0 else { return }
        requestsLeft -= 1
        if requestsLeft > 0 { queue.insert(.request, at: now + scenario.workload.period) }
        let candidates = nodes.filter { node in
            node.agent != nil && node.pausedUntil <= now && node.disk.hasManifest[0]
                && scenario.mesh.entry.map { $0 == node.index } ?? true
        }
        guard let node = workload.pick(candidates) else { return }
        let range = scenario.workload.deadlineMost - scenario.workload.deadlineLeast
        _ = try submit(
            at: node,
            model: requestsLeft % 4 == 0 && node.disk.hasManifest.last == true
                && node.agent?.names(models[models.count - 1].manifest) == true
                ? models.count - 1 : 0,
            deadline: scenario.workload.deadlineLeast + workload.next(below: range))
    }

    func submit(
        at node: SimulatedNode, model number: Int, deadline: TimeSpan
    ) throws(Violation) -> EndsExactlyOnce.ClientKey {
        let model = models[number]
        let input = workload.next()
        let client = ClientID(number: workload.next())
        let key = EndsExactlyOnce.ClientKey(entry: node.member, client: client)
        let wish: ExitWish =
            switch client.number % 8 {
            case 0: .none
            case 1: .threshold(Int(client.number >> 8 % UInt64(ModelExit.unit)))
            default: .usual
            }
        checks.ends.onSubmitted(
            key, deadline: now + deadline, expected: model.answer(input, wish),
            whole: model.expected(input), without: { model.answers(input, wish, without: $0) })
        requestsSent += 1
        node.clients.append(client)
        let payload = Payload(
            id: node.payloads.insert(input, of: nil),
            byteCount: model.outline.tensors[0].descriptor.byteCount)
        try handle(
            .submitted(
                client: client, manifest: model.manifest, inputs: [payload], deadline: deadline,
                exits: wish),
            node.run)
        return key
    }
}
