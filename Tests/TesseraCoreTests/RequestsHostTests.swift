import Testing

@testable import TesseraCore

@Suite struct RequestsHostTests {
    private typealias Fixture = RequestsFixture
    private let me = RequestsFixture.member(1)
    private let proposer = RequestsFixture.member(0)
    private let outline = RequestsFixture.outline

    private func host(memory: Int = 1 << 30) -> FragmentHost {
        var host = FragmentHost(me: me, executionSlots: 2)
        host.onCapability(
            Capability(
                threads: 1, memoryBytes: memory, diskBytes: 1 << 40, operationsPerMicrosecond: 1,
                movedBytesPerMicrosecond: 1, fingerprint: EngineFingerprint(text: "test")))
        return host
    }

    private func bytes(_ operators: Range<Int>, window: Int = 2) -> Int {
        FragmentMemory.of(operators, in: outline).bytes(window: window)
    }

    private func key(_ operators: Range<Int>) -> FragmentKey {
        FragmentKey(manifest: Fixture.manifest, operators: operators)
    }

    private func stage(
        _ host: inout FragmentHost, _ plan: NamedPlan, mayEvict: Bool = false,
        at now: Timestamp = .zero
    ) -> ([FragmentHost.Change], [Directive]) {
        var directives: [Directive] = []
        host.onStage(
            plan, by: proposer, outline: outline, mayEvictCurrent: mayEvict, now: now,
            into: &directives)
        return (host.takeChanges(), directives)
    }

    /// Fetches and compiles.
    private func finish(
        _ host: inout FragmentHost, _ operators: Range<Int>
    ) -> ([FragmentHost.Change], [Directive]) {
        var directives: [Directive] = []
        host.onBlobsReady(key(operators), into: &directives)
        host.onCompiled(key(operators), memoryBytes: 1, into: &directives)
        return (host.takeChanges(), directives)
    }

    private func decide(
        _ host: inout FragmentHost, _ bundle: PlanBundle, at now: Timestamp = .zero
    ) -> ([FragmentHost.Change], [Directive]) {
        var directives: [Directive] = []
        host.onDecided(bundle, outline: outline, now: now, into: &directives)
        return (host.takeChanges(), directives)
    }

