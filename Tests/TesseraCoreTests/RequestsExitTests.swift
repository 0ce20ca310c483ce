import Testing

@testable import TesseraCore

/// Answers by early exits.
@Suite struct RequestsExitTests {
    private typealias Fixture = RequestsFixture
    private let me = RequestsFixture.entry
    private let manifest = RequestsFixture.manifest

    /// Three outputs: what the first and the third operator make are exits.
    private let outline: ModelOutline = {
        var outline = RequestsFixture.outline
        outline.tensors[1].isOutput = true
        outline.tensors[3].isOutput = true
        outline.outputs = [1, 3, 4]
        return outline
    }()

    private let exits = [
        ModelExit(output: "tensor-1", threshold: 800_000),
        ModelExit(output: "tensor-3", measure: .margin, threshold: 600_000),
    ]

    private var plan: NamedPlan {
        Fixture.plan(hosts: [0, 1, 2], cuts: [1, 3], outline: outline)
    }

    /// An entry with one request under way.
    private struct Entry {
        var table: RequestTable
        var attempt: AttemptID
        var layout: PlanLayout

        /// A slice of an output arrives.
        mutating func arrive(tensor: Int, payload: UInt64) -> [Directive] {
            var directives: [Directive] = []
            let header = RequestsFixture.header(attempt, layout, tensor: tensor, to: .entry)
            _ = table.onSlice(
                header, RequestsFixture.piece(payload), now: .zero, into: &directives)
            return directives
        }

        /// An exit was measured.
        mutating func judge(_ exit: Int, _ confidence: Int) -> [Directive] {
            var directives: [Directive] = []
            _ = table.onJudged(
                attempt, exit: exit, confidence: confidence, now: .zero, into: &directives)
            return directives
        }
    }

    private func start(_ wish: ExitWish = .usual) throws -> Entry {
        let table = try #require(outline.exitTable(exits)).wished(wish)
        let layout = PlanLayout(plan, outline: outline)
        let routing = RequestTable.Routing(usable: layout, reason: "")
        var requests = RequestTable(me: me)
        var directives: [Directive] = []
        requests.onSubmitted(
            ClientID(number: 1), manifest: manifest, inputs: [Fixture.payload(1)],
            deadline: .seconds(10), exits: table, routing: routing, now: .zero,
            into: &directives)
        _ = requests.onTickets(
            plan: plan.id, numbers: [7], from: Fixture.member(0), into: &directives)
        requests.advance(manifest, routing, now: .zero, into: &directives)
        return Entry(
            table: requests,
            attempt: AttemptID(
                request: RequestID(entry: me, counter: 1), number: 1, plan: plan.id),
            layout: layout)
    }

    private func answers(
        _ directives: [Directive]
    ) -> [(payloads: [UInt64], exit: ExitDetail?)] {
        directives.compactMap {
            guard case .answer(_, let outputs, let detail) = $0 else { return nil }
            return (outputs.map { $0.pieces[0].payload.id.number }, detail.exit)
        }
    }

    private func judged(_ directives: [Directive]) -> [Int] {
        directives.compactMap { if case .judge(_, let exit, _, _, _) = $0 { exit } else { nil } }
    }

