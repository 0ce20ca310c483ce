import Crypto
import NIOCore
import TesseraCore

@testable import TesseraNode
@testable import TesseraWire

/// What agents send each other, and the journal, which has the same encoding.
enum WireParsers {
    // MARK: Frames

    /// First byte: which end reads (bit 0), and the size of the pieces in which the rest arrives.
    static func frames(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let stream = Array(bytes.dropFirst())
        let side: FrameDecoder.Side = first & 1 == 0 ? .listener : .dialer
        _ = decoded(stream, side: side, piece: stream.count)
        let repaired = withChecksums(stream)
        let whole = decoded(repaired, side: side, piece: repaired.count)
        let pieces = decoded(repaired, side: side, piece: 1 + Int(first >> 1))
        require(whole.frames.joined == pieces.frames.joined, "frames differ by their pieces")
        require(whole.hasFailed == pieces.hasFailed, "an error depends on the pieces")
        guard let version = whole.version else { return }
        var buffer = ByteBuffer()
        let encoder = FrameEncoder(version: version)
        for frame in whole.frames where attempt({ try encoder.write(frame, into: &buffer) }) == nil
        {
            fatalError("fuzz: a frame that was read cannot be written: \(frame)")
        }
        let again = decoded(Array(buffer.readableBytesView), side: side, piece: .max)
        require(again.frames.joined == whole.frames.joined, "frames do not survive")
    }

    private struct Conversation {
        var frames: [Frame] = []
        var hasFailed = false
        var version: UInt16?
    }

    private static func decoded(
        _ bytes: [UInt8], side: FrameDecoder.Side, piece: Int
    ) -> Conversation {
        var result = Conversation()
        var decoder = FrameDecoder(side: side)
        var buffer = ByteBuffer()
        var rest = bytes[...]
        do {
            while !rest.isEmpty {
                buffer.writeBytes(rest.prefix(max(1, piece)))
                rest = rest.dropFirst(max(1, piece))
                while let frame = try decoder.decode(buffer: &buffer) {
                    result.frames.append(frame)
                }
            }
        } catch {
            result.hasFailed = true
        }
        result.version = decoder.agreedVersion
        return result
    }

    /// Chance does not find a checksum: each frame gets the right one, from its header's length on to
    /// the next.
    private static func withChecksums(_ bytes: [UInt8]) -> [UInt8] {
        var buffer = ByteBuffer(bytes: bytes)
        var index = 0
        while let first = buffer.getInteger(at: index, as: UInt64.self),
            let second = buffer.getInteger(at: index + 8, as: UInt64.self),
            index + FrameHeader.byteCount <= bytes.count
        {
            buffer.setInteger(HeaderChecksum.of(first, second), at: index + 16)
            index += FrameHeader.byteCount + Int(second & 0xFFFF_FFFF)
        }
        return Array(buffer.readableBytesView)
    }

    // MARK: Messages

    /// First byte: which type.
    static func gossip(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let rest = ByteBuffer(bytes: bytes.dropFirst())
        switch first % 9 {
        case 0: survives(Message.self, rest)
        case 1: survives(MembershipMessage.self, rest)
        case 2: survives(MeshMessage.self, rest)
        case 3: survives(AgreementMessage.self, rest)
        case 4: survives(RequestMessage.self, rest)
        case 5: survives(SignedRecord.self, rest)
        case 6: survives(NodeRecord.self, rest)
        case 7: survives(PlanBundle.self, rest)
        default: survives(CatalogueEntry.self, rest)
        }
    }

    private static func survives<Value: WireValue>(_ type: Value.Type, _ bytes: ByteBuffer) {
        guard let value = attempt({ try Value(decodingBytes: bytes) }) else { return }
        let written = attempt { try value.encodedBytes() }
        require(written == bytes, "\(type) does not give the bytes that it was read from")
    }

    // MARK: Datagrams

    /// As it came from the network, and as a member with the key could have sealed it.
    static func datagrams(_ bytes: [UInt8]) {
        let me = NodeBoot(node: NodeID(2, 2, 2, 2), boot: Boot(counter: 4, random: 9))
        let other = NodeBoot(node: NodeID(1, 1, 1, 1), boot: Boot(counter: 1, random: 7))
        let key = SymmetricKey(data: [UInt8](repeating: 7, count: 32))
        let buffer = ByteBuffer(bytes: bytes)
        for purpose in SealedDatagram.Purpose.allCases {
            var opener = DatagramOpener(purpose: purpose, key: key, generation: 1, receiver: me)
            _ = attempt { try opener.open(buffer) }
            var sealer = DatagramSealer(purpose: purpose, key: key, generation: 1, sender: other)
            let receiver = purpose == .beacon ? nil : me
            guard let sealed = attempt({ try sealer.seal(buffer, to: receiver) }) else { continue }
            if purpose == .beacon {
                _ = attempt { try opener.openBeacon(sealed) }
            } else {
                _ = attempt { try opener.openMessage(sealed) }
            }
        }
        survives(Beacon.self, buffer)
        _ = Preamble.purpose(bytes)
        if let text = attempt({ try ServiceText(parsing: bytes) }) {
            let again = attempt { try ServiceText(parsing: text.encoded) }
            // A longer tag than any mesh has is cut where it is written.
            require(again?.node == text.node && again?.boot == text.boot, "a TXT record is lost")
        }
    }

    // MARK: Journal

    /// As it is, and with right checksums.
    static func journal(_ bytes: [UInt8]) {
        _ = records(bytes)
        let records = records(withSums(bytes))
        for record in records {
            guard let written = attempt({ try JournalFormat.encode(record) }) else {
                fatalError("fuzz: a journal's record cannot be written: \(record)")
            }
            let file =
                Array(JournalFormat.front.readableBytesView) + Array(written.readableBytesView)
            require(self.records(file) == [record], "a journal's record does not survive")
        }
    }

    private static func records(_ bytes: [UInt8]) -> [JournalRecord] {
        var reader = JournalReader()
        var result: [JournalRecord] = []
        reader.append(ByteBuffer(bytes: bytes))
        while let record = attempt({ try reader.next() }) ?? nil { result.append(record) }
        return result
    }

    private static func withSums(_ bytes: [UInt8]) -> [UInt8] {
        var buffer = ByteBuffer(bytes: bytes)
        var index = JournalFormat.frontByteCount
        while let kind = buffer.getInteger(at: index, as: UInt8.self),
            let length = buffer.getInteger(at: index + 1, as: UInt32.self).map({ Int($0) }),
            index + JournalFormat.recordHeadByteCount + length <= bytes.count
        {
            let start = index + JournalFormat.recordHeadByteCount
            let sum = JournalFormat.checksum(kind: kind, buffer, at: start, length: length)
            buffer.setInteger(sum, at: index + 5)
            index = start + length
        }
        return Array(buffer.readableBytesView)
    }
}
