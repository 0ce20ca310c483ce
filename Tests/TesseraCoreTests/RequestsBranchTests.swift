import Testing

@testable import TesseraCore

/// Answers without branches that are late or lost.
@Suite struct RequestsBranchTests {
    private typealias Fixture = RequestsFixture
    private static let manifest = RequestsFixture.manifest
    /// The first host of a plan runs its own branch and the join.
    private static let join = RequestsFixture.member(0)
    private static let entry = RequestsFixture.entry

    /// Branches of one operator each on the input, what puts them together, and a product of that.
    private static func outline(branches: Int = 3) -> ModelOutline {
        var outline = PlannerInstances.chain(
            operations: .init(repeating: 1_000, count: branches + 2), elements: 10)
        outline.tensors[0].consumers = Array(0..<branches)
        for branch in 1...branches { outline.tensors[branch].consumers = [branches] }
        outline.operators[branches].kind = "Concat"
        outline.tensors[branches + 1].descriptor.shape = [10 * branches]
        outline.operators[branches + 1].kind = "MatMul"
        return outline
    }

    /// A plan that gives each branch a host of its own, from member 0 on.
    private static func plan(_ outline: ModelOutline) -> NamedPlan {
        let branches = outline.operators.count - 2
        var fragments = (0..<branches).map {
            Fragment(host: Fixture.member($0), operators: $0..<($0 + 1))
        }
        fragments.append(Fragment(host: join, operators: branches..<(branches + 2)))
        return Fixture.name(
            Plan(
                manifest: manifest, ballot: Ballot(round: 1, proposer: join),
                stages: [
                    Stage(
                        operators: 0..<branches, mode: .branches, fragments: 0..<branches),
                    Stage(
                        operators: branches..<(branches + 2), mode: .single,
                        fragments: branches..<(branches + 1)),
                ], fragments: fragments, routes: Plan.routes(for: outline, fragments: fragments),
                window: 2, predictedPeriodMicroseconds: 10, predictedLatencyMicroseconds: 20))
    }

    /// The host of the join, with an attempt whose branches come one by one.
    private struct Host {
        var outline: ModelOutline
        var layout: PlanLayout
        var allowance: BranchAllowance?
        var table = AttemptTable(me: RequestsBranchTests.join, executionSlots: 1)
        var lost: [NodeBoot] = []
        var now = Timestamp.zero

        init(_ degrade: BranchDegrade? = BranchDegrade(fill: .zeros), branches: Int = 3) {
            outline = RequestsBranchTests.outline(branches: branches)
            if degrade?.fill == .mean {
                outline.operators[branches + 1].kind = "ReduceMean"
                for index in 1...branches { outline.tensors[index].descriptor.shape = [1, 10] }
            }
            layout = PlanLayout(RequestsBranchTests.plan(outline), outline: outline)
            allowance = degrade.map {
                BranchAllowance(degrade: $0, joins: outline.joins($0.fill))
            }
        }

        var join: Int { layout.plan.fragments.count - 1 }

        func attempt(_ request: UInt64 = 1) -> AttemptID {
            Fixture.attempt(layout.named, request: request)
        }

        /// What a branch gives arrives.
        mutating func arrive(
            _ branch: Int, request: UInt64 = 1, remaining: TimeSpan = .seconds(10),
            leftOut: [Int] = []
        ) -> [Directive] {
            var directives: [Directive] = []
            var header = Fixture.header(
                attempt(request), layout, tensor: branch + 1, to: .fragment(join),
                remaining: remaining)
            header.leftOut = leftOut
            table.onSlice(
                header, Fixture.piece(request * 100 + UInt64(branch)), layout: layout,
                allowance: allowance, lost: lost, now: now, into: &directives)
            return directives
        }

        mutating func wake(at now: Timestamp) -> [Directive] {
            self.now = now
            var directives: [Directive] = []
            table.onWake(now: now, into: &directives)
            return directives
        }

        mutating func filled(_ branch: Int, payload: UInt64, request: UInt64 = 1) -> [Directive] {
            var directives: [Directive] = []
            let route = layout.plan.routes.firstIndex {
                $0.tensor == branch + 1 && $0.destination == .fragment(join)
            }
            table.onFilled(
                attempt(request), route: route ?? -1, Fixture.payload(payload), now: now,
                into: &directives)
            return directives
        }

        /// The attempt ends, with this node's own branch, which the tests do not run.
        mutating func cancel(request: UInt64 = 1) -> [Directive] {
            var directives: [Directive] = []
            table.onCancel(attempt(request), into: &directives)
            return directives
        }

        /// The run of the join ends.
        mutating func executed(request: UInt64 = 1) -> [Directive] {
            var directives: [Directive] = []
            table.onExecuted(
                attempt: attempt(request), fragment: join, outputs: [Fixture.payload(900)],
                microseconds: 1, now: now, into: &directives)
            return directives
        }
    }

