package import TesseraCore

extension RecordVersion: WireValue {
    /// Member, version (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(member)
        writer.write(counter: version, "record version")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(member: try reader.read(), version: try reader.readCounter("record version"))
    }
}

extension DigestScope: WireValue {
    /// Count (4 bytes), ranges (list of 4 bytes, ascending, below the count), catalogue (flag).
    package func encode(into writer: inout WireWriter) {
        writer.write(count: count, "folds", max: WireLimits.foldsMax)
        writer.check { () throws(WireError) in
            try WireOrder.requireAscending(ranges, "ranges", by: { $0 })
        }
        writer.write(count: ranges.count, "ranges", max: count)
        for range in ranges { writer.write(count: range, "range", max: max(count - 1, 0)) }
        writer.write(hasCatalogue)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let count = try reader.readCount("folds", max: WireLimits.foldsMax)
        let length = try reader.readCount("ranges", max: count)
        var ranges: [Int] = []
        for _ in 0..<length {
            ranges.append(try reader.readCount("range", max: max(count - 1, 0)))
        }
        try WireOrder.requireAscending(ranges, "ranges", by: { $0 })
        self.init(
            count: count, ranges: ranges, hasCatalogue: try reader.readFlag("catalogue"))
    }
}

extension MeshMessage: WireValue {
    private enum Tag: UInt8 {
        case digest = 1
        case update
        case unreachable
        case compare
        case difference
    }

    /// A tag (1 byte), then the fields in the order of their declaration.
    ///
    /// No member and no name stands twice in a list. Towards version 1 or 2 records with a power are
    /// left out: such a peer would refuse them, and without it their signature would be wrong.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .digest(let records, let catalogue, let isReply):
            writer.write(Tag.digest)
            writer.write(distinct: records, "digest", max: WireLimits.membersMax) { $0.member }
            writer.write(distinct: catalogue, "catalogue", max: WireLimits.catalogueMax) {
                $0.name
            }
            writer.write(isReply)
        case .update(let records, let catalogue):
            writer.write(Tag.update)
            let told =
                Capability.isPowerKnown(toVersion: writer.version)
                ? records : records.filter { $0.record.capability?.milliwatts == nil }
            writer.write(distinct: told, "records", max: WireLimits.membersMax) {
                $0.record.member
            }
            writer.write(distinct: catalogue, "catalogue", max: WireLimits.catalogueMax) {
                $0.name
            }
        case .difference(let scope, let records, let catalogue, let isReply):
            writer.write(Tag.difference)
            writer.write(scope)
            writer.write(distinct: records, "digest", max: WireLimits.membersMax) { $0.member }
            writer.write(distinct: catalogue, "catalogue", max: WireLimits.catalogueMax) {
                $0.name
            }
            writer.write(isReply)
        case .unreachable(let member):
            writer.write(Tag.unreachable)
            writer.write(member)
        case .compare(let records, let catalogue):
            writer.write(Tag.compare)
            writer.write(folds: records)
            writer.write(catalogue)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.readChoice("mesh message", as: Tag.self) {
        case .digest:
            self = .digest(
                records: try reader.readDistinct(
                    "digest", max: WireLimits.membersMax, by: { $0.member }),
                catalogue: try reader.readDistinct(
                    "catalogue", max: WireLimits.catalogueMax, by: { $0.name }),
                isReply: try reader.readFlag("reply"))
        case .update:
            self = .update(
                records: try reader.readDistinct(
                    "records", max: WireLimits.membersMax, by: { $0.record.member }),
                catalogue: try reader.readDistinct(
                    "catalogue", max: WireLimits.catalogueMax, by: { $0.name }))
        case .difference:
            self = .difference(
                scope: try reader.read(),
                records: try reader.readDistinct(
                    "digest", max: WireLimits.membersMax, by: { $0.member }),
                catalogue: try reader.readDistinct(
                    "catalogue", max: WireLimits.catalogueMax, by: { $0.name }),
                isReply: try reader.readFlag("reply"))
        case .unreachable:
            self = .unreachable(try reader.read())
        case .compare:
            self = .compare(
                records: try reader.readFolds(), catalogue: try reader.read("catalogue fold"))
        }
    }
}
