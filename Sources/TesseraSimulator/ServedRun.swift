public import TesseraCore

/// What a described mesh serves of a model when nothing goes wrong: the agents' own decisions under
/// virtual time, with clients at the entry.
///
/// Devices compute at the described rates and links carry what they are said to; what an agent itself
/// spends on a request is not simulated.
public struct ServedRun {
    /// What was served.
    public struct Figures: Hashable, Sendable {
        /// Time per answer with all clients asking.
        public var period: TimeSpan
        /// Median time of one item alone.
        public var latency: TimeSpan
        /// Answers that the period was measured over.
        public var answers: Int
    }

    /// How a run is measured.
    public struct Settings: Sendable {
        /// How the model is planned.
        ///
        /// Rows are not simulated: what allows them is planned without.
        public var planning: ModelSettings
        /// Requests that are open all the time.
        public var clients: Int
        /// Draws what is left to chance, such as identities and delays.
        public var seed: UInt64

        /// Makes settings.
        public init(planning: ModelSettings, clients: Int = 16, seed: UInt64 = 1) {
            self.planning = planning
            self.clients = clients
            self.seed = seed
        }
    }

    /// Answers that the period is measured over, and single items.
    private static let answers = 200
    private static let singleItems = 9
    /// A plan that served so long is taken as the one to measure.
    private static let settled = TimeSpan.seconds(25)
    /// A mesh that serves nothing for so long never will.
    private static let patience = TimeSpan.seconds(300)
    private static let deadline = TimeSpan.seconds(120)

    private let simulation: Simulation
    private let entry: SimulatedNode
    private let clients: Int
    private var model: SimulatedModel { simulation.models[0] }

    /// Runs a model of one input on a mesh; nil if it is not served.
    public static func measure(
        _ outline: ModelOutline, on mesh: SimulatedMesh, _ settings: Settings
    ) throws(Violation) -> Figures? {
        guard outline.inputs == [0] else { return nil }
        return try ServedRun(outline, on: mesh, settings).measure()
    }

    private init(_ outline: ModelOutline, on mesh: SimulatedMesh, _ settings: Settings) {
        let count = mesh.devices.count
        var scenario = Scenario(
            seed: settings.seed, mesh: mesh, nodes: count, models: [],
            parts: .init(repeating: 0, count: count), healAt: .never)
        scenario.workload.requests = 0
        scenario.network.measuresLinks = true
        var planning = settings.planning
        planning.allowedModes.remove(.rows)
        simulation = Simulation(scenario, models: [SimulatedModel(outline, settings: planning)])
        entry = simulation.nodes[mesh.entry ?? 0]
        clients = settings.clients
        for node in simulation.nodes {
            // Everybody has the model already: its way to them is not what is measured.
            node.disk.hasManifest[0] = true
            for blob in node.disk.blobs[0].indices { node.disk.blobs[0][blob] = true }
        }
    }

    private var answered: Int { simulation.checks.ends.answered }

    private var isServing: Bool { entry.agent?.currentPlan(model.manifest) != nil }

    private func measure() throws(Violation) -> Figures? {
        try simulation.begin()
        while !isServing {
            guard simulation.now < .zero + Self.patience else { return nil }
            try simulation.run(until: simulation.now + .milliseconds(100))
        }
        try simulation.run(until: simulation.now + .seconds(1))
        let warm = simulation.now
        guard try serve(until: { simulation.now - warm >= Self.settled }) else { return nil }
        let (begin, count) = (simulation.now, answered)
        guard try serve(until: { answered - count >= Self.answers }) else { return nil }
        let period = (simulation.now - begin) / Int64(answered - count)
        guard try drain() else { return nil }
        var single: [TimeSpan] = []
        for _ in 0..<Self.singleItems {
            let sent = simulation.now
            _ = try simulation.submit(at: entry, model: 0, deadline: Self.deadline)
            guard try drain() else { return nil }
            single.append(simulation.now - sent)
        }
        return Figures(
            period: period, latency: single.sorted()[single.count / 2],
            answers: answered - count - single.count)
    }

    /// Keeps as many requests open as there are clients, one step after the other; false if nothing
    /// is answered any more.
    private func serve(until isDone: () -> Bool) throws(Violation) -> Bool {
        var (last, count) = (simulation.now, answered)
        while !isDone() {
            while entry.clients.count < clients {
                _ = try simulation.submit(at: entry, model: 0, deadline: Self.deadline)
            }
            guard try step() else { return false }
            if answered > count { (last, count) = (simulation.now, answered) }
            if simulation.now - last > Self.patience { return false }
        }
        return true
    }

    /// Goes on until no request is open.
    private func drain() throws(Violation) -> Bool {
        let begin = simulation.now
        while !entry.clients.isEmpty {
            guard try step(), simulation.now - begin < Self.patience else { return false }
        }
        return true
    }

    private func step() throws(Violation) -> Bool {
        guard let next = simulation.queue.nextTime else { return false }
        try simulation.run(until: next)
        return true
    }
}
