import TesseraCore
import Testing

@testable import TesseraSimulator

/// The checkers of agreement, membership and hosting are shown wrong sequences made by hand.
@Suite struct AgreementCheckerTests {
    private let manifest = ManifestID(1, 2, 3, 4)
    private let now = Timestamp.zero

    private func member(_ number: UInt64, boot: UInt64 = 1) -> NodeBoot {
        NodeBoot(node: NodeID(number, 0, 0, 0), boot: Boot(counter: boot, random: 0))
    }

    private func ballot(_ round: UInt64, _ proposer: UInt64 = 1) -> Ballot {
        Ballot(round: round, proposer: member(proposer))
    }

    private func plan(round: UInt64) -> Plan {
        Plan(
            manifest: manifest, ballot: ballot(round), stages: [],
            fragments: [Fragment(host: member(1), operators: 0..<1)], routes: [], window: 2,
            predictedPeriodMicroseconds: 0, predictedLatencyMicroseconds: 0)
    }

    private func id(_ number: UInt64) -> PlanID { PlanID(number, 0, 0, 0) }

    private func checker(_ body: () throws(Violation) -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return error.checker
        }
    }

    @Test("two plans under one ballot are caught, those of two models or proposers are not")
    func onePlanPerBallot() throws {
        var state = OnePlanPerBallot()
        try state.onPlan(id(1), of: manifest, under: ballot(1), at: now)
        try state.onPlan(id(1), of: manifest, under: ballot(1), at: now)
        try state.onPlan(id(2), of: ManifestID(2, 2, 3, 4), under: ballot(1), at: now)
        try state.onPlan(id(2), of: manifest, under: ballot(1, 2), at: now)
        #expect(
            checker { () throws(Violation) in
                try state.onPlan(id(3), of: manifest, under: ballot(1), at: now)
            } == "one plan per ballot")
    }

    @Test("a promise that goes back within a boot is caught, a new boot may")
    func promisesOnlyGrow() throws {
        var state = PromisesOnlyGrow()
        func bind(_ round: UInt64, boot: UInt64 = 1) throws(Violation) {
            try state.onBound(
                ballot(round), member(2, boot: boot), manifest, by: "a promise", at: now)
        }
        try bind(2)
        try bind(1, boot: 2)
        try bind(2)
        #expect(checker { () throws(Violation) in try bind(1) } == "promises only grow")
    }

    @Test("a decision without a majority of its view is caught; another boot's vote does not count")
    func majority() throws {
        var state = DecidedByMajority()
        state.onRound(ballot(1), manifest, view: [member(1), member(2), member(3)])
        state.onAccepted(ballot(1), manifest, by: member(1))
        state.onAccepted(ballot(1), manifest, by: member(2, boot: 2))
        var other = state
        #expect(
            checker { () throws(Violation) in try state.onDecided(plan(round: 1), at: now) }
                == "decided by a majority")
        other.onAccepted(ballot(1), manifest, by: member(3))
        try other.onDecided(plan(round: 1), at: now)
    }

    @Test("a second change after a heal is caught, one from before the split is not counted")
    func oneChangeAtHeal() throws {
        func decide(
            _ round: UInt64, _ hosts: [UInt64], _ state: inout OneChangeAtHeal, seesAll: Bool = true
        ) throws(Violation) {
            var plan = plan(round: round)
            plan.fragments = hosts.map { Fragment(host: member($0), operators: 0..<1) }
            try state.onDecided(
                plan, by: member(1), seeing: [member(2)] + (seesAll ? [member(3)] : []), at: now)
        }
        // Nodes 1 and 2 against node 3.
        func side(_ member: NodeBoot) -> Int { member.node == self.member(3).node ? 1 : 0 }

        for planBefore in [[1, 2], [1, 3]] as [[UInt64]] {
            var state = OneChangeAtHeal()
            try decide(1, planBefore, &state)
            state.onHealed(at: now, side: side)
            try decide(2, [1, 2], &state, seesAll: false)
            if planBefore == [1, 3] { try decide(3, [1, 2], &state) }
            try decide(4, [1, 2, 3], &state)
            #expect(
                checker { () throws(Violation) in try decide(5, [2, 3], &state) }
                    == "one plan change at a heal")
        }
    }

    @Test("acceptances that are asked for before a host is ready are caught")
    func ready() throws {
        var state = DecidedByMajority()
        let named = NamedPlan(id: id(1), plan: plan(round: 1))
        #expect(
            checker { () throws(Violation) in try state.onAccepting(named, at: now) }
                == "accepted plans are ready")
        state.onReady(id(1), at: member(1))
        try state.onAccepting(named, at: now)
    }

    @Test("a return from dead needs a higher incarnation, raised by the member itself")
    func incarnation() throws {
        var state = OwnIncarnation()
        func see(_ status: MemberStatus, _ incarnation: UInt64) throws(Violation) {
            try state.onSeen(
                MemberSight(member: member(2), status: status, incarnation: incarnation),
                by: member(1), at: now)
        }
        try see(.dead, 0)
        #expect(
            checker { () throws(Violation) in try see(.alive, 0) } == "nobody returns from dead")
        try see(.dead, 0)
        #expect(
            checker { () throws(Violation) in try see(.alive, 1) } == "nobody returns from dead")
        state.onOwn(1, of: member(2))
        try see(.dead, 0)
        try see(.alive, 1)
    }

    @Test("a slice of a plan that is not held must be answered, and must not run")
    func gone() throws {
        let attempt = AttemptID(
            request: RequestID(entry: member(1), counter: 1), number: 1, plan: id(1))
        let header = SliceHeader(
            attempt: attempt, route: 0, type: .float32, shape: [1], remaining: .seconds(1))
        func look(_ directives: [Directive], heldBefore: Bool = false) throws(Violation) {
            try GoneIsTold.checkSlice(
                header, heldBefore: heldBefore, directives, node: 2, member: member(2), at: now)
        }
        try look([], heldBefore: true)
        let told = RequestMessage.failed(
            attempt: attempt, fragment: nil, reason: .gone(current: nil))
        try look([.send(.request(told), to: member(1))])
        #expect(checker { () throws(Violation) in try look([]) } == "gone is told")
        #expect(
            checker { () throws(Violation) in
                try GoneIsTold.checkExecution(attempt, isReady: false, node: 2, at: now)
            } == "only held plans run")
    }

    @Test("more plan changes than a settled mesh may see are caught")
    func flapping() throws {
        var state = NoFlapping()
        func decide(_ round: UInt64, _ seconds: Int64) throws(Violation) {
            try state.onDecided(plan(round: round), by: member(1), at: now + .seconds(seconds))
        }
        for round in 1...5 { try decide(UInt64(round), 0) }
        state.onSettled(at: now + .seconds(1))
        try decide(6, 1)
        try decide(7, 2)
        var other = state
        try other.onDecided(plan(round: 8), by: member(1), at: now + .seconds(13))
        #expect(checker { () throws(Violation) in try decide(8, 3) } == "no flapping")
    }

    @Test("a plan that leaves an operator out, or does not fit, is caught")
    func fit() throws {
        let outline = SimulatedModel(Scenario.Model(operators: 4), number: 0, seed: 1).outline
        let whole = Fragment(host: member(1), operators: 0..<4)
        var plan = Plan(
            manifest: outline.manifest, ballot: ballot(1),
            stages: [Stage(operators: 0..<4, mode: .single, fragments: 0..<1)],
            fragments: [whole], routes: Plan.routes(for: outline, fragments: [whole]), window: 2,
            predictedPeriodMicroseconds: 0, predictedLatencyMicroseconds: 0)
        try PlansFit.checkCover(plan, outline: outline, at: now)
        let held = [NamedPlan(id: id(1), plan: plan)]
        let bytes = FragmentMemory.of(0..<4, in: outline).bytes(window: 2)
        func memory(_ budget: Int, _ reserved: Int) throws(Violation) {
            try PlansFit.checkMemory(
                held, on: member(1), node: 0, budget: budget, reserved: reserved,
                outlines: [outline], at: now)
        }
        try memory(bytes, bytes)
        let misfit = "held plans fit into memory"
        #expect(checker { () throws(Violation) in try memory(bytes - 1, bytes) } == misfit)
        #expect(checker { () throws(Violation) in try memory(bytes, bytes - 1) } == misfit)
        plan.stages[0].operators = 0..<3
        #expect(
            checker { () throws(Violation) in
                try PlansFit.checkCover(plan, outline: outline, at: now)
            } == "plans cover every operator once")
    }
}
