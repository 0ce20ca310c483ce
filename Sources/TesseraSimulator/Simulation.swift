import TesseraCore
import TesseraWire

/// The core of every node under virtual time: one thread, one queue, no clock.
///
/// The same seed gives the same run, event for event. The simulation is a shell: it carries
/// directives out on a network, engines and disks that exist as data, sends every message through
/// the wire's encoding, and shows every step to the checkers.
public struct Simulation {
    /// What a finished run tells.
    public struct Outcome: Sendable {
        /// What failed first, if anything.
        public var violation: Violation?
        /// Right answers.
        public var answered: Int
        /// Clear errors, by text.
        public var rejected: [String: Int]
        /// Events handled.
        public var steps: Int
        /// A fold of every event's node and time and of every message's bytes: equal runs have
        /// equal traces, in every process.
        public var trace: UInt64
        /// Decisions, for figures on flapping.
        public var decisions: Int
        /// Attempts that a host had no room for.
        public var overfull: Int
        /// Attempts that were started a second time or more often.
        public var retries: Int
        /// Whether at the end the living nodes could serve: all blobs, and memory for a plan.
        public var isPlannable: Bool
    }

    enum Step {
        case deliver(Event, to: NodeBoot)
        /// An event that came over a connection, and is lost with it.
        case arrive(Arrival, from: NodeBoot, to: NodeBoot, connection: Int)
        case wake(NodeBoot, Timestamp)
        case dial(from: NodeBoot, Address)
        case connectionBroke(NodeBoot, NodeBoot, onlyIfCut: Bool)
        case engineDone(NodeBoot, AttemptID, fragment: Int, outputs: [EngineOutput], TimeSpan)
        case fault(Fault)
        case request
        case lateRequests
        case heal
    }

    /// What travels over a connection.
    enum Arrival {
        case message(Message)
        /// A slice with its value and the attempt whose tensor it is.
        case slice(SliceHeader, UInt64, of: AttemptID)
        case blob(BlobID, isManifest: Bool)
    }

    /// A message that waits for a cut to heal.
    struct Held {
        var arrival: Arrival
        var sender: NodeBoot
        var receiver: NodeBoot
        var byteCount: Int
        var connection: Int
    }

    let scenario: Scenario
    let model: SimulatedModel
    private let modes: ModeSet
    let directory: NodeDirectory
    /// A planted bug, in tests of the checkers.
    var sabotage: Sabotage?
    var now = Timestamp.zero
    var queue = EventQueue<Step>()
    var held: [Held] = []
    var nodes: [SimulatedNode]
    var network: SimulatedNetwork
    var workload: SeededGenerator
    var requestsLeft: Int
    var steps = 0
    var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var decisions = 0
    var overfull = 0
    var retries = 0
    var lastAttempt: AttemptID?

    var onePlanPerBallot = OnePlanPerBallot()
    var currentOnlyGrows = CurrentOnlyGrows()
    var ends = EndsExactlyOnce()
    /// The requests of `lateRequests`, by index of the node.
    var lateKeys: [Int: EndsExactlyOnce.ClientKey] = [:]
    private var isPlannable = false

    /// Late requests come this long before the end of a run, and must be answered by then.
    private static let lateSpan = TimeSpan.seconds(7)

    /// Prepares a run.
    public init(_ scenario: Scenario) {
        self.scenario = scenario
        model = SimulatedModel(operators: scenario.operators, seed: scenario.seed)
        // Replicas in some runs, so that requests meet every kind of stage; pipelines alone are
        // planned many times as fast.
        modes = scenario.seed % 4 == 0 ? [.single, .replicas] : .single
        let generator = SeededGenerator(seed: scenario.seed)
        let directory = NodeDirectory(count: scenario.speeds.count, seed: scenario.seed)
        self.directory = directory
        network = SimulatedNetwork(scenario, directory: directory)
        workload = generator.derived(name: "workload")
        requestsLeft = scenario.requests
        nodes = scenario.speeds.indices.map {
            SimulatedNode(index: $0, scenario: scenario, directory: directory)
        }
    }

    /// Runs to the end or to the first violation.
    public mutating func run() -> Outcome {
        var violation: Violation?
        do {
            for index in 0..<scenario.nodes { try boot(index) }
            addModel()
            for item in scenario.faults { queue.insert(.fault(item.fault), at: item.at) }
            queue.insert(.heal, at: scenario.healAt)
            queue.insert(.request, at: .zero + .seconds(3))
            queue.insert(.lateRequests, at: scenario.until - Self.lateSpan)
            while let next = queue.nextTime, next <= scenario.until {
                guard let (time, step) = queue.removeFirst() else { break }
                now = time
                try perform(step)
                steps += 1
                if steps % 256 == 0 { try ends.onTime(now) }
            }
            now = scenario.until
            try ends.onTime(now)
            try checkEnd()
        } catch {
            violation = error
        }
        return Outcome(
            violation: violation, answered: ends.answered, rejected: ends.rejected, steps: steps,
            trace: trace, decisions: decisions, overfull: overfull, retries: retries,
            isPlannable: isPlannable)
    }

