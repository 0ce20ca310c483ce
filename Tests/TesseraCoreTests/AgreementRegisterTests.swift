import Testing

@testable import TesseraCore

@Suite struct AgreementRegisterTests {
    private let me = RequestsFixture.member(1)
    private let view = (0..<3).map { RequestsFixture.member($0) }

    private func ballot(_ round: UInt64, _ proposer: Int = 0) -> Ballot {
        Ballot(round: round, proposer: RequestsFixture.member(proposer))
    }

    private func prepare(
        _ register: inout PlanRegister, _ ballot: Ballot, view: [NodeBoot]? = nil,
        dead: [NodeBoot] = []
    ) -> PlanRegister.Verdict {
        register.onPrepare(
            ballot, view: view ?? self.view, me: me, isDead: { dead.contains($0) })
    }

    private func bundle(_ round: UInt64, _ proposer: Int = 0) -> PlanBundle {
        PlanBundle(
            primary: RequestsFixture.plan(
                hosts: [0, 1], cuts: [2], round: round, proposer: proposer), alternates: [])
    }

    @Test("a register promises to a higher ballot and to no other")
    func promises() {
        var register = PlanRegister()
        #expect(prepare(&register, ballot(2)) == .yes)
        #expect(prepare(&register, ballot(1)) == .no(.promisedHigher(ballot(2))))
        #expect(prepare(&register, ballot(2)) == .no(.promisedHigher(ballot(2))))
        #expect(prepare(&register, ballot(2, 1)) == .yes)
        #expect(register.promised == ballot(2, 1))
    }

    @Test("another boot of a proposer is another ballot")
    func proposersBoot() {
        var register = PlanRegister()
        let later = Ballot(round: 1, proposer: RequestsFixture.member(0, boot: 2))
        #expect(prepare(&register, ballot(1)) == .yes)
        #expect(prepare(&register, later) == .yes)
    }

    @Test("a run that the view does not name does not vote")
    func notInView() {
        var register = PlanRegister()
        let others = [RequestsFixture.member(0), RequestsFixture.member(1, boot: 2)]
        #expect(prepare(&register, ballot(1), view: others) == .no(.notInView))
        #expect(
            register.onAccept(ballot(1), bundle(1).primary.id, view: others, me: me)
                == .no(.notInView))
        #expect(register.promised == nil && register.accepted == nil)
    }

    @Test("a view with a member that is held dead gets no promise")
    func deadInView() {
        var register = PlanRegister()
        #expect(prepare(&register, ballot(1), dead: [view[2]]) == .no(.holdsDead(view[2])))
        #expect(register.promised == nil)
    }

    @Test("a refused ballot still raises the next round")
    func observes() {
        var register = PlanRegister()
        _ = prepare(&register, ballot(7), dead: [view[2]])
        #expect(register.highestRound == 7)
    }

    @Test("an acceptance under a lower ballot than the promise is refused")
    func accepts() {
        var register = PlanRegister()
        let plan = bundle(1).primary.id
        _ = prepare(&register, ballot(2))
        #expect(
            register.onAccept(ballot(1), plan, view: view, me: me)
                == .no(.promisedHigher(ballot(2))))
        #expect(register.onAccept(ballot(2), plan, view: view, me: me) == .yes)
        #expect(register.accepted == BallotPlan(ballot: ballot(2), plan: plan))
    }

    @Test("an acceptance without a promise before it is one")
    func acceptIsPromise() {
        var register = PlanRegister()
        _ = register.onAccept(ballot(3), bundle(3).primary.id, view: view, me: me)
        #expect(register.promised == ballot(3))
    }

    @Test("a staging under a lower ballot than the promise is refused")
    func stages() {
        var register = PlanRegister()
        _ = prepare(&register, ballot(2))
        #expect(register.onStage(ballot(1)) == .no(.promisedHigher(ballot(2))))
        #expect(register.onStage(ballot(2)) == .yes)
    }

    @Test("the current plan only moves to higher ballots")
    func current() {
        var register = PlanRegister()
        #expect(register.onDecided(bundle(2)) == true)
        #expect(register.onDecided(bundle(1)) == false)
        #expect(register.onDecided(bundle(2)) == false)
        #expect(register.onDecided(bundle(2, 1)) == true)
        #expect(register.current == bundle(2, 1))
        #expect(register.currentBallotPlan?.ballot == ballot(2, 1))
    }
}
