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

extension MeshMessage: WireValue {
    private enum Tag: UInt8 {
        case digest = 1
        case update
        case unreachable
        case compare
    }

    /// A tag (1 byte), then the fields in the order of their declaration.
    ///
    /// No member and no name stands twice in a list.
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
            writer.write(distinct: records, "records", max: WireLimits.membersMax) {
                $0.record.member
            }
            writer.write(distinct: catalogue, "catalogue", max: WireLimits.catalogueMax) {
                $0.name
            }
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
        case .unreachable:
            self = .unreachable(try reader.read())
        case .compare:
            self = .compare(
                records: try reader.readFolds(), catalogue: try reader.read("catalogue fold"))
        }
    }
}
