import Testing

@testable import TesseraCore

/// Plans with row tiles and replicas: what travels, what joins, who is used.
@Suite struct RequestsRowsTests {
    private typealias Fixture = RequestsFixture

    /// Three operators that read a window of three rows each, the second with stride 2, and one that
    /// needs everything: images of 4 channels and 12 rows of 5 elements.
    private static let outline: ModelOutline = {
        let heights = [12, 12, 6, 6]
        var tensors = heights.enumerated().map { index, height in
            ModelOutline.Tensor(
                descriptor: TensorDescriptor(
                    name: "t\(index)", type: .float32, shape: [1, 4, height, 5]),
                producer: index == 0 ? nil : index - 1, consumers: [index], isOutput: false,
                rowAxis: 2)
        }
        tensors.append(
            ModelOutline.Tensor(
                descriptor: TensorDescriptor(name: "answer", type: .float32, shape: [1, 10]),
                producer: 3, consumers: [], isOutput: true))
        let strides = [1, 2, 1]
        var operators = strides.enumerated().map { index, stride in
            ModelOutline.Operator(
                name: "conv\(index)", kind: "Convolution", operationCount: 1_000, movedBytes: 1_000,
                blobs: [], reads: [index],
                rowNeeds: [
                    .window(RowWindow(scale: stride, lower: -1, upper: 3 - stride - 1))
                ], rowCount: heights[index + 1])
        }
        operators.append(
            ModelOutline.Operator(
                name: "mean", kind: "ReduceMean", operationCount: 10, movedBytes: 10, blobs: [],
                reads: [3]))
        return ModelOutline(
            manifest: Fixture.manifest, operators: operators, tensors: tensors, inputs: [0],
            outputs: [4], blobs: [])
    }()

    private static func plan(_ stages: [(Range<Int>, StageMode, [Fragment])]) -> NamedPlan {
        var fragments: [Fragment] = []
        let made = stages.map { operators, mode, parts in
            defer { fragments += parts }
            return Stage(
                operators: operators, mode: mode,
                fragments: fragments.count..<(fragments.count + parts.count))
        }
        let all = stages.flatMap(\.2)
        return Fixture.name(
            Plan(
                manifest: outline.manifest, ballot: Ballot(round: 1, proposer: Fixture.member(0)),
                stages: made, fragments: all,
                routes: Plan.routes(for: outline, fragments: all), window: 4,
                predictedPeriodMicroseconds: 1, predictedLatencyMicroseconds: 1))
    }

    private static func tile(_ host: Int, _ operators: Range<Int>, _ rows: Range<Int>) -> Fragment {
        Fragment(host: Fixture.member(host), operators: operators, rows: rows)
    }

    /// Two blocks of tiles on two nodes, then the rest on a third.
    private static let rows = plan([
        (0..<1, .rows, [tile(0, 0..<1, 0..<5), tile(1, 0..<1, 5..<12)]),
        (1..<3, .rows, [tile(0, 1..<3, 0..<2), tile(1, 1..<3, 2..<6)]),
        (3..<4, .single, [Fragment(host: Fixture.member(2), operators: 3..<4)]),
    ])

    @Test("a tile reads its rows and their halo from whoever makes them")
    func halo() {
        let routes = Self.rows.plan.routes
        func wanted(_ tensor: Int, _ source: Endpoint, _ destination: Endpoint) -> Range<Int>? {
            routes.first {
                $0.tensor == tensor && $0.source == source && $0.destination == destination
            }?.rows
        }
        // A window of three rows with one row of padding.
        #expect(wanted(0, .entry, .fragment(0)) == 0..<6)
        #expect(wanted(0, .entry, .fragment(1)) == 4..<12)
        // Rows 0..<2 of the last tensor need 0..<3 of the one before, and these 0..<6 of this one.
        #expect(wanted(1, .fragment(0), .fragment(2)) == 0..<5)
        #expect(wanted(1, .fragment(1), .fragment(2)) == 5..<6)
        #expect(wanted(1, .fragment(0), .fragment(3)) == 1..<5)
        #expect(wanted(1, .fragment(1), .fragment(3)) == 5..<12)
        #expect(wanted(3, .fragment(2), .fragment(4)) == 0..<2)
        #expect(wanted(3, .fragment(3), .fragment(4)) == 2..<6)
        #expect(routes.count == 9)
        #expect(PlanCheck.reason(against: Self.rows.plan, outline: Self.outline) == nil)
    }