    private func fills(_ directives: [Directive]) -> [(branch: String, from: [UInt64])] {
        directives.compactMap {
            guard case .fill(_, _, let descriptor, let tensors) = $0 else { return nil }
            return (descriptor.name, tensors.map { $0.pieces[0].payload.id.number })
        }
    }

    // MARK: The host of the join

    @Test("a late branch is left out, and what was computed without it says so")
    func late() {
        var host = Host()
        #expect(host.arrive(0).isEmpty && host.arrive(1).isEmpty)
        let due = Timestamp.zero + BranchWait.shortestClock
        #expect(host.table.nextWake == due)
        #expect(fills(host.wake(at: due - .milliseconds(1))).isEmpty)
        let left = host.wake(at: due)
        #expect(fills(left).map(\.branch) == ["tensor-3"] && fills(left)[0].from.isEmpty)
        #expect(left.contains(.report(.limit("time of a branch", count: 1))))
        #expect(host.filled(2, payload: 7).executed == [host.attempt()])
        // The branch itself comes too late.
        #expect(host.arrive(2).released == [102])
        let directives = host.executed()
        #expect(directives.slices.map(\.header.leftOut) == [[3]])
        #expect(directives.released.sorted() == [7, 100, 101, 900])
        #expect(host.cancel().isEmpty && host.table.isIdle)
    }

