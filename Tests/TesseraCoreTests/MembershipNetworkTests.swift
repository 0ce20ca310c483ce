import Testing

@testable import TesseraCore

@Suite struct MembershipNetworkTests {
    @Test("all see all alive within two seconds", arguments: [2, 3, 5, 16, 40])
    func everybodyMeets(count: Int) {
        var network = MembershipNetwork(count: count, seed: UInt64(count))
        network.run(for: .seconds(2))
        #expect(network.isWhole)
        network.run(for: .seconds(20))
        #expect(network.suspicionCount == 0)
        #expect(network.violations == [])
    }

    @Test("a killed process is dead everywhere within 500 ms", arguments: UInt64(1)...20)
    func killedProcess(seed: UInt64) {
        var network = MembershipNetwork(count: 5, seed: seed)
        network.run(for: .seconds(5))
        network.crash(2)
        network.run(for: .milliseconds(500))
        for observer in [0, 1, 3, 4] {
            #expect(network.status(of: 2, at: observer) == .dead)
            for other in [0, 1, 3, 4] {
                #expect(network.status(of: other, at: observer) == .alive)
            }
        }
        #expect(network.suspicionCount == 4)
        #expect(network.violations == [])
    }

    @Test(
        "a host that falls silent is dead everywhere within 1.5 s", arguments: [2, 4, 5, 9],
        UInt64(1)...10)
    func silentHost(count: Int, seed: UInt64) {
        var network = MembershipNetwork(count: count, seed: seed)
        network.run(for: .seconds(5))
        network.crash(1, isSilent: true)
        let crashedAt = network.now
        network.run(for: .milliseconds(2_500))
        for observer in 0..<count where observer != 1 {
            let death = network.nodes[observer].changes.first {
                if case .dead = $0.1 { true } else { false }
            }
            let span = (death?.at ?? .never) - crashedAt
            #expect(span <= .milliseconds(1_500), "after \(span.milliseconds) ms at \(observer)")
            #expect(span >= .milliseconds(500))
        }
        #expect(network.suspicionCount <= count - 1)
        #expect(network.violations == [])
    }

    @Test("at 10 % loss nobody dies in five minutes", arguments: UInt64(1)...2)
    func lossyNetwork(seed: UInt64) {
        var network = MembershipNetwork(count: 5, seed: seed)
        network.lossPercent = 10
        network.run(for: .seconds(300))
        #expect(network.deathCount == 0)
        #expect(network.violations == [])
    }

    @Test("a network that drops every datagram kills nobody")
    func noDatagrams() {
        var network = MembershipNetwork(count: 4, seed: 1)
        network.passesDatagrams = false
        network.run(for: .seconds(60))
        #expect(network.isWhole)
        #expect(network.deathCount == 0)
    }

