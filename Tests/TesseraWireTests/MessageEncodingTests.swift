import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

@Suite struct MessageEncodingTests {
    @Test("every message comes back as it was sent", arguments: UInt64(0)..<40)
    func roundTrip(seed: UInt64) throws {
        for message in RandomMessages.all(seed: seed) {
            let bytes = try message.encoded()
            #expect(try Message(decoding: bytes) == message)
        }
    }

    @Test("bytes that end early are refused at every place")
    func truncation() throws {
        for message in RandomMessages.all(seed: 7) {
            let bytes = try message.encoded()
            for length in 0..<bytes.readableBytes {
                let part = try #require(bytes.getSlice(at: bytes.readerIndex, length: length))
                #expect(throws: WireError.self) { try Message(decoding: part) }
            }
        }
    }

    @Test("bytes after the end are refused")
    func trailingBytes() throws {
        for message in RandomMessages.all(seed: 3) {
            var bytes = try message.encoded()
            bytes.writeInteger(0 as UInt8)
            #expect(throws: WireError.trailingBytes(count: 1)) { try Message(decoding: bytes) }
        }
    }

    @Test("a changed byte is refused, or gives a message whose encoding has that very byte")
    func corruption() throws {
        var generator = SampleGenerator(seed: 99)
        for message in RandomMessages.all(seed: 11) {
            let bytes = try message.encoded()
            for index in 0..<bytes.readableBytes {
                for change in [UInt8(1) << UInt8(index % 8), UInt8(1 + generator.below(255))] {
                    var changed = bytes
                    let old = try #require(changed.getInteger(at: index, as: UInt8.self))
                    changed.setInteger(old ^ change, at: index)
                    let decoded: Message
                    do { decoded = try Message(decoding: changed) } catch { continue }
                    // One encoding for each value: what is accepted is canonical.
                    if try decoded.encoded() != changed { Issue.record("\(message) at \(index)") }
                }
            }
        }
    }

    @Test("random bytes never do more than throw", arguments: UInt64(0)..<8)
    func garbage(seed: UInt64) {
        var generator = SampleGenerator(seed: seed)
        for _ in 0..<2_000 {
            var bytes = ByteBuffer()
            // The first two bytes lead into every kind of message.
            bytes.writeInteger(UInt8(generator.below(6)))
            bytes.writeInteger(UInt8(generator.below(12)))
            for _ in 0..<generator.below(300) {
                let isSmall = generator.flag()
                bytes.writeInteger(UInt8(generator.below(isSmall ? 3 : 256)))
            }
            // Either is right; what counts is that it comes back.
            do { _ = try Message(decoding: bytes) } catch {}
        }
    }

    @Test("a ping has the bytes that the protocol says")
    func goldenPing() throws {
        let member = NodeBoot(
            node: NodeID(0x0102_0304_0506_0708, 0, 0, 0xFF), boot: Boot(counter: 3, random: 0xABCD))
        let message = Message.membership(
            .ping(
                sequence: 0x1122,
                rumours: [
                    Rumour(
                        member: member, address: Address(host: "10.0.0.7", port: 8_701),
                        status: .suspect, incarnation: 5, accuser: NodeID(1, 2, 3, 4))
                ]))
        let expected =
            "01" + "01" + "0000000000001122" + "00000001"
            + "0102030405060708" + "0000000000000000" + "0000000000000000" + "00000000000000ff"
            + "0000000000000003" + "000000000000abcd"
            + "0008" + "31302e302e302e37" + "21fd" + "02" + "0000000000000005"
            + "01" + "0000000000000001" + "0000000000000002" + "0000000000000003"
            + "0000000000000004"
        #expect(hexadecimal(try message.encoded()) == expected)
    }

    @Test("a cancel has the bytes that the protocol says")
    func goldenCancel() throws {
        let entry = NodeBoot(node: NodeID(1, 2, 3, 4), boot: Boot(counter: 5, random: 6))
        let attempt = AttemptID(
            request: RequestID(entry: entry, counter: 7), number: 2, plan: PlanID(8, 9, 10, 11))
        let expected =
            "04" + "08"
            + (1...7).map { "000000000000000\($0)" }.joined()
            + "02" + "0000000000000008" + "0000000000000009" + "000000000000000a"
            + "000000000000000b"
        #expect(hexadecimal(try Message.request(.cancel(attempt: attempt)).encoded()) == expected)
    }

    @Test("the size of a membership message is known without encoding it")
    func membershipSize() throws {
        for seed in UInt64(0)..<20 {
            var generator = SampleGenerator(seed: seed)
            for message in RandomMessages.membership(&generator) {
                #expect(message.encodedSize == (try message.encodedBytes()).readableBytes)
            }
        }
    }

    @Test("a text for people is cut at a character, not refused")
    func longReasons() throws {
        let attempt = AttemptID(
            request: RequestID(
                entry: NodeBoot(node: NodeID(1, 2, 3, 4), boot: Boot(counter: 5, random: 6)),
                counter: 7), number: 1, plan: PlanID(8, 9, 10, 11))
        let reason = String(repeating: "€", count: 1_000)
        let message = Message.request(
            .failed(attempt: attempt, fragment: nil, reason: .engine(reason)))
        let cut = String(repeating: "€", count: WireLimits.reasonBytesMax / 3)
        #expect(
            try Message(decoding: message.encoded())
                == .request(.failed(attempt: attempt, fragment: nil, reason: .engine(cut))))
    }

    @Test("a remaining time is cut to zero and to a day")
    func remainingTime() throws {
        func travelled(_ span: TimeSpan) throws -> TimeSpan {
            var writer = WireWriter()
            writer.write(remaining: span)
            var reader = WireReader(try writer.finish())
            return try reader.readRemaining("span")
        }
        #expect(try travelled(.seconds(-4)) == .zero)
        #expect(try travelled(TimeSpan(nanoseconds: 1_999)) == .microseconds(1))
        #expect(try travelled(TimeSpan(nanoseconds: .max)) == .seconds(86_400))
    }
}

/// The readable bytes as hexadecimal digits.
func hexadecimal(_ buffer: ByteBuffer) -> String {
    buffer.readableBytesView.map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}
