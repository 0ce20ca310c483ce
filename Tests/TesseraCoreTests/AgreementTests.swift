import Testing

@testable import TesseraCore

@Suite struct AgreementTests {
    private typealias Fixture = RequestsFixture
    private let manifest = RequestsFixture.manifest

    private func isDecided(_ message: AgreementMessage) -> Bool {
        if case .decided = message { true } else { false }
    }

    @Test("three nodes decide one plan in one round")
    func round() {
        var mesh = AgreementMesh(count: 3)
        let proposer = mesh.waitForProposal()
        mesh.plan()
        #expect(mesh.messages.map(\.to) == mesh.pool)
        mesh.deliver()
        // Nothing is accepted before every host is ready.
        #expect(mesh.pool.allSatisfy { mesh.current($0) == nil })
        mesh.finishStaging()
        mesh.deliver()
        let plans = mesh.pool.compactMap { mesh.current($0)?.primary }
        #expect(plans.count == 3 && Set(plans.map(\.id)).count == 1)
        #expect(plans.first?.plan.ballot.proposer == proposer)
        #expect(plans.first.map { PlanCheck.isValid($0.plan, outline: Fixture.outline) } == true)
    }

    @Test("a model that lacks blobs is not staged, and planned as soon as they are there")
    func missingBlobs() {
        var mesh = AgreementMesh(count: 1)
        mesh.missingBlobs = 2
        mesh.consider(mesh.pool[0])
        mesh.now = mesh.wake(mesh.pool[0])
        mesh.consider(mesh.pool[0])
        #expect(mesh.problems.isEmpty)
        #expect(
            mesh.reports == [
                .unplannable(manifest, reason: "nobody reachable has 2 of its blobs")
            ])
        mesh.missingBlobs = 0
        mesh.now = mesh.wake(mesh.pool[0])
        mesh.consider(mesh.pool[0])
        #expect(mesh.problems.count == 1)
    }

    @Test("a round ends when its model is removed, and its hosts are told")
    func removedMeanwhile() throws {
        var mesh = AgreementMesh(count: 3)
        let planning = mesh.waitForProposal()
        let proposer = try #require(planning)
        mesh.plan()
        mesh.deliver()
        mesh.isCatalogued = false
        mesh.consider(proposer)
        #expect(
            mesh.messages.contains {
                if case .abandon = $0.0 { $0.1 == proposer } else { false }
            })
        mesh.finishStaging()
        mesh.deliver()
        #expect(mesh.pool.allSatisfy { mesh.current($0) == nil })
    }

    @Test("a round needs a majority of its view to promise")
    func majority() {
        var mesh = AgreementMesh(count: 3)
        let proposer = mesh.waitForProposal()
        mesh.plan()
        mesh.deliver { message, target in
            if case .prepare = message { target != proposer } else { false }
        }
        mesh.finishStaging()
        mesh.deliver()
        #expect(mesh.pool.allSatisfy { mesh.current($0) == nil })
    }

    @Test("a round needs a majority of its view to accept")
    func acceptMajority() {
        var mesh = AgreementMesh(count: 3)
        let proposer = mesh.waitForProposal()
        mesh.plan()
        mesh.deliver()
        mesh.finishStaging()
        mesh.deliver { message, target in
            if case .accept = message { target != proposer } else { false }
        }
        #expect(mesh.pool.allSatisfy { mesh.current($0) == nil })
    }

    @Test("only the node of the lowest rank proposes at first, the next one when it stays silent")
    func rank() {
        var mesh = AgreementMesh(count: 3)
        let first = mesh.waitForProposal()
        #expect(mesh.problems.count == 1)
        let start = mesh.now
        mesh.problems = []
        if let first { mesh.lose(first) }
        let second = mesh.waitForProposal()
        #expect(second != nil && second != first)
        #expect(mesh.now - start <= .milliseconds(400))
    }

    @Test("a host that is lost while it stages ends the round, and the next one does without it")
    func lossDuringStaging() {
        var mesh = AgreementMesh(count: 3)
        // No node alone holds the model, so the plan has more than one host.
        let half = FragmentMemory.of(0..<4, in: Fixture.outline).bytes(window: 1) - 1
        for member in mesh.pool { mesh.memory[member] = half }
        let proposer = mesh.waitForProposal()
        mesh.plan()
        mesh.deliver()
        let staged = mesh.changes.values.joined().compactMap { change -> PlanBundle? in
            if case .stage(let bundle, _) = change { bundle } else { nil }
        }.first
        guard let proposer, let hosts = staged?.primary.plan.hosts,
            let lost = hosts.first(where: { $0 != proposer })
        else {
            Issue.record("no plan with another host was staged")
            return
        }
        mesh.lose(lost)
        mesh.consider(proposer)
        #expect(
            mesh.reports.contains {
                if case .roundFailed = $0 { true } else { false }
            })
        mesh.deliver()
        mesh.changes = [:]
        for member in mesh.pool { mesh.memory[member] = 1 << 30 }
        mesh.decide()
        for member in mesh.pool {
            #expect(mesh.current(member)?.primary.plan.hosts.contains(lost) == false)
        }
    }

    /// A round as far as its staging: who proposed, a host that stages, and the plan.
    private func staged(
        in mesh: inout AgreementMesh
    ) -> (proposer: NodeBoot, host: NodeBoot, bundle: PlanBundle)? {
        let proposer = mesh.waitForProposal()
        mesh.plan()
        mesh.deliver()
        guard let proposer,
            let host = mesh.changes.first(where: { !$0.value.isEmpty })?.key,
            case .stage(let bundle, _) = mesh.changes[host]?.first
        else {
            Issue.record("nothing was staged")
            return nil
        }
        return (proposer, host, bundle)
    }

    @Test("a host that cannot is planned with the bytes it named")
    func cannot() {
        var mesh = AgreementMesh(count: 3)
        guard let (proposer, host, bundle) = staged(in: &mesh) else { return }
        mesh.receive(
            .cannot(
                manifest: manifest, ballot: bundle.primary.plan.ballot, plan: bundle.primary.id,
                reason: .memory(neededBytes: 10, freeBytes: 7)), from: host, at: proposer)
        let again = mesh.wake(proposer)
        #expect(again > mesh.now && again < mesh.now + .seconds(1))
        mesh.now = again
        mesh.consider(proposer)
        let problem = mesh.problems.last?.problem
        #expect(problem?.nodes.first { $0.member == host }?.freeMemoryBytes == 7)
        #expect(problem?.ballot.round == bundle.primary.plan.ballot.round + 1)
    }

    @Test("what a host refuses is believed for 2.5 s, and longer when it refuses again")
    func refusesAgain() throws {
        var model = Agreement.Model()
        let host = Fixture.member(1)
        for milliseconds in [2_500, 5_000, 10_000, 20_000, 20_000] as [Int64] {
            model.noteRefusal(by: host, freeBytes: 5, now: .zero)
            #expect(model.refusals[host]?.until == .zero + .milliseconds(milliseconds))
        }
    }

    @Test(
        "a host that gave its part up for a later round ends the round, and is planned with again")
    func superseded() {
        var mesh = AgreementMesh(count: 3)
        guard let (proposer, host, bundle) = staged(in: &mesh) else { return }
        mesh.receive(
            .cannot(
                manifest: manifest, ballot: bundle.primary.plan.ballot, plan: bundle.primary.id,
                reason: .superseded), from: host, at: proposer)
        #expect(
            mesh.messages.contains {
                $0.message == .abandon(manifest: manifest, ballot: bundle.primary.plan.ballot)
            })
        mesh.now = mesh.wake(proposer)
        mesh.consider(proposer)
        let problem = mesh.problems.last?.problem
        #expect(problem?.nodes.first { $0.member == host }?.freeMemoryBytes == 1 << 30)
    }

    @Test("a decision that was made just now is followed")
    func freshDecision() {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        guard let current = mesh.current(mesh.pool[0]) else { return }
        let newer = PlanBundle(
            primary: Fixture.plan(
                hosts: [0], cuts: [], round: current.primary.plan.ballot.round + 1, proposer: 2),
            alternates: [])
        mesh.receive(
            .decided(
                manifest: manifest, ballot: newer.primary.plan.ballot, bundle: newer, isFresh: true),
            from: mesh.pool[2], at: mesh.pool[0])
        #expect(mesh.current(mesh.pool[0]) == newer)
    }

    /// A mesh whose first node follows a plan on itself alone, which took the place of another one.
    private func replaced() throws -> (mesh: AgreementMesh, round: UInt64) {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        let first = try #require(mesh.current(mesh.pool[0]))
        let round = first.primary.plan.ballot.round + 1
        mesh.receive(decided(round: round, on: 0), from: mesh.pool[2], at: mesh.pool[0])
        return (mesh, round)
    }

    private func decided(round: UInt64, on host: Int) -> AgreementMessage {
        let plan = Fixture.plan(hosts: [host], cuts: [], round: round, proposer: 2)
        return .decided(
            manifest: manifest, ballot: plan.plan.ballot,
            bundle: PlanBundle(primary: plan, alternates: []), isFresh: true)
    }

    @Test("news from a node that is held dead is that of another part of the mesh")
    func newsFromTheDead() throws {
        var (mesh, round) = try replaced()
        let current = mesh.current(mesh.pool[0])
        let dead = mesh.pool.removeLast()
        mesh.receive(decided(round: round + 1, on: 2), from: dead, at: mesh.pool[0])
        #expect(mesh.current(mesh.pool[0]) == current)
        #expect(mesh.nodes[mesh.pool[0]]?.hasConflict(manifest) == true)
    }

    @Test("a plan that took the place of a serving one is given time, but not when a host is lost")
    func givenTime() throws {
        var (mesh, _) = try replaced()
        mesh.flapping = [mesh.pool[1]]
        mesh.consider(mesh.pool[0])
        #expect(mesh.wake(mesh.pool[0]) >= mesh.now + Agreement.improvedSpan)
        mesh.flapping = [mesh.pool[0]]
        mesh.consider(mesh.pool[0])
        #expect(mesh.wake(mesh.pool[0]) < mesh.now + .seconds(1))
    }

    @Test("what a plan was made for is no news to who promised it", arguments: [true, false])
    func plannedFor(hasPromised: Bool) throws {
        var (mesh, round) = try replaced()
        let node = mesh.pool[0]
        mesh.speed *= 2
        let next = decided(round: round + 1, on: 1)
        guard case .decided(_, let ballot, _, _) = next else { return }
        if hasPromised {
            mesh.receive(
                .prepare(manifest: manifest, ballot: ballot, view: mesh.pool),
                from: mesh.pool[2], at: node)
        }
        mesh.receive(next, from: mesh.pool[2], at: node)
        mesh.consider(node)
        let wait = mesh.wake(node) - mesh.now
        #expect(wait >= Agreement.improvedSpan)
        #expect((wait > Agreement.improvedSpan + .seconds(2)) == hasPromised)
    }

    @Test("a peer that follows what this node followed before is told what came after it")
    func successor() throws {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        let first = try #require(mesh.current(mesh.pool[0]))
        let newer = PlanBundle(
            primary: Fixture.plan(
                hosts: [0], cuts: [], round: first.primary.plan.ballot.round + 1, proposer: 2),
            alternates: [])
        func decided(_ bundle: PlanBundle, isFresh: Bool) -> AgreementMessage {
            .decided(
                manifest: manifest, ballot: bundle.primary.plan.ballot, bundle: bundle,
                isFresh: isFresh)
        }
        mesh.receive(decided(newer, isFresh: true), from: mesh.pool[2], at: mesh.pool[0])
        mesh.receive(decided(first, isFresh: false), from: mesh.pool[1], at: mesh.pool[0])
        #expect(mesh.messages.map(\.message) == [decided(newer, isFresh: true)])
        #expect(mesh.nodes[mesh.pool[0]]?.hasConflict(manifest) == false)
        mesh.deliver()
        #expect(mesh.current(mesh.pool[1]) == newer)
        #expect(mesh.nodes[mesh.pool[1]]?.hasConflict(manifest) == false)
    }

    @Test("a decision of a part is no successor for who does not know yet that the others are lost")
    func successorOfPart() throws {
        var mesh = AgreementMesh(count: 4)
        mesh.decide()
        let node = mesh.pool[3]
        let first = try #require(mesh.current(node))
        let round = first.primary.plan.ballot.round + 1
        let next = decided(round: round, on: 3)
        guard case .decided(_, let ballot, _, _) = next else { return }
        let proposer = ballot.proposer
        mesh.receive(
            .prepare(manifest: manifest, ballot: ballot, view: Array(mesh.pool[2...])),
            from: proposer, at: node)
        mesh.receive(next, from: proposer, at: node)
        #expect(mesh.current(node) != first)
        mesh.messages = []
        let news = AgreementMessage.decided(
            manifest: manifest, ballot: first.primary.plan.ballot, bundle: first, isFresh: false)
        mesh.receive(news, from: mesh.pool[0], at: node)
        #expect(mesh.nodes[node]?.hasConflict(manifest) == true)
        for case .decided(_, _, _, let isFresh) in mesh.messages.map(\.message) {
            #expect(!isFresh)
        }
    }

    @Test("who came after a decision may follow it with good reason when the others decide anew")
    func successorOfGrownMesh() throws {
        var mesh = AgreementMesh(count: 4)
        let all = mesh.pool
        let part = Array(all[2...])
        mesh.pool = part
        mesh.decide()
        let first = try #require(mesh.current(part[0]))
        mesh.pool = all
        mesh.consider(part[0])
        mesh.pool = part
        let round = first.primary.plan.ballot.round + 1
        mesh.receive(decided(round: round, on: 3), from: part[1], at: part[0])
        #expect(mesh.current(part[0]) != first)
        mesh.pool = all
        let news = AgreementMessage.decided(
            manifest: manifest, ballot: first.primary.plan.ballot, bundle: first, isFresh: false)
        mesh.receive(news, from: all[0], at: part[0])
        for case .decided(_, _, _, let isFresh) in mesh.messages.map(\.message) {
            #expect(!isFresh)
        }
        #expect(mesh.nodes[part[0]]?.hasConflict(manifest) == true)
    }

    @Test("without a plan otherwise, nodes that flapped are used too")
    func flappingIsBetterThanNothing() {
        var mesh = AgreementMesh(count: 3)
        mesh.flapping = Set(mesh.pool)
        _ = mesh.waitForProposal()
        #expect(mesh.problems.last?.problem.nodes.isEmpty == true)
        mesh.plan()
        mesh.decide()
        #expect(mesh.pool.allSatisfy { mesh.current($0) != nil })
        #expect(mesh.nodes.values.allSatisfy { !$0.takesFlapping(manifest) })
    }

    @Test("nodes that flapped vote and are not used")
    func flappingVotes() throws {
        var mesh = AgreementMesh(count: 3)
        mesh.flapping = [mesh.pool[1], mesh.pool[2]]
        _ = mesh.waitForProposal()
        mesh.plan()
        let asked = mesh.messages.compactMap { item -> NodeBoot? in
            if case .prepare = item.message { item.to } else { nil }
        }
        #expect(asked.sorted() == mesh.pool.sorted())
        mesh.deliver()
        mesh.finishStaging()
        mesh.deliver()
        let current = try #require(mesh.current(mesh.pool[2]))
        #expect(current.primary.plan.hosts == [mesh.pool[0]])
    }

    @Test("an acceptor refuses a plan that does not cover the model")
    func invalidPlan() {
        var mesh = AgreementMesh(count: 3)
        var broken = Fixture.plan(hosts: [0, 1], cuts: [2]).plan
        broken.stages.removeLast()
        let bundle = PlanBundle(primary: Fixture.name(broken), alternates: [])
        mesh.receive(
            .accept(
                manifest: manifest, ballot: broken.ballot, bundle: bundle, view: mesh.pool),
            from: mesh.pool[0], at: mesh.pool[1])
        #expect(
            mesh.messages.map(\.message)
                == [.refuse(manifest: manifest, ballot: broken.ballot, reason: .invalidPlan)])
    }

    @Test("an acceptor refuses a plan that carries another ballot than its round")
    func otherBallot() {
        var mesh = AgreementMesh(count: 3)
        let bundle = PlanBundle(
            primary: Fixture.plan(hosts: [0, 1], cuts: [2], round: 1), alternates: [])
        let later = Ballot(round: 2, proposer: mesh.pool[0])
        let refusal = AgreementMessage.refuse(
            manifest: manifest, ballot: later, reason: .invalidPlan)
        mesh.receive(
            .stage(manifest: manifest, ballot: later, bundle: bundle), from: mesh.pool[0],
            at: mesh.pool[1])
        mesh.receive(
            .accept(manifest: manifest, ballot: later, bundle: bundle, view: mesh.pool),
            from: mesh.pool[0], at: mesh.pool[1])
        #expect(mesh.messages.map(\.message) == [refusal, refusal])
        #expect(mesh.changes[mesh.pool[1]] == [])
    }

    @Test("a decision that carries another ballot than it names is not followed")
    func otherBallotDecided() {
        var mesh = AgreementMesh(count: 3)
        let bundle = PlanBundle(
            primary: Fixture.plan(hosts: [0, 1], cuts: [2], round: 1), alternates: [])
        mesh.receive(
            .decided(
                manifest: manifest, ballot: Ballot(round: 2, proposer: mesh.pool[0]),
                bundle: bundle, isFresh: true), from: mesh.pool[0], at: mesh.pool[1])
        #expect(mesh.current(mesh.pool[1]) == nil)
    }

    @Test("a lost host is repaired at once")
    func repair() {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        mesh.problems = []
        guard let lost = mesh.current(mesh.pool[0])?.primary.plan.hosts.first else { return }
        mesh.lose(lost)
        let start = mesh.now
        mesh.decide()
        #expect(mesh.now - start < .milliseconds(400))
        for member in mesh.pool {
            #expect(mesh.current(member)?.primary.plan.hosts.contains(lost) == false)
        }
    }

    @Test("a repair forgets what hosts refused while the old plan held their memory")
    func repairForgetsRefusals() {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        guard let current = mesh.current(mesh.pool[0]),
            let lost = current.primary.plan.hosts.first
        else { return }
        let asker = mesh.pool.first { $0 != lost } ?? lost
        let other = mesh.pool.first { $0 != lost && $0 != asker } ?? lost
        mesh.nodes[asker]?.models[manifest]?.noteRefusal(by: other, freeBytes: 5, now: mesh.now)
        mesh.lose(lost)
        for _ in 0..<4 where mesh.problems.last?.by != asker {
            mesh.now = mesh.wake(asker)
            mesh.consider(asker)
        }
        let seen = mesh.problems.last?.problem.nodes.first { $0.member == other }
        #expect(seen?.freeMemoryBytes == 1 << 30)
    }

    @Test("a node does not wake for nothing while another one stages")
    func quietUnderLease() {
        var mesh = AgreementMesh(count: 3)
        let proposer = mesh.waitForProposal()
        mesh.plan()
        mesh.deliver()
        mesh.now = mesh.now + .seconds(1)
        for member in mesh.pool
        where member != proposer && mesh.nodes[member]?.models[manifest]?.lease != nil {
            mesh.consider(member)
            #expect(mesh.wake(member) > mesh.now + .seconds(10))
        }
    }
}
