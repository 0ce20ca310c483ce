import Foundation
import NIOCore
import TesseraCodec
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

@Suite("Transport: packed slices", .serialized)
struct TransportCodecTests {
    /// Zeros and small numbers: packs well, also as codes of 8 bits.
    private static func tensor(_ count: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        for index in 0..<count {
            let value = index % 3 == 0 ? 0 : Float(index % 251) / 250
            buffer.writeInteger(value.bitPattern, endianness: .little)
        }
        return buffer
    }

    private static func header(_ member: NodeBoot, _ number: UInt64, _ count: Int) -> SliceHeader {
        var header = SliceHeader.test(member, number, byteCount: count * 4)
        header.type = .float32
        header.shape = [1, 4, count / 4]
        return header
    }

    @Test("slices packed by every codec arrive as its packing and unpacking makes them")
    func everyCodec() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let second = two.member
        try one.wait("unpacks") { $0.contains(.peerUnpacks(second)) }
        let count = 200_000
        let tensor = Self.tensor(count)
        for codec in Codec.allCases {
            let header = Self.header(one.member, UInt64(codec.rawValue), count)
            try one.run { $0.sendSlice(header, tensor, codec: codec, to: second) }
        }
        try two.wait("slices") { $0.slices.count == Codec.allCases.count }
        for (header, bytes) in two.happenings.slices {
            let codec = try #require(Codec(rawValue: UInt8(header.attempt.request.counter)))
            var expected = tensor
            if let packed = TensorCodec.pack(
                tensor, type: .float32, shape: header.shape, by: codec)
            {
                expected = try TensorCodec.unpack(
                    packed, type: .float32, shape: header.shape, by: codec)
            }
            #expect(bytes == expected, "\(codec)")
        }
        try one.wait("notes") { $0.sent.count == Codec.allCases.count }
        for note in one.happenings.sent {
            #expect(note.byteCount == count * 4)
            #expect((note.sentByteCount < note.byteCount) == (note.codec != .none))
        }
        let (packed, unpacked) = (
            one.transport.countersSnapshot.packed, two.transport.countersSnapshot.unpacked
        )
        for codec in Codec.allCases where codec != .none {
            #expect(packed[codec].slices == 1 && unpacked[codec].slices == 1)
            #expect(packed[codec].packedBytes == unpacked[codec].packedBytes)
            #expect(packed[codec].plainBytes == count * 4)
        }
        #expect(unpacked[.int8].packedBytes == count + 20)
        try one.stop()
        try two.stop()
    }

    @Test("a peer of the version before gets slices as they are")
    func olderPeer() throws {
        let keyring = MeshKeyring(try MeshKeys.test())
        let old = try #require(WireVersions(minimum: 1, maximum: 2))
        let (one, two) = (
            try TestPeer(keyring: keyring), try TestPeer(keyring: keyring, versions: old)
        )
        try one.join(two)
        let second = two.member
        let tensor = Self.tensor(10_000)
        let header = Self.header(one.member, 1, 10_000)
        try one.run { $0.sendSlice(header, tensor, codec: .int8, to: second) }
        try two.wait("slice") { $0.slices.count == 1 }
        #expect(two.happenings.slices[0].bytes == tensor)
        #expect(!one.happenings.contains(.peerUnpacks(second)))
        #expect(one.happenings.sent.isEmpty)
        try one.stop()
        try two.stop()
    }

    @Test("packed bytes that are none are told, give their budget back, and end nothing else")
    func corrupt() throws {
        let keys = try MeshKeys.test()
        let one = try TestPeer(keys: keys)
        let two = try TestPeer(keys: keys, incomingSliceBytesMax: 100_000)
        try one.join(two)
        let second = two.member
        try one.wait("unpacks") { $0.contains(.peerUnpacks(second)) }
        // Twice 60 kB would not fit: each must have given back what it took.
        for number in 0..<3 {
            let header = Self.header(one.member, UInt64(number), 15_000)
            try one.run { transport in
                var slice = OutgoingSlice(
                    header: header, bytes: ByteBuffer(repeating: 7, count: 1_000))
                slice.codec = .lossless
                transport.session(second)?.data.first?.send([slice])
            }
            try two.wait("told") { happenings in
                happenings.count { if case .sliceCorrupt = $0 { true } else { false } }
                    == number + 1
            }
        }
        let tensor = Self.tensor(10_000)
        let header = Self.header(one.member, 9, 10_000)
        try one.run { $0.sendSlice(header, tensor, codec: .lossless, to: second) }
        try two.wait("slice") { $0.slices.count == 1 }
        #expect(two.happenings.slices[0].bytes == tensor)
        #expect(two.transport.countersSnapshot.slicesCorrupt == 3)
        try one.stop()
        try two.stop()
    }

    @Test("a slice whose attempt is given up while it is packed does not go")
    func cancelled() throws {
        let keys = try MeshKeys.test()
        let (one, two) = (try TestPeer(keys: keys), try TestPeer(keys: keys))
        try one.join(two)
        let second = two.member
        try one.wait("unpacks") { $0.contains(.peerUnpacks(second)) }
        let tensor = Self.tensor(100_000)
        let (first, next) = (
            Self.header(one.member, 1, 100_000), Self.header(one.member, 2, 100_000)
        )
        try one.run { transport in
            transport.sendSlice(first, tensor, codec: .lossless, to: second)
            transport.cancelSlices(first.attempt)
            transport.sendSlice(next, tensor, codec: .lossless, to: second)
        }
        try two.wait("slice") { $0.slices.count == 1 }
        #expect(two.happenings.slices[0].header.attempt == next.attempt)
        try one.wait("both told") { $0.sent.count == 2 }
        try one.stop()
        try two.stop()
    }
}
