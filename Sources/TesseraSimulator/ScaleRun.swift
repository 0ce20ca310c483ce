public import TesseraCore

/// Membership alone in meshes of up to a thousand nodes: how fast a death and a newcomer are known
/// everywhere, and what gossip costs while nodes come and go.
public struct ScaleRun {
    /// What was measured.
    public struct Figures: Sendable {
        /// How many nodes.
        public var nodes: Int
        /// From the first start until every node sees every other one alive.
        public var convergence: TimeSpan?
        /// From a power loss until the first other node holds the node dead.
        public var detection: TimeSpan?
        /// From a power loss until every other node holds it dead.
        public var spread: TimeSpan?
        /// From its return until every other node sees it alive again.
        public var returned: TimeSpan?
        /// Datagrams and messages per node and second while 1 % of the nodes change per minute.
        public var messagesPerNodeSecond: Double
        /// Their bytes, with those of the seal and of IP and UDP.
        public var bytesPerNodeSecond: Double
    }

    /// Longer than any mesh of this size should need.
    private static let patience = TimeSpan.seconds(60)
    private static let look = TimeSpan.milliseconds(50)
    private static let steadySpan = TimeSpan.seconds(20)

    private let simulation: Simulation
    private let count: Int

    /// Measures a mesh of so many equal nodes on one switch.
    public static func measure(nodes: Int, seed: UInt64) throws(Violation) -> Figures {
        let run = ScaleRun(nodes: nodes, seed: seed)
        return try run.measure()
    }

    private init(nodes: Int, seed: UInt64) {
        var scenario = Scenario.quiet(seed: seed, nodes: nodes)
        let device = scenario.mesh.devices[0]
        let link = SimulatedMesh.Link(bitsPerSecond: 1_000_000_000, latency: .microseconds(200))
        scenario.mesh = .equal(nodes, device: device, link: link)
        scenario.parts = .init(repeating: 0, count: nodes)
        scenario.models = []
        scenario.healAt = .never
        count = nodes
        simulation = Simulation(scenario)
    }

    private func measure() throws(Violation) -> Figures {
        let all = simulation.nodes
        try simulation.begin()
        let convergence = try wait {
            all.allSatisfy { node in
                node.agent?.inspect { $0.aliveCount } == count - 1
            }
        }
        try simulation.run(until: simulation.now + .seconds(5))
        // A death.
        let lost = all[count / 2]
        let others = all.filter { $0 !== lost }
        let member = lost.member
        func holdsDead(_ node: SimulatedNode) -> Bool {
            let sight = node.agent?.inspect { $0.sight(of: member.node) } ?? nil
            return sight.map { $0.status >= .dead } ?? false
        }
        let died = simulation.now
        try simulation.stop(lost, .powerLoss)
        let detection = try wait(from: died) { others.contains(where: holdsDead) }
        let spread = try wait(from: died) { others.allSatisfy(holdsDead) }
        let back = simulation.now
        try simulation.boot(lost.index)
        let returned = try wait(from: back) {
            others.allSatisfy { node in
                let sight = node.agent?.inspect { $0.sight(of: member.node) } ?? nil
                return sight.map { $0.status == .alive && $0.member == lost.member } ?? false
            }
        }
        try simulation.run(until: simulation.now + .seconds(5))
        let (messages, bytes) = try steady(all)
        return Figures(
            nodes: count, convergence: convergence, detection: detection, spread: spread,
            returned: returned, messagesPerNodeSecond: messages, bytesPerNodeSecond: bytes)
    }

    /// Gossip while one of a hundred nodes changes per minute, in turn by a crash and a return.
    private func steady(_ all: [SimulatedNode]) throws(Violation) -> (Double, Double) {
        let begin = simulation.now
        let before = simulation.figures
        let changes = max(1, count * Int(Self.steadySpan.milliseconds) / 6_000_000)
        for change in 0..<changes {
            let node = all[(change * 7 + 1) % count]
            try simulation.run(
                until: begin + Self.steadySpan * Int64(2 * change) / Int64(2 * changes))
            try simulation.stop(node, .crash)
            try simulation.run(
                until: begin + Self.steadySpan * Int64(2 * change + 1) / Int64(2 * changes))
            try simulation.boot(node.index)
        }
        try simulation.run(until: begin + Self.steadySpan)
        let after = simulation.figures
        let share = Double(count) * Double(Self.steadySpan.milliseconds) / 1_000
        let messages = after.messages + after.datagrams - before.messages - before.datagrams
        let bytes =
            after.messageBytes + after.datagramBytes - before.messageBytes - before.datagramBytes
        return (Double(messages) / share, Double(bytes) / share)
    }

    /// The time until the condition holds; nil if patience ends first.
    private func wait(
        from start: Timestamp? = nil, for condition: () -> Bool
    ) throws(Violation) -> TimeSpan? {
        let start = start ?? simulation.now
        while !condition() {
            guard simulation.now - start < Self.patience else { return nil }
            try simulation.run(until: simulation.now + Self.look)
        }
        return simulation.now - start
    }
}
