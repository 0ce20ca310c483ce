import Testing

@testable import TesseraCore

/// Meshes that are too large for a session of everybody with everybody; small ones are made large by
/// their settings.
@Suite struct MembershipSessionTests {
    private static func network(_ count: Int, seed: UInt64) -> MembershipNetwork {
        var settings = MembershipSettings()
        settings.fullMeshMax = 12
        settings.sessionKept = .seconds(10)
        return MembershipNetwork(count: count, seed: seed, settings: settings)
    }

    @Test("all see all alive with a few sessions each, and nobody is blamed", arguments: [30, 40])
    func fewSessions(count: Int) {
        var network = Self.network(count, seed: UInt64(count))
        network.run(for: .seconds(5))
        #expect(network.isKnown)
        network.run(for: .seconds(10))
        #expect(network.sessionCounts.max() ?? 0 <= 40)
        #expect(network.sessionCounts.min() ?? 0 >= 8)
        #expect(network.suspicionCount == 0)
        #expect(network.violations == [])
    }

    @Test("a host that falls silent is dead everywhere, and nobody else is")
    func silentHost() {
        var network = Self.network(40, seed: 3)
        network.run(for: .seconds(5))
        network.crash(7, isSilent: true)
        network.run(for: .seconds(6))
        for observer in 0..<40 where observer != 7 {
            #expect(network.status(of: 7, at: observer) == .dead)
        }
        #expect(network.deathCount == 39)
        #expect(network.isKnown)
        network.restart(7)
        network.run(for: .seconds(4))
        #expect(network.isKnown)
        #expect(network.violations == [])
    }

    @Test("where no datagram passes, calls show who lives")
    func withoutDatagrams() {
        var network = Self.network(30, seed: 5)
        network.run(for: .seconds(5))
        network.passesDatagrams = false
        network.run(for: .seconds(10))
        #expect(network.deathCount == 0)
        #expect(network.violations == [])
    }

    @Test("two parts that lost each other find each other again")
    func split() {
        var network = Self.network(30, seed: 9)
        network.run(for: .seconds(5))
        network.cut(Array(0..<12), from: Array(12..<30))
        network.run(for: .seconds(10))
        network.heal()
        network.run(for: .seconds(40))
        #expect(network.isKnown)
        #expect(network.violations == [])
    }

    @Test("a session that is used is opened and kept, and one that nobody needs is ended")
    func use() {
        var network = Self.network(50, seed: 11)
        network.run(for: .seconds(5))
        let stranger = (1..<50).first {
            !network.nodes[0].membership.isConnected(network.nodes[$0].me)
        }
        guard let stranger else {
            Issue.record("node 0 is connected with everybody")
            return
        }
        network.use(stranger, at: 0)
        network.run(for: .seconds(1))
        #expect(network.nodes[0].membership.isConnected(network.nodes[stranger].me))
        for other in 1..<50 { network.use(other, at: 0) }
        network.run(for: .seconds(2))
        #expect(network.sessionCounts[0] == 49)
        network.run(for: .seconds(25))
        #expect(network.sessionCounts[0] <= 38)
        #expect(network.suspicionCount == 0)
        #expect(network.violations == [])
    }
}
