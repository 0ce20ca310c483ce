import Crypto
import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

@Suite struct DatagramTests {
    private let key = SymmetricKey(data: (0..<32).map { UInt8($0) })
    private let alice = NodeBoot(node: NodeID(1, 1, 1, 1), boot: Boot(counter: 1, random: 7))
    private let bob = NodeBoot(node: NodeID(2, 2, 2, 2), boot: Boot(counter: 4, random: 9))

    private func sealer(
        _ purpose: SealedDatagram.Purpose = .membership, key: SymmetricKey? = nil,
        generation: UInt32 = 1, sender: NodeBoot? = nil
    ) -> DatagramSealer {
        DatagramSealer(
            purpose: purpose, key: key ?? self.key, generation: generation,
            sender: sender ?? alice)
    }

    private func opener(
        _ purpose: SealedDatagram.Purpose = .membership, receiver: NodeBoot? = nil
    ) -> DatagramOpener {
        DatagramOpener(
            purpose: purpose, key: key, generation: 1, receiver: receiver ?? bob)
    }

    private func expectRefused(
        _ datagram: ByteBuffer, _ expected: WireError, by opener: inout DatagramOpener,
        location: SourceLocation = #_sourceLocation
    ) {
        do {
            _ = try opener.open(datagram)
            Issue.record("the datagram was opened", sourceLocation: location)
        } catch {
            #expect(error == expected, sourceLocation: location)
        }
    }

    @Test("a sealed message is opened once")
    func roundTrip() throws {
        var sealer = sealer()
        var opener = opener()
        var generator = SampleGenerator(seed: 1)
        for message in RandomMessages.membership(&generator).dropLast(3) {
            let (datagram, droppedRumours) = try sealer.seal(message, to: bob)
            #expect(droppedRumours == 0)
            let opened = try opener.openMessage(datagram)
            #expect(opened.message == message)
            #expect(opened.sender == alice)
            expectRefused(datagram, .replayed, by: &opener)
        }
        #expect(opener.senderCount == 1)
    }

    @Test("a sync is no datagram")
    func sync() throws {
        var sealer = sealer()
        do {
            _ = try sealer.seal(.sync(rumours: [], isReply: false), to: bob)
            Issue.record("a sync was sealed")
        } catch {
            #expect(error == .unexpectedFrame("sync in a datagram"))
        }
        let payload = try MembershipMessage.sync(rumours: [], isReply: false).encodedBytes()
        let datagram = try sealer.seal(payload, to: bob)
        var opener = opener()
        do {
            _ = try opener.openMessage(datagram)
            Issue.record("a sync was opened")
        } catch {
            #expect(error == .unexpectedFrame("sync in a datagram"))
        }
    }

