import Foundation
import TesseraCore
import Testing

@testable import TesseraNode

@Suite("Discovery by beacon")
struct BeaconTests {
    @Test("Two agents of one mesh find each other, and neither finds itself")
    func findsOwnMesh() async {
        let first = TestAgent(11, mode: .beacon, key: 11)
        #expect(await eventually { first.discovery.state.beacon == .sending(interfaces: 1) })
        let second = TestAgent(12, mode: .beacon, key: 11)
        #expect(await eventually { first.finds(second) && second.finds(first) })
        #expect(first.findings.ports() == [second.port])
        #expect(second.findings.ports() == [first.port])
        #expect(first.findings.notices == [.beaconInUse(interfaces: 1)])
        for agent in [first, second] { await agent.discovery.stop() }
    }

    @Test("Beacons of another key and garbage are counted and do nothing")
    func ignoresStrangers() async throws {
        let agent = TestAgent(13, mode: .beacon, key: 13)
        let stranger = TestAgent(14, mode: .beacon, key: 14)
        #expect(await eventually { agent.discovery.state.counts.beaconsRefused > 0 })
        let loopback = try #require(NetworkInterface.list().first { $0.isLoopback })
        let socket = try BeaconSocket.open(on: loopback)
        defer { socket.close() }
        let seal = TestSeal(13)
        var generator = SystemRandomNumberGenerator()
        for count in 0..<200 {
            let bytes = (0..<count * 4).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(socket.send(bytes))
            // Sealed rightly, yet no beacon.
            #expect(socket.send(seal.seal(Array(bytes.prefix(400)))))
        }
        let friend = TestAgent(15, mode: .beacon, key: 13)
        #expect(await eventually { agent.finds(friend) && friend.finds(agent) })
        #expect(agent.findings.ports() == [friend.port])
        #expect(stranger.findings.addresses.isEmpty)
        for agent in [agent, stranger, friend] { await agent.discovery.stop() }
    }

    @Test("A node that starts anew is answered anew")
    func answersNewBoot() async {
        let agent = TestAgent(16, mode: .beacon, key: 16)
        for _ in 0..<3 {
            let other = TestAgent(17, mode: .beacon, key: 16)
            #expect(await eventually { other.finds(agent) && agent.finds(other) })
            await other.discovery.stop()
            agent.findings.forgetAddresses()
        }
        await agent.discovery.stop()
    }

    @Test("Nothing is said or found after stop has returned")
    func stopIsFinal() async {
        let agent = TestAgent(18, mode: .beacon, key: 18)
        let other = TestAgent(19, mode: .beacon, key: 18)
        #expect(await eventually { agent.finds(other) })
        await agent.discovery.stop()
        agent.findings.forgetAddresses()
        let heard = other.discovery.state.counts.beaconsSent
        #expect(await eventually { other.discovery.state.counts.beaconsSent > heard })
        #expect(agent.findings.addresses.isEmpty)
        await agent.discovery.stop()
        await other.discovery.stop()
    }

    @Test("An unknown interface name leaves the beacon without one, which is said")
    func saysWhenUnusable() async {
        let findings = Findings()
        let discovery = Discovery(
            settings: DiscoverySettings(
                mode: .beacon, node: TestAgent.node(20), boot: Boot(counter: 1, random: 1),
                port: 1, meshTag: "0123456789abcdef", beaconInterfaces: ["no-such-interface"]),
            seal: { $0 }, open: { $0 },
            onFound: { findings.found($0) }, onNotice: { findings.noticed($0) })
        discovery.start()
        #expect(await eventually { findings.notices.count == 1 })
        #expect(findings.notices.first?.isProblem == true)
        await discovery.stop()
    }

    @Test("Beacons sealed as the protocol says are found, and a stranger's are not")
    func sealsAsTheWireDoes() async {
        let (first, second) = (WireAgent(21, key: 1), WireAgent(22, key: 1))
        let stranger = WireAgent(23, key: 2)
        #expect(await eventually { first.findings.ports() == [40_022] })
        #expect(await eventually { second.findings.ports() == [40_021] })
        #expect(await eventually { first.discovery.state.counts.beaconsRefused > 0 })
        #expect(stranger.findings.addresses.isEmpty)
        for agent in [first, second, stranger] { await agent.discovery.stop() }
    }

    @Test("The token bucket passes its rate and its burst, and no more")
    func tokenBucket() {
        var bucket = TokenBucket(perSecond: 10, atMilliseconds: 1_000)
        #expect((0..<20).count { _ in bucket.take(atMilliseconds: 1_000) } == 10)
        #expect((0..<20).count { _ in bucket.take(atMilliseconds: 1_500) } == 5)
        #expect((0..<20).count { _ in bucket.take(atMilliseconds: 1_400) } == 0)
        #expect((0..<20).count { _ in bucket.take(atMilliseconds: 900_000) } == 10)
    }

    @Test("Interfaces are chosen once each, by name if names are given")
    func interfaces() {
        let lo = NetworkInterface(
            index: 1, name: "lo", address: 1, isLoopback: true, isMulticast: true)
        var second = lo
        second.address = 2
        var tunnel = lo
        (tunnel.index, tunnel.name, tunnel.isMulticast) = (2, "tun0", false)
        var cable = lo
        (cable.index, cable.name) = (3, "eth0")
        let all = [lo, second, tunnel, cable]
        #expect(MulticastBeacon.usable(all, among: nil) == [1: lo, 3: cable])
        #expect(MulticastBeacon.usable(all, among: ["eth0"]) == [3: cable])
    }
}
