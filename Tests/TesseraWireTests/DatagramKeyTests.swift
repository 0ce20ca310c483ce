import Crypto
import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

/// Datagrams of a mesh that exchanges its secret.
@Suite struct DatagramKeyTests {
    private let old = SymmetricKey(data: (0..<32).map { UInt8($0) })
    private let new = SymmetricKey(data: (0..<32).map { UInt8(255 - $0) })
    private let alice = NodeBoot(node: NodeID(1, 1, 1, 1), boot: Boot(counter: 1, random: 7))
    private let bob = NodeBoot(node: NodeID(2, 2, 2, 2), boot: Boot(counter: 4, random: 9))

    private func sealer(_ key: SymmetricKey) -> DatagramSealer {
        DatagramSealer(purpose: .membership, key: key, generation: 1, sender: alice)
    }

    private func opener(_ keys: [DatagramOpener.Key]) -> DatagramOpener {
        DatagramOpener(purpose: .membership, keys: keys, generation: 1, receiver: bob)
    }

    private var both: [DatagramOpener.Key] {
        [.init(key: old, tag: "old"), .init(key: new, tag: "new")]
    }

    private func refusal(of datagram: ByteBuffer, by opener: inout DatagramOpener) -> WireError? {
        do {
            _ = try opener.open(datagram)
            return nil
        } catch {
            return error
        }
    }

    @Test("either key of two opens, and it is told which one did")
    func eitherKey() throws {
        var sealer = sealer(old)
        var opener = opener(both)
        for (key, tag) in [(old, "old"), (new, "new"), (new, "new"), (old, "old")] {
            sealer.use(key)
            let datagram = try sealer.seal(ByteBuffer(string: tag), to: bob)
            #expect(try opener.open(datagram).payload == ByteBuffer(string: tag))
            #expect(opener.lastTag == tag)
        }
    }

    @Test("a counter is never used twice under one key, also if the key comes back")
    func counters() throws {
        var sealer = sealer(old)
        var seen: Set<[UInt8]> = []
        for key in [old, new, old, new] {
            sealer.use(key)
            let datagram = try sealer.seal(ByteBuffer(), to: bob)
            let counter = try #require(datagram.getBytes(at: 106, length: 8))
            #expect(seen.insert(counter).inserted)
        }
    }

    @Test("what was seen under one key is a replay under any keys")
    func replays() throws {
        var sealer = sealer(old)
        var opener = opener(both)
        let first = try sealer.seal(ByteBuffer(), to: bob)
        sealer.use(new)
        let second = try sealer.seal(ByteBuffer(), to: bob)
        _ = try opener.open(first)
        _ = try opener.open(second)
        #expect(refusal(of: first, by: &opener) == .replayed)
        opener.use(both.reversed())
        #expect(refusal(of: first, by: &opener) == .replayed)
        #expect(refusal(of: second, by: &opener) == .replayed)
    }

    @Test("a dropped key opens nothing, of known senders neither")
    func dropped() throws {
        var sealer = sealer(old)
        var opener = opener(both)
        _ = try opener.open(try sealer.seal(ByteBuffer(), to: bob))
        opener.use([.init(key: new, tag: "new")])
        let late = try sealer.seal(ByteBuffer(), to: bob)
        #expect(refusal(of: late, by: &opener) == .notAuthentic)
        sealer.use(new)
        _ = try opener.open(try sealer.seal(ByteBuffer(), to: bob))
        #expect(opener.lastTag == "new")
    }
}
