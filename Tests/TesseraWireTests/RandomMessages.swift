import TesseraCore

@testable import TesseraWire

/// Random messages: `all(seed:)` has every case of every enum at least once.
enum RandomMessages {
    static func all(seed: UInt64) -> [Message] {
        var generator = SampleGenerator(seed: seed)
        return membership(&generator).map(Message.membership)
            + mesh(&generator).map(Message.mesh)
            + agreement(&generator).map(Message.agreement)
            + requests(&generator).map(Message.request)
    }

    static func membership(_ generator: inout SampleGenerator) -> [MembershipMessage] {
        func rumours(_ generator: inout SampleGenerator) -> [Rumour] {
            generator.list(4) { generator in
                Rumour(
                    member: generator.member(), address: generator.address(),
                    status: generator.choice(),
                    incarnation: UInt64(generator.number(max: Int(WireLimits.counterMax))),
                    accuser: generator.optional { $0.identity() })
            }
        }
        return [
            .ping(sequence: generator.next(), rumours: rumours(&generator)),
            .pingRequest(
                sequence: generator.next(), target: generator.member(),
                address: generator.address(), rumours: rumours(&generator)),
            .ack(sequence: generator.next(), rumours: rumours(&generator)),
            .nack(sequence: generator.next()),
            .sync(rumours: rumours(&generator), isReply: generator.flag()),
            .compare(folds: generator.list(5) { $0.next() }, isReply: generator.flag()),
            .part,
        ]
    }

    static func mesh(_ generator: inout SampleGenerator) -> [MeshMessage] {
        func catalogue(_ generator: inout SampleGenerator) -> [CatalogueEntry] {
            (0..<generator.below(4)).map { generator.catalogueEntry($0) }
        }
        return [
            .digest(
                records: generator.list(4) {
                    RecordVersion(
                        member: $0.member(),
                        version: UInt64($0.number(max: Int(WireLimits.counterMax))))
                },
                catalogue: catalogue(&generator), isReply: generator.flag()),
            .update(
                records: generator.list(2) { $0.signedRecord() },
                catalogue: catalogue(&generator)),
            .difference(
                scope: DigestScope(
                    count: 16, ranges: (0..<16).filter { _ in generator.flag() },
                    hasCatalogue: generator.flag()),
                records: generator.list(4) {
                    RecordVersion(
                        member: $0.member(),
                        version: UInt64($0.number(max: Int(WireLimits.counterMax))))
                },
                catalogue: catalogue(&generator), isReply: generator.flag()),
            .unreachable(generator.member()),
            .compare(records: generator.list(5) { $0.next() }, catalogue: generator.next()),
        ]
    }

    static func agreement(_ generator: inout SampleGenerator) -> [AgreementMessage] {
        func pair(_ generator: inout SampleGenerator) -> BallotPlan {
            BallotPlan(ballot: generator.ballot(), plan: generator.identity())
        }
        let manifest = generator.identity(ManifestID.self)
        let ballot = generator.ballot()
        let bundle = generator.bundle()
        let view = generator.list(5) { $0.member() }
        let plan = generator.identity(PlanID.self)
        let refusals: [AgreementRefusal] = [
            .promisedHigher(generator.ballot()), .notInView, .holdsDead(generator.member()),
            .leased(until: generator.remaining(), by: generator.ballot()), .unknownModel,
            .invalidPlan,
            .worse(
                currentPeriodMicroseconds: generator.microseconds(),
                proposedPeriodMicroseconds: generator.microseconds()),
        ]
        let hostRefusals: [HostRefusal] = [
            .memory(
                neededBytes: generator.number(max: WireLimits.byteCountMax),
                freeBytes: generator.number(max: WireLimits.byteCountMax)),
            .missingBlobs(count: generator.number(max: WireLimits.modelPartsMax)),
            .engine(generator.text(30)), .otherBoot, .leaving, .superseded,
            .proposerLost,
        ]
        return [
            .prepare(manifest: manifest, ballot: ballot, view: view),
            .promise(
                manifest: manifest, ballot: ballot, accepted: generator.optional(pair),
                current: generator.optional(pair)),
            .stage(manifest: manifest, ballot: ballot, bundle: bundle),
            .ready(manifest: manifest, ballot: ballot, plan: plan),
            .accept(manifest: manifest, ballot: ballot, bundle: bundle, view: view),
            .accepted(manifest: manifest, ballot: ballot),
            .decided(
                manifest: manifest, ballot: ballot, bundle: bundle, isFresh: generator.flag()),
            .abandon(manifest: manifest, ballot: ballot),
        ]
            + refusals.map { .refuse(manifest: manifest, ballot: ballot, reason: $0) }
            + hostRefusals.map {
                .cannot(manifest: manifest, ballot: ballot, plan: plan, reason: $0)
            }
    }

    static func requests(_ generator: inout SampleGenerator) -> [RequestMessage] {
        let plan = generator.identity(PlanID.self)
        let attempt = generator.attempt()
        let fragment = generator.below(WireLimits.fragmentsMax)
        let failures: [AttemptFailure] = [
            .gone(current: generator.optional { $0.identity() }), .full,
            .engine(generator.text(30)), .malformedSlice, .leaving, .unreachable,
        ]
        return [
            .ticketWish(plan: plan, count: generator.number(max: WireLimits.wishMax)),
            .tickets(plan: plan, numbers: generator.list(6) { $0.next() }),
            .ticketReturn(plan: plan, numbers: generator.list(6) { $0.next() }),
            .ticketRefusal(plan: plan, current: generator.optional { $0.identity() }),
            .started(attempt: attempt, fragment: fragment),
            .passed(
                attempt: attempt, fragment: fragment, microseconds: generator.microseconds()),
            .cancel(attempt: attempt),
            .crashed(request: attempt.request, host: generator.member()),
            .refuse(
                manifest: generator.identity(), digest: generator.identity(),
                remaining: generator.remaining()),
        ]
            + failures.map {
                .failed(
                    attempt: attempt, fragment: generator.optional { _ in fragment }, reason: $0)
            }
    }
}
