import TesseraCore

/// What one decision costs: messages, bytes, and round trips, in a mesh of equal nodes on one switch
/// where planning and compiling take next to nothing.
public struct AgreementRun {
    /// What was measured of one decision.
    public struct Cost: Sendable {
        /// Agreement messages of all nodes.
        public var messages: Int
        /// Their bytes, as encoded.
        public var bytes: Int
        /// From the beginning of the round until the first node has decided, in round trips.
        public var roundTrips: Double
        /// Until every node knows.
        public var roundTripsEverywhere: Double
    }

    /// What was measured in one mesh.
    public struct Figures: Sendable {
        /// How many nodes.
        public var nodes: Int
        /// How many of them the plans use.
        public var hosts: Int
        /// The decision after an operator's command.
        public var command: Cost
        /// The decision after the loss of a node that the plan uses.
        public var repair: Cost
    }

    /// Far above what switches have, so that round trips show in times.
    private static let latency = TimeSpan.milliseconds(20)
    private static let patience = TimeSpan.seconds(60)
    private static let look = TimeSpan.milliseconds(5)

    private let simulation: Simulation
    private let rounds: Rounds

    /// When rounds had their promises, and when nodes heard of their end.
    private final class Rounds {
        var promised: Timestamp?
        var decided: [Timestamp] = []
    }

    /// Measures a mesh of so many nodes; no node can hold the model alone.
    public static func measure(nodes: Int, seed: UInt64) throws(Violation) -> Figures {
        try AgreementRun(nodes: nodes, seed: seed).measure(nodes)
    }

    private init(nodes: Int, seed: UInt64) {
        var scenario = Scenario.quiet(seed: seed, nodes: nodes, requests: 0)
        var device = scenario.mesh.devices[0]
        let model = SimulatedModel(scenario.models[0], number: 0, seed: seed)
        let whole = FragmentMemory.of(0..<model.outline.operators.count, in: model.outline)
        device.memoryBytes = whole.bytes(window: 4) / 2 + (4 << 20)
        let link = SimulatedMesh.Link(bitsPerSecond: 10_000_000_000, latency: Self.latency)
        scenario.mesh = .equal(nodes, device: device, link: link)
        scenario.parts = .init(repeating: 0, count: nodes)
        scenario.healAt = .never
        scenario.network.jitter = .zero
        scenario.engine.compileLeast = .microseconds(10)
        scenario.engine.compileMost = .microseconds(20)
        scenario.engine.planningLeast = .microseconds(10)
        scenario.engine.planningMost = .microseconds(20)
        simulation = Simulation(scenario)
        let rounds = Rounds()
        self.rounds = rounds
        simulation.observer = { time, _, report in
            switch report {
            case .staging: if rounds.decided.isEmpty { rounds.promised = time }
            case .decided: rounds.decided.append(time)
            default: break
            }
        }
    }

    private func measure(_ nodes: Int) throws(Violation) -> Figures {
        try simulation.begin()
        // The blobs are everywhere before the first decision: what it costs to carry them is not
        // what agreement costs.
        for node in simulation.nodes {
            node.write { disk in
                disk.hasManifest[0] = true
                for blob in disk.blobs[0].indices { disk.blobs[0][blob] = true }
            }
        }
        // All meet, and newcomers stop being a reason for a better plan.
        try simulation.run(until: .zero + .seconds(40))
        let all = simulation.nodes
        let model = simulation.models[0]
        let settings = ModelSettings(
            goal: PlanGoal(memoryHeadroomPercent: 1), allowedModes: model.modes)
        try simulation.handle(
            .modelAdded(name: "toy-0", manifest: model.manifest, settings: settings), all[0].run)
        let command = try decision(known: nodes)
        try simulation.run(until: simulation.now + .seconds(40))
        guard let plan = all[0].agent?.currentPlan(model.manifest)?.plan,
            let lost = all.first(where: { $0.member == plan.hosts.last })
        else { throw late("no plan after the decision") }
        try simulation.stop(lost, .crash)
        let repair = try decision(known: nodes - 1)
        return Figures(nodes: nodes, hosts: plan.hosts.count, command: command, repair: repair)
    }

    /// Waits for a decision that so many nodes know.
    private func decision(known count: Int) throws(Violation) -> Cost {
        let before = simulation.figures
        rounds.promised = nil
        rounds.decided = []
        let start = simulation.now
        while rounds.decided.count < count {
            guard simulation.now - start < Self.patience else { throw late("no decision") }
            try simulation.run(until: simulation.now + Self.look)
        }
        let after = simulation.figures
        guard let promised = rounds.promised, let last = rounds.decided.max() else {
            throw late("a decision that nobody staged")
        }
        // The promises took the first round trip; improvements do not say when they begin.
        func roundTrips(_ time: Timestamp) -> Double {
            1 + Double((time - promised).nanoseconds) / Double((Self.latency * 2).nanoseconds)
        }
        return Cost(
            messages: after.agreementMessages - before.agreementMessages,
            bytes: after.agreementBytes - before.agreementBytes,
            roundTrips: roundTrips(rounds.decided[0]), roundTripsEverywhere: roundTrips(last))
    }

    private func late(_ what: String) -> Violation {
        Violation(checker: "agreement comes to a decision", at: simulation.now, what: what)
    }
}
