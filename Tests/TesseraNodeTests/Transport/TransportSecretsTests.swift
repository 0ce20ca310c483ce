import NIOCore
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

/// Connections of a mesh that exchanges its secret, and of releases that differ.
@Suite struct TransportSecretsTests {
    private let old = MeshSecret.generate()
    private let new = MeshSecret.generate()

    private func keyring(_ used: MeshSecret, _ other: MeshSecret? = nil) throws -> MeshKeyring {
        try MeshKeyring(MeshSecrets(used, alsoAccepting: other), name: "home")
    }

    private func use(_ keyring: MeshKeyring, at peer: TestPeer) throws {
        try peer.run { try $0.use(keyring) }
    }

    /// Sends a datagram each way, until it is heard.
    private func talk(_ one: TestPeer, _ two: TestPeer, _ sequence: UInt64) throws {
        for (from, to) in [(one, two), (two, one)] {
            let message = MembershipMessage.nack(sequence: sequence)
            let (receiver, address) = (to.member, to.address)
            try from.run { $0.sendDatagram(message, to: receiver, at: address) }
            try to.wait("the datagram \(sequence)") {
                $0.messages.contains(.membership(message))
            }
        }
    }

    /// Sends a slice each way and waits for both.
    private func slices(_ one: TestPeer, _ two: TestPeer) throws {
        for (from, to) in [(one, two), (two, one)] {
            let (header, receiver) = (SliceHeader.test(from.member, 1, byteCount: 4), to.member)
            try from.run { $0.sendSlice(header, ByteBuffer(bytes: [1, 2, 3, 4]), to: receiver) }
            try to.wait("the slice") { $0.slices.contains { $0.header == header } }
        }
    }

    @Test("a session stays through all steps of an exchange, and its datagrams are heard")
    func exchange() throws {
        let one = try TestPeer(keyring: keyring(old))
        let two = try TestPeer(keyring: keyring(old))
        try one.join(two)
        var sequence: UInt64 = 0
        for step in [try keyring(old, new), try keyring(new, old), try keyring(new)] {
            for peer in [one, two] {
                try use(step, at: peer)
                sequence += 1
                try talk(one, two, sequence)
            }
        }
        #expect(one.happenings.disconnections(of: two.member) == 0)
        #expect(two.happenings.disconnections(of: one.member) == 0)
        try one.stop()
        try two.stop()
    }

    @Test("devices that are one step apart connect", arguments: [0, 1, 2])
    func oneStepApart(step: Int) throws {
        let steps = [
            try keyring(old), try keyring(old, new), try keyring(new, old), try keyring(new),
        ]
        let one = try TestPeer(keyring: steps[step])
        let two = try TestPeer(keyring: steps[step + 1])
        try one.join(two)
        try talk(one, two, 1)
        try one.stop()
        try two.stop()
    }

    @Test("who was heard under the dropped secret only is out at once, and is told why")
    func dropped() throws {
        let one = try TestPeer(keyring: keyring(old))
        let thief = try TestPeer(keyring: keyring(old))
        try one.join(thief)
        // With the data connection there, the session ends for no other reason.
        try slices(one, thief)
        try use(keyring(old, new), at: one)
        try use(keyring(new, old), at: one)
        let (used, thiefNode) = (try keyring(new), thief.member.node)
        let tag = used.used.tag
        #expect(try one.run { $0.membersWithout(tag: tag) } == [thiefNode])
        try use(used, at: one)
        try one.wait("the end") { $0.disconnections(of: thief.member) == 1 }
        try thief.wait("the end") { $0.disconnections(of: one.member) == 1 }
        try thief.connect(to: one)
        try thief.wait("refusal") { $0.unreachables.count == 1 }
        try one.wait("refusal") { $0.refusals.count == 1 }
        #expect(thief.happenings.unreachables.first?.contains("exchanged its secret") == true)
        #expect(one.happenings.refusals.first?.contains("secret") == true)
        try one.stop()
        try thief.stop()
    }

