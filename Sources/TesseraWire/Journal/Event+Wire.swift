package import TesseraCore

extension PlanningResult: WireValue {
    /// 0, bundle and who is left out (list), or 1 and the reason.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .bundle(let bundle, let leftOut):
            writer.write(0 as UInt8)
            writer.write(bundle)
            writer.write(list: leftOut, "nodes left out", max: WireLimits.membersMax)
        case .impossible(let reason):
            writer.write(1 as UInt8)
            writer.write(journalText: reason)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read("planning result", as: UInt8.self) {
        case 0:
            self = .bundle(
                try reader.read(),
                leftOut: try reader.readList("nodes left out", max: WireLimits.membersMax))
        case 1: self = .impossible(reason: try reader.readJournalText())
        default: throw .invalidValue(what: "planning result")
        }
    }
}

extension LeftOut: WireValue {
    /// Node, reason.
    package func encode(into writer: inout WireWriter) {
        writer.write(node)
        writer.write(journalText: reason)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(node: try reader.read(), reason: try reader.readJournalText())
    }
}

extension Payload: WireValue {
    /// Number, bytes (8 bytes each).
    package func encode(into writer: inout WireWriter) {
        writer.write(id.number)
        writer.write(byteCount: byteCount, "payload")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            id: PayloadID(number: try reader.read("payload")),
            byteCount: try reader.readByteCount("payload"))
    }
}

extension CrashMark: WireValue {
    /// Member, whether it was a signal (1 byte) and which (1 byte, else 0), fragment, whether it ran
    /// for a request (1 byte) and for which.
    package func encode(into writer: inout WireWriter) {
        writer.write(member)
        writer.write(signal != nil)
        writer.write(UInt8(clamping: signal ?? 0))
        switch work {
        case .compiling(let key):
            writer.write(key)
            writer.write(false)
        case .running(let key, let request):
            writer.write(key)
            writer.write(true)
            writer.write(request)
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let member: NodeBoot = try reader.read()
        let isSignal = try reader.readFlag("signal")
        let signal: UInt8 = try reader.read("signal")
        if !isSignal, signal != 0 { throw .invalidValue(what: "signal") }
        let key: FragmentKey = try reader.read()
        let isRunning = try reader.readFlag("crash mark")
        self.init(
            member: member, work: isRunning ? .running(key, try reader.read()) : .compiling(key),
            signal: isSignal ? Int(signal) : nil)
    }
}

extension Event: WireValue {
    private enum Tag: UInt8 {
        case woke = 1
        case discovered
        case connected
        case disconnected
        case unreachable
        case received
        case signed
        case linkMeasured
        case catalogueRestored
        case manifestStored
        case blobStored
        case fetchFailed
        case blobLost
        case modelAdded
        case modelRemoved
        case capabilityMeasured
        case compiled
        case compileLacks
        case compileFailed
        case executed
        case executionFailed
        case planned
        case submitted
        case abandoned
        case sliceArrived
        case leaveRequested
        case crashesFound
        case digested
        case unpacks
        case sliceSent
        case codecsMeasured
        case judged
        case filled
    }

    /// A tag (1 byte), then the fields in the order of their declaration.
    ///
    /// Events are written to journals only.
    package func encode(into writer: inout WireWriter) {
        switch self {
        case .woke: writer.write(Tag.woke)
        case .discovered, .connected, .disconnected, .unreachable, .received, .signed,
            .linkMeasured, .unpacks, .sliceSent:
            encodePeerEvent(into: &writer)
        case .catalogueRestored, .manifestStored, .blobStored, .fetchFailed, .blobLost,
            .modelAdded, .modelRemoved:
            encodeModelEvent(into: &writer)
        case .capabilityMeasured, .codecsMeasured, .compiled, .compileLacks, .compileFailed,
            .executed, .executionFailed, .planned:
            encodeEngineEvent(into: &writer)
        case .submitted, .abandoned, .sliceArrived, .digested, .judged, .filled:
            encodeRequestEvent(into: &writer)
        case .leaveRequested: writer.write(Tag.leaveRequested)
        case .crashesFound(let marks):
            writer.write(Tag.crashesFound)
            writer.write(list: marks, "crash marks", max: JournalLimits.partsMax)
        }
    }

