import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

/// What breaks a rule is refused by the writer, and by the reader if a stranger's writer let it
/// pass.
@Suite struct LimitTests {
    private let member = NodeBoot(node: NodeID(1, 2, 3, 4), boot: Boot(counter: 1, random: 2))

    /// Expects both ends to refuse the value with the same error.
    private func expectRefused<Value: WireValue>(
        _ value: Value, _ error: WireError, location: SourceLocation = #_sourceLocation
    ) {
        #expect(throws: error, sourceLocation: location) { try value.encodedBytes() }
        var writer = WireWriter()
        value.encode(into: &writer)
        let bytes = writer.buffer
        #expect(throws: error, sourceLocation: location) { try Value(decodingBytes: bytes) }
    }

    private func plan(_ change: (inout Plan) -> Void = { _ in }) -> Plan {
        var plan = Plan(
            manifest: ManifestID(1, 1, 1, 1), ballot: Ballot(round: 1, proposer: member),
            stages: [Stage(operators: 0..<4, mode: .single, fragments: 0..<1)],
            fragments: [Fragment(host: member, operators: 0..<4)],
            routes: [
                Route(tensor: 0, source: .entry, destination: .fragment(0)),
                Route(tensor: 1, source: .fragment(0), destination: .entry),
            ], window: 2, predictedPeriodMicroseconds: 10, predictedLatencyMicroseconds: 20)
        change(&plan)
        return plan
    }

    @Test("a plan whose indices point nowhere is refused")
    func planIndices() throws {
        _ = try plan().encodedBytes()
        expectRefused(plan { $0.stages = [] }, .invalidValue(what: "stages"))
        expectRefused(
            plan { $0.stages[0].fragments = 0..<2 }, .invalidValue(what: "stage fragments"))
        expectRefused(
            plan { $0.stages[0].fragments = 0..<0 }, .invalidValue(what: "stage fragments"))
        expectRefused(
            plan { $0.fragments[0].operators = 3..<3 }, .invalidValue(what: "fragment operators"))
        expectRefused(
            plan { $0.routes[0].destination = .fragment(1) }, .invalidValue(what: "route"))
        expectRefused(plan { $0.routes[0].destination = .entry }, .invalidValue(what: "route"))
        expectRefused(plan { $0.routes[1] = $0.routes[0] }, .duplicate(what: "routes"))
        expectRefused(plan { $0.window = 0 }, .invalidValue(what: "window"))
    }

    @Test("a plan with more than its share is refused")
    func planLimits() {
        expectRefused(
            plan { $0.window = 5_000 },
            .limitExceeded(what: "window", max: WireLimits.windowMax))
        expectRefused(
            plan {
                $0.fragments = Array(repeating: $0.fragments[0], count: 1_025)
            }, .limitExceeded(what: "fragments", max: WireLimits.fragmentsMax))
        expectRefused(
            plan { $0.predictedPeriodMicroseconds = .max },
            .limitExceeded(what: "predicted period", max: Int(WireLimits.microsecondsMax)))
        expectRefused(
            plan { $0.predictedPeriodMicroseconds = -1 },
            .invalidValue(what: "predicted period"))
    }