    @Test("a sure exit answers, what is in flight is cancelled, everything is released")
    func sureExit() throws {
        var entry = try start()
        #expect(judged(entry.arrive(tensor: 1, payload: 5)) == [0])
        let directives = entry.judge(0, 800_000)
        let answer = try #require(answers(directives).first)
        #expect(answer.payloads == [5])
        #expect(
            answer.exit
                == ExitDetail(taken: 0, answer: 2, seen: [.init(place: 0, confidence: 800_000)]))
        for host in 0...2 {
            #expect(
                directives.requests(to: Fixture.member(host))
                    .contains(.cancel(attempt: entry.attempt)))
        }
        #expect(
            directives.requests(to: Fixture.member(0))
                .contains(.ticketReturn(plan: plan.id, numbers: [7])))
        #expect(directives.released.sorted() == [1, 5])
        #expect(entry.table.openCount == 0 && entry.table.exitCounts[manifest] == [0: 1])
        // What comes later finds nobody.
        #expect(entry.arrive(tensor: 4, payload: 9).released == [9])
        #expect(entry.judge(1, 900_000).isEmpty)
    }

    @Test("an unsure exit leaves the answer to the next one, or to the end of the model")
    func unsureExits() throws {
        var entry = try start()
        _ = entry.arrive(tensor: 1, payload: 5)
        #expect(answers(entry.judge(0, 799_999)).isEmpty)
        #expect(judged(entry.arrive(tensor: 3, payload: 6)) == [1])
        #expect(answers(entry.judge(1, 0)).isEmpty)
        let directives = entry.arrive(tensor: 4, payload: 7)
        let answer = try #require(answers(directives).first)
        #expect(answer.payloads == [5, 6, 7])
        #expect(answer.exit?.taken == nil && answer.exit?.seen.map(\.confidence) == [799_999, 0])
        #expect(directives.released.sorted() == [1, 5, 6, 7])
        #expect(
            !directives.requests(to: Fixture.member(2)).contains(.cancel(attempt: entry.attempt)))
        #expect(entry.table.exitCounts[manifest] == [2: 1])
    }

    @Test("whatever comes first, the first sure exit of the model answers")
    func order() throws {
        for early in [true, false] {
            var entry = try start()
            var all: [Directive] = []
            all += entry.arrive(tensor: 4, payload: 7)
            all += entry.arrive(tensor: 3, payload: 6)
            all += entry.judge(1, 1_000_000)
            #expect(answers(all).isEmpty)
            all += entry.arrive(tensor: 1, payload: 5)
            all += entry.judge(0, early ? 900_000 : 100_000)
            #expect(answers(all).map(\.payloads) == [early ? [5] : [6]])
            #expect(all.released.sorted() == [1, 5, 6, 7])
        }
    }

    @Test("a client may want another threshold, or all of the model")
    func wishes() throws {
        var low = try start(.threshold(100_000))
        _ = low.arrive(tensor: 1, payload: 5)
        #expect(answers(low.judge(0, 100_000)).map(\.payloads) == [[5]])
        var none = try start(.none)
        #expect(judged(none.arrive(tensor: 1, payload: 5)).isEmpty)
        _ = none.arrive(tensor: 3, payload: 6)
        let directives = none.arrive(tensor: 4, payload: 7)
        #expect(answers(directives).map(\.payloads) == [[5, 6, 7]])
        #expect(answers(directives)[0].exit == nil)
    }

    @Test("an attempt that a loss ends takes its exits with it; another plan's are judged anew")
    func loss() throws {
        var entry = try start()
        _ = entry.arrive(tensor: 1, payload: 5)
        var directives: [Directive] = []
        _ = entry.table.onLost(Fixture.member(2), now: .zero, into: &directives)
        #expect(directives.released == [5])
        // The measurement of the lost attempt comes too late.
        #expect(entry.judge(0, 1_000_000).isEmpty)
        #expect(entry.table.openCount == 1)
    }

    @Test("exits that do not fit the model are none, with the reason")
    func faults() {
        func fault(_ change: (inout ModelOutline, inout [ModelExit]) -> Void) -> String? {
            var (outline, exits) = (outline, exits)
            change(&outline, &exits)
            #expect((outline.exitTable(exits) == nil) == (outline.fault(of: exits) != nil))
            return outline.fault(of: exits)
        }
        #expect(fault { _, _ in } == nil)
        #expect(fault { _, exits in exits[0].output = "other" }?.contains("no output") == true)
        #expect(fault { _, exits in exits[1].output = "tensor-1" }?.contains("twice") == true)
        #expect(fault { _, exits in exits.reverse() }?.contains("before the exit") == true)
        #expect(fault { _, exits in exits.removeLast() }?.contains("2 outputs") == true)
        #expect(fault { _, exits in exits[0].threshold = -1 }?.contains("threshold") == true)
        #expect(
            fault { outline, _ in outline.tensors[3].descriptor.shape = [2, 5] }?
                .contains("shape") == true)
        #expect(
            fault { outline, _ in
                for index in [1, 3, 4] { outline.tensors[index].descriptor.shape = [2, 5] }
            }?.contains("no list") == true)
    }

    @Test("shares are counted once there is enough to count, and reach what lies behind")
    func shares() {
        var exits = exits
        exits[0].share = 250_000
        let known = [ExitShare(producer: 0, share: 250_000)]
        #expect(outline.exitShares(exits, counts: [0: 100]) == known)
        let counted = outline.exitShares(exits, counts: [0: 100, 1: 50, 2: 50])
        #expect(
            counted == [
                ExitShare(producer: 0, share: 500_000), ExitShare(producer: 2, share: 250_000),
            ])
        var problem = PlannerInstances.problem(outline, nodes: [], links: [])
        problem.exits = counted
        #expect(
            (0...4).map(problem.share(atOperator:))
                == [1_000_000, 500_000, 500_000, 250_000, 250_000])
    }
}
