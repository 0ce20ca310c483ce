public import NIOCore
public import TesseraCore

extension EngineFingerprint: WireValue {
    /// The text.
    package func encode(into writer: inout WireWriter) {
        writer.write(text: text, "fingerprint", max: WireLimits.fingerprintBytesMax)
    }

    /// Reads the text.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            text: try reader.readText("fingerprint", max: WireLimits.fingerprintBytesMax))
    }
}

extension OperatorRate: WireValue {
    /// Family (1 byte), operations per microsecond (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(family.rawValue)
        writer.write(rate: operationsPerMicrosecond, "operation rate")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        guard let family = OperatorFamily(rawValue: try reader.read("operator family")) else {
            throw .invalidValue(what: "operator family")
        }
        self.init(
            family: family, operationsPerMicrosecond: try reader.readRate("operation rate"))
    }
}

extension HandoverCost: WireValue {
    /// Nanoseconds per slice, picoseconds per byte (8 bytes each).
    package func encode(into writer: inout WireWriter) {
        writer.write(rate: nanosecondsPerSlice, "time per slice")
        writer.write(rate: picosecondsPerByte, "time per byte")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            nanosecondsPerSlice: try reader.readRate("time per slice"),
            picosecondsPerByte: try reader.readRate("time per byte"))
    }
}

/// What of a capability is there; a flag for the handover alone until version 3.
private struct CapabilityParts: OptionSet {
    let rawValue: UInt8

    static let handover = CapabilityParts(rawValue: 1)
    static let power = CapabilityParts(rawValue: 2)
}

extension Capability {
    /// Whether ends that agreed on a version of the protocol tell each other records with a power.
    package static func isPowerKnown(toVersion version: UInt16) -> Bool { version >= 3 }
}

extension Capability: WireValue {
    /// Threads (4 bytes), memory, disk, operations per microsecond (8 bytes each), rates of families
    /// (list, ascending), bytes moved per microsecond (8 bytes), which of handover and power follow
    /// (1 byte), these, fingerprint.
    ///
    /// Without a power the bytes are those of versions 1 and 2. Peers that speak these are not told
    /// records with one: see ``MeshMessage``.
    package func encode(into writer: inout WireWriter) {
        writer.write(count: threads, "threads", max: WireLimits.threadsMax)
        writer.write(byteCount: memoryBytes, "memory")
        writer.write(byteCount: diskBytes, "disk")
        writer.write(rate: operationsPerMicrosecond, "operation rate")
        writer.write(ascending: rates, "operator rates", max: WireLimits.operatorRatesMax) {
            $0.family
        }
        writer.write(rate: movedBytesPerMicrosecond, "memory rate")
        var parts: CapabilityParts = []
        if handover != nil { parts.insert(.handover) }
        if milliwatts != nil { parts.insert(.power) }
        writer.write(parts)
        if let handover { writer.write(handover) }
        if let milliwatts {
            writer.write(count: milliwatts, "power", max: Capability.milliwattsMax)
        }
        writer.write(fingerprint)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            threads: try reader.readCount("threads", max: WireLimits.threadsMax),
            memoryBytes: try reader.readByteCount("memory"),
            diskBytes: try reader.readByteCount("disk"),
            operationsPerMicrosecond: try reader.readRate("operation rate"),
            rates: try reader.readAscending(
                "operator rates", max: WireLimits.operatorRatesMax, by: { $0.family }),
            movedBytesPerMicrosecond: try reader.readRate("memory rate"),
            fingerprint: EngineFingerprint(text: ""))
        let parts = try reader.readChoice("parts of a capability", as: CapabilityParts.self)
        let known: CapabilityParts =
            Self.isPowerKnown(toVersion: reader.version) ? [.handover, .power] : .handover
        guard parts.isSubset(of: known) else {
            throw .invalidValue(what: "parts of a capability")
        }
        if parts.contains(.handover) { handover = try reader.read() }
        if parts.contains(.power) {
            milliwatts = try reader.readCount("power", max: Capability.milliwattsMax)
        }
        fingerprint = try reader.read()
    }
}