    private mutating func perform(_ step: Step) throws(Violation) {
        switch step {
        case .deliver(let event, let target):
            try handle(event, target)
        case .arrive(let arrival, let sender, let target, let connection):
            guard network.connection(sender, target) == connection else { return }
            try arrive(arrival, from: sender, to: target)
        case .wake(let target, let time):
            guard let index = living(target), nodes[index].wakeAt == time else { return }
            nodes[index].wakeAt = .never
            try handle(.woke, target)
        case .dial(let dialler, let address):
            try dial(dialler, address)
        case .connectionBroke(let one, let other, let onlyIfCut):
            if onlyIfCut, !network.isCut(one, other) { return }
            if network.disconnect(one, other) {
                try handle(.disconnected(other), one)
                try handle(.disconnected(one), other)
                try failFetches(of: one, from: other)
                try failFetches(of: other, from: one)
            }
        case .engineDone(let member, let attempt, let fragment, let outputs, let span):
            try engineDone(member, attempt, fragment, outputs, span)
        case .fault(let fault):
            try perform(fault)
        case .request:
            try submitRequest()
        case .lateRequests:
            for index in nodes.indices
            where nodes[index].agent != nil && nodes[index].hasManifest {
                lateKeys[index] = try submit(at: index, deadline: Self.lateSpan - .seconds(1))
            }
        case .heal:
            heal()
            for index in nodes.indices where nodes[index].hasBooted && nodes[index].agent == nil {
                if !nodes[index].hasLeft { try boot(index) }
            }
        }
    }

    // MARK: Nodes

    func living(_ member: NodeBoot) -> Int? {
        guard let index = directory.index(of: member.node), nodes[index].agent != nil,
            nodes[index].member == member
        else { return nil }
        return index
    }

    /// Hands an event to a node, at once or when it goes on after a pause.
    mutating func handle(_ event: Event, _ target: NodeBoot) throws(Violation) {
        guard let index = living(target) else { return }
        if nodes[index].pausedUntil > now {
            queue.insert(.deliver(event, to: target), at: nodes[index].pausedUntil)
            return
        }
        fold(UInt64(index))
        fold(UInt64(bitPattern: now.nanoseconds))
        var directives: [Directive] = []
        nodes[index].agent?.handle(event, at: now, into: &directives)
        try carryOut(directives, of: index)
        switch event {
        case .sliceArrived, .executed, .received(.request, _):
            guard let agent = nodes[index].agent else { return }
            try WithinWindow.check(agent.openAttempts, of: "open attempts", at: index, now)
            try WithinWindow.check(agent.ticketsOut, of: "tickets out", at: index, now)
        default: break
        }
    }

    mutating func fold(_ value: UInt64) {
        trace = (trace ^ value) &* 0x100_0000_01b3
        trace ^= trace >> 29
    }

    private mutating func boot(_ index: Int) throws(Violation) {
        guard nodes[index].agent == nil else { return }
        var directives: [Directive] = []
        let member = nodes[index].boot(at: now, into: &directives)
        try carryOut(directives, of: index)
        let capability = nodes[index].capability
        queue.insert(
            .deliver(.capabilityMeasured(capability), to: member), at: now + .milliseconds(200))
        try handle(.catalogueRestored(nodes[index].catalogue), member)
        if nodes[index].hasManifest {
            try handle(
                .manifestStored(model.outline, blobs: nodes[index].blobs.sorted()), member)
        }
        // Discovery: everybody who is there hears of the newcomer, and it of them.
        for other in nodes.indices where other != index && nodes[other].agent != nil {
            let delay = TimeSpan.milliseconds(Int64(10 + network.draw(below: 900)))
            queue.insert(
                .deliver(.discovered(nodes[index].address), to: nodes[other].member),
                at: now + delay)
            queue.insert(
                .deliver(.discovered(nodes[other].address), to: member), at: now + delay)
        }
    }

    /// The operator adds the model at node 0 one second into the run.
    private mutating func addModel() {
        nodes[0].hasManifest = true
        nodes[0].blobs = Set(model.outline.blobs.indices)
        let member = nodes[0].member
        let at = Timestamp.zero + .seconds(1)
        queue.insert(
            .deliver(
                .manifestStored(model.outline, blobs: Array(model.outline.blobs.indices)),
                to: member), at: at)
        queue.insert(
            .deliver(
                .modelAdded(
                    name: "toy", manifest: model.outline.manifest,
                    settings: ModelSettings(allowedModes: modes)),
                to: member), at: at)
    }

    // MARK: The end