    @Test("alternates name the node that they do without, each once and in order")
    func alternates() {
        let other = NodeBoot(node: NodeID(9, 2, 3, 4), boot: Boot(counter: 1, random: 2))
        let first = PlanNaming.name(plan { $0.without = member })
        let second = PlanNaming.name(plan { $0.without = other })
        let primary = PlanNaming.name(plan())
        #expect(throws: Never.self) {
            try PlanBundle(primary: primary, alternates: [first, second]).encodedBytes()
        }
        expectRefused(
            PlanBundle(primary: primary, alternates: [second, first]),
            .notAscending(what: "alternates"))
        expectRefused(
            PlanBundle(primary: primary, alternates: [first, first]),
            .notAscending(what: "alternates"))
        expectRefused(
            PlanBundle(primary: primary, alternates: [primary]),
            .invalidValue(what: "alternate"))
    }

    @Test("lists without doubles are refused with one")
    func doubles() {
        expectRefused(
            AgreementMessage.prepare(
                manifest: ManifestID(1, 1, 1, 1), ballot: Ballot(round: 1, proposer: member),
                view: [member, member]), .duplicate(what: "view"))
        expectRefused(
            RequestMessage.tickets(plan: PlanID(1, 1, 1, 1), numbers: [4, 5, 4]),
            .duplicate(what: "tickets"))
        let entry = CatalogueEntry(name: "m", manifest: nil, version: 1, author: member.node)
        expectRefused(
            MeshMessage.update(records: [], catalogue: [entry, entry]),
            .duplicate(what: "catalogue"))
        expectRefused(
            MeshMessage.digest(
                records: [
                    RecordVersion(member: member, version: 1),
                    RecordVersion(member: member, version: 2),
                ], catalogue: [], isReply: false), .duplicate(what: "digest"))
    }

    @Test("lists that ascend are refused in another order")
    func order() {
        var generator = SampleGenerator(seed: 1)
        var record = generator.record(of: member.node)
        record.links = [5, 3].map {
            LinkMeasurement(
                peer: NodeID(0, 0, 0, $0), bytesPerSecond: 1, roundTripMicroseconds: 1)
        }
        expectRefused(record, .notAscending(what: "links"))
        record.links = []
        record.holdings = Array(
            repeating: Holding(manifest: ManifestID(1, 1, 1, 1), blobs: []), count: 2)
        expectRefused(record, .notAscending(what: "holdings"))
        expectRefused(
            DigestScope(count: 16, ranges: [3, 2], hasCatalogue: true),
            .notAscending(what: "ranges"))
        expectRefused(
            DigestScope(count: 16, ranges: [16], hasCatalogue: true),
            .limitExceeded(what: "range", max: 15))
        record.holdings = []
        record.times = [6, 2].map {
            FragmentTime(
                key: FragmentKey(manifest: ManifestID(1, 1, 1, 1), operators: 0..<$0),
                microseconds: 1)
        }
        expectRefused(record, .notAscending(what: "times"))
    }

    @Test("numbers that the core adds to are bounded")
    func counters() {
        let max = Int(WireLimits.counterMax)
        expectRefused(
            Ballot(round: .max, proposer: member), .limitExceeded(what: "round", max: max))
        expectRefused(
            RecordVersion(member: member, version: .max),
            .limitExceeded(what: "record version", max: max))
        expectRefused(
            LinkMeasurement(peer: member.node, bytesPerSecond: .max, roundTripMicroseconds: 0),
            .limitExceeded(what: "link rate", max: Int(WireLimits.linkRateMax)))
        expectRefused(
            HostRefusal.memory(neededBytes: .max, freeBytes: 0),
            .limitExceeded(what: "needed memory", max: WireLimits.byteCountMax))
        expectRefused(
            HostRefusal.memory(neededBytes: .min, freeBytes: 0),
            .invalidValue(what: "needed memory"))
    }

    @Test("addresses and names must be usable")
    func addresses() {
        expectRefused(Address(host: "", port: 1), .invalidValue(what: "address"))
        expectRefused(Address(host: "10.0.0.1", port: 0), .invalidValue(what: "address"))
        expectRefused(Address(host: "a b", port: 1), .invalidValue(what: "address"))
        expectRefused(
            Address(host: String(repeating: "1", count: 65), port: 1),
            .limitExceeded(what: "host", max: WireLimits.hostBytesMax))
        expectRefused(
            CatalogueEntry(name: "", manifest: nil, version: 1, author: member.node),
            .invalidValue(what: "model name"))
    }

    @Test("text that is not UTF-8 is refused")
    func text() {
        for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
            var writer = WireWriter()
            writer.write(bytes: bytes, "bytes", max: 9)
            let buffer = writer.buffer
            #expect(throws: WireError.invalidValue(what: "text")) {
                var reader = WireReader(buffer)
                _ = try reader.readText("text", max: 9)
            }
        }
    }

    @Test("the shape of a slice never overflows")
    func shapes() {
        var generator = SampleGenerator(seed: 2)
        var header = generator.sliceHeader()
        header.shape = [1 << 20, 1 << 20, 1 << 20, 1 << 20]
        let limit = WireError.limitExceeded(what: "slice bytes", max: WireLimits.sliceBytesMax)
        expectRefused(header, limit)
        header.shape = [Int(UInt32.max), Int(UInt32.max)]
        expectRefused(header, limit)
        header.shape = Array(repeating: 1, count: 17)
        expectRefused(header, .limitExceeded(what: "rank", max: WireLimits.rankMax))
        header.shape = [-1]
        #expect(throws: WireError.invalidValue(what: "extent")) { try header.encodedBytes() }
        header.shape = []
        #expect(throws: Never.self) { try header.encodedBytes() }
    }

    @Test("a count never makes the reader allocate what the bytes do not hold")
    func counts() {
        var writer = WireWriter()
        writer.write(1 as UInt8)
        writer.write(5 as UInt8)
        writer.write(UInt32.max)
        let many = writer.buffer
        #expect(throws: WireError.limitExceeded(what: "rumours", max: WireLimits.membersMax)) {
            try Message(decoding: many)
        }
        writer = WireWriter()
        writer.write(1 as UInt8)
        writer.write(5 as UInt8)
        writer.write(UInt32(4_096))
        let few = writer.buffer
        #expect(throws: WireError.truncated(what: "rumours")) { try Message(decoding: few) }
    }

    @Test("an attempt is numbered from one")
    func attempts() {
        let request = RequestID(entry: member, counter: 1)
        expectRefused(
            AttemptID(request: request, number: 0, plan: PlanID(1, 1, 1, 1)),
            .invalidValue(what: "attempt number"))
    }
}