    @Test("every changed byte is found, and leaves nothing behind")
    func corruption() throws {
        var sealer = sealer()
        var opener = opener()
        let datagram = try sealer.seal(ByteBuffer(string: "hello"), to: bob)
        for index in 0..<datagram.readableBytes {
            var changed = datagram
            let old = try #require(changed.getInteger(at: index, as: UInt8.self))
            changed.setInteger(old ^ 0x10, at: index)
            do {
                _ = try opener.open(changed)
                Issue.record("byte \(index) was changed and the datagram was opened")
            } catch {}  // Refused, as it has to be.
        }
        for length in 0..<datagram.readableBytes {
            do {
                _ = try opener.open(#require(datagram.getSlice(at: 0, length: length)))
                Issue.record("\(length) bytes were opened")
            } catch {}  // Refused, as it has to be.
        }
        #expect(opener.senderCount == 0)
        #expect(try opener.open(datagram).payload == ByteBuffer(string: "hello"))
    }

    @Test("another mesh, purpose, generation, receiver or run cannot be opened")
    func strangers() throws {
        let payload = ByteBuffer(string: "hello")
        var opener = opener()

        var otherMesh = sealer(key: SymmetricKey(size: .bits256))
        expectRefused(try otherMesh.seal(payload, to: bob), .notAuthentic, by: &opener)
        var otherPurpose = sealer(.beacon)
        expectRefused(try otherPurpose.seal(payload, to: bob), .otherPurpose, by: &opener)
        var otherGeneration = sealer(generation: 2)
        expectRefused(
            try otherGeneration.seal(payload, to: bob), .otherGeneration(2), by: &opener)
        var sealer = sealer()
        expectRefused(try sealer.seal(payload, to: alice), .otherReceiver, by: &opener)
        expectRefused(try sealer.seal(payload, to: nil), .otherReceiver, by: &opener)
        let restarted = NodeBoot(node: bob.node, boot: Boot(counter: 5, random: 1))
        expectRefused(try sealer.seal(payload, to: restarted), .otherReceiver, by: &opener)
        var own = self.sealer(sender: bob)
        expectRefused(try own.seal(payload, to: bob), .ownDatagram, by: &opener)
        #expect(opener.senderCount == 0)
    }

    @Test("each run of a sender has its own key and its own counters")
    func runs() throws {
        let second = NodeBoot(node: alice.node, boot: Boot(counter: 2, random: 8))
        var first = sealer()
        var later = sealer(sender: second)
        var opener = opener()
        let payload = ByteBuffer(string: "same")
        let one = try first.seal(payload, to: bob)
        let two = try later.seal(payload, to: bob)
        #expect(one.readableBytesView.suffix(20) != two.readableBytesView.suffix(20))
        #expect(try opener.open(one).sender == alice)
        #expect(try opener.open(two).sender == second)
        #expect(opener.senderCount == 2)
    }

    @Test("a beacon is for everybody and says who sent it")
    func beacons() throws {
        var sealer = sealer(.beacon)
        var opener = opener(.beacon)
        let beacon = Beacon(member: alice, listenPort: 8_701)
        #expect(try opener.openBeacon(try sealer.seal(beacon)) == beacon)
        let lie = try sealer.seal(Beacon(member: bob, listenPort: 8_701))
        do {
            _ = try opener.openBeacon(lie)
            Issue.record("a beacon of another node was opened")
        } catch {
            #expect(error == .invalidValue(what: "beacon member"))
        }
        let direct = try sealer.seal(beacon.encodedBytes(), to: bob)
        expectRefused(direct, .otherReceiver, by: &opener)
    }

    @Test("rumours that do not fit into a datagram are left out from the end")
    func fitting() throws {
        let rumours = (0..<40).map { index in
            Rumour(
                member: NodeBoot(node: NodeID(0, 0, 0, UInt64(index)), boot: alice.boot),
                address: Address(host: "192.168.1.1", port: 8_701), status: .alive,
                incarnation: 1, accuser: index % 3 == 0 ? alice.node : nil)
        }
        var sealer = sealer()
        var opener = opener()
        let (datagram, droppedRumours) = try sealer.seal(
            .ping(sequence: 1, rumours: rumours), to: bob)
        #expect(datagram.readableBytes <= WireLimits.datagramBytesMax)
        let kept = rumours.dropLast(droppedRumours)
        let opened = try opener.openMessage(datagram)
        #expect(opened.message == .ping(sequence: 1, rumours: Array(kept)))
        // Not one more would have fitted.
        let more = MembershipMessage.ping(
            sequence: 1, rumours: Array(rumours.prefix(kept.count + 1)))
        #expect(more.encodedSize > SealedDatagram.payloadBytesMax)
        #expect(kept.count > 10)
    }

    @Test("what is too large for a datagram is refused on both ends")
    func size() throws {
        var sealer = sealer()
        var opener = opener()
        let most = ByteBuffer(repeating: 1, count: SealedDatagram.payloadBytesMax)
        let datagram = try sealer.seal(most, to: bob)
        #expect(datagram.readableBytes == WireLimits.datagramBytesMax)
        #expect(try opener.open(datagram).payload == most)
        do {
            var more = most
            more.writeInteger(1 as UInt8)
            _ = try sealer.seal(more, to: bob)
            Issue.record("a payload above the limit was sealed")
        } catch {
            #expect(
                error
                    == .limitExceeded(
                        what: "datagram payload", max: SealedDatagram.payloadBytesMax))
        }
        expectRefused(
            ByteBuffer(repeating: 0, count: 1_401), .limitExceeded(what: "datagram", max: 1_400),
            by: &opener)
    }

    @Test("never more than a fixed number of senders is remembered")
    func senders() throws {
        var opener = opener()
        for index in 0..<(DatagramOpener.sendersMax + 10) {
            let sender = NodeBoot(
                node: NodeID(9, 9, 9, UInt64(index)), boot: Boot(counter: 1, random: 1))
            var sealer = sealer(sender: sender)
            _ = try opener.open(try sealer.seal(ByteBuffer(), to: bob))
        }
        #expect(opener.senderCount == DatagramOpener.sendersMax)
    }

    @Test("a datagram has the bytes that the protocol says")
    func golden() throws {
        var sealer = sealer()
        let datagram = try sealer.seal(ByteBuffer(string: "hello"), to: bob)
        let expected =
            "5444" + "0001" + "01" + "00" + "00000001"
            + String(repeating: "0000000000000001", count: 4)
            + "0000000000000001" + "0000000000000007"
            + String(repeating: "0000000000000002", count: 4)
            + "0000000000000004" + "0000000000000009" + "0000000000000001"
        #expect(hexadecimal(datagram) == expected + "e2c5d69bed2827e24f2da10a2c9cee8c56ce1bf6c1")
    }
}

@Suite struct ReplayWindowTests {
    /// The obvious way: remember everything.
    private struct Model {
        var seen: Set<UInt64> = []
        var newest: UInt64 = 0

        func isNew(_ counter: UInt64) -> Bool {
            counter > 0 && !seen.contains(counter)
                && (counter > newest || newest - counter < ReplayWindow.counterCount)
        }
    }

    @Test("the window decides like a list of everything seen", arguments: UInt64(0)..<20)
    func model(seed: UInt64) {
        var generator = SampleGenerator(seed: seed)
        var window = ReplayWindow()
        var model = Model()
        for _ in 0..<3_000 {
            let step = [1, 3, 70, 1_100, 5_000][generator.below(5)]
            let back = generator.below(1_200)
            let counter =
                generator.flag()
                ? model.newest + UInt64(generator.below(step))
                : model.newest - min(model.newest, UInt64(back))
            let isNew = window.isNew(counter)
            #expect(isNew == model.isNew(counter))
            if isNew {
                window.insert(counter)
                model.seen.insert(counter)
                model.newest = max(model.newest, counter)
            }
        }
    }

    @Test("the ends of the range of counters")
    func ends() {
        var window = ReplayWindow()
        #expect(!window.isNew(0))
        #expect(window.isNew(.max))
        window.insert(.max)
        #expect(!window.isNew(.max))
        #expect(window.isNew(.max - 1))
        #expect(window.isNew(.max - 1_023))
        #expect(!window.isNew(.max - 1_024))
    }
}
