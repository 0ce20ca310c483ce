public import TesseraCore

extension Rumour: WireValue {
    /// Member, address, status (1 byte), incarnation (8 bytes), optional accuser.
    package func encode(into writer: inout WireWriter) {
        writer.write(member)
        writer.write(address)
        writer.write(status)
        writer.write(counter: incarnation, "incarnation")
        writer.write(accuser)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            member: try reader.read(), address: try reader.read(),
            status: try reader.readChoice("status"),
            incarnation: try reader.readCounter("incarnation"),
            accuser: try reader.readOptional("accuser"))
    }

    /// The size of the encoding.
    var encodedByteCount: Int {
        NodeBoot.encodedByteCount + address.encodedByteCount + 1 + 8 + (accuser == nil ? 1 : 33)
    }
}

extension Address {
    /// The size of the encoding.
    fileprivate var encodedByteCount: Int { 2 + host.utf8.count + 2 }
}

extension MembershipMessage: WireValue {
    private enum Tag: UInt8 {
        case ping = 1
        case pingRequest
        case ack
        case nack
        case sync
        case compare
        case part
    }

    /// A tag (1 byte), then the fields in the order of their declaration.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .ping(let sequence, let rumours):
            writer.write(Tag.ping)
            writer.write(sequence)
            writer.write(list: rumours, "rumours", max: WireLimits.membersMax)
        case .pingRequest(let sequence, let target, let address, let rumours):
            writer.write(Tag.pingRequest)
            writer.write(sequence)
            writer.write(target)
            writer.write(address)
            writer.write(list: rumours, "rumours", max: WireLimits.membersMax)
        case .ack(let sequence, let rumours):
            writer.write(Tag.ack)
            writer.write(sequence)
            writer.write(list: rumours, "rumours", max: WireLimits.membersMax)
        case .nack(let sequence):
            writer.write(Tag.nack)
            writer.write(sequence)
        case .sync(let rumours, let isReply):
            writer.write(Tag.sync)
            writer.write(list: rumours, "rumours", max: WireLimits.membersMax)
            writer.write(isReply)
        case .compare(let folds, let isReply):
            writer.write(Tag.compare)
            writer.write(folds: folds)
            writer.write(isReply)
        case .part:
            writer.write(Tag.part)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.readChoice("membership message", as: Tag.self) {
        case .ping:
            self = .ping(
                sequence: try reader.read("sequence"),
                rumours: try reader.readList("rumours", max: WireLimits.membersMax))
        case .pingRequest:
            self = .pingRequest(
                sequence: try reader.read("sequence"), target: try reader.read(),
                address: try reader.read(),
                rumours: try reader.readList("rumours", max: WireLimits.membersMax))
        case .ack:
            self = .ack(
                sequence: try reader.read("sequence"),
                rumours: try reader.readList("rumours", max: WireLimits.membersMax))
        case .nack:
            self = .nack(sequence: try reader.read("sequence"))
        case .sync:
            self = .sync(
                rumours: try reader.readList("rumours", max: WireLimits.membersMax),
                isReply: try reader.readFlag("reply"))
        case .compare:
            self = .compare(
                folds: try reader.readFolds(), isReply: try reader.readFlag("reply"))
        case .part:
            self = .part
        }
    }

    /// The size of the encoding.
    public var encodedSize: Int {
        let (fixed, rumours): (Int, [Rumour]) =
            switch self {
            case .ping(_, let rumours), .ack(_, let rumours): (1 + 8 + 4, rumours)
            case .pingRequest(_, _, let address, let rumours):
                (1 + 8 + NodeBoot.encodedByteCount + address.encodedByteCount + 4, rumours)
            case .nack: (1 + 8, [])
            case .sync(let rumours, _): (1 + 4 + 1, rumours)
            case .compare(let folds, _): (1 + 4 + 8 * folds.count + 1, [])
            case .part: (1, [])
            }
        return rumours.reduce(fixed) { $0 + $1.encodedByteCount }
    }

    /// The message without the trailing rumours that do not fit into so many bytes, by default
    /// those of a datagram.
    ///
    /// Put the rumours that matter most first.
    public func fitted(
        to bytesMax: Int = SealedDatagram.payloadBytesMax
    ) -> (message: MembershipMessage, droppedRumours: Int) {
        var excess = encodedSize - bytesMax
        var kept = rumours[...]
        while excess > 0, let last = kept.popLast() { excess -= last.encodedByteCount }
        return (replacingRumours(Array(kept)), rumours.count - kept.count)
    }

    private var rumours: [Rumour] {
        switch self {
        case .ping(_, let rumours), .pingRequest(_, _, _, let rumours), .ack(_, let rumours),
            .sync(let rumours, _):
            rumours
        case .nack, .compare, .part: []
        }
    }

    private func replacingRumours(_ rumours: [Rumour]) -> MembershipMessage {
        switch self {
        case .ping(let sequence, _): .ping(sequence: sequence, rumours: rumours)
        case .pingRequest(let sequence, let target, let address, _):
            .pingRequest(sequence: sequence, target: target, address: address, rumours: rumours)
        case .ack(let sequence, _): .ack(sequence: sequence, rumours: rumours)
        case .nack, .compare, .part: self
        case .sync(_, let isReply): .sync(rumours: rumours, isReply: isReply)
        }
    }
}

extension WireWriter {
    /// Folds of a table: count and 8 bytes each.
    mutating func write(folds: [UInt64]) {
        write(count: folds.count, "folds", max: WireLimits.foldsMax)
        for fold in folds { write(fold) }
    }
}

extension WireReader {
    /// Reads folds of a table.
    mutating func readFolds() throws(WireError) -> [UInt64] {
        let count = try readCount("folds", max: WireLimits.foldsMax)
        guard count <= remainingBytes / 8 else { throw .truncated(what: "folds") }
        var folds: [UInt64] = []
        folds.reserveCapacity(count)
        for _ in 0..<count { folds.append(try read("folds")) }
        return folds
    }
}
