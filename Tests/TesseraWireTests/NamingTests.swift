import Crypto
import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

@Suite struct NamingTests {
    /// A plan of two stages with an alternate's `without`, in fixed numbers.
    private var sample: Plan {
        let first = NodeBoot(node: NodeID(1, 2, 3, 4), boot: Boot(counter: 1, random: 11))
        let second = NodeBoot(node: NodeID(5, 6, 7, 8), boot: Boot(counter: 2, random: 22))
        return Plan(
            manifest: ManifestID(0xA, 0xB, 0xC, 0xD), ballot: Ballot(round: 9, proposer: first),
            without: nil,
            stages: [
                Stage(operators: 0..<3, mode: .single, fragments: 0..<1),
                Stage(operators: 3..<8, mode: .single, fragments: 1..<2),
            ],
            fragments: [
                Fragment(host: first, operators: 0..<3), Fragment(host: second, operators: 3..<8),
            ],
            routes: [
                Route(tensor: 0, source: .entry, destination: .fragment(0)),
                Route(tensor: 4, source: .fragment(0), destination: .fragment(1)),
                Route(tensor: 9, source: .fragment(1), destination: .entry),
            ], window: 4, predictedPeriodMicroseconds: 1_500, predictedLatencyMicroseconds: 2_900)
    }

    @Test("a plan has the name that another program computes from the protocol's description")
    func goldenName() {
        #expect(
            PlanNaming.name(sample).id.hexadecimal
                == "55f86b82cfd0f83613b8c3a3068f1e526aefae50fdc9a2ef0b341c30c15218d3")
        #expect(PlanID.of(sample) == PlanNaming.name(sample).id)
    }

    @Test("whatever changes in a plan changes its name")
    func sensitivity() {
        var plans: [Plan] = [sample]
        func add(_ change: (inout Plan) -> Void) {
            var plan = sample
            change(&plan)
            plans.append(plan)
        }
        add { $0.manifest = ManifestID(0xA, 0xB, 0xC, 0xE) }
        add { $0.ballot.round += 1 }
        add { $0.ballot.proposer.boot.random += 1 }
        add { $0.without = $0.fragments[0].host }
        add { $0.stages[0].mode = .replicas }
        add { $0.stages[0].operators = 0..<2 }
        add { $0.fragments[1].host.boot.counter += 1 }
        add { $0.fragments[1].rows = 0..<2 }
        add { $0.fragments[1].weight = 2 }
        add { $0.routes[1].rows = 0..<2 }
        add { $0.routes.removeLast() }
        add { $0.routes[2].tensor = 8 }
        add { $0.window = 5 }
        add { $0.predictedPeriodMicroseconds += 1 }
        add { $0.predictedLatencyMicroseconds += 1 }
        #expect(Set(plans.map(PlanID.of)).count == plans.count)
    }

    @Test("a plan that arrives has its true name, whatever the sender called it")
    func namesOnTheWire() throws {
        let lie = NamedPlan(id: PlanID(6, 6, 6, 6), plan: sample)
        let bundle = PlanBundle(primary: lie, alternates: [])
        let message = Message.agreement(
            .decided(
                manifest: sample.manifest, ballot: sample.ballot, bundle: bundle, isFresh: true))
        guard
            case .agreement(.decided(_, _, let arrived, _)) = try Message(
                decoding: message.encoded())
        else {
            Issue.record("another message arrived")
            return
        }
        #expect(arrived.primary == PlanNaming.name(sample))
    }

    @Test("a plan above a limit has a name and cannot be sent")
    func overLimit() {
        var plan = sample
        plan.window = 1_000_000
        let named = PlanNaming.name(plan)
        #expect(named.id != PlanID.of(sample))
        #expect(throws: WireError.self) { try named.encodedBytes() }
    }

    @Test("a record is signed over its canonical bytes and checked over the same ones")
    func signatures() throws {
        let key = P256.Signing.PrivateKey()
        let publicKey = Array(key.publicKey.x963Representation)
        let node = publicKey.withUnsafeBytes { NodeID(sha256Of: $0) }
        var generator = SampleGenerator(seed: 5)
        let record = generator.record(of: node)
        let bytes = try record.canonicalBytes()
        let signature = try key.signature(for: Array(bytes.readableBytesView))
        let signed = SignedRecord(
            record: record, publicKey: publicKey,
            signature: Array(signature.rawRepresentation))
        let message = Message.mesh(.update(records: [signed], catalogue: []))
        guard
            case .mesh(.update(let records, _)) = try Message(decoding: message.encoded()),
            let arrived = records.first
        else {
            Issue.record("another message arrived")
            return
        }
        let arrivedKey = try P256.Signing.PublicKey(x963Representation: arrived.publicKey)
        let arrivedSignature = try P256.Signing.ECDSASignature(
            rawRepresentation: arrived.signature)
        #expect(
            arrivedKey.isValidSignature(
                arrivedSignature, for: Array(try arrived.signedBytes().readableBytesView)))
        #expect(hexadecimal(bytes).hasPrefix("74657373657261207265636f7264203100"))
    }

    @Test("a record under another node's key is refused")
    func foreignKey() throws {
        var generator = SampleGenerator(seed: 6)
        var signed = generator.signedRecord()
        signed.publicKey[0] ^= 1
        let bytes = try signed.encodedBytes()
        #expect(throws: WireError.keyMismatch) { try SignedRecord(decodingBytes: bytes) }
    }
}