    private func encodePeerEvent(into writer: inout WireWriter) {
        switch self {
        case .discovered(let address):
            writer.write(Tag.discovered)
            writer.write(journalAddress: address)
        case .connected(let peer, let address):
            writer.write(Tag.connected)
            writer.write(peer)
            writer.write(journalAddress: address)
        case .disconnected(let peer):
            writer.write(Tag.disconnected)
            writer.write(peer)
        case .unreachable(let address):
            writer.write(Tag.unreachable)
            writer.write(journalAddress: address)
        case .received(let message, let sender):
            writer.write(Tag.received)
            writer.write(message)
            writer.write(sender)
        case .signed(let record):
            writer.write(Tag.signed)
            writer.write(record)
        case .linkMeasured(let link):
            writer.write(Tag.linkMeasured)
            writer.write(link)
        case .unpacks(let peer):
            writer.write(Tag.unpacks)
            writer.write(peer)
        case .sliceSent(let slice):
            writer.write(Tag.sliceSent)
            writer.write(slice)
        default: break
        }
    }

    private func encodeModelEvent(into writer: inout WireWriter) {
        switch self {
        case .catalogueRestored(let entries):
            writer.write(Tag.catalogueRestored)
            writer.write(list: entries, "catalogue", max: WireLimits.catalogueMax)
        case .manifestStored(let outline, let blobs):
            writer.write(Tag.manifestStored)
            writer.write(outline)
            writer.write(indices: blobs, "blob index")
        case .blobStored(let blob):
            writer.write(Tag.blobStored)
            writer.write(blob)
        case .fetchFailed(let blob, let source, let reason):
            writer.write(Tag.fetchFailed)
            writer.write(blob)
            writer.write(source)
            writer.write(journalText: reason)
        case .blobLost(let blob):
            writer.write(Tag.blobLost)
            writer.write(blob)
        case .modelAdded(let name, let manifest, let settings):
            writer.write(Tag.modelAdded)
            writer.write(journalText: name)
            writer.write(manifest)
            writer.write(settings)
        case .modelRemoved(let name):
            writer.write(Tag.modelRemoved)
            writer.write(journalText: name)
        default: break
        }
    }

    private func encodeEngineEvent(into writer: inout WireWriter) {
        switch self {
        case .capabilityMeasured(let capability):
            writer.write(Tag.capabilityMeasured)
            writer.write(capability)
        case .codecsMeasured(let speeds):
            writer.write(Tag.codecsMeasured)
            writer.write(list: speeds, "codec speeds", max: Codec.allCases.count)
        case .compiled(let key, let memoryBytes):
            writer.write(Tag.compiled)
            writer.write(key)
            writer.write(byteCount: memoryBytes, "compiled memory")
        case .compileLacks(let key, let blob):
            writer.write(Tag.compileLacks)
            writer.write(key)
            writer.write(blob)
        case .compileFailed(let key, let reason):
            writer.write(Tag.compileFailed)
            writer.write(key)
            writer.write(journalText: reason)
        case .executed(let attempt, let fragment, let outputs, let microseconds):
            writer.write(Tag.executed)
            writer.write(attempt)
            writer.write(count: fragment, "fragment index", max: WireLimits.fragmentsMax)
            writer.write(list: outputs, "payloads", max: JournalLimits.partsMax)
            writer.write(microseconds)
        case .executionFailed(let attempt, let fragment, let reason):
            writer.write(Tag.executionFailed)
            writer.write(attempt)
            writer.write(count: fragment, "fragment index", max: WireLimits.fragmentsMax)
            writer.write(journalText: reason)
        case .planned(let token, let result):
            writer.write(Tag.planned)
            writer.write(token)
            writer.write(result)
        default: break
        }
    }