    @Test("a staged plan is fetched, then compiled, then ready")
    func staging() {
        var host = host()
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2])
        let (changes, _) = stage(&host, plan)
        #expect(changes == [.needsBlobs(key(2..<4), blobs: [2, 3])])
        #expect(host.layout(ofReady: plan.id) == nil)
        let (ready, directives) = finish(&host, 2..<4)
        #expect(directives == [.compile(key(2..<4), concurrency: 2)])
        #expect(ready == [.ready(plan, .staged(by: proposer))])
        #expect(host.layout(ofReady: plan.id) != nil)
        #expect(host.reservedBytes == bytes(2..<4))
    }

    @Test("what a lost proposer staged is dropped and refused, and nothing else")
    func stagingOfTheLost() {
        var host = host()
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2])
        _ = stage(&host, plan)
        var directives: [Directive] = []
        host.onProposerLost(Fixture.member(7), into: &directives)
        #expect(host.holds(plan.id))
        host.onProposerLost(proposer, into: &directives)
        #expect(!host.holds(plan.id) && host.reservedBytes == 0)
        // Told, for the loss may be seen from this side alone.
        #expect(
            host.takeChanges().contains(.cannot(plan, .staged(by: proposer), .proposerLost)))
        _ = decide(&host, PlanBundle(primary: plan, alternates: []))
        host.onProposerLost(proposer, into: &directives)
        #expect(host.holds(plan.id))
    }

    @Test("a plan of a model without a name ends after a while, unless the name comes back")
    func unnamed() {
        var host = host()
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2])
        let bundle = PlanBundle(primary: plan, alternates: [])
        _ = decide(&host, bundle)
        host.onNaming(Fixture.manifest, isNamed: false, current: bundle, now: .zero)
        host.onNaming(Fixture.manifest, isNamed: true, current: bundle, now: .zero)
        #expect(host.nextWake == .never)
        host.onNaming(Fixture.manifest, isNamed: false, current: bundle, now: .zero)
        host.onNaming(
            Fixture.manifest, isNamed: false, current: bundle, now: .zero + .seconds(3))
        #expect(host.nextWake == Timestamp.zero + FragmentHost.unnamedSpan)
        var directives: [Directive] = []
        host.onWake(now: host.nextWake, into: &directives)
        #expect(!host.holds(plan.id) && host.reservedBytes == 0)
    }

    @Test("a fragment that two plans share is compiled and counted once")
    func shared() {
        var host = host()
        let first = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1)
        let second = Fixture.plan(hosts: [2, 1], cuts: [2], round: 2)
        _ = stage(&host, first)
        _ = finish(&host, 2..<4)
        let (changes, directives) = stage(&host, second)
        #expect(changes == [.ready(second, .staged(by: proposer))])
        #expect(directives.isEmpty)
        #expect(host.reservedBytes == bytes(2..<4))
    }

    @Test("a shared fragment is reserved for the widest window of its plans")
    func widestWindow() {
        var host = host()
        _ = stage(&host, Fixture.plan(hosts: [0, 1], cuts: [2], round: 1, window: 2))
        _ = stage(&host, Fixture.plan(hosts: [0, 1], cuts: [2], round: 2, window: 8))
        #expect(host.reservedBytes == bytes(2..<4, window: 8))
    }

    @Test("a shared fragment keeps no more than its plans need when the widest goes")
    func narrowerWindow() {
        var host = host()
        let wide = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1, window: 8)
        _ = stage(&host, wide)
        _ = stage(&host, Fixture.plan(hosts: [0, 1], cuts: [2], round: 2, window: 2))
        var directives: [Directive] = []
        host.onAbandon(Fixture.manifest, wide.plan.ballot, into: &directives)
        #expect(host.reservedBytes == bytes(2..<4, window: 2))
        #expect(directives == [])
    }

    @Test("a plan that goes for another one leaves a shared fragment no more than that one needs")
    func narrowerWindowForRoom() {
        let memory = max(bytes(2..<4, window: 8), bytes(0..<2) + bytes(2..<4))
        #expect(bytes(0..<2) + bytes(2..<4, window: 8) > memory)
        var host = host(memory: memory)
        let wide = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1, window: 8)
        _ = stage(&host, wide)
        let next = Fixture.plan(hosts: [1, 1], cuts: [2], round: 2, window: 2)
        _ = stage(&host, next)
        #expect(host.holds(next.id) && !host.holds(wide.id))
        #expect(host.reservedBytes == bytes(0..<2) + bytes(2..<4))
    }

    @Test("a plan that does not fit is refused with the bytes it needs and the bytes there are")
    func memory() {
        var host = host(memory: 1_000)
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2])
        let (changes, _) = stage(&host, plan)
        #expect(
            changes == [
                .cannot(
                    plan, .staged(by: proposer),
                    .memory(neededBytes: bytes(2..<4), freeBytes: 1_000))
            ])
        #expect(host.reservedBytes == 0)
    }

    @Test("a plan that cannot fit anyway takes nothing from those that are held")
    func refusalIsFree() {
        var host = host(memory: bytes(2..<4) + 100)
        let current = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1)
        let alternate = Fixture.plan(hosts: [2, 1], cuts: [2], round: 1, without: 0)
        _ = decide(&host, PlanBundle(primary: current, alternates: [alternate]))
        _ = finish(&host, 2..<4)
        let (changes, directives) = stage(
            &host, Fixture.plan(hosts: [1], cuts: [], round: 2), mayEvict: true)
        guard case .cannot(_, _, .memory(let needed, let free)) = changes.first else {
            Issue.record("not refused: \(changes)")
            return
        }
        #expect(needed == bytes(0..<4) && free == bytes(2..<4) + 100)
        #expect(changes.count == 1 && directives.isEmpty)
        #expect(host.heldPlans == [current.id, alternate.id].sorted())
    }

    @Test("a current plan that serves is not given up for a staging")
    func currentStays() {
        var host = host(memory: bytes(2..<4) + 100)
        let current = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1)
        _ = decide(&host, PlanBundle(primary: current, alternates: []))
        _ = finish(&host, 2..<4)
        let next = Fixture.plan(hosts: [1, 0], cuts: [2], round: 2)
        let (changes, _) = stage(&host, next, mayEvict: false)
        guard case .cannot(next, _, .memory(_, freeBytes: 100)) = changes.first else {
            Issue.record("not refused: \(changes)")
            return
        }
        #expect(host.layout(ofReady: current.id) != nil)
    }

    @Test("a current plan that cannot serve makes room, and its fragment is unloaded")
    func currentGoes() {
        var host = host(memory: bytes(2..<4) + 100)
        let current = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1)
        _ = decide(&host, PlanBundle(primary: current, alternates: []))
        _ = finish(&host, 2..<4)
        let next = Fixture.plan(hosts: [1, 2], cuts: [2], round: 2)
        let (changes, directives) = stage(&host, next, mayEvict: true)
        #expect(changes.first == .dropped(current.id, current.plan.ballot))
        #expect(directives == [.unload(key(2..<4))])
        #expect(host.reservedBytes == bytes(0..<2))
    }

    @Test("superseded plans go before alternates")
    func evictionOrder() {
        var host = host(memory: bytes(0..<1) + bytes(1..<2) + bytes(2..<3) + 100)
        let old = Fixture.plan(hosts: [1, 0], cuts: [1], round: 1)
        let current = Fixture.plan(hosts: [0, 1, 2], cuts: [1, 2], round: 2)
        let alternate = Fixture.plan(hosts: [0, 2, 1, 2], cuts: [1, 2, 3], round: 2, without: 3)
        _ = decide(&host, PlanBundle(primary: old, alternates: []))
        _ = decide(&host, PlanBundle(primary: current, alternates: [alternate]))
        #expect(host.heldPlans.count == 3)
        let next = Fixture.plan(hosts: [0, 1], cuts: [3], round: 3)
        let (changes, _) = stage(&host, next)
        #expect(changes.first == .dropped(old.id, old.plan.ballot))
        #expect(host.heldPlans == [alternate.id, current.id, next.id].sorted())
    }

    @Test("a later ballot's staging takes the memory of an earlier one")
    func stagingSupersedes() {
        var host = host(memory: bytes(2..<4) + 100)
        let first = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1)
        let second = Fixture.plan(hosts: [1, 0], cuts: [2], round: 2)
        _ = stage(&host, first)
        let (changes, _) = stage(&host, second)
        #expect(changes.contains(.dropped(first.id, first.plan.ballot)))
        // Its proposer waits for this host until it is told.
        #expect(changes.contains(.cannot(first, .staged(by: proposer), .superseded)))
        #expect(host.heldPlans == [second.id])
    }

    @Test("a staging whose proposer never comes back ends with its lease")
    func lease() {
        var host = host()
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2])
        _ = stage(&host, plan)
        #expect(host.nextWake == Timestamp.zero + FragmentHost.lease)
        var directives: [Directive] = []
        host.onWake(now: .zero + FragmentHost.lease, into: &directives)
        #expect(
            host.takeChanges() == [
                .dropped(plan.id, plan.plan.ballot), .needsNoBlobs(key(2..<4)),
            ])
        #expect(host.reservedBytes == 0)
    }

    @Test("a superseded plan stays for the longest deadline, then goes")
    func afterlife() {
        var host = host()
        let old = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1)
        let new = Fixture.plan(hosts: [1, 0], cuts: [2], round: 2)
        _ = decide(&host, PlanBundle(primary: old, alternates: []))
        _ = finish(&host, 2..<4)
        _ = decide(&host, PlanBundle(primary: new, alternates: []))
        #expect(host.layout(ofReady: old.id) != nil)
        var directives: [Directive] = []
        host.onWake(now: host.nextWake, into: &directives)
        #expect(host.layout(ofReady: old.id) == nil)
        #expect(directives == [.unload(key(2..<4))])
    }

    @Test("a decision supersedes stagings of lower ballots at once")
    func decisionDropsStagings() {
        var host = host()
        let staged = Fixture.plan(hosts: [0, 1], cuts: [2], round: 1)
        let decided = Fixture.plan(hosts: [1, 0], cuts: [2], round: 2)
        _ = stage(&host, staged)
        let (changes, _) = decide(&host, PlanBundle(primary: decided, alternates: []))
        #expect(changes.first == .dropped(staged.id, staged.plan.ballot))
        #expect(changes.contains(.cannot(staged, .staged(by: proposer), .superseded)))
    }

    @Test("an abandoned staging goes, a decided plan of the same ballot stays")
    func abandon() {
        var host = host()
        let staged = Fixture.plan(hosts: [0, 1], cuts: [2], round: 2)
        let decided = Fixture.plan(hosts: [1, 0], cuts: [2], round: 1)
        _ = decide(&host, PlanBundle(primary: decided, alternates: []))
        _ = stage(&host, staged)
        var directives: [Directive] = []
        host.onAbandon(Fixture.manifest, staged.plan.ballot, into: &directives)
        host.onAbandon(Fixture.manifest, decided.plan.ballot, into: &directives)
        #expect(host.heldPlans == [decided.id])
    }

    @Test("missing weights are told to the proposer and free the reservation")
    func missingBlobs() {
        var host = host()
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2])
        _ = stage(&host, plan)
        var directives: [Directive] = []
        host.onBlobsMissing(key(2..<4), count: 1, into: &directives)
        #expect(
            host.takeChanges().contains(
                .cannot(plan, .staged(by: proposer), .missingBlobs(count: 1))))
        #expect(host.reservedBytes == 0)
    }

    @Test("a fragment that is compiled after its plan was dropped is unloaded")
    func lateCompile() {
        var host = host()
        let plan = Fixture.plan(hosts: [0, 1], cuts: [2])
        _ = stage(&host, plan)
        var directives: [Directive] = []
        host.onBlobsReady(key(2..<4), into: &directives)
        host.onAbandon(Fixture.manifest, plan.plan.ballot, into: &directives)
        directives = []
        host.onCompiled(key(2..<4), memoryBytes: 1, into: &directives)
        #expect(directives == [.unload(key(2..<4))])
    }

    @Test("a removed model's plans go")
    func removedModel() {
        var host = host()
        _ = decide(
            &host,
            PlanBundle(primary: Fixture.plan(hosts: [0, 1], cuts: [2]), alternates: []))
        var directives: [Directive] = []
        host.onModelRemoved(Fixture.manifest, into: &directives)
        #expect(host.heldPlans.isEmpty && host.reservedBytes == 0)
    }
}