    @Test("a fragment fires when all rows have come, from here and from elsewhere")
    func join() {
        let me = Fixture.member(1)
        let layout = PlanLayout(Self.rows, outline: Self.outline)
        var table = AttemptTable(me: me, executionSlots: 1)
        let attempt = Fixture.attempt(Self.rows)
        func route(from source: Int, to reader: Int) -> Int {
            layout.plan.routes.firstIndex {
                $0.source == .fragment(source) && $0.destination == .fragment(reader)
            } ?? -1
        }
        func header(_ route: Int) -> SliceHeader {
            SliceHeader(
                attempt: attempt, route: route, type: .float32,
                shape: layout.descriptors[route].shape, remaining: .seconds(1))
        }
        var directives: [Directive] = []
        let far = route(from: 0, to: 3)
        #expect(header(far).shape == [1, 4, 4, 5])
        table.onSlice(header(far), Fixture.piece(1), layout: layout, now: .zero, into: &directives)
        #expect(directives.isEmpty)
        // What this node made itself stays whole: tile 5..<12, of which all is wanted.
        let near = route(from: 1, to: 3)
        #expect(layout.cuts[near] == nil)
        table.onSlice(header(near), Fixture.piece(2), layout: layout, now: .zero, into: &directives)
        #expect(
            directives.contains(
                .execute(
                    attempt: attempt, fragment: 3,
                    key: FragmentKey(manifest: Fixture.manifest, operators: 1..<3, rows: 2..<6),
                    inputs: [
                        JoinedTensor(pieces: [Fixture.piece(1), Fixture.piece(2)], blocks: 4)
                    ])))
    }

    @Test("a sender takes the rows that travel out of the rows it made")
    func cut() {
        let layout = PlanLayout(Self.rows, outline: Self.outline)
        let route = layout.plan.routes.firstIndex {
            $0.source == .fragment(0) && $0.destination == .fragment(3)
        }
        // Rows 1..<5 of the tile 0..<5, each 5 elements of 4 bytes, in 4 channels.
        #expect(
            route.map { layout.cuts[$0] }
                == RowCut(blocks: 4, rowBytes: 20, heldRows: 5, rows: 1..<5)
        )
    }

    @Test("an attempt uses one replica, by weight, and every host knows which")
    func replicas() {
        let whole = 0..<4
        let parts = [(0, 3), (1, 1)].map {
            Fragment(host: Fixture.member($0.0), operators: whole, weight: $0.1)
        }
        let plan = Self.plan([(whole, .replicas, parts)])
        #expect(PlanCheck.reason(against: plan.plan, outline: Self.outline) == nil)
        let layout = PlanLayout(plan, outline: Self.outline)
        var counts = [0, 0]
        var longest = 0
        var inRow = 0
        for request in 1...400 {
            let attempt = Fixture.attempt(plan, request: UInt64(request))
            let used = plan.plan.fragments(usedBy: attempt)
            #expect(used.count == 1)
            counts[used[0]] += 1
            inRow = used[0] == 0 ? inRow + 1 : 0
            longest = max(longest, inRow)
            let choice = layout.choice(of: attempt)
            #expect(layout.hosts(choice) == [Fixture.member(used[0])])
            #expect(layout.routes(of: layout.entryReceives[0], choice).count == 1)
        }
        #expect((298...302).contains(counts[0]))
        // Evenly: never long at one replica.
        #expect(longest <= 5)
    }

    @Test("tickets of attempts that do not use the gate go back to it, though it was held dead")
    func gateHeldDead() {
        let parts = [0, 1].map {
            Fragment(host: Fixture.member($0), operators: 0..<4, weight: 1)
        }
        let plan = Self.plan([(0..<4, .replicas, parts)])
        let routing = RequestTable.Routing(
            usable: PlanLayout(plan, outline: Self.outline), reason: "")
        let gate = Fixture.member(0)
        var table = RequestTable(me: Fixture.entry)
        var directives: [Directive] = []
        for client in 1...4 as ClosedRange<UInt64> {
            table.onSubmitted(
                ClientID(number: client), manifest: Fixture.manifest,
                inputs: [Fixture.payload(client)], deadline: .seconds(9), routing: routing,
                now: .zero, into: &directives)
        }
        _ = table.onTickets(plan: plan.id, numbers: [1, 2, 3, 4], from: gate, into: &directives)
        table.advance(Fixture.manifest, routing, now: .zero, into: &directives)
        directives = []
        _ = table.onLost(gate, now: .zero, into: &directives)
        for client in 1...4 as ClosedRange<UInt64> {
            table.onAbandoned(ClientID(number: client), into: &directives)
        }
        let returned = directives.requests(to: gate).flatMap { message -> [UInt64] in
            if case .ticketReturn(plan.id, let numbers) = message { numbers } else { [] }
        }
        #expect(returned.sorted() == [1, 2, 3, 4])
    }
}