    @Test("a split mesh finds itself again", arguments: UInt64(1)...10)
    func splitHeals(seed: UInt64) {
        var network = MembershipNetwork(count: 5, seed: seed)
        network.run(for: .seconds(5))
        network.cut([0, 1], from: [2, 3, 4])
        network.run(for: .seconds(20))
        #expect(network.status(of: 2, at: 0) == .dead)
        #expect(network.status(of: 0, at: 4) == .dead)
        #expect(network.status(of: 1, at: 0) == .alive)
        network.heal()
        network.run(for: .seconds(8))
        #expect(network.isWhole)
        // The smaller part was away, in the eyes of all: it is not used for 10 s, then is.
        let stayed = [2, 3, 4].map { network.nodes[$0].me }.sorted()
        for node in network.nodes { #expect(node.membership.usable == stayed) }
        network.run(for: .seconds(16))
        for node in network.nodes { #expect(node.membership.usable.count == 5) }
        #expect(network.violations == [])
    }

    @Test("of two equal parts that without the lowest identity was away", arguments: [2, 4])
    func equalParts(count: Int) {
        var network = MembershipNetwork(count: count, seed: 9)
        network.run(for: .seconds(5))
        network.cut(Array(0..<count / 2), from: Array(count / 2..<count))
        network.run(for: .seconds(5))
        network.heal()
        network.run(for: .seconds(7))
        #expect(network.isWhole)
        let members = network.nodes.map(\.me)
        let lowest = members.indices.min { members[$0] < members[$1] } ?? 0
        let stayed = members.indices.filter { $0 / (count / 2) == lowest / (count / 2) }
        for node in network.nodes {
            #expect(node.membership.usable == stayed.map { members[$0] }.sorted())
        }
        network.run(for: .seconds(12))
        for node in network.nodes { #expect(node.membership.usable.count == count) }
    }

    @Test("one broken pair of links kills nobody: the others answer for both")
    func oneCutLink() {
        var network = MembershipNetwork(count: 4, seed: 3)
        network.run(for: .seconds(5))
        network.cut([0], from: [1])
        network.run(for: .seconds(60))
        #expect(network.deathCount == 0)
        #expect(!network.nodes[0].membership.usable.contains(network.nodes[1].me))
        network.heal()
        network.run(for: .seconds(5))
        #expect(network.isWhole)
        #expect(network.violations == [])
    }

    @Test("a restarted process is a new run, and its old run is dead", arguments: UInt64(1)...10)
    func restart(seed: UInt64) {
        var network = MembershipNetwork(count: 4, seed: seed)
        network.run(for: .seconds(5))
        let old = network.nodes[3].me
        network.crash(3)
        network.run(for: .milliseconds(50))
        network.restart(3)
        network.run(for: .seconds(5))
        #expect(network.isWhole)
        for observer in 0..<3 {
            #expect(network.nodes[observer].membership.status(of: old) == .dead)
            #expect(!network.nodes[observer].membership.usable.contains(network.nodes[3].me))
        }
        network.run(for: .seconds(10))
        for node in network.nodes { #expect(node.membership.usable.count == 4) }
        #expect(network.violations == [])
    }

    @Test("a loop that stood still for two seconds blames nobody and comes back")
    func stall() {
        var network = MembershipNetwork(count: 5, seed: 4)
        network.run(for: .seconds(5))
        network.pause(0, for: .seconds(2))
        network.run(for: .seconds(10))
        #expect(
            !network.changes(of: 0).contains {
                if case .suspected = $0 { true } else { false }
            })
        #expect(network.isWhole)
        #expect(network.violations == [])
    }

    @Test("who leaves is gone everywhere at once, without suspicion")
    func leaving() {
        var network = MembershipNetwork(count: 4, seed: 5)
        network.run(for: .seconds(5))
        network.leave(2)
        network.run(for: .milliseconds(10))
        for observer in [0, 1, 3] { #expect(network.status(of: 2, at: observer) == .left) }
        network.crash(2)
        network.run(for: .seconds(20))
        for observer in [0, 1, 3] { #expect(network.status(of: 2, at: observer) == .left) }
        #expect(network.suspicionCount == 0)
        #expect(network.deathCount == 0)
    }

    @Test(
        "crashes, restarts, cuts, pauses and loss at random: everybody meets in the end",
        arguments: UInt64(1)...15)
    func chaos(seed: UInt64) {
        var generator = SeededGenerator(seed: seed).derived(name: "faults")
        let count = 3 + generator.next(below: 4)
        var network = MembershipNetwork(count: count, seed: seed)
        network.lossPercent = generator.next(below: 20)
        for _ in 0..<30 {
            let index = generator.next(below: count)
            switch generator.next(below: 6) {
            case 0:
                if network.nodes[index].isUp {
                    network.crash(index, isSilent: generator.chance(1, outOf: 2))
                }
            case 1: if !network.nodes[index].isUp { network.restart(index) }
            case 2: network.cut([index], from: (0..<count).filter { $0 != index })
            case 3: network.pause(index, for: generator.next(below: .seconds(4)))
            default: network.heal()
            }
            network.run(for: generator.next(below: .seconds(3)))
        }
        network.heal()
        network.lossPercent = 0
        for index in 0..<count where !network.nodes[index].isUp { network.restart(index) }
        network.run(for: .seconds(30))
        #expect(network.isWhole, "seed \(seed)")
        #expect(network.violations == [])
    }

    @Test("the same seed gives the same course")
    func determinism() {
        func course() -> [String] {
            var network = MembershipNetwork(count: 6, seed: 11)
            network.lossPercent = 15
            network.run(for: .seconds(20))
            network.crash(3)
            network.run(for: .seconds(20))
            return network.nodes.flatMap { $0.changes.map { "\($0.at.nanoseconds) \($0.1)" } }
        }
        #expect(course() == course())
    }

    @Test("the checker catches a member that returns without a higher incarnation")
    func plantedReturn() {
        var network = MembershipNetwork(count: 3, seed: 1)
        network.run(for: .seconds(2))
        network.crash(2)
        network.run(for: .seconds(2))
        #expect(network.violations == [])
        network.nodes[0].membership.others[1].status = .alive
        network.run(for: .seconds(1))
        #expect(network.violations != [])
    }
}
