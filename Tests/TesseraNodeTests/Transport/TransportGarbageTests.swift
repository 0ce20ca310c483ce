import Foundation
import NIOCore
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

@Suite("Transport: strangers", .serialized)
struct TransportGarbageTests {
    @Test("garbage on the port is turned away and harms nothing")
    func garbage() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let clientHello: [UInt8] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3] + patternBytes(200)
        let attempts: [[UInt8]] = [
            patternBytes(10_000), Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), clientHello,
            Preamble.bytes(.control) + patternBytes(5_000),
            Preamble.bytes(.data) + patternBytes(5_000),
            Preamble.bytes(.control) + Array("GET / HTTP/1.1\r\n\r\n".utf8),
            Preamble.bytes(.plainData) + patternBytes(100), Array("TESSERAX".utf8),
        ]
        for bytes in attempts {
            let socket = try RawSocket(SOCK_STREAM)
            try socket.connect(to: two.address)
            socket.send(bytes)
            // At most a TLS alert comes back, then the end.
            #expect(socket.receiveAll().count < 100)
        }
        try waitUntil("all counted") {
            two.transport.countersSnapshot.handshakesFailed == attempts.count
        }
        try waitUntil("no one left half open") { two.transport.halfOpenCount == 0 }
        let (first, second) = (one.member, two.member)
        try one.run { $0.send(numbered(1), to: second) }
        try two.wait("message") { $0.messages == [numbered(1)] }
        #expect(two.happenings.disconnections(of: first) == 0)
        try one.stop()
        try two.stop()
    }

    @Test("a peer too many is refused with the reason, and counted")
    func tooMany() throws {
        let keys = try MeshKeys.test()
        let full = try TestPeer(keyring: MeshKeyring(keys), sessionsMax: 1)
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(full)
        try two.connect(to: full)
        try two.wait("refusal") {
            $0.contains { happening in
                if case .unreachable(_, let reason) = happening {
                    reason.contains("has 1 peers already")
                } else {
                    false
                }
            }
        }
        try waitUntil("counted") { full.transport.countersSnapshot.peersRefused == 1 }
        #expect(full.transport.countersSnapshot.handshakesFailed == 0)
        #expect(full.happenings.connections(to: one.member) == 1)
        for peer in [full, one, two] { try peer.stop() }
    }

    @Test("a peer that breaks the protocol loses its connection, and that is counted")
    func broken() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let (first, second) = (one.member, two.member)
        try one.run { transport in
            let connection = transport.sessions[second.node]?.connections.first
            connection?.send(.hello(transport.greeting(for: .control)))
        }
        try two.wait("disconnection") { $0.disconnections(of: first) == 1 }
        #expect(two.transport.countersSnapshot.connectionsBroken == 1)
        #expect(one.transport.countersSnapshot.connectionsBroken == 0)
        try one.stop()
        try two.stop()
    }

    @Test("whoever says nothing, or half a handshake, is let go after three seconds")
    func silence() throws {
        let peer = try TestPeer(keys: .test())
        let halfHello: [UInt8] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]
        let beginnings = [
            [], Array("TESS".utf8), Preamble.bytes(.control) + halfHello,
            Preamble.bytes(.data) + halfHello,
        ]
        let sockets = try beginnings.map { bytes in
            let socket = try RawSocket(SOCK_STREAM)
            try socket.connect(to: peer.address)
            socket.send(bytes)
            return socket
        }
        try waitUntil("all are there") { peer.transport.halfOpenCount == beginnings.count }
        try waitUntil("all are gone", seconds: 8) { peer.transport.halfOpenCount == 0 }
        for socket in sockets { #expect(socket.receive().isEmpty) }
        try peer.stop()
    }

    @Test("2000 half-open connections are bounded, and the peer works on when they are gone")
    func flood() throws {
        let keys = try MeshKeys.test()
        let peer = try TestPeer(keys: keys)
        var sockets: [RawSocket] = []
        var most = 0
        for _ in 0..<2_000 {
            let socket = try RawSocket(SOCK_STREAM)
            try socket.connect(to: peer.address)
            sockets.append(socket)
            most = max(most, peer.transport.halfOpenCount)
        }
        try waitUntil("most are refused") {
            peer.transport.countersSnapshot.halfOpenRefused
                >= 2_000 - 2 * TransportLimits.halfOpenPerAddress
        }
        most = max(most, peer.transport.halfOpenCount)
        #expect(most > 0 && most <= TransportLimits.halfOpenPerAddress)
        sockets.removeAll()
        try waitUntil("room again", seconds: 8) { peer.transport.halfOpenCount == 0 }
        let other = try TestPeer(keys: keys)
        try other.join(peer)
        try peer.stop()
        try other.stop()
    }
}
