import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

@Suite struct JournalTests {
    private static func header() -> JournalHeader {
        JournalHeader(
            Agent.Settings(
                me: NodeBoot(node: NodeID(1, 2, 3, 4), boot: Boot(counter: 5, random: 6)),
                name: "kitchen", address: Address(host: "10.0.0.7", port: 8_701),
                executionSlots: 3, seed: 99))
    }

    private static func records(seed: UInt64) -> [JournalRecord] {
        let events = RandomEvents.all(seed: seed).enumerated().flatMap {
            index, event -> [JournalRecord] in
            [
                .event(event, at: Timestamp(nanoseconds: Int64(index) * 1_000_003)),
                .directives(DirectiveFingerprint([.disconnect(Self.header().me)])),
            ]
        }
        return [.header(header()), .start(at: Timestamp(nanoseconds: -5))] + events
    }

    private static func bytes(_ records: [JournalRecord]) throws -> ByteBuffer {
        var bytes = JournalFormat.front
        for record in records {
            var one = try JournalFormat.encode(record)
            bytes.writeBuffer(&one)
        }
        return bytes
    }

    private static func read(_ bytes: ByteBuffer) throws -> [JournalRecord] {
        var reader = JournalReader()
        reader.append(bytes)
        var records: [JournalRecord] = []
        while let record = try reader.next() { records.append(record) }
        return records
    }

    @Test("every event comes back as it was written", arguments: UInt64(0)..<10)
    func roundTrip(seed: UInt64) throws {
        let records = Self.records(seed: seed)
        #expect(try Self.read(Self.bytes(records)) == records)
    }

    @Test("bytes may come in pieces of any size, and a cut record is none")
    func pieces() throws {
        let records = Self.records(seed: 3)
        var bytes = try Self.bytes(records)
        var reader = JournalReader()
        var read: [JournalRecord] = []
        var size = 1
        while bytes.readableBytes > 0 {
            let piece = bytes.readSlice(length: min(size, bytes.readableBytes))
            reader.append(try #require(piece))
            size = size * 3 % 257 + 1
            while let record = try reader.next() { read.append(record) }
        }
        #expect(read == records)
        #expect(reader.leftByteCount == 0)
        var more = try JournalFormat.encode(.start(at: .zero))
        let piece = more.readSlice(length: more.readableBytes - 1)
        reader.append(try #require(piece))
        #expect(try reader.next() == nil)
        #expect(reader.leftByteCount > 0)
    }

    @Test("a changed byte is found, wherever it is")
    func corruption() throws {
        let records = Array(Self.records(seed: 5).prefix(40))
        let bytes = try Self.bytes(records)
        for index in 0..<bytes.readableBytes {
            var changed = bytes
            let old = try #require(changed.getInteger(at: index, as: UInt8.self))
            changed.setInteger(old ^ 1 << UInt8(index % 8), at: index)
            do {
                // A length that grew waits for bytes that never come.
                let read = try Self.read(changed)
                if read.count >= records.count { Issue.record("nothing wrong at \(index)") }
            } catch is JournalError {
                // Found.
            }
        }
    }

    @Test("an event with a changed byte, and no checksum before it, is legal or refused")
    func eventCorruption() throws {
        var generator = SampleGenerator(seed: 12)
        for event in RandomEvents.all(seed: 12) {
            let bytes = try event.encodedBytes()
            for index in 0..<bytes.readableBytes {
                var changed = bytes
                let old = try #require(changed.getInteger(at: index, as: UInt8.self))
                changed.setInteger(old ^ UInt8(1 + generator.below(255)), at: index)
                let decoded: Event
                do { decoded = try Event(decodingBytes: changed) } catch { continue }
                if try decoded.encodedBytes() != changed { Issue.record("\(event) at \(index)") }
            }
        }
    }

    @Test("random bytes never do more than throw", arguments: UInt64(0)..<8)
    func garbage(seed: UInt64) {
        var generator = SampleGenerator(seed: seed)
        for tag in UInt8(1)...26 {
            for _ in 0..<200 {
                var bytes = ByteBuffer(bytes: [tag])
                bytes.writeBytes((0..<generator.below(200)).map { _ in UInt8(generator.below(4)) })
                do { _ = try Event(decodingBytes: bytes) } catch {
                    // As it should be.
                }
            }
        }
    }

    @Test("what is no journal, of another form, or for another protocol is told apart")
    func versions() throws {
        func error(_ bytes: [UInt8]) -> JournalError? {
            #expect(throws: JournalError.self) { try Self.read(ByteBuffer(bytes: bytes)) }
        }
        #expect(error(Array("GIF8".utf8)) == .notAJournal)
        #expect(error(Array("TSRK\0\u{1}more".utf8)) == .notAJournal)
        #expect(error(Array("TSRJ\0\u{2}".utf8)) == .otherVersion(2))
        var writer = WireWriter()
        Self.header().encode(into: &writer)
        var bytes = try writer.finish()
        bytes.setInteger(Version.wireProtocol + 1, at: 0)
        #expect(throws: WireError.unknownVersion(Version.wireProtocol + 1)) {
            try JournalHeader(decodingBytes: bytes)
        }
    }

    @Test("an outline whose indices lead nowhere is refused")
    func outlineIndices() throws {
        var generator = SampleGenerator(seed: 1)
        let outline = RandomEvents.outline(&generator)
        func check(_ what: String, _ change: (inout ModelOutline) -> Void) {
            var wrong = outline
            change(&wrong)
            #expect(throws: WireError.invalidValue(what: what)) { try wrong.encodedBytes() }
        }
        check("blob index") { $0.operators[1].blobs = [3] }
        check("tensor index") { $0.operators[0].reads = [0, 3] }
        check("row needs") { $0.operators[0].rowNeeds = [.all] }
        check("consumer") { $0.tensors[0].consumers = [2] }
        check("producer") { $0.tensors[1].producer = 2 }
        check("model input") { $0.inputs = [3] }
        check("model output") { $0.outputs = [9] }
    }

    @Test("directives have one fingerprint in every order but their own")
    func fingerprints() {
        let me = Self.header().me
        let one: [Directive] = [
            .wake(at: .zero), .disconnect(me), .report(.lossDetected(me)),
            .release(PayloadID(number: 4)), .leave,
        ]
        #expect(DirectiveFingerprint(one) == DirectiveFingerprint(one))
        #expect(DirectiveFingerprint(one) != DirectiveFingerprint(one.reversed()))
        #expect(DirectiveFingerprint(one) != DirectiveFingerprint(Array(one.dropLast())))
        #expect(DirectiveFingerprint([]) != DirectiveFingerprint([.leave]))
    }
}
