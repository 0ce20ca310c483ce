import Testing

@testable import TesseraCore

/// Decisions of parts of a mesh that meet again.
@Suite struct AgreementMeetingTests {
    private typealias Fixture = RequestsFixture
    private let manifest = RequestsFixture.manifest

    /// What another part of the mesh decided, told at the meeting.
    private func rival(round: UInt64) -> AgreementMessage {
        let plan = Fixture.plan(hosts: [1], cuts: [], round: round, proposer: 2)
        return .decided(
            manifest: manifest, ballot: plan.plan.ballot,
            bundle: PlanBundle(primary: plan, alternates: []), isFresh: false)
    }

    @Test("at a heal nobody switches by epoch alone: the merged pool decides above both")
    func heal() {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        let told = PlanBundle(
            primary: Fixture.plan(hosts: [1], cuts: [], round: 40, proposer: 2), alternates: [])
        let before = mesh.pool.map { mesh.current($0) }
        for member in mesh.pool {
            mesh.receive(
                .decided(
                    manifest: manifest, ballot: told.primary.plan.ballot, bundle: told,
                    isFresh: false), from: mesh.pool[2], at: member)
        }
        #expect(mesh.pool.map { mesh.current($0) } == before)
        mesh.decide()
        let after = mesh.pool.compactMap { mesh.current($0)?.primary }
        #expect(after.count == 3 && Set(after.map(\.id)).count == 1)
        #expect(after.allSatisfy { $0.plan.ballot.round > 40 })
    }

    @Test("a part's decision that comes late, after the common one, is told what came after it")
    func lateRival() throws {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        let told = rival(round: 40)
        for member in mesh.pool { mesh.receive(told, from: mesh.pool[2], at: member) }
        mesh.decide()
        let common = try #require(mesh.current(mesh.pool[0]))
        mesh.messages = []
        mesh.receive(told, from: mesh.pool[2], at: mesh.pool[0])
        #expect(mesh.nodes[mesh.pool[0]]?.hasConflict(manifest) == false)
        #expect(
            mesh.messages.map(\.message) == [
                .decided(
                    manifest: manifest, ballot: common.primary.plan.ballot, bundle: common,
                    isFresh: true)
            ])
    }

    @Test("where no common plan is found, the lower decision gives way after a while")
    func givesWay() {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        let own = mesh.current(mesh.pool[0])
        let higher = rival(round: 40)
        mesh.receive(higher, from: mesh.pool[2], at: mesh.pool[0])
        mesh.now = mesh.now + Agreement.mergePatience - .milliseconds(1)
        mesh.receive(higher, from: mesh.pool[2], at: mesh.pool[0])
        #expect(mesh.current(mesh.pool[0]) == own)
        mesh.now = mesh.now + .milliseconds(1)
        mesh.receive(rival(round: 0), from: mesh.pool[2], at: mesh.pool[0])
        #expect(mesh.current(mesh.pool[0]) == own)
        mesh.receive(higher, from: mesh.pool[2], at: mesh.pool[0])
        #expect(mesh.current(mesh.pool[0])?.primary.plan.ballot.round == 40)
        #expect(mesh.nodes[mesh.pool[0]]?.hasConflict(manifest) == false)
    }

    @Test("a decision that is told replaces a current plan that cannot serve any more")
    func toldAfterLoss() {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        guard let current = mesh.current(mesh.pool[0]),
            let lost = current.primary.plan.hosts.first
        else { return }
        mesh.lose(lost)
        let member = mesh.pool[0]
        let told = PlanBundle(
            primary: Fixture.plan(hosts: [1], cuts: [], round: 40, proposer: 2), alternates: [])
        mesh.receive(
            .decided(
                manifest: manifest, ballot: told.primary.plan.ballot, bundle: told, isFresh: false),
            from: mesh.pool[1], at: member)
        #expect(mesh.current(member) == told)
    }
}
