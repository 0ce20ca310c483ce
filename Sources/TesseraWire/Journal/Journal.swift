package import NIOCore
package import TesseraCore

/// What a journal says, piece by piece.
package enum JournalRecord: Hashable, Sendable {
    /// Who wrote it. First, and nowhere else.
    case header(JournalHeader)
    /// The agent began.
    case start(at: Timestamp)
    /// An event that the core was given.
    case event(Event, at: Timestamp)
    /// What the core asked for after the start or the event before.
    case directives(DirectiveFingerprint)
}

/// What a journal begins with: all that makes an agent what it is.
package struct JournalHeader: Hashable, Sendable {
    /// The version of the agent that wrote it.
    package var release: String
    /// The node and its run.
    package var me: NodeBoot
    /// The name for people.
    package var name: String
    /// Where it listens.
    package var address: Address
    /// How many fragments its engine runs at once.
    package var executionSlots: Int
    /// What seeds every random choice.
    package var seed: UInt64

    /// Notes the settings of an agent of this release.
    ///
    /// The times of the failure detector are not in it: agents run with the start values.
    package init(_ settings: Agent.Settings) {
        release = Version.current
        me = settings.me
        name = settings.name
        address = settings.address
        executionSlots = settings.executionSlots
        seed = settings.seed
    }

    /// The settings that make the same agent again.
    package var settings: Agent.Settings {
        Agent.Settings(
            me: me, name: name, address: address, executionSlots: executionSlots, seed: seed)
    }
}

extension JournalHeader: WireValue {
    /// Protocol version (2 bytes), release, node, name, address, slots (4 bytes), seed (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(Version.wireProtocol)
        writer.write(journalText: release)
        writer.write(me)
        writer.write(journalText: name)
        writer.write(journalAddress: address)
        writer.write(count: executionSlots, "slots", max: WireLimits.threadsMax)
        writer.write(seed)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let version = try reader.read("protocol version", as: UInt16.self)
        guard version == Version.wireProtocol else { throw .unknownVersion(version) }
        release = try reader.readJournalText()
        me = try reader.read()
        name = try reader.readJournalText()
        address = try reader.readJournalAddress()
        executionSlots = try reader.readCount("slots", max: WireLimits.threadsMax)
        seed = try reader.read("seed")
    }
}

/// The bytes of a journal.
///
///     journal = "TSRJ" version(2) { record }
///     record  = kind(1) length(4) checksum(4) content
///     content = header | time(8) | time(8) event | fold(8) count(4)     by kind 0 to 3
///
/// Numbers are big-endian. The checksum is the CRC-32C of kind, length and content. An event stands
/// there before the core has handled it: so the one that ended the process is the last one.
package enum JournalFormat {
    /// The version of this form.
    package static let version: UInt16 = 1
    static let magic = Array("TSRJ".utf8)
    static let frontByteCount = 6
    static let recordHeadByteCount = 9

    /// What a journal begins with.
    package static var front: ByteBuffer {
        var buffer = ByteBuffer(bytes: magic)
        buffer.writeInteger(version)
        return buffer
    }

    /// The bytes of a record; throws if it breaks a limit that a reader would refuse.
    package static func encode(_ record: JournalRecord) throws(WireError) -> ByteBuffer {
        var writer = WireWriter(capacity: 256)
        writer.write(record.kind)
        writer.write(0 as UInt64)
        record.encode(into: &writer)
        var buffer = try writer.finish()
        let length = buffer.readableBytes - recordHeadByteCount
        guard length <= JournalLimits.recordBytesMax else {
            throw .limitExceeded(what: "journal record", max: JournalLimits.recordBytesMax)
        }
        buffer.setInteger(UInt32(length), at: 1)
        let sum = checksum(kind: record.kind, buffer, at: recordHeadByteCount, length: length)
        buffer.setInteger(sum, at: 5)
        return buffer
    }

    static func checksum(
        kind: UInt8, _ buffer: ByteBuffer, at offset: Int, length: Int
    ) -> UInt32 {
        var sum = HeaderChecksum.update(.max, with: UInt64(kind), byteCount: 1)
        sum = HeaderChecksum.update(sum, with: UInt64(length), byteCount: 4)
        buffer.withUnsafeReadableBytes { raw in
            let start = offset - buffer.readerIndex
            for byte in raw[start..<start + length] {
                sum = HeaderChecksum.update(sum, with: UInt64(byte), byteCount: 1)
            }
        }
        return ~sum
    }
}

extension JournalRecord {
    fileprivate var kind: UInt8 {
        switch self {
        case .header: 0
        case .start: 1
        case .event: 2
        case .directives: 3
        }
    }

