import Crypto
import TesseraCore

@testable import TesseraWire

/// Makes random values that are legal on the wire; the same seed gives the same ones (splitmix64).
struct SampleGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func flag() -> Bool { next() & 1 == 1 }

    /// Small numbers and numbers near the limit, both often.
    mutating func number(max: Int) -> Int {
        switch below(3) {
        case 0: below(min(max, 4) + 1)
        case 1: max - below(min(max, 4) + 1)
        default: below(max) + 1
        }
    }

    mutating func list<Value>(
        _ max: Int, least: Int = 0, _ make: (inout Self) -> Value
    ) -> [Value] {
        (0..<(least + below(max - least + 1))).map { _ in make(&self) }
    }

    mutating func optional<Value>(_ make: (inout Self) -> Value) -> Value? {
        flag() ? make(&self) : nil
    }

    mutating func choice<Choice: CaseIterable>(
        _ type: Choice.Type = Choice.self
    ) -> Choice where Choice.AllCases.Index == Int {
        Choice.allCases[below(Choice.allCases.count)]
    }

    mutating func text(_ charactersMax: Int) -> String {
        let alphabet = Array("abcxyz019 -_./äß€漢🙂")
        return String(list(charactersMax) { alphabet[$0.below(alphabet.count)] })
    }

    // MARK: Identities

    mutating func identity<Kind>(
        _ type: Identity<Kind>.Type = Identity<Kind>.self
    ) -> Identity<Kind> {
        Identity(next(), next(), next(), next())
    }

    mutating func member() -> NodeBoot {
        NodeBoot(node: identity(), boot: Boot(counter: UInt64(below(9)), random: next()))
    }

    mutating func ballot() -> Ballot {
        Ballot(
            round: UInt64(number(max: Int(WireLimits.counterMax))), proposer: member())
    }

    mutating func attempt() -> AttemptID {
        AttemptID(
            request: RequestID(entry: member(), counter: next()), number: UInt8(1 + below(255)),
            plan: identity())
    }

    mutating func address() -> Address {
        let hosts = ["10.0.0.7", "192.168.100.200", "fe80::1ff:fe23:4567:890a%eth0", "::1"]
        return Address(host: hosts[below(4)], port: UInt16(1 + below(65_535)))
    }

    mutating func microseconds() -> Int64 { Int64(number(max: Int(WireLimits.microsecondsMax))) }

    mutating func remaining() -> TimeSpan {
        .microseconds(Int64(number(max: Int(WireLimits.remainingMicrosecondsMax))))
    }

    mutating func range(max: Int) -> Range<Int> {
        let lower = below(max)
        return lower..<(lower + 1 + below(max - lower))
    }

    // MARK: Plans

    mutating func plan(without: NodeBoot? = nil) -> Plan {
        let fragmentCount = 1 + below(5)
        var seen = Set<Route>()
        func endpoint(_ generator: inout Self) -> Endpoint {
            generator.flag() ? .entry : .fragment(generator.below(fragmentCount))
        }
        let routes = list(6) { generator in
            Route(
                tensor: generator.below(1_000),
                rows: generator.flag() ? generator.range(max: 5_000) : nil,
                source: endpoint(&generator),
                destination: endpoint(&generator))
        }.filter { $0.source != $0.destination && seen.insert($0).inserted }
        return Plan(
            manifest: identity(), ballot: ballot(), without: without,
            stages: list(4, least: 1) { generator in
                Stage(
                    operators: generator.range(max: 500), mode: generator.choice(),
                    fragments: generator.range(max: fragmentCount))
            },
            fragments: (0..<fragmentCount).map { _ in
                Fragment(
                    host: member(), operators: range(max: 500),
                    rows: flag() ? range(max: 5_000) : nil, weight: 1 + below(1_000))
            },
            routes: routes, window: 1 + below(WireLimits.windowMax),
            predictedPeriodMicroseconds: microseconds(),
            predictedLatencyMicroseconds: microseconds())
    }

    mutating func namedPlan() -> NamedPlan { PlanNaming.name(plan()) }

    mutating func bundle() -> PlanBundle {
        PlanBundle(
            primary: namedPlan(),
            alternates: list(3) { $0.member() }.sorted().map { PlanNaming.name(plan(without: $0)) })
    }

    // MARK: Records

    mutating func rate() -> UInt64 { UInt64(number(max: Int(WireLimits.rateMax))) }

    mutating func capability() -> Capability {
        Capability(
            threads: number(max: WireLimits.threadsMax),
            memoryBytes: number(max: WireLimits.byteCountMax),
            diskBytes: number(max: WireLimits.byteCountMax),
            operationsPerMicrosecond: rate(),
            rates: OperatorFamily.allCases.filter { _ in number(max: 1) == 1 }.map {
                OperatorRate(family: $0, operationsPerMicrosecond: rate())
            }, movedBytesPerMicrosecond: rate(),
            handover: optional {
                HandoverCost(nanosecondsPerSlice: $0.rate(), picosecondsPerByte: $0.rate())
            }, milliwatts: optional { $0.number(max: Capability.milliwattsMax) },
            fingerprint: EngineFingerprint(text: text(40)))
    }

    mutating func record(of node: NodeID) -> NodeRecord {
        var addresses = list(3) { $0.address() }
        addresses = Set(addresses).sorted()
        return NodeRecord(
            member: NodeBoot(node: node, boot: Boot(counter: next(), random: next())),
            version: UInt64(number(max: Int(WireLimits.counterMax))), name: text(12),
            addresses: addresses, capability: optional { $0.capability() },
            holdings: list(3) { $0.identity(ManifestID.self) }.sorted().map { manifest in
                Holding(manifest: manifest, blobs: list(4) { $0.next() })
            },
            plans: list(2) { $0.identity(ManifestID.self) }.sorted().map { manifest in
                PlanStatus(
                    manifest: manifest,
                    current: optional {
                        BallotPlan(ballot: $0.ballot(), plan: $0.identity())
                    },
                    ready: list(3) { $0.identity(PlanID.self) }.sorted(),
                    oldestInUse: optional { $0.identity() })
            },
            links: list(3) { $0.identity(NodeID.self) }.sorted().map { peer in
                LinkMeasurement(
                    peer: peer, bytesPerSecond: UInt64(number(max: Int(WireLimits.linkRateMax))),
                    roundTripMicroseconds: microseconds())
            },
            times: Set(
                list(3) { FragmentKey(manifest: $0.identity(), operators: $0.range(max: 300)) }
            ).sorted().map { FragmentTime(key: $0, microseconds: microseconds()) },
            isLeaving: flag())
    }

    mutating func signedRecord() -> SignedRecord {
        let key = list(65, least: 32) { UInt8(truncatingIfNeeded: $0.next()) }
        let node = key.withUnsafeBytes { NodeID(sha256Of: $0) }
        return SignedRecord(
            record: record(of: node), publicKey: key,
            signature: list(72, least: 64) { UInt8(truncatingIfNeeded: $0.next()) })
    }

    mutating func catalogueEntry(_ number: Int) -> CatalogueEntry {
        CatalogueEntry(
            name: "model-\(number)" + text(5), manifest: optional { $0.identity() },
            version: UInt64(self.number(max: Int(WireLimits.counterMax))), author: identity(),
            settings: settings())
    }

    mutating func settings() -> ModelSettings {
        ModelSettings(
            goal: PlanGoal(
                objective: PlanGoal.Objective.allCases[below(3)],
                periodNanosecondsMax: optional { $0.number(max: WireLimits.byteCountMax) },
                latencyNanosecondsMax: optional { $0.number(max: WireLimits.byteCountMax) },
                nanojoulesMax: optional { $0.number(max: WireLimits.byteCountMax) },
                memoryHeadroomPercent: below(96)),
            allowedModes: ModeSet(rawValue: UInt8(1 + below(15))),
            baseline: optional { PlanBaseline.allCases[$0.below(6)] },
            keepInputLocal: below(2) * number(max: ModelSettings.keepInputLocalMax),
            codecs: optional { $0.allowance() },
            exits: list(3) { generator in
                ModelExit(
                    output: generator.text(20), measure: generator.choice(),
                    threshold: generator.below(ModelExit.unit + 1),
                    share: generator.below(ModelExit.unit + 1))
            },
            degrade: optional {
                BranchDegrade(fill: $0.choice(), most: 1 + $0.below(BranchDegrade.mostMax))
            })
    }

    mutating func allowance() -> CodecAllowance {
        CodecAllowance(
            measure: choice(), maxDropPerMillion: below(1_000_001),
            dropPerMillion: below(1_000_001), itemCount: below(1 << 20),
            tensors: (0..<below(4)).map { index in
                CodecAllowance.Tensor(
                    tensor: index * 7, losslessPerMille: below(1_001),
                    tried: [Codec.float16, .int8].map {
                        CodecAllowance.Trial(
                            codec: $0, dropPerMillion: below(1_000_001), isAllowed: below(2) == 0)
                    })
            })
    }

    mutating func sliceHeader() -> SliceHeader {
        SliceHeader(
            attempt: attempt(), route: below(WireLimits.routesMax), type: choice(),
            shape: list(6) { 1 + $0.below(20) }, remaining: remaining())
    }
}