    @Test("agents one version apart connect, and speak the older one", arguments: [0, 1])
    func versions(dialler: Int) throws {
        let keyring = try keyring(old)
        let peers = [
            try TestPeer(
                keyring: keyring, versions: #require(WireVersions(minimum: 1, maximum: 1))),
            try TestPeer(
                keyring: keyring, versions: #require(WireVersions(minimum: 1, maximum: 2))),
        ]
        let (one, two) = (peers[dialler], peers[1 - dialler])
        try one.join(two)
        #expect(try sentTrace(one, two) == nil)
        try one.stop()
        try two.stop()
    }

    @Test("agents of one version speak that version")
    func sameVersion() throws {
        let one = try TestPeer(keyring: keyring(old))
        let two = try TestPeer(keyring: keyring(old))
        try one.join(two)
        #expect(try sentTrace(one, two) != nil)
        try one.stop()
        try two.stop()
    }

    /// Sends a slice with a trace, which version 1 does not have, and gives the trace that came.
    private func sentTrace(_ one: TestPeer, _ two: TestPeer) throws -> TraceContext? {
        var slice = SliceHeader.test(one.member, 1, byteCount: 4)
        slice.trace = TraceContext(traceHigh: 1, traceLow: 2, span: 3, isSampled: true)
        let (header, receiver) = (slice, two.member)
        try one.run { $0.sendSlice(header, ByteBuffer(bytes: [1, 2, 3, 4]), to: receiver) }
        try two.wait("the slice") { !$0.slices.isEmpty }
        return two.happenings.slices.first?.header.trace
    }

    @Test("peers tell their release, and how far their clock is ahead", arguments: [0, 1])
    func facts(dialler: Int) throws {
        let keyring = try keyring(old)
        let peers = [
            try TestPeer(keyring: keyring, name: "cellar"),
            try TestPeer(keyring: keyring, name: "kitchen", secondsAhead: 7_200),
        ]
        try peers[dialler].join(peers[1 - dialler])
        for (peer, other, ahead) in [
            (peers[0], "kitchen 1.0", 7_200_000_000), (peers[1], "cellar 1.0", -7_200_000_000),
        ] as [(TestPeer, String, Int64)] {
            // A measured link has a round trip, so an answer came.
            try peer.wait("an answer") { !$0.measurements.isEmpty }
            let facts = try #require(try peer.run { $0.peerFacts }.first)
            #expect(facts.release == other)
            #expect(facts.newestVersion == Version.wireProtocol)
            #expect(facts.agreedVersion == Version.wireProtocol)
            let clock = try #require(facts.clock)
            #expect((clock.microseconds - ahead).magnitude <= clock.uncertaintyMicroseconds)
        }
        try peers.forEach { try $0.stop() }
    }

    @Test("a peer that speaks version 2 tells neither")
    func factsOfOld() throws {
        let keyring = try keyring(old)
        let versions = try #require(WireVersions(minimum: 1, maximum: 2))
        let one = try TestPeer(keyring: keyring)
        let two = try TestPeer(keyring: keyring, versions: versions)
        try one.join(two)
        try one.wait("an answer") { !$0.measurements.isEmpty }
        let facts = try #require(try one.run { $0.peerFacts }.first)
        #expect(facts.release == nil && facts.clock == nil)
        #expect(facts.newestVersion == 2 && facts.agreedVersion == 2)
        try one.stop()
        try two.stop()
    }

    @Test("of some answers the quickest tells the offset of a clock")
    func comparison() {
        var comparison = ClockComparison()
        #expect(comparison.offset == nil)
        for (peer, trip) in [(1_500, 900_000), (1_030, 40_000), (1_900, 1_800_000)] {
            comparison.answered(
                peerMicroseconds: Int64(peer), atMicroseconds: 1_000,
                roundTripNanoseconds: Int64(trip))
        }
        #expect(comparison.offset == ClockOffset(microseconds: 50, uncertaintyMicroseconds: 20))
        for _ in 0..<8 {
            comparison.answered(
                peerMicroseconds: 0, atMicroseconds: -5, roundTripNanoseconds: 60_000)
        }
        #expect(comparison.offset == ClockOffset(microseconds: 30, uncertaintyMicroseconds: 30))
    }

    @Test("agents without a common version say on both sides which one is behind")
    func tooFarApart() throws {
        let keyring = try keyring(old)
        let one = try TestPeer(
            keyring: keyring, name: "cellar",
            versions: #require(WireVersions(minimum: 1, maximum: 2)))
        let two = try TestPeer(
            keyring: keyring, name: "kitchen",
            versions: #require(WireVersions(minimum: 3, maximum: 4)))
        try one.connect(to: two)
        try one.wait("refusal") { $0.unreachables.count == 1 }
        try two.wait("refusal") { $0.refusals.count == 1 }
        let words = "cellar speaks versions 1 to 2 of the protocol, kitchen speaks versions 3 to 4 "
        for said in one.happenings.unreachables + two.happenings.refusals {
            #expect(said.contains(words) && said.contains("update tessera on cellar"))
        }
        try one.stop()
        try two.stop()
    }
}
