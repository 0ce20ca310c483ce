import Foundation
import NIOCore
import Synchronization
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

@Suite("Transport: slices, blobs and datagrams", .serialized)
struct TransportDataTests {
    @Test("slices of every size arrive equal, copied once on arrival and never on sending")
    func slices() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let (first, second) = (one.member, two.member)
        let sizes = [0, 1, 262_143, 262_144, 262_145, 1_000_000, 10 << 20]
        let tensors = sizes.map { ByteBuffer(bytes: patternBytes($0, seed: UInt64($0))) }
        for (index, tensor) in tensors.enumerated() {
            let header = SliceHeader.test(first, UInt64(index), byteCount: tensor.readableBytes)
            try one.run { $0.sendSlice(header, tensor, to: second) }
            try two.run { $0.sendSlice(header, tensor, to: first) }
        }
        for peer in [one, two] {
            try peer.wait("slices") { $0.slices.count == sizes.count }
        }
        for peer in [one, two] {
            for (header, bytes) in peer.happenings.slices {
                let index = Int(header.attempt.request.counter)
                #expect(bytes == tensors[index], "slice of \(sizes[index]) bytes")
            }
            let counters = peer.transport.countersSnapshot
            let total = sizes.reduce(0, +)
            #expect(counters.sliceBytesSent == total && counters.sliceBytesReceived == total)
            #expect(counters.slicesSent == sizes.count)
            #expect(counters.sliceBytesCopiedSending == 0)
            #expect(counters.sliceBytesCopiedReceiving <= total + total / 100)
        }
        try one.wait("measured rate") { happenings in
            happenings.contains {
                if case .linkMeasured(let link) = $0 { link.bytesPerSecond > 0 } else { false }
            }
        }
        try one.stop()
        try two.stop()
    }

    @Test("slices that are sent before the data connection is there arrive all the same")
    func early() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        let second = two.member
        try one.connect(to: two)
        try one.wait("connected") { $0.connections(to: second) == 1 }
        let header = SliceHeader.test(one.member, 1, byteCount: 3)
        try one.run { $0.sendSlice(header, ByteBuffer(bytes: [1, 2, 3]), to: second) }
        try two.wait("slice") { $0.slices.count == 1 }
        try one.stop()
        try two.stop()
    }

    @Test("three peers send one another slices at once")
    func three() throws {
        let keys = try MeshKeys.test()
        let peers = try (0..<3).map { _ in try TestPeer(keys: keys) }
        try peers[0].join(peers[1])
        try peers[1].join(peers[2])
        try peers[2].join(peers[0])
        let tensor = ByteBuffer(bytes: patternBytes(1_500_000))
        for (from, sender) in peers.enumerated() {
            for (to, receiver) in peers.enumerated() where from != to {
                let target = receiver.member
                for number in 0..<8 {
                    let header = SliceHeader.test(
                        sender.member, UInt64(number), byteCount: tensor.readableBytes)
                    try sender.run { $0.sendSlice(header, tensor, to: target) }
                }
            }
        }
        for peer in peers {
            try peer.wait("slices") { $0.slices.count == 16 }
            #expect(peer.happenings.slices.allSatisfy { $0.bytes == tensor })
        }
        for peer in peers { try peer.stop() }
    }

    @Test("a small slice does not wait for a large one, and messages for neither")
    func fairness() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let (first, second) = (one.member, two.member)
        let large = ByteBuffer(repeating: 7, count: 64 << 20)
        let small = ByteBuffer(repeating: 8, count: 1_000)
        try one.run {
            $0.sendSlice(.test(first, 1, byteCount: 64 << 20), large, to: second)
            $0.sendSlice(.test(first, 2, byteCount: 1_000), small, to: second)
            $0.send(numbered(3), to: second)
        }
        try two.wait("both", seconds: 60) { $0.slices.count == 2 }
        #expect(two.happenings.slices.map(\.bytes.readableBytes) == [1_000, 64 << 20])
        let isMessageFirst = two.happenings.contains { happening in
            if case .received = happening { true } else { false }
        }
        #expect(isMessageFirst)
        try one.stop()
        try two.stop()
    }

    @Test("a slice beyond the limit of arriving bytes is refused, and the next one is not")
    func budget() throws {
        let keys = try MeshKeys.test()
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, incomingSliceBytesMax: 1_000_000)
        try one.join(two)
        let (first, second) = (one.member, two.member)
        let big = SliceHeader.test(first, 1, byteCount: 1_000_001)
        let fitting = SliceHeader.test(first, 2, byteCount: 1_000_000)
        try one.run {
            $0.sendSlice(big, ByteBuffer(repeating: 1, count: 1_000_001), to: second)
        }
        try two.wait("refusal") { $0.contains(.sliceRefused(big)) }
        try one.run {
            $0.sendSlice(fitting, ByteBuffer(repeating: 2, count: 1_000_000), to: second)
        }
        try two.wait("slice") { $0.slices.map(\.header) == [fitting] }
        #expect(two.transport.countersSnapshot.slicesRefused == 1)
        try one.stop()
        try two.stop()
    }

    @Test("cancelled slices stop, and what came of them frees its room")
    func cancelling() throws {
        let keys = try MeshKeys.test()
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, incomingSliceBytesMax: 300 << 20)
        try one.join(two)
        let (first, second) = (one.member, two.member)
        let header = SliceHeader.test(first, 1, byteCount: 256 << 20)
        let large = ByteBuffer(repeating: 7, count: 256 << 20)
        try one.run { $0.sendSlice(header, large, to: second) }
        try waitUntil("first bytes") {
            two.transport.countersSnapshot.sliceBytesReceived > 0
        }
        try one.run { $0.cancelSlices(header.attempt) }
        // Fits only if the cancelled one's room is free again.
        let next = SliceHeader.test(first, 2, byteCount: 256 << 20)
        try waitUntil("abort seen") { try two.openSlices == 0 }
        try one.run { $0.sendSlice(next, large, to: second) }
        try two.wait("slice", seconds: 60) { $0.slices.map(\.header) == [next] }
        #expect(two.transport.countersSnapshot.slicesRefused == 0)
        try one.stop()
        try two.stop()
    }

    @Test("tensors go unencrypted only if both sides were told so", arguments: [true, false])
    func plain(isTold: Bool) throws {
        let keys = try MeshKeys.test()
        let one = try TestPeer(keys: keys, dataEncryption: false)
        let two = try TestPeer(keys: keys, dataEncryption: !isTold)
        try one.join(two)
        let (first, second) = (one.member, two.member)
        let tensor = ByteBuffer(bytes: patternBytes(2_000_000))
        let header = SliceHeader.test(first, 1, byteCount: 2_000_000)
        try one.run { $0.sendSlice(header, tensor, to: second) }
        try two.wait("slice") { $0.slices.count == 1 }
        #expect(two.happenings.slices.first?.bytes == tensor)
        let isPlain = try two.run { $0.session(first)?.data.first?.isPlain }
        #expect(isPlain == isTold)
        try one.stop()
        try two.stop()
    }

    // MARK: Blobs

    @Test("a blob is fetched whole, or from where the last fetch ended", arguments: [0, 5_000_000])
    func fetching(offset: Int) throws {
        let keys = try MeshKeys.test()
        let bytes = patternBytes(9_000_001)
        let id = MemorySink.id(of: bytes)
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, blobs: MemoryBlobs(blobs: [id: bytes]))
        try one.join(two)
        let sink = MemorySink(id: id, already: Array(bytes.prefix(offset)))
        let second = two.member
        try one.run {
            $0.fetch(id, isManifest: false, from: second, resumingAt: offset, into: sink)
        }
        try one.wait("fetch") { $0.contains(.fetched(id)) }
        #expect(sink.bytes == bytes)
        #expect(one.transport.countersSnapshot.blobBytesReceived == bytes.count - offset)
        // All is here already: only the check is left.
        try one.run {
            $0.fetch(id, isManifest: false, from: second, resumingAt: bytes.count, into: sink)
        }
        try one.wait("fetch") { $0.count { $0 == .fetched(id) } == 2 }
        try one.stop()
        try two.stop()
    }

    @Test("an empty blob is fetched")
    func emptyBlob() throws {
        let keys = try MeshKeys.test()
        let id = MemorySink.id(of: [])
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, blobs: MemoryBlobs(blobs: [id: []]))
        try one.join(two)
        let second = two.member
        try one.run { $0.fetch(id, isManifest: true, from: second, into: MemorySink(id: id)) }
        try one.wait("fetch") { $0.contains(.fetched(id)) }
        try one.stop()
        try two.stop()
    }

    @Test("a corrupt, a missing and an interrupted blob fail with their reason")
    func failing() throws {
        let keys = try MeshKeys.test()
        let bytes = patternBytes(2_000_000)
        let (corrupt, missing) = (BlobID(1, 2, 3, 4), BlobID(5, 6, 7, 8))
        let endless = BlobID(9, 9, 9, 9)
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(
            keys: keys, blobs: MemoryBlobs(blobs: [corrupt: bytes], endless: endless))
        try one.join(two)
        let second = two.member
        try one.run {
            for id in [corrupt, missing, endless] {
                $0.fetch(id, isManifest: false, from: second, into: MemorySink(id: id))
            }
            $0.fetch(corrupt, isManifest: false, from: $0.member, into: MemorySink(id: corrupt))
        }
        try one.wait("failures") { happenings in
            happenings.contains(.fetchFailed(corrupt, "the peer is not connected"))
                && happenings.contains(.fetchFailed(missing, "the peer cannot send it: missing"))
                && happenings.contains {
                    if case .fetchFailed(corrupt, let reason) = $0 {
                        reason.contains("not accepted")
                    } else {
                        false
                    }
                }
        }
        try two.stop()
        try one.wait("interruption") { happenings in
            happenings.contains { if case .fetchFailed(endless, _) = $0 { true } else { false } }
        }
        try one.stop()
    }

    @Test("a blob of tensors' size does not keep slices waiting")
    func priority() throws {
        let keys = try MeshKeys.test()
        let endless = BlobID(9, 9, 9, 9)
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, blobs: MemoryBlobs(blobs: [:], endless: endless))
        try one.join(two)
        let (first, second) = (one.member, two.member)
        try one.run {
            $0.fetch(endless, isManifest: false, from: second, into: DroppingSink())
        }
        try waitUntil("blob under way") {
            one.transport.countersSnapshot.blobBytesReceived > 10 << 20
        }
        let tensor = ByteBuffer(repeating: 3, count: 32 << 20)
        let before = one.transport.countersSnapshot.blobBytesReceived
        try two.run { $0.sendSlice(.test(second, 1, byteCount: 32 << 20), tensor, to: first) }
        try one.wait("slice", seconds: 60) { $0.slices.count == 1 }
        let during = one.transport.countersSnapshot.blobBytesReceived - before
        // An eighth, and what was on its way already.
        #expect(during < 32 << 20)
        try one.stop()
        try two.stop()
    }

    // MARK: Datagrams

    @Test("datagrams are heard of runs with a handshake, once each, and of nobody else")
    func datagrams() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        let stranger = try TestPeer(keys: keys)
        try one.join(two)
        let (second, target) = (two.member, two.address)
        let relay = try Relay(to: target)
        let through = relay.address
        try one.run {
            $0.sendDatagram(.ping(sequence: 1, rumours: []), to: second, at: through)
        }
        // The relay sends what it got twice: the second is a replay.
        try relay.forwardTwice()
        try two.wait("datagram") {
            $0.messages == [.membership(.ping(sequence: 1, rumours: []))]
        }
        try waitUntil("replay refused") { two.transport.countersSnapshot.datagramsDropped == 1 }
        try stranger.run { $0.sendDatagram(.nack(sequence: 2), to: second, at: target) }
        try waitUntil("stranger unheard") {
            two.transport.countersSnapshot.datagramsDropped == 2
        }
        try relay.send(patternBytes(300))
        try relay.send(patternBytes(3_000))
        try waitUntil("garbage dropped") { two.transport.countersSnapshot.datagramsDropped == 4 }
        // Datagrams outlive the connection: a cut network is not a dead member.
        try one.run { $0.disconnect(second) }
        try two.wait("disconnection") { $0.disconnections(of: one.member) == 1 }
        try one.run { $0.sendDatagram(.nack(sequence: 3), to: second, at: target) }
        try two.wait("datagram") { $0.messages.last == .membership(.nack(sequence: 3)) }
        #expect(two.happenings.messages.count == 2)
        for peer in [one, two, stranger] { try peer.stop() }
    }
}

extension TestPeer {
    /// Slices that have begun to arrive and are not complete.
    var openSlices: Int {
        get throws {
            let connections = try run { $0.sessions.values.flatMap(\.data) }
            return try connections.reduce(0) { sum, connection in
                try sum + connection.loop.submit { connection.incoming.count }.wait()
            }
        }
    }
}
