import TesseraCore
import TesseraWire

/// The core of every node under virtual time: one thread, one queue, no clock.
///
/// The same seed gives the same run, event for event.
///
/// The simulation is a shell: it carries directives out on a network, engines and disks that exist
/// as data, and shows every step to the checkers.
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
        /// A fold of every event's kind, node and time: equal runs have equal traces.
        public var trace: UInt64
        /// Decisions, for figures on flapping.
        public var decisions: Int
    }

    enum Step {
        case deliver(Event, to: NodeBoot)
        case wake(NodeBoot, Timestamp)
        case dial(from: NodeBoot, Address)
        case connectionBroke(NodeBoot, NodeBoot)
        case engineDone(NodeBoot, AttemptID, fragment: Int, outputs: [UInt64], TimeSpan)
        case fault(Fault)
        case request
        case heal
    }

    let scenario: Scenario
    let model: SimulatedModel
    var now = Timestamp.zero
    var queue = EventQueue<Step>()
    var nodes: [SimulatedNode]
    var network: SimulatedNetwork
    var workload: SeededGenerator
    var requestsLeft: Int
    var steps = 0
    var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var decisions = 0

    var onePlanPerBallot = OnePlanPerBallot()
    var currentOnlyGrows = CurrentOnlyGrows()
    var ends = EndsExactlyOnce()

    /// Prepares a run.
    public init(_ scenario: Scenario) {
        self.scenario = scenario
        model = SimulatedModel(operators: scenario.operators, seed: scenario.seed)
        let generator = SeededGenerator(seed: scenario.seed)
        network = SimulatedNetwork(scenario)
        workload = generator.derived(name: "workload")
        requestsLeft = scenario.requests
        nodes = scenario.speeds.indices.map { SimulatedNode(index: $0, scenario: scenario) }
    }

    /// Runs to the end or to the first violation.
    public mutating func run() -> Outcome {
        var violation: Violation?
        do {
            for index in 0..<scenario.nodes { try boot(index) }
            try addModel()
            for item in scenario.faults { queue.insert(.fault(item.fault), at: item.at) }
            queue.insert(.heal, at: scenario.healAt)
            queue.insert(.request, at: .zero + .seconds(3))
            while let next = queue.nextTime, next <= scenario.until {
                guard let (time, step) = queue.removeFirst() else { break }
                now = time
                try perform(step)
                steps += 1
                if steps % 256 == 0 { try ends.onTime(now) }
            }
            now = scenario.until
            try ends.onTime(now)
        } catch {
            violation = error
        }
        return Outcome(
            violation: violation, answered: ends.answered, rejected: ends.rejected, steps: steps,
            trace: trace, decisions: decisions)
    }

    private mutating func perform(_ step: Step) throws(Violation) {
        switch step {
        case .deliver(let event, let target):
            try handle(event, target)
        case .wake(let target, let time):
            guard let index = living(target), nodes[index].wakeAt == time else { return }
            nodes[index].wakeAt = .never
            try handle(.woke, target)
        case .dial(let dialler, let address):
            try dial(dialler, address)
        case .connectionBroke(let one, let other):
            if network.disconnect(one, other) {
                try handle(.disconnected(other), one)
                try handle(.disconnected(one), other)
            }
        case .engineDone(let member, let attempt, let fragment, let outputs, let span):
            try engineDone(member, attempt, fragment, outputs, span)
        case .fault(let fault):
            try perform(fault)
        case .request:
            try submitRequest()
        case .heal:
            network.heal()
            for index in nodes.indices where nodes[index].hasBooted && nodes[index].agent == nil {
                if !nodes[index].hasLeft { try boot(index) }
            }
        }
    }

    // MARK: Nodes

    func living(_ member: NodeBoot) -> Int? {
        let index = SimulatedNode.index(of: member.node)
        guard nodes.indices.contains(index), nodes[index].agent != nil,
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
        fold(UInt64(index) &+ UInt64(bitPattern: now.nanoseconds))
        var directives: [Directive] = []
        nodes[index].agent?.handle(event, at: now, into: &directives)
        try carryOut(directives, of: index)
    }

    private mutating func fold(_ value: UInt64) {
        trace = (trace ^ value) &* 0x100_0000_01b3
    }

    mutating func boot(_ index: Int) throws(Violation) {
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
    private mutating func addModel() throws(Violation) {
        nodes[0].hasManifest = true
        nodes[0].blobs = Set(model.outline.blobs.indices)
        let member = nodes[0].member
        let at = Timestamp.zero + .seconds(1)
        queue.insert(
            .deliver(
                .manifestStored(model.outline, blobs: Array(model.outline.blobs.indices)),
                to: member), at: at)
        queue.insert(
            .deliver(.modelAdded(name: "toy", manifest: model.outline.manifest), to: member), at: at
        )
    }

    private mutating func stop(_ index: Int, isSilent: Bool) {
        guard nodes[index].agent != nil else { return }
        let member = nodes[index].member
        nodes[index].agent = nil
        nodes[index].payloads = PayloadTable()
        ends.onEntryDied(member)
        // Broken connections tell at once; a device without power is missed after the keepalive.
        let delay: TimeSpan = isSilent ? .seconds(3) : .milliseconds(1)
        for peer in network.peers(of: member) {
            queue.insert(.connectionBroke(peer, member), at: now + delay)
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
            nodes[node].pausedUntil = max(nodes[node].pausedUntil, now + span)
            ends.onEntryPaused(nodes[node].member, for: span)
            if span > .seconds(3) {
                for peer in network.peers(of: nodes[node].member) {
                    queue.insert(
                        .connectionBroke(peer, nodes[node].member), at: now + .seconds(3))
                }
            }
        case .cut(let one, let other):
            network.cut(one, other)
            if nodes[one].agent != nil, nodes[other].agent != nil {
                queue.insert(
                    .connectionBroke(nodes[one].member, nodes[other].member),
                    at: now + .seconds(3))
            }
        case .heal: network.heal()
        case .leave(let node):
            guard nodes[node].agent != nil else { return }
            try handle(.leaveRequested, nodes[node].member)
        }
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
        let input = workload.next()
        let member = nodes[index].member
        let client = ClientID(number: workload.next())
        let deadline = TimeSpan.milliseconds(Int64(2_000 + workload.next(below: 20_000)))
        ends.onSubmitted(
            EndsExactlyOnce.ClientKey(entry: member, client: client), deadline: now + deadline,
            expected: model.expected(input))
        let payload = Payload(
            id: nodes[index].payloads.insert(input, of: nil),
            byteCount: model.outline.tensors[0].descriptor.byteCount)
        try handle(
            .submitted(
                client: client, manifest: model.outline.manifest, inputs: [payload],
                deadline: deadline), member)
    }
}
