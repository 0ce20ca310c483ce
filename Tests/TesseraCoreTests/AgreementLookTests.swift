import Testing

@testable import TesseraCore

/// How long planning may take, and how often a better plan is looked for.
@Suite struct AgreementLookTests {
    @Test("a worker that plans for long is given more time at each failure, up to 160 s")
    func planningTime() {
        var mesh = AgreementMesh(count: 1)
        var given: [Int64] = []
        for _ in 0..<6 {
            mesh.problems = []
            _ = mesh.waitForProposal()
            let end = mesh.wake(mesh.pool[0])
            given.append((end - mesh.now).milliseconds)
            mesh.now = end
            mesh.consider(mesh.pool[0])
        }
        #expect(given == [10_000, 20_000, 40_000, 80_000, 160_000, 160_000])
    }

    @Test("the lower its rank, the seldomer a node looks for a better plan unasked")
    func looksByRank() {
        var mesh = AgreementMesh(count: 3)
        mesh.decide()
        for member in mesh.pool { mesh.consider(member) }
        let waits = mesh.pool.map { (mesh.wake($0) - mesh.now).milliseconds }.sorted()
        #expect(waits == [10_000, 20_000, 30_000])
    }

    @Test("who plans for long looks seldom for a better plan")
    func looksBySpan() {
        var mesh = AgreementMesh(count: 1)
        _ = mesh.waitForProposal()
        mesh.now = mesh.now + .seconds(2)
        mesh.plan()
        mesh.deliver()
        mesh.finishStaging()
        mesh.deliver()
        mesh.consider(mesh.pool[0])
        #expect(mesh.wake(mesh.pool[0]) - mesh.now == .seconds(40))
    }

    @Test("who fails after long rounds pauses for as long, and longer each time; a repair does not")
    func pauses() {
        let me = RequestsFixture.member(0)
        func pauses(_ need: PlanRound.Need) -> [TimeSpan] {
            var agreement = Agreement(me: me, generator: SeededGenerator(seed: 1))
            var model = Agreement.Model()
            var now = Timestamp.zero
            return (0..<7).map { _ in
                model.round = PlanRound(
                    ballot: Ballot(round: 1, proposer: me), need: need, view: [me],
                    phase: .planning(token: 1), startedAt: now, deadline: .never)
                now = now + .seconds(5)
                var directives: [Directive] = []
                agreement.fail(
                    &model, RequestsFixture.manifest, "another was promised", now: now,
                    backOff: true, into: &directives)
                return model.notBefore - now
            }
        }
        for (pause, seconds) in zip(pauses(.improvement), [5, 10, 20, 40, 80, 80, 80] as [Int64]) {
            #expect(pause >= .seconds(seconds) / 2 && pause < .seconds(seconds) * 3 / 2)
        }
        for pause in pauses(.repair(me)) { #expect(pause < .seconds(2)) }
    }
}