extension Holding: WireValue {
    /// Manifest, words of the bit set (list of 8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(manifest)
        writer.write(count: blobs.count, "holding", max: WireLimits.holdingWordsMax)
        for word in blobs { writer.write(word) }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let manifest = try reader.read(ManifestID.self)
        let count = try reader.readCount("holding", max: WireLimits.holdingWordsMax)
        var blobs: [UInt64] = []
        blobs.reserveCapacity(min(count, reader.remainingBytes / 8))
        for _ in 0..<count { blobs.append(try reader.read("holding")) }
        self.init(manifest: manifest, blobs: blobs)
    }
}

extension LinkMeasurement: WireValue {
    /// Peer, bytes per second, round trip in microseconds (8 bytes each).
    package func encode(into writer: inout WireWriter) {
        writer.write(peer)
        writer.write(linkRate: bytesPerSecond)
        writer.write(microseconds: roundTripMicroseconds, "round trip")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            peer: try reader.read(), bytesPerSecond: try reader.readLinkRate(),
            roundTripMicroseconds: try reader.readMicroseconds("round trip"))
    }
}

extension FragmentTime: WireValue {
    /// Fragment key, microseconds (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(key)
        writer.write(microseconds: microseconds, "fragment time")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            key: try reader.read(), microseconds: try reader.readMicroseconds("fragment time"))
    }
}

/// Measured times of one model's fragments: the model is named once.
private struct TimesOfModel: WireValue {
    var times: [FragmentTime]

    var manifest: ManifestID? { times.first?.key.manifest }

    init(_ times: [FragmentTime]) { self.times = times }

    /// Cuts times that ascend by key.
    static func groups(_ times: [FragmentTime]) -> [TimesOfModel] {
        var groups: [TimesOfModel] = []
        for time in times {
            if let last = groups.last, last.manifest == time.key.manifest {
                groups[groups.count - 1].times.append(time)
            } else {
                groups.append(TimesOfModel([time]))
            }
        }
        return groups
    }

    /// Manifest, then a list of operators, optional rows, microseconds (8 bytes).
    func encode(into writer: inout WireWriter) {
        guard let manifest else { return writer.note(.invalidValue(what: "times")) }
        writer.write(manifest)
        writer.write(count: times.count, "times", max: WireLimits.timesMax)
        for time in times {
            writer.write(
                range: time.key.operators, "operators", max: WireLimits.modelPartsMax)
            writer.write(rows: time.key.rows)
            writer.write(microseconds: time.microseconds, "fragment time")
        }
    }

    /// Reads that layout.
    init(from reader: inout WireReader) throws(WireError) {
        let manifest = try reader.read(ManifestID.self)
        let count = try reader.readCount("times", max: WireLimits.timesMax)
        guard count > 0 else { throw .invalidValue(what: "times") }
        guard count <= reader.remainingBytes else { throw .truncated(what: "times") }
        times = []
        for _ in 0..<count {
            let operators = try reader.readRange("operators", max: WireLimits.modelPartsMax)
            let rows = try reader.readRows()
            times.append(
                FragmentTime(
                    key: FragmentKey(manifest: manifest, operators: operators, rows: rows),
                    microseconds: try reader.readMicroseconds("fragment time")))
        }
    }
}

extension PlanStatus: WireValue {
    /// Manifest, optional ballot and ID of the current plan, ready plans (list of IDs, ascending), optional oldest in
    /// use.
    package func encode(into writer: inout WireWriter) {
        writer.write(manifest)
        writer.write(current)
        writer.write(ascending: ready, "ready plans", max: WireLimits.readyPlansMax) { $0 }
        writer.write(oldestInUse)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            manifest: try reader.read(), current: try reader.readOptional("current plan"),
            ready: try reader.readAscending("ready plans", max: WireLimits.readyPlansMax) { $0 },
            oldestInUse: try reader.readOptional("oldest plan"))
    }
}