    @Test("with and without the allowance the same happens where no branch is late")
    func inTime() {
        var (host, strict) = (Host(), Host(nil))
        for branch in [1, 2, 0] { #expect(host.arrive(branch) == strict.arrive(branch)) }
        let directives = host.executed()
        #expect(directives == strict.executed())
        #expect(directives.slices.map(\.header.leftOut) == [[]])
    }

    @Test("without the allowance a branch is waited for until the deadline")
    func notAllowed() {
        var host = Host(nil)
        _ = host.arrive(0)
        _ = host.arrive(1)
        #expect(fills(host.wake(at: .zero + .seconds(9))).isEmpty)
        #expect(host.arrive(2).executed == [host.attempt()])
    }

    @Test("what this node computes itself, and more than is allowed, is waited for")
    func limits() {
        var host = Host()
        _ = host.arrive(1)
        #expect(fills(host.wake(at: .zero + .seconds(5))).isEmpty)
        _ = host.arrive(2)
        #expect(fills(host.wake(at: .zero + .seconds(9))).isEmpty)
        var two = Host(BranchDegrade(fill: .zeros, most: 2))
        _ = two.arrive(0)
        #expect(fills(two.wake(at: .zero + .seconds(5))).map(\.branch) == ["tensor-2", "tensor-3"])
        #expect(two.filled(1, payload: 7).executed.isEmpty)
        #expect(two.filled(2, payload: 8).executed == [two.attempt()])
        #expect(two.executed().slices.map(\.header.leftOut) == [[2, 3]])
        // One of them has to be there, whatever is allowed.
        let both = BranchAllowance(
            degrade: BranchDegrade(fill: .zeros, most: 9), joins: two.outline.joins(.zeros))
        #expect(both.joins.map(both.most) == [2])
    }

    @Test("a branch that comes while its stand-in is made is too late")
    func overtaken() {
        var host = Host(BranchDegrade(fill: .mean, most: 2))
        _ = host.arrive(0)
        #expect(fills(host.wake(at: .zero + .seconds(1))).map(\.from) == [[100], [100]])
        #expect(host.arrive(1).released == [101])
        #expect(host.filled(1, payload: 7).executed.isEmpty)
        #expect(host.arrive(2).released == [102])
        #expect(host.filled(2, payload: 8).executed == [host.attempt()])
        #expect(host.executed().slices.map(\.header.leftOut) == [[2, 3]])
        // An attempt that has ended wants no stand-in.
        _ = host.cancel()
        #expect(host.filled(2, payload: 9).released == [9])
    }

    @Test("the mean is that of the branches that are there, in their order")
    func mean() {
        var host = Host(BranchDegrade(fill: .mean))
        _ = host.arrive(2)
        _ = host.arrive(0)
        let left = fills(host.wake(at: .zero + .seconds(1)))
        #expect(left.map(\.branch) == ["tensor-2"] && left.map(\.from) == [[100, 102]])
    }

    @Test("what a lost node was to send is left out at once, before and after the attempt began")
    func lost() {
        var host = Host()
        _ = host.arrive(0)
        _ = host.arrive(1)
        host.now = .zero + .milliseconds(10)
        host.table.onBranchLost(Fixture.member(1), now: host.now)
        #expect(host.table.nextWake == Timestamp.zero + BranchWait.shortestClock)
        host.table.onBranchLost(Fixture.member(2), now: host.now)
        #expect(fills(host.wake(at: host.now)).map(\.branch) == ["tensor-3"])
        var later = Host()
        later.lost = [Fixture.member(2)]
        _ = later.arrive(1)
        _ = later.arrive(0)
        #expect(fills(later.wake(at: .zero)).map(\.branch) == ["tensor-3"])
    }

    @Test("a branch is left out early enough for an answer by the deadline")
    func deadline() {
        var host = Host()
        _ = host.arrive(0, remaining: .milliseconds(50))
        _ = host.arrive(1, remaining: .milliseconds(50))
        // Twice what the plan predicts for an item.
        #expect(host.table.nextWake == Timestamp.zero + .milliseconds(50) - .microseconds(40))
    }

    @Test("a join that always waits long for its last branch goes on doing so")
    func usual() {
        var host = Host()
        for request in UInt64(1)...8 {
            host.now = .zero + .seconds(Int64(request))
            _ = host.arrive(0, request: request)
            _ = host.arrive(1, request: request)
            host.now = host.now + .milliseconds(60)
            _ = host.arrive(2, request: request)
            _ = host.executed(request: request)
            _ = host.cancel(request: request)
        }
        host.now = .zero + .seconds(20)
        _ = host.wake(at: host.now)
        _ = host.arrive(0, request: 20)
        _ = host.arrive(1, request: 20)
        #expect(host.table.nextWake == host.now + .milliseconds(240))
    }

    @Test("a node that stood still lets its branches have the time that it missed")
    func stalled() {
        var host = Host()
        _ = host.arrive(0)
        _ = host.arrive(1)
        host.table.onStalled(for: .seconds(2))
        #expect(fills(host.wake(at: .zero + .seconds(2))).isEmpty)
        #expect(fills(host.wake(at: .zero + .milliseconds(2_100))).count == 1)
    }

    @Test("what was left out before travels with all that is computed of it")
    func travels() {
        var host = Host()
        _ = host.arrive(0, leftOut: [8])
        _ = host.arrive(1, leftOut: [1, 8])
        _ = host.arrive(2)
        #expect(host.executed().slices.map(\.header.leftOut) == [[1, 8]])
    }

    @Test(
        "the mean is not taken where the join's fragment computes a branch itself",
        arguments: [
            BranchFill.zeros, .mean,
        ])
    func ownBranch(fill: BranchFill) {
        var host = Host(BranchDegrade(fill: fill))
        let fragments = [
            Fragment(host: Self.join, operators: 0..<1),
            Fragment(host: Fixture.member(1), operators: 1..<2),
            Fragment(host: Self.join, operators: 2..<5),
        ]
        var plan = host.layout.plan
        plan.fragments = fragments
        plan.stages = fragments.enumerated().map {
            Stage(operators: $1.operators, mode: .single, fragments: $0..<($0 + 1))
        }
        plan.routes = Plan.routes(for: host.outline, fragments: fragments)
        host.layout = PlanLayout(Fixture.name(plan), outline: host.outline)
        _ = host.arrive(0)
        var directives: [Directive] = []
        host.table.onSlice(
            Fixture.header(
                host.attempt(), host.layout, tensor: 0, to: .fragment(2), remaining: .seconds(10)),
            Fixture.piece(50), layout: host.layout, allowance: host.allowance, now: .zero,
            into: &directives)
        #expect(fills(host.wake(at: .zero + .seconds(1))).count == (fill == .zeros ? 1 : 0))
        let canLose = host.allowance.map { host.layout.canDoWithout([Fixture.member(1)], $0) }
        #expect(canLose == (fill == .zeros))
    }

    // MARK: The entry

    private func started(
        _ layout: PlanLayout
    ) -> (table: RequestTable, attempt: AttemptID) {
        let routing = RequestTable.Routing(usable: layout, reason: "")
        var table = RequestTable(me: Self.entry)
        var directives: [Directive] = []
        table.onSubmitted(
            ClientID(number: 1), manifest: Self.manifest, inputs: [Fixture.payload(1)],
            deadline: .seconds(10), routing: routing, now: .zero, into: &directives)
        _ = table.onTickets(
            plan: layout.id, numbers: [7], from: Self.join, into: &directives)
        table.advance(Self.manifest, routing, now: .zero, into: &directives)
        return (table, Fixture.attempt(layout.named))
    }

    @Test("an answer names what it does without, is counted, and the late hosts forget it")
    func answer() throws {
        for leftOut in [[], [3]] {
            let host = Host()
            var (table, attempt) = started(host.layout)
            var header = Fixture.header(attempt, host.layout, tensor: 5, to: .entry)
            header.leftOut = leftOut
            var directives: [Directive] = []
            _ = table.onSlice(header, Fixture.piece(5), now: .zero, into: &directives)
            let details = directives.compactMap {
                if case .answer(_, _, let detail) = $0 { detail } else { nil }
            }
            let detail = try #require(details.first)
            #expect(detail.leftOut == leftOut.map { MissingBranch(tensor: $0, name: "tensor-3") })
            #expect(table.leftOutAnswers[Self.manifest] == (leftOut.isEmpty ? nil : 1))
            let isCancelled = directives.requests(to: Fixture.member(2))
                .contains(.cancel(attempt: attempt))
            #expect(isCancelled == !leftOut.isEmpty)
        }
    }

    @Test("an attempt goes on without a lost branch where that may be left out, and only there")
    func goesOn() {
        let host = Host()
        func isOpen(after lost: [Int], _ allowance: BranchAllowance?) -> Bool {
            var (table, attempt) = started(host.layout)
            var directives: [Directive] = []
            for node in lost {
                _ = table.onLost(
                    Fixture.member(node), allowances: allowance.map { [Self.manifest: $0] } ?? [:],
                    now: .zero, into: &directives)
            }
            #expect(table.openCount == 1)
            return table.isOpen(attempt)
        }
        #expect(isOpen(after: [2], host.allowance))
        #expect(!isOpen(after: [2], nil))
        // The join itself, and more branches than may be left out.
        #expect(!isOpen(after: [0], host.allowance))
        #expect(!isOpen(after: [1, 2], host.allowance))
        let two = BranchAllowance(
            degrade: BranchDegrade(fill: .zeros, most: 2), joins: host.outline.joins(.zeros))
        #expect(isOpen(after: [1, 2], two))
        #expect(!isOpen(after: [1, 0], two))
    }

    // MARK: Which joins qualify

    private func fault(
        _ degrade: BranchDegrade = BranchDegrade(fill: .zeros),
        _ change: (inout ModelOutline) -> Void = { _ in }
    ) -> String? {
        var outline = Self.outline()
        change(&outline)
        let fault = outline.fault(of: degrade)
        if (1..<3).contains(degrade.most) {
            #expect((fault == nil) == !outline.joins(degrade.fill).isEmpty)
        }
        return fault
    }

    @Test("zeros stand for branches of a weighted sum, and for no others")
    func weightedSums() {
        #expect(fault() == nil)
        #expect(Self.outline().joins(.zeros) == [BranchJoin(tensors: [1, 2, 3], reader: 3)])
        #expect(fault { $0.operators[3].kind = "Multiply" }?.contains("is a Multiply") == true)
        #expect(fault { $0.operators[4].kind = "SoftMax" }?.contains("read by SoftMax") == true)
        #expect(
            fault {
                $0.tensors[4].isOutput = true
                $0.outputs = [4, 5]
            }?.contains("is an output") == true)
        #expect(
            fault {
                $0.tensors[2].isOutput = true
                $0.outputs = [2, 5]
            }?.contains("nothing could stand for it") == true)
        #expect(
            fault { $0.tensors[2].descriptor.type = .int32 }?.contains("no floats") == true)
        #expect(fault { $0.tensors[2].descriptor.shape = [1 << 19] }?.contains("1 MiB") == true)
        #expect(fault { $0.tensors[2].consumers = [3, 4] }?.contains("one operator") == true)
        #expect(
            fault { outline in outline = PlannerInstances.chain(operations: [1, 1, 1]) }?
                .contains("no branches") == true)
        #expect(fault(BranchDegrade(fill: .zeros, most: 3))?.contains("one has to be") == true)
        #expect(fault(BranchDegrade(fill: .zeros, most: 0))?.contains("from 1") == true)
    }

    @Test("the mean stands for branches that are added up or averaged, and for no others")
    func sums() {
        let mean = BranchDegrade(fill: .mean)
        for kind in ["ReduceMean", "ReduceSum"] {
            #expect(fault(mean) { $0.operators[4].kind = kind } == nil)
            // The engine may run both as one.
            let isOne: (inout ModelOutline) -> Void = {
                $0.operators[3].kind = kind
                $0.tensors[4].descriptor.shape = [10]
            }
            #expect(fault(mean, isOne) == nil)
        }
        #expect(fault(mean)?.contains("is a MatMul") == true)
        let reduced: (inout ModelOutline) -> Void = { $0.operators[4].kind = "ReduceMean" }
        // Over more than the branches, and of branches that are not alike.
        #expect(
            fault(mean) {
                reduced(&$0)
                $0.tensors[5].descriptor.shape = [1]
            }?.contains("over them") == true)
        #expect(
            fault(mean) {
                reduced(&$0)
                $0.tensors[2].descriptor.shape = [11]
            }?.contains("one type and shape") == true)
        #expect(
            fault(mean) {
                reduced(&$0)
                $0.tensors[0].consumers.append(3)
            }?.contains("one type and shape") == true)
    }
}
