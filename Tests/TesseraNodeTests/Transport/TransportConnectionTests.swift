import Foundation
import NIOCore
import NIOPosix
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

@Suite("Transport: connections", .serialized)
struct TransportConnectionTests {
    @Test("two peers connect once and exchange messages both ways in order")
    func messages() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let (first, second) = (one.member, two.member)
        for number in 0..<500 {
            try one.run { $0.send(numbered(UInt64(number)), to: second) }
            try two.run { $0.send(numbered(UInt64(number)), to: first) }
        }
        let expected = (0..<500).map { numbered(UInt64($0)) }
        try one.wait("messages") { $0.messages.count == 500 }
        try two.wait("messages") { $0.messages.count == 500 }
        #expect(one.happenings.messages == expected && two.happenings.messages == expected)
        let listening = one.happenings.contains(.connected(second, two.address))
        #expect(listening && two.happenings.contains(.connected(first, one.address)))
        try one.run { $0.connect(two.address) }
        #expect(try one.run { $0.connectedMembers } == [second])
        #expect(one.happenings.connections(to: second) == 1)
        try one.wait("round trip") {
            $0.contains { if case .linkMeasured = $0 { true } else { false } }
        }
        try one.stop()
        try two.wait("disconnection") { $0.disconnections(of: first) == 1 }
        try two.stop()
    }

    @Test("dials that cross leave one connection and no disconnection", arguments: 0..<20)
    func crossing(round: Int) throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        // Both loops are held until both dials are ordered, so that the dials really cross.
        let (first, second) = (one.address, two.address)
        let gate = DispatchSemaphore(value: 0)
        let dials = [
            one.control.next().submit { [transport = one.transport] in
                gate.wait()
                transport.connect(second)
            },
            two.control.next().submit { [transport = two.transport] in
                gate.wait()
                transport.connect(first)
            },
        ]
        gate.signal()
        gate.signal()
        for dial in dials { try dial.wait() }
        try one.wait("connected") { $0.connections(to: two.member) == 1 }
        try two.wait("connected") { $0.connections(to: one.member) == 1 }
        try waitUntil("one control connection on each side") {
            try one.controlConnections == [1] && two.controlConnections == [1]
        }
        let (firstMember, secondMember) = (one.member, two.member)
        for number in 0..<20 {
            try one.run { $0.send(numbered(UInt64(number)), to: secondMember) }
            try two.run { $0.send(numbered(UInt64(number)), to: firstMember) }
        }
        try one.wait("messages") { $0.messages.count == 20 }
        try two.wait("messages") { $0.messages.count == 20 }
        for peer in [one, two] {
            let other = peer === one ? secondMember : firstMember
            #expect(peer.happenings.connections(to: other) == 1)
            #expect(peer.happenings.disconnections(of: other) == 0)
            #expect(peer.happenings.unreachables.isEmpty)
        }
        try one.stop()
        try two.stop()
    }

    @Test("a peer that is dialled by a second address is found to be connected")
    func secondAddress() throws {
        let keys = try MeshKeys.test()
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, host: "0.0.0.0")
        try one.join(two)
        let alias = Address(host: "127.0.0.2", port: two.address.port)
        try one.run { $0.connect(alias) }
        try one.wait("already connected") { $0.contains(.alreadyConnected(two.member, alias)) }
        #expect(two.happenings.connections(to: one.member) == 1)
        #expect(two.happenings.disconnections(of: one.member) == 0)
        try one.stop()
        try two.stop()
    }

    @Test("a node does not connect to itself")
    func itself() throws {
        let one = try TestPeer(keys: .test())
        let own = one.address
        try one.run { $0.connect(own) }
        try one.wait("refusal") { $0.unreachables.count == 1 }
        #expect(one.happenings.unreachables.first?.contains("own") == true)
        #expect(try one.run { $0.connectedMembers }.isEmpty)
        try one.stop()
    }

    @Test("an address where nobody listens is unreachable at once, one that is no address too")
    func unreachable() throws {
        let one = try TestPeer(keys: .test())
        let gone = try TestPeer(keys: .test())
        let address = gone.address
        try gone.stop()
        try one.run {
            $0.connect(address)
            $0.connect(Address(host: "kitchen.local", port: 1))
        }
        try one.wait("two failures", seconds: 5) { $0.unreachables.count == 2 }
        #expect(one.happenings.contains(.unreachable(address, "nobody listens there")))
        #expect(one.happenings.unreachables.contains { $0.contains("not a numeric IP address") })
        try one.stop()
    }

    @Test(
        "another secret or mesh name is refused on both sides with the reason", arguments: [0, 1])
    func otherMesh(kind: Int) throws {
        let secret = MeshSecret.generate()
        let one = try TestPeer(keys: MeshKeys(secret: secret, name: "home"))
        let two = try TestPeer(
            keys: kind == 0
                ? MeshKeys(secret: .generate(), name: "home")
                : MeshKeys(secret: secret, name: "work"))
        try one.connect(to: two)
        try one.wait("refusal") { $0.unreachables.count == 1 }
        try two.wait("refusal") { $0.refusals.count == 1 }
        #expect(one.happenings.unreachables.first?.contains("another mesh") == true)
        #expect(two.happenings.refusals.first?.contains("secret") == true)
        #expect(try one.run { $0.connectedMembers }.isEmpty)
        #expect(try two.run { $0.connectedMembers }.isEmpty)
        try one.stop()
        try two.stop()
    }

    @Test("a connection that breaks is told at once, and can be made again")
    func breaking() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let second = two.member
        // No goodbye: what a killed process leaves.
        try one.run { transport in
            transport.session(second)?.connections.forEach { $0.close("test") }
        }
        try two.wait("disconnection", seconds: 2) { $0.disconnections(of: one.member) == 1 }
        try one.wait("disconnection", seconds: 2) { $0.disconnections(of: second) == 1 }
        try one.connect(to: two)
        try one.wait("connection") { $0.connections(to: second) == 2 }
        try two.wait("connection") { $0.connections(to: one.member) == 2 }
        try one.stop()
        try two.stop()
    }

    @Test("a data connection that breaks ends the session")
    func breakingData() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let second = two.member
        try waitUntil("data connections") {
            try one.dataConnections == [1] && two.dataConnections == [1]
        }
        try one.run { transport in
            transport.session(second)?.data.forEach { $0.close("test") }
        }
        try one.wait("disconnection", seconds: 2) { $0.disconnections(of: second) == 1 }
        try two.wait("disconnection", seconds: 2) { $0.disconnections(of: one.member) == 1 }
        try one.stop()
        try two.stop()
    }

    @Test("a peer that hangs is given up after three seconds and connects again when it wakes")
    func hanging() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        let three = try TestPeer(keys: keys)
        try one.join(two)
        try two.join(three)
        let gate = DispatchSemaphore(value: 0)
        two.control.next().execute { gate.wait() }
        try one.wait("disconnection", seconds: 6) { $0.disconnections(of: two.member) == 1 }
        #expect(
            one.happenings.contains { happening in
                if case .disconnected(_, let reason) = happening {
                    reason.contains("silent")
                } else {
                    false
                }
            })
        gate.signal()
        try two.wait("end of the broken session") { $0.disconnections(of: one.member) == 1 }
        try one.connect(to: two)
        try one.wait("connection") { $0.connections(to: two.member) == 2 }
        for peer in [one, two, three] { try peer.stop() }
    }

    @Test("a newer run replaces the older one, an older run is refused")
    func restarts() throws {
        let keys = try MeshKeys.test()
        let identity = NodeIdentity.test(counter: 7)
        let hub = try TestPeer(keys: keys)
        let first = try TestPeer(keys: keys, identity: identity)
        try first.join(hub)
        let second = try TestPeer(
            keys: keys, identity: identity.rebooted(as: Boot(counter: 8, random: 1)))
        try second.join(hub)
        try hub.wait("end of the older run") { $0.disconnections(of: first.member) == 1 }
        #expect(try hub.run { $0.connectedMembers } == [second.member])
        try first.wait("end") { $0.disconnections(of: hub.member) == 1 }
        try first.connect(to: hub)
        try first.wait("refusal") { $0.unreachables.count == 1 }
        #expect(first.happenings.unreachables.first?.contains("newer run") == true)
        #expect(hub.happenings.disconnections(of: second.member) == 0)
        for peer in [hub, first, second] { try peer.stop() }
    }

    @Test("a port that is taken gives a clear error")
    func portInUse() throws {
        let keys = try MeshKeys.test()
        let one = try TestPeer(keys: keys)
        let port = one.address.port
        #expect(throws: TransportError.portInUse(one.address)) {
            try TestPeer(keys: keys, port: port)
        }
        #expect(throws: TransportError.self) { try TestPeer(keys: keys, host: "example.org") }
        let error = #expect(throws: TransportError.self) {
            try TestPeer(keys: keys, host: "203.0.113.7")
        }
        #expect(error?.description.contains("203.0.113.7") == true)
        try one.stop()
        // The port is free again at once.
        try TestPeer(keys: keys, port: port).stop()
    }

    @Test("IPv4 peers reach a peer on the IPv6 wildcard and are named by their IPv4 address")
    func dualStack() throws {
        let keys = try MeshKeys.test()
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, host: "::")
        try one.join(two)
        #expect(two.happenings.contains(.connected(one.member, one.address)))
        let (first, back) = (one.member, one.address)
        try two.run { $0.sendDatagram(.nack(sequence: 5), to: first, at: back) }
        try one.wait("datagram") { $0.messages == [.membership(.nack(sequence: 5))] }
        try one.stop()
        try two.stop()
    }
}

extension TestPeer {
    /// Control connections per session.
    var controlConnections: [Int] {
        get throws { try run { $0.sessions.values.map(\.connections.count) } }
    }

    /// Data connections per session.
    var dataConnections: [Int] {
        get throws { try run { $0.sessions.values.map(\.data.count) } }
    }
}

/// Asks again and again until the answer is yes; throws after the deadline.
func waitUntil(
    _ what: String, seconds: Double = 20, _ isThere: () throws -> Bool
) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while try !isThere() {
        guard Date() < deadline else {
            throw TestPeer.TimedOut(description: "no \(what) in \(seconds) s")
        }
        sched_yield()
    }
}