extension NodeRecord: WireValue {
    /// The fields in the order of their declaration.
    package func encode(into writer: inout WireWriter) {
        writer.write(member)
        writer.write(counter: version, "record version")
        writer.write(text: name, "node name", max: WireLimits.nameBytesMax)
        writer.write(distinct: addresses, "addresses", max: WireLimits.addressesMax) { $0 }
        writer.write(capability)
        writer.write(ascending: holdings, "holdings", max: WireLimits.modelsMax) { $0.manifest }
        writer.write(ascending: plans, "plans", max: WireLimits.modelsMax) { $0.manifest }
        writer.write(ascending: links, "links", max: WireLimits.linksMax) { $0.peer }
        writer.check { () throws(WireError) in
            try WireOrder.requireAscending(times, "times", by: { $0.key })
        }
        if times.count > WireLimits.timesMax {
            writer.note(.limitExceeded(what: "times", max: WireLimits.timesMax))
        }
        writer.write(
            list: TimesOfModel.groups(times), "times", max: WireLimits.modelsMax)
        writer.write(isLeaving)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            member: try reader.read(), version: try reader.readCounter("record version"),
            name: try reader.readText("node name", max: WireLimits.nameBytesMax),
            addresses: try reader.readDistinct(
                "addresses", max: WireLimits.addressesMax, by: { $0 }),
            capability: try reader.readOptional("capability"),
            holdings: try reader.readAscending(
                "holdings", max: WireLimits.modelsMax, by: { $0.manifest }),
            plans: try reader.readAscending(
                "plans", max: WireLimits.modelsMax, by: { $0.manifest }),
            links: try reader.readAscending("links", max: WireLimits.linksMax, by: { $0.peer }),
            times: try Self.readTimes(from: &reader),
            isLeaving: try reader.readFlag("leaving"))
    }

    private static func readTimes(
        from reader: inout WireReader
    ) throws(WireError) -> [FragmentTime] {
        let groups = try reader.readList(
            "times", max: WireLimits.modelsMax, of: TimesOfModel.self)
        // One group for each model: else one record would have two encodings.
        let manifests = groups.compactMap(\.manifest)
        try WireOrder.requireAscending(manifests, "times", by: { $0 })
        let times = groups.flatMap(\.times)
        guard times.count <= WireLimits.timesMax else {
            throw .limitExceeded(what: "times", max: WireLimits.timesMax)
        }
        try WireOrder.requireAscending(times, "times", by: { $0.key })
        return times
    }

    /// What the owner signs: a fixed text, so that no signature made for anything else fits, and
    /// the canonical encoding; throws if the record breaks a limit and could not be sent.
    public func canonicalBytes() throws(WireError) -> ByteBuffer {
        var writer = WireWriter(capacity: 1_024)
        writer.write(raw: Self.signaturePurpose.utf8)
        encode(into: &writer)
        return try writer.finish()
    }

    private static let signaturePurpose = "tessera record 1\0"
}

extension SignedRecord: WireValue {
    /// Record, public key (bytes), signature (bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(record)
        writer.write(bytes: publicKey, "public key", max: WireLimits.keyBytesMax)
        writer.write(bytes: signature, "signature", max: WireLimits.signatureBytesMax)
    }

    /// Reads that layout and checks that the key is the one of the record's node.
    ///
    /// Whether the signature holds is for whoever knows the kind of key: see `signedBytes()`.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            record: try reader.read(),
            publicKey: try reader.readBytes("public key", max: WireLimits.keyBytesMax),
            signature: try reader.readBytes("signature", max: WireLimits.signatureBytesMax))
        let owner = publicKey.withUnsafeBytes { NodeID(sha256Of: $0) }
        guard owner == record.member.node else { throw .keyMismatch }
    }

    /// The bytes that `signature` must sign.
    public func signedBytes() throws(WireError) -> ByteBuffer {
        try record.canonicalBytes()
    }
}

extension CatalogueEntry: WireValue {
    /// Name (text, not empty), optional manifest, version (8 bytes), author, settings.
    package func encode(into writer: inout WireWriter) {
        if name.isEmpty { writer.note(.invalidValue(what: "model name")) }
        writer.write(text: name, "model name", max: WireLimits.nameBytesMax)
        writer.write(manifest)
        writer.write(counter: version, "catalogue version")
        writer.write(author)
        writer.write(settings)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let name = try reader.readText("model name", max: WireLimits.nameBytesMax)
        if name.isEmpty { throw .invalidValue(what: "model name") }
        self.init(
            name: name, manifest: try reader.readOptional("manifest"),
            version: try reader.readCounter("catalogue version"), author: try reader.read(),
            settings: try reader.read())
    }
}
