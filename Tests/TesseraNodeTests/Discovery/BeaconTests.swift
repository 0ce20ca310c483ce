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
        let began = ContinuousClock.now
        let second = TestAgent(12, mode: .beacon, key: 11)
        #expect(await eventually { first.finds(second) && second.finds(first) })
        // The newcomer is answered at once and waits for nobody's period.
        #expect(ContinuousClock.now - began < .seconds(5))
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

    @Test("A beacon's bytes are fixed, and every other byte string is refused")
    func codec() throws {
        let message = BeaconMessage(
            node: NodeID(0x0102_0304_0506_0708, 2, 3, 4),
            boot: Boot(counter: 5, random: 0x0A0B_0C0D_0E0F_1011), port: 0x1F90)
        let golden: [UInt8] =
            [0x54, 0x53, 0x52, 0x42, 0, 1, 0x1F, 0x90, 1, 2, 3, 4, 5, 6, 7, 8]
            + [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]
            + [0, 0, 0, 0, 0, 0, 0, 5, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11]
        #expect(message.encoded == golden)
        #expect(try BeaconMessage(parsing: golden) == message)
        for count in 0..<golden.count {
            #expect(throws: BeaconError.wrongSize(count)) {
                try BeaconMessage(parsing: Array(golden.prefix(count)))
            }
        }
        #expect(throws: BeaconError.wrongSize(57)) { try BeaconMessage(parsing: golden + [0]) }
        for index in 0..<4 {
            var bytes = golden
            bytes[index] ^= 1
            #expect(throws: BeaconError.wrongMagic) { try BeaconMessage(parsing: bytes) }
        }
        var other = golden
        other[5] = 9
        #expect(throws: BeaconError.otherVersion(9)) { try BeaconMessage(parsing: other) }
        other = golden
        (other[6], other[7]) = (0, 0)
        #expect(throws: BeaconError.noPort) { try BeaconMessage(parsing: other) }
        for index in 8..<golden.count {
            var bytes = golden
            bytes[index] ^= 0x80
            #expect(try BeaconMessage(parsing: bytes) != message)
        }
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
        #expect(Beacon.usable(all, among: nil) == [1: lo, 3: cable])
        #expect(Beacon.usable(all, among: ["eth0"]) == [3: cable])
    }
}