    private func encodeRequestEvent(into writer: inout WireWriter) {
        switch self {
        case .submitted(let client, let manifest, let inputs, let deadline, let wish, _):
            writer.write(Tag.submitted)
            writer.write(client.number)
            writer.write(manifest)
            writer.write(list: inputs, "payloads", max: JournalLimits.partsMax)
            writer.write(deadline.nanoseconds)
            switch wish {
            case .usual: writer.write(0 as UInt8)
            case .none: writer.write(1 as UInt8)
            case .threshold(let threshold):
                writer.write(2 as UInt8)
                writer.write(count: threshold, "threshold", max: ModelExit.unit)
            }
        case .abandoned(let client):
            writer.write(Tag.abandoned)
            writer.write(client.number)
        case .sliceArrived(let header, let payload, let sender):
            writer.write(Tag.sliceArrived)
            writer.write(header)
            writer.write(leftOut: header.leftOut)
            writer.write(payload)
            writer.write(sender)
        case .judged(let attempt, let exit, let confidence):
            writer.write(Tag.judged)
            writer.write(attempt)
            writer.write(count: exit, "exit", max: ModelExit.countMax)
            writer.write(count: confidence, "confidence", max: ModelExit.unit)
        case .filled(let attempt, let route, let payload):
            writer.write(Tag.filled)
            writer.write(attempt)
            writer.write(count: route, "route index", max: WireLimits.routesMax - 1)
            writer.write(payload)
        case .digested(let client, let digest):
            writer.write(Tag.digested)
            writer.write(client.number)
            writer.write(digest)
        default: break
        }
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let tag = try reader.readChoice("event", as: Tag.self)
        switch tag {
        case .woke: self = .woke
        case .discovered, .connected, .disconnected, .unreachable, .received, .signed,
            .linkMeasured, .unpacks, .sliceSent:
            self = try Self.readPeerEvent(tag, &reader)
        case .catalogueRestored, .manifestStored, .blobStored, .fetchFailed, .blobLost,
            .modelAdded, .modelRemoved:
            self = try Self.readModelEvent(tag, &reader)
        case .capabilityMeasured, .codecsMeasured, .compiled, .compileLacks, .compileFailed,
            .executed, .executionFailed, .planned:
            self = try Self.readEngineEvent(tag, &reader)
        case .submitted, .abandoned, .sliceArrived, .digested, .judged, .filled:
            self = try Self.readRequestEvent(tag, &reader)
        case .leaveRequested: self = .leaveRequested
        case .crashesFound:
            self = .crashesFound(
                try reader.readList("crash marks", max: JournalLimits.partsMax))
        }
    }

    private static func readPeerEvent(
        _ tag: Tag, _ reader: inout WireReader
    ) throws(WireError) -> Event {
        switch tag {
        case .discovered: .discovered(try reader.readJournalAddress())
        case .connected:
            .connected(try reader.read(), address: try reader.readJournalAddress())
        case .disconnected: .disconnected(try reader.read())
        case .unreachable: .unreachable(try reader.readJournalAddress())
        case .received: .received(try reader.read(), from: try reader.read())
        case .signed: .signed(try reader.read())
        case .unpacks: .unpacks(try reader.read())
        case .sliceSent: .sliceSent(try reader.read())
        default: .linkMeasured(try reader.read())
        }
    }

    private static func readModelEvent(
        _ tag: Tag, _ reader: inout WireReader
    ) throws(WireError) -> Event {
        switch tag {
        case .catalogueRestored:
            .catalogueRestored(
                try reader.readList("catalogue", max: WireLimits.catalogueMax))
        case .manifestStored:
            .manifestStored(try reader.read(), blobs: try reader.readIndices("blob index"))
        case .blobStored: .blobStored(try reader.read())
        case .fetchFailed:
            .fetchFailed(
                try reader.read(), from: try reader.read(), reason: try reader.readJournalText())
        case .blobLost: .blobLost(try reader.read())
        case .modelAdded:
            .modelAdded(
                name: try reader.readJournalText(), manifest: try reader.read(),
                settings: try reader.read())
        default: .modelRemoved(name: try reader.readJournalText())
        }
    }

