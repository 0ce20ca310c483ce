package import TesseraCore

extension BallotPlan: WireValue {
    /// Ballot, plan.
    package func encode(into writer: inout WireWriter) {
        writer.write(ballot)
        writer.write(plan)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(ballot: try reader.read(), plan: try reader.read())
    }
}

extension AgreementRefusal: WireValue {
    private enum Tag: UInt8 {
        case promisedHigher = 1
        case notInView
        case holdsDead
        case leased
        case unknownModel
        case invalidPlan
        case worse
    }

    /// A tag (1 byte), then the fields in the order of their declaration.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .promisedHigher(let ballot):
            writer.write(Tag.promisedHigher)
            writer.write(ballot)
        case .notInView:
            writer.write(Tag.notInView)
        case .holdsDead(let member):
            writer.write(Tag.holdsDead)
            writer.write(member)
        case .leased(let until, let ballot):
            writer.write(Tag.leased)
            writer.write(remaining: until)
            writer.write(ballot)
        case .unknownModel:
            writer.write(Tag.unknownModel)
        case .invalidPlan:
            writer.write(Tag.invalidPlan)
        case .worse(let current, let proposed):
            writer.write(Tag.worse)
            writer.write(microseconds: current, "current period")
            writer.write(microseconds: proposed, "proposed period")
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.readChoice("agreement refusal", as: Tag.self) {
        case .promisedHigher: self = .promisedHigher(try reader.read())
        case .notInView: self = .notInView
        case .holdsDead: self = .holdsDead(try reader.read())
        case .leased:
            self = .leased(until: try reader.readRemaining("lease"), by: try reader.read())
        case .unknownModel: self = .unknownModel
        case .invalidPlan: self = .invalidPlan
        case .worse:
            self = .worse(
                currentPeriodMicroseconds: try reader.readMicroseconds("current period"),
                proposedPeriodMicroseconds: try reader.readMicroseconds("proposed period"))
        }
    }
}

extension HostRefusal: WireValue {
    private enum Tag: UInt8 {
        case memory = 1
        case missingBlobs
        case engine
        case otherBoot
        case leaving
        case superseded
        case proposerLost
    }

    /// A tag (1 byte), then the fields in the order of their declaration.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .memory(let needed, let free):
            writer.write(Tag.memory)
            writer.write(byteCount: needed, "needed memory")
            writer.write(byteCount: free, "free memory")
        case .missingBlobs(let count):
            writer.write(Tag.missingBlobs)
            writer.write(count: count, "missing blobs", max: WireLimits.modelPartsMax)
        case .engine(let reason):
            writer.write(Tag.engine)
            writer.write(reason: reason)
        case .otherBoot:
            writer.write(Tag.otherBoot)
        case .leaving:
            writer.write(Tag.leaving)
        case .superseded:
            writer.write(Tag.superseded)
        case .proposerLost:
            writer.write(Tag.proposerLost)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.readChoice("host refusal", as: Tag.self) {
        case .memory:
            self = .memory(
                neededBytes: try reader.readByteCount("needed memory"),
                freeBytes: try reader.readByteCount("free memory"))
        case .missingBlobs:
            self = .missingBlobs(
                count: try reader.readCount("missing blobs", max: WireLimits.modelPartsMax))
        case .engine: self = .engine(try reader.readReason())
        case .otherBoot: self = .otherBoot
        case .leaving: self = .leaving
        case .superseded: self = .superseded
        case .proposerLost: self = .proposerLost
        }
    }
}

extension AgreementMessage: WireValue {
    private enum Tag: UInt8 {
        case prepare = 1
        case promise
        case refuse
        case stage
        case ready
        case cannot
        case accept
        case accepted
        case decided
        case abandon
    }

    /// A tag (1 byte), manifest, ballot, then the other fields in the order of their declaration.
    ///
    /// No node stands twice in a view.
    package func encode(into writer: inout WireWriter) {
        func begin(_ tag: Tag, _ manifest: ManifestID, _ ballot: Ballot) {
            writer.write(tag)
            writer.write(manifest)
            writer.write(ballot)
        }
        switch self {
        case .prepare(let manifest, let ballot, let view):
            begin(.prepare, manifest, ballot)
            writer.write(distinct: view, "view", max: WireLimits.viewMax) { $0 }
        case .promise(let manifest, let ballot, let accepted, let current):
            begin(.promise, manifest, ballot)
            writer.write(accepted)
            writer.write(current)
        case .refuse(let manifest, let ballot, let reason):
            begin(.refuse, manifest, ballot)
            writer.write(reason)
        case .stage(let manifest, let ballot, let bundle):
            begin(.stage, manifest, ballot)
            writer.write(bundle)
        case .ready(let manifest, let ballot, let plan):
            begin(.ready, manifest, ballot)
            writer.write(plan)
        case .cannot(let manifest, let ballot, let plan, let reason):
            begin(.cannot, manifest, ballot)
            writer.write(plan)
            writer.write(reason)
        case .accept(let manifest, let ballot, let bundle, let view):
            begin(.accept, manifest, ballot)
            writer.write(bundle)
            writer.write(distinct: view, "view", max: WireLimits.viewMax) { $0 }
        case .accepted(let manifest, let ballot):
            begin(.accepted, manifest, ballot)
        case .decided(let manifest, let ballot, let bundle, let isFresh):
            begin(.decided, manifest, ballot)
            writer.write(bundle)
            writer.write(isFresh)
        case .abandon(let manifest, let ballot):
            begin(.abandon, manifest, ballot)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let tag = try reader.readChoice("agreement message", as: Tag.self)
        let manifest = try reader.read(ManifestID.self)
        let ballot = try reader.read(Ballot.self)
        switch tag {
        case .prepare:
            self = .prepare(manifest: manifest, ballot: ballot, view: try Self.readView(&reader))
        case .promise:
            self = .promise(
                manifest: manifest, ballot: ballot,
                accepted: try reader.readOptional("accepted plan"),
                current: try reader.readOptional("current plan"))
        case .refuse:
            self = .refuse(manifest: manifest, ballot: ballot, reason: try reader.read())
        case .stage:
            self = .stage(manifest: manifest, ballot: ballot, bundle: try reader.read())
        case .ready:
            self = .ready(manifest: manifest, ballot: ballot, plan: try reader.read())
        case .cannot:
            self = .cannot(
                manifest: manifest, ballot: ballot, plan: try reader.read(),
                reason: try reader.read())
        case .accept:
            self = .accept(
                manifest: manifest, ballot: ballot, bundle: try reader.read(),
                view: try Self.readView(&reader))
        case .accepted:
            self = .accepted(manifest: manifest, ballot: ballot)
        case .decided:
            self = .decided(
                manifest: manifest, ballot: ballot, bundle: try reader.read(),
                isFresh: try reader.readFlag("fresh"))
        case .abandon:
            self = .abandon(manifest: manifest, ballot: ballot)
        }
    }

    private static func readView(
        _ reader: inout WireReader
    ) throws(WireError) -> [NodeBoot] {
        try reader.readDistinct("view", max: WireLimits.viewMax) { $0 }
    }
}