    fileprivate func encode(into writer: inout WireWriter) {
        switch self {
        case .header(let header):
            writer.write(header)
        case .start(let time):
            writer.write(time.nanoseconds)
        case .event(let event, let time):
            writer.write(time.nanoseconds)
            writer.write(event)
        case .directives(let fingerprint):
            writer.write(fingerprint.value)
            writer.write(count: fingerprint.count, "directives", max: Int(UInt32.max))
        }
    }

    fileprivate init(kind: UInt8, from reader: inout WireReader) throws(WireError) {
        func time() throws(WireError) -> Timestamp {
            Timestamp(nanoseconds: try reader.read("time"))
        }
        switch kind {
        case 0: self = .header(try reader.read())
        case 1: self = .start(at: try time())
        case 2:
            let time = try time()
            self = .event(try reader.read(), at: time)
        case 3:
            self = .directives(
                DirectiveFingerprint(
                    value: try reader.read("fingerprint"),
                    count: try reader.readCount("directives", max: Int(UInt32.max))))
        default: throw .invalidValue(what: "record kind")
        }
        try reader.finish()
    }
}

/// Why bytes are no journal that can be read here.
package enum JournalError: Error, Hashable, Sendable {
    /// They do not begin like one.
    case notAJournal
    /// Another form of journal.
    case otherVersion(UInt16)
    /// A record whose bytes are not what was written, or are none that this build writes.
    case damaged(record: Int, WireError)
}

extension JournalError: CustomStringConvertible {
    /// What is wrong and what to do.
    package var description: String {
        switch self {
        case .notAJournal:
            "it is no journal. `tessera agent --journal FILE` writes one"
        case .otherVersion(let version):
            "it has version \(version) of the form, and this build reads "
                + "\(JournalFormat.version). Replay it with the version that wrote it"
        case .damaged(let record, .unknownVersion(let version)):
            "record \(record) is for protocol version \(version), and this build speaks "
                + "\(Version.wireProtocol). Replay it with the version that wrote it"
        case .damaged(let record, let error):
            "record \(record) cannot be read: \(error)"
        }
    }
}

/// Takes a journal's bytes as they come and gives its records.
package struct JournalReader {
    private var buffer = ByteBuffer()
    private var hasFront = false
    /// Records given so far.
    package private(set) var count = 0

    /// Begins at the front.
    package init() {}

    /// Bytes that are no whole record yet: where the writer was when its process ended.
    package var leftByteCount: Int { buffer.readableBytes }

    /// Goes on with these bytes.
    package mutating func append(_ bytes: ByteBuffer) {
        var bytes = bytes
        buffer.discardReadBytes()
        buffer.writeBuffer(&bytes)
    }

    /// The next record; nil until more bytes are there.
    package mutating func next() throws(JournalError) -> JournalRecord? {
        if !hasFront {
            guard try readFront() else { return nil }
        }
        let start = buffer.readerIndex
        guard let kind = buffer.getInteger(at: start, as: UInt8.self),
            let length = buffer.getInteger(at: start + 1, as: UInt32.self).map({ Int($0) }),
            let sum = buffer.getInteger(at: start + 5, as: UInt32.self)
        else { return nil }
        guard length <= JournalLimits.recordBytesMax else {
            throw .damaged(
                record: count + 1,
                .limitExceeded(what: "journal record", max: JournalLimits.recordBytesMax))
        }
        let head = JournalFormat.recordHeadByteCount
        guard buffer.readableBytes >= head + length,
            let content = buffer.getSlice(at: start + head, length: length)
        else { return nil }
        let real = JournalFormat.checksum(kind: kind, buffer, at: start + head, length: length)
        guard real == sum else { throw .damaged(record: count + 1, .badChecksum) }
        buffer.moveReaderIndex(forwardBy: head + length)
        count += 1
        var reader = WireReader(content)
        do {
            return try JournalRecord(kind: kind, from: &reader)
        } catch {
            throw .damaged(record: count, error)
        }
    }

    private mutating func readFront() throws(JournalError) -> Bool {
        guard buffer.readableBytes >= JournalFormat.frontByteCount else {
            let count = min(buffer.readableBytes, JournalFormat.magic.count)
            guard
                buffer.readableBytesView.prefix(count).elementsEqual(
                    JournalFormat.magic.prefix(count))
            else { throw .notAJournal }
            return false
        }
        guard let magic = buffer.readBytes(length: JournalFormat.magic.count),
            magic == JournalFormat.magic, let version = buffer.readInteger(as: UInt16.self)
        else { throw .notAJournal }
        guard version == JournalFormat.version else { throw .otherVersion(version) }
        hasFront = true
        return true
    }
}