    private static func readEngineEvent(
        _ tag: Tag, _ reader: inout WireReader
    ) throws(WireError) -> Event {
        func fragment() throws(WireError) -> Int {
            try reader.readCount("fragment index", max: WireLimits.fragmentsMax)
        }
        switch tag {
        case .capabilityMeasured: return .capabilityMeasured(try reader.read())
        case .codecsMeasured:
            return .codecsMeasured(
                try reader.readList("codec speeds", max: Codec.allCases.count))
        case .compiled:
            return .compiled(
                try reader.read(), memoryBytes: try reader.readByteCount("compiled memory"))
        case .compileLacks: return .compileLacks(try reader.read(), try reader.read())
        case .compileFailed:
            return .compileFailed(try reader.read(), reason: try reader.readJournalText())
        case .executed:
            return .executed(
                attempt: try reader.read(), fragment: try fragment(),
                outputs: try reader.readList("payloads", max: JournalLimits.partsMax),
                microseconds: try reader.read("run time"))
        case .executionFailed:
            return .executionFailed(
                attempt: try reader.read(), fragment: try fragment(),
                reason: try reader.readJournalText())
        default: return .planned(token: try reader.read("token"), try reader.read())
        }
    }

    private static func readWish(_ reader: inout WireReader) throws(WireError) -> ExitWish {
        switch try reader.read("exits", as: UInt8.self) {
        case 0: return .usual
        case 1: return .none
        case 2: return .threshold(try reader.readCount("threshold", max: ModelExit.unit))
        default: throw .invalidValue(what: "exits")
        }
    }

    private static func readSlice(_ reader: inout WireReader) throws(WireError) -> Event {
        var header: SliceHeader = try reader.read()
        header.leftOut = try reader.readLeftOut()
        return .sliceArrived(header, try reader.read(), from: try reader.read())
    }

    private static func readRequestEvent(
        _ tag: Tag, _ reader: inout WireReader
    ) throws(WireError) -> Event {
        switch tag {
        case .submitted:
            .submitted(
                client: ClientID(number: try reader.read("client")), manifest: try reader.read(),
                inputs: try reader.readList("payloads", max: JournalLimits.partsMax),
                deadline: TimeSpan(nanoseconds: try reader.read("deadline")),
                exits: try readWish(&reader))
        case .abandoned: .abandoned(ClientID(number: try reader.read("client")))
        case .judged:
            .judged(
                attempt: try reader.read(),
                exit: try reader.readCount("exit", max: ModelExit.countMax),
                confidence: try reader.readCount("confidence", max: ModelExit.unit))
        case .digested:
            .digested(ClientID(number: try reader.read("client")), try reader.read())
        case .filled:
            .filled(
                attempt: try reader.read(),
                route: try reader.readCount("route index", max: WireLimits.routesMax - 1),
                try reader.read())
        default: try readSlice(&reader)
        }
    }
}

extension WireWriter {
    /// Any text that an event may carry.
    mutating func write(journalText text: String) {
        write(text: text, "text", max: JournalLimits.textBytesMax)
    }

    /// An address as it is, whether or not it could be told to a peer.
    mutating func write(journalAddress address: Address) {
        write(journalText: address.host)
        write(address.port)
    }
}

extension WireReader {
    /// Reads a text of an event.
    mutating func readJournalText() throws(WireError) -> String {
        try readText("text", max: JournalLimits.textBytesMax)
    }

    /// Reads an address of an event.
    mutating func readJournalAddress() throws(WireError) -> Address {
        Address(host: try readJournalText(), port: try read("port"))
    }
}