    private mutating func checkEnd() throws(Violation) {
        var ending: [HealedMesh.Node] = []
        var problem: PlanningProblem?
        var blobs: Set<Int> = []
        for index in nodes.indices {
            guard var agent = nodes[index].agent else { continue }
            let snapshot = agent.snapshot()
            let seen = snapshot.models.first
            problem = problem ?? seen?.problem
            blobs.formUnion(nodes[index].blobs)
            ending.append(
                HealedMesh.Node(
                    index: index, member: nodes[index].member,
                    alive: snapshot.members.filter { $0.status == .alive && $0.isConnected }
                        .map(\.member), current: seen?.current?.primary.id,
                    payloads: nodes[index].payloads.count, isIdle: agent.isIdle,
                    lateEnd: lateKeys[index].map { ends.end(of: $0) ?? .open }))
        }
        if let problem, blobs.count == model.outline.blobs.count,
            case .bundle = Planner.plan(problem, naming: PlanNaming.name)
        {
            isPlannable = true
        }
        try HealedMesh.check(ending, isPlannable: isPlannable, at: now)
    }

    // MARK: Requests

    private mutating func submitRequest() throws(Violation) {
        guard requestsLeft > 0 else { return }
        requestsLeft -= 1
        if requestsLeft > 0 { queue.insert(.request, at: now + scenario.requestPeriod) }
        let candidates = nodes.indices.filter {
            nodes[$0].agent != nil && nodes[$0].pausedUntil <= now && nodes[$0].hasManifest
        }
        guard let index = workload.pick(candidates) else { return }
        _ = try submit(
            at: index, deadline: .milliseconds(Int64(2_000 + workload.next(below: 20_000))))
    }

    private mutating func submit(
        at index: Int, deadline: TimeSpan
    ) throws(Violation) -> EndsExactlyOnce.ClientKey {
        let input = workload.next()
        let member = nodes[index].member
        let client = ClientID(number: workload.next())
        let key = EndsExactlyOnce.ClientKey(entry: member, client: client)
        ends.onSubmitted(key, deadline: now + deadline, expected: model.expected(input))
        let payload = Payload(
            id: nodes[index].payloads.insert(input, of: nil),
            byteCount: model.outline.tensors[0].descriptor.byteCount)
        try handle(
            .submitted(
                client: client, manifest: model.outline.manifest, inputs: [payload],
                deadline: deadline), member)
        return key
    }
}

// MARK: Faults

extension Simulation {
    private mutating func stop(_ index: Int, isSilent: Bool) {
        guard nodes[index].agent != nil else { return }
        let member = nodes[index].member
        nodes[index].agent = nil
        nodes[index].isSilent = isSilent
        nodes[index].payloads = PayloadTable()
        ends.onEntryDied(member)
        // Broken connections tell at once; a device without power is missed after the keepalive.
        let delay = isSilent ? Self.silencePatience : .milliseconds(1)
        for peer in network.peers(of: member) {
            queue.insert(.connectionBroke(peer, member, onlyIfCut: false), at: now + delay)
        }
    }

    /// A connection that is silent for so long is closed (the shell's keepalive).
    private static let silencePatience = TimeSpan.seconds(3)

    private mutating func heal() {
        network.heal()
        let waiting = held
        held = []
        for item in waiting
        where network.connection(item.sender, item.receiver) == item.connection {
            transmit(
                item.arrival, byteCount: item.byteCount, from: item.sender, to: item.receiver)
        }
    }

    private mutating func perform(_ fault: Fault) throws(Violation) {
        switch fault {
        case .crash(let node): stop(node, isSilent: false)
        case .powerLoss(let node): stop(node, isSilent: true)
        case .restart(let node):
            if nodes[node].hasBooted, !nodes[node].hasLeft { try boot(node) }
        case .join(let node): try boot(node)
        case .pause(let node, let span):
            guard nodes[node].agent != nil else { return }
            let member = nodes[node].member
            let until = max(nodes[node].pausedUntil, now + span)
            let longer = until - max(nodes[node].pausedUntil, now)
            nodes[node].pausedUntil = until
            ends.onEntryPaused(member, for: longer)
            if span > Self.silencePatience {
                for peer in network.peers(of: member) {
                    queue.insert(
                        .connectionBroke(peer, member, onlyIfCut: false),
                        at: now + Self.silencePatience)
                }
            }
        case .cut(let one, let other):
            network.cut(one, other)
            if nodes[one].agent != nil, nodes[other].agent != nil {
                queue.insert(
                    .connectionBroke(nodes[one].member, nodes[other].member, onlyIfCut: true),
                    at: now + Self.silencePatience)
            }
        case .heal: heal()
        case .leave(let node):
            guard nodes[node].agent != nil else { return }
            try handle(.leaveRequested, nodes[node].member)
        }
    }
}
