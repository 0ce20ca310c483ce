import Testing

@testable import TesseraCore

/// Plans of replicas and rows, from models to routes.
@Suite struct PlannerGroupTests {
    /// A chain of 3 × 3 convolutions over `rows` rows with, at the end, one operator that needs
    /// everything; some read an earlier tensor too, and some halve the rows.
    private func outline(
        _ numbers: inout TestNumbers, operators count: Int, rows: Int, barrier: Bool
    ) -> ModelOutline {
        var outline = PlannerInstances.chain(
            operations: (0..<count).map { _ in numbers.next(500_000...4_000_000) },
            weights: 2_000)
        var height = rows
        for index in outline.tensors.indices {
            if index > 0 {
                let isBarrier = barrier && index == count
                let halves = !isBarrier && height >= 16 && numbers.next(0...3) == 0
                outline.operators[index - 1].reads = [index - 1]
                if halves { height = (height + 1) / 2 }
                if !isBarrier {
                    let window = RowWindow(
                        scale: halves ? 2 : 1, lower: -1, upper: halves ? 0 : 1)
                    outline.operators[index - 1].rowNeeds = [.window(window)]
                    outline.operators[index - 1].rowCount = height
                }
                if isBarrier { height = 1 }
            }
            outline.tensors[index].descriptor.shape = [1, 8, height, 16]
            outline.tensors[index].rowAxis = height > 1 ? 2 : nil
        }
        for index in outline.tensors.indices.dropLast(2) where numbers.next(0...2) == 0 {
            // A residual: the next operator but one reads it as well, if rows are the same.
            let reader = index + 1
            guard outline.operators[reader].rowNeeds != nil,
                outline.operators[index].rowCount == outline.operators[reader].rowCount,
                index == 0
                    || outline.rowCount(ofTensor: index) == outline.operators[reader].rowCount,
                outline.rowCount(ofTensor: index) == outline.operators[reader].rowCount
            else { continue }
            outline.tensors[index].consumers.append(reader)
            outline.operators[reader].reads = [index, index + 1]
            outline.operators[reader].rowNeeds?.insert(.window(.same), at: 0)
        }
        return outline
    }

    private func problem(seed: Int) -> PlanningProblem {
        var numbers = TestNumbers(seed: UInt64(seed))
        let outline = outline(
            &numbers, operators: numbers.next(2...7), rows: numbers.next(6...48),
            barrier: seed % 2 == 0)
        let nodes = (0..<numbers.next(1...4)).map { number in
            PlannerInstances.node(
                number, rate: numbers.next(0...2) == 0 ? 1_000 : numbers.next(300...2_000))
        }
        let links = nodes.flatMap { source in
            nodes.map { target in
                PlanningProblem.Link(
                    source: source.member.node, destination: target.member.node,
                    bytesPerSecond: 1_000_000_000, latencyMicroseconds: 50)
            }
        }
        var problem = PlannerInstances.problem(outline, nodes: nodes, links: links)
        problem.allowedModes = [.all, [.single, .rows], [.single, .replicas]][seed % 3]
        problem.goal.objective = seed % 5 < 2 ? .latency : .throughput
        if seed % 4 == 0 { problem.entry = nodes[nodes.count - 1].member.node }
        let baselines: [PlanBaseline] = [.modnnLike, .deepthingsLike, .pipedreamLike, .even]
        if seed % 7 == 0 { problem.baseline = baselines[seed / 7 % 4] }
        return problem
    }

    @Test("plans of all modes are valid, fit, and predict what the evaluation says")
    func validity() throws {
        var modes: [StageMode: Int] = [:]
        for seed in 0..<400 {
            let problem = problem(seed: seed)
            guard let found = PlannerInstances.bundle(problem) else {
                #expect(problem.baseline != nil, "seed \(seed)")
                continue
            }
            for plan in found.bundle.all.map(\.plan) {
                let reason = PlanCheck.reason(
                    against: plan, outline: problem.outline, modes: .all)
                #expect(reason == nil, "seed \(seed) \(reason ?? "")")
                let evaluation = try #require(PlanEvaluation.evaluate(plan, problem))
                #expect(evaluation.fits, "seed \(seed)")
                #expect(evaluation.periodMicroseconds == plan.predictedPeriodMicroseconds)
                #expect(evaluation.latencyMicroseconds == plan.predictedLatencyMicroseconds)
                let usesOthers = plan.stages.contains { $0.mode != .single }
                #expect(
                    PlanCheck.isValid(plan, outline: problem.outline, modes: .single)
                        == !usesOthers)
                for stage in plan.stages { modes[stage.mode, default: 0] += 1 }
            }
            let primary = found.bundle.primary.plan
            #expect(found.bundle.alternates.count <= primary.hosts.count)
            let bound = try #require(PlanBound.of(problem))
            #expect(
                bound.periodMicroseconds <= primary.predictedPeriodMicroseconds, "seed \(seed)")
            let notes = try #require(PlanDiagnosis.of(primary, problem))
            #expect(notes.map(\.node) == problem.nodes.map(\.member.node))
            for note in notes {
                let isHost = primary.hosts.contains { $0.node == note.node }
                #expect(note.isUsed == isHost && !note.text.isEmpty)
            }
        }
        #expect(modes[.rows] ?? 0 > 300)
        #expect(modes[.replicas] ?? 0 > 100)
    }

    @Test("a plan of replicas keeps two items in flight for each of them")
    func windowOfReplicas() throws {
        let nodes = (0..<4).map { PlannerInstances.node($0, rate: 1_000) }
        var problem = PlannerInstances.problem(
            PlannerInstances.chain(operations: [40_000_000, 40_000_000], weights: 2_000),
            nodes: nodes)
        problem.allowedModes = [.single, .replicas]
        let plan = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        #expect(plan.stages.map(\.mode) == [.replicas])
        #expect(plan.window >= 2 * nodes.count)
    }

    @Test("every fragment gets each row that it reads from exactly one maker of each kind")
    func coverage() throws {
        var halos = 0
        for seed in 0..<300 {
            let problem = problem(seed: seed)
            let outline = problem.outline
            guard let plan = PlannerInstances.bundle(problem)?.bundle.primary.plan else { continue }
            for (index, fragment) in plan.fragments.enumerated() {
                let tile = fragment.rows.flatMap {
                    outline.rowTile(of: fragment.operators, rows: $0)
                }
                for tensor in outline.inputTensors(of: fragment.operators) {
                    let count = outline.rowCount(ofTensor: tensor)
                    let slice = tile?.inputs.first { $0.tensor == tensor }
                    let wanted = slice?.rows ?? 0..<(count ?? 1)
                    let routes = plan.routes.filter {
                        $0.tensor == tensor && $0.destination == .fragment(index)
                    }
                    var times = [Int](repeating: 0, count: count ?? 1)
                    for route in routes {
                        for row in route.rows ?? 0..<(count ?? 1) { times[row] += 1 }
                    }
                    // Of replicas each can send.
                    let makers = plan.fragments.indices.filter { maker in
                        outline.tensors[tensor].producer.map(
                            plan.fragments[maker].operators.contains) ?? false
                            && plan.fragments[maker].rows == nil
                    }
                    let expected = max(makers.count, 1)
                    for row in times.indices {
                        #expect(
                            times[row] == (wanted.contains(row) ? expected : 0),
                            "seed \(seed) fragment \(index) tensor \(tensor) row \(row)")
                    }
                    if routes.count > 1, slice?.rows != nil { halos += 1 }
                }
            }
        }
        #expect(halos > 100)
    }

    @Test("two tiles of one convolution take half its time each and exchange one row")
    func evaluation() throws {
        var outline = PlannerInstances.chain(operations: [2_000_000, 4_000_000], weights: 10)
        for index in 0...2 {
            outline.tensors[index].descriptor.shape = [1, 10, 10, 10]
            outline.tensors[index].rowAxis = 2
        }
        for index in 0...1 {
            outline.operators[index].reads = [index]
            outline.operators[index].rowNeeds = [
                .window(RowWindow(scale: 1, lower: -1, upper: 1))
            ]
            outline.operators[index].rowCount = 10
        }
        let problem = PlannerInstances.problem(
            outline, nodes: [PlannerInstances.node(0), PlannerInstances.node(1)])
        let hosts = problem.nodes.map(\.member)
        let fragments = [
            Fragment(host: hosts[0], operators: 0..<1, rows: 0..<4),
            Fragment(host: hosts[1], operators: 0..<1, rows: 4..<10),
            Fragment(host: hosts[0], operators: 1..<2, rows: 0..<4),
            Fragment(host: hosts[1], operators: 1..<2, rows: 4..<10),
        ]
        let plan = Plan(
            manifest: outline.manifest, ballot: problem.ballot,
            stages: [
                Stage(operators: 0..<1, mode: .rows, fragments: 0..<2),
                Stage(operators: 1..<2, mode: .rows, fragments: 2..<4),
            ], fragments: fragments,
            routes: Plan.routes(for: outline, fragments: fragments), window: 8,
            predictedPeriodMicroseconds: 0, predictedLatencyMicroseconds: 0)
        #expect(
            plan.routes == [
                Route(tensor: 0, rows: 0..<5, source: .entry, destination: .fragment(0)),
                Route(tensor: 0, rows: 3..<10, source: .entry, destination: .fragment(1)),
                Route(tensor: 1, rows: 0..<4, source: .fragment(0), destination: .fragment(2)),
                Route(tensor: 1, rows: 4..<5, source: .fragment(1), destination: .fragment(2)),
                Route(tensor: 1, rows: 3..<4, source: .fragment(0), destination: .fragment(3)),
                Route(tensor: 1, rows: 4..<10, source: .fragment(1), destination: .fragment(3)),
                Route(tensor: 2, rows: 0..<4, source: .fragment(2), destination: .entry),
                Route(tensor: 2, rows: 4..<10, source: .fragment(3), destination: .entry),
            ])
        let evaluation = try #require(PlanEvaluation.evaluate(plan, problem))
        #expect(evaluation.stages.map(\.computeMicroseconds) == [800, 1_200, 1_600, 2_400])
        // A row has 400 bytes. The second node takes 7 rows in, 1 row out and 6 rows on to its next
        // tile, which puts them together with 1 row from the first node and gives 6 rows out.
        #expect(evaluation.stages[1].endpointMicroseconds == 48)
        #expect(evaluation.stages[3].endpointMicroseconds == 48)
        #expect(evaluation.periodMicroseconds == 3_600 + 96)
        let late = plan.fragments.indices.dropFirst(2)
        #expect(late.allSatisfy { evaluation.stages[$0].linkMicroseconds == 204 })
    }

    @Test("replicas share the requests of what cannot be cut, by their speed")
    func replicas() throws {
        let outline = PlannerInstances.chain(operations: [6_000_000], elements: 10)
        let nodes = [1_000, 1_000, 2_000].enumerated().map {
            PlannerInstances.node($0.offset, rate: $0.element)
        }
        var problem = PlannerInstances.problem(outline, nodes: nodes)
        problem.allowedModes = [.single, .replicas]
        let found = try #require(PlannerInstances.bundle(problem)).bundle
        let plan = found.primary.plan
        #expect(plan.stages.map(\.mode) == [.replicas])
        #expect(plan.hosts.count == 3)
        // 6 ms, 6 ms and 3 ms: together one in 1.5 ms, and two slices of 15 µs for each.
        #expect((1_500...1_520).contains(plan.predictedPeriodMicroseconds))
        // A fellow takes over what a lost replica did.
        #expect(found.alternates.count == 3)
        for alternate in found.alternates.map(\.plan) {
            #expect(alternate.fragments.count == 2)
            #expect(alternate.stages.map(\.mode) == [.replicas])
        }
    }

    @Test("for one item alone rows are split where links are quick enough")
    func rowsForLatency() throws {
        var numbers = TestNumbers(seed: 5)
        let outline = outline(&numbers, operators: 6, rows: 48, barrier: true)
        var problem = PlannerInstances.problem(
            outline, nodes: (0..<3).map { PlannerInstances.node($0) })
        problem.allowedModes = .all
        problem.goal.objective = .latency
        let split = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        #expect(split.stages.contains { $0.mode == .rows })
        problem.allowedModes = .single
        let whole = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        #expect(
            split.predictedLatencyMicroseconds * 100 < whole.predictedLatencyMicroseconds * 70)
        problem.goal.latencyNanosecondsMax = 1_000
        guard case .impossible(let reason) = Planner.plan(problem, naming: PlannerInstances.name)
        else {
            Issue.record("nothing is so quick")
            return
        }
        #expect(reason.contains("a latency of at most 1 µs"))
    }

    @Test("one item goes to several nodes only where its way to them is worth it")
    func wayIn() throws {
        var numbers = TestNumbers(seed: 5)
        var outline = outline(&numbers, operators: 6, rows: 48, barrier: true)
        func plan(inputDepth: Int) throws -> Plan {
            outline.tensors[0].descriptor.shape[1] = inputDepth
            var problem = PlannerInstances.problem(
                outline, nodes: (0..<3).map { PlannerInstances.node($0) },
                links: PlannerInstances.links(3, bytesPerSecond: 20_000_000))
            problem.allowedModes = [.single, .rows]
            problem.goal.objective = .latency
            return try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        }
        let split = try plan(inputDepth: 8)
        #expect(split.stages.first?.mode == .rows)
        // 3 MB for each image: two thirds take 100 ms to the other nodes.
        let whole = try plan(inputDepth: 1_000)
        #expect(whole.stages.map(\.mode) == [.single])
        // Split all the same, it takes what it took, and the way of the larger share of it.
        var large = PlannerInstances.problem(
            outline, nodes: (0..<3).map { PlannerInstances.node($0) },
            links: PlannerInstances.links(3, bytesPerSecond: 20_000_000))
        let wide = try #require(PlanEvaluation.evaluate(split, large))
        outline.tensors[0].descriptor.shape[1] = 8
        large.outline = outline
        let narrow = try #require(PlanEvaluation.evaluate(split, large))
        #expect(wide.latencyMicroseconds > narrow.latencyMicroseconds + 40_000)
    }

    @Test("the order in which nodes and links are listed changes no plan of any mode")
    func permutation() {
        for seed in 0..<100 {
            var numbers = TestNumbers(seed: UInt64(seed))
            let problem = problem(seed: seed)
            var other = problem
            other.nodes = numbers.shuffled(problem.nodes)
            other.links = numbers.shuffled(problem.links)
            #expect(
                Planner.plan(problem, naming: PlannerInstances.name)
                    == Planner.plan(other, naming: PlannerInstances.name), "seed \(seed)")
        }
    }

    @Test("a plan with a flaw in its groups is refused with the reason")
    func flaws() throws {
        var numbers = TestNumbers(seed: 5)
        let outline = outline(&numbers, operators: 4, rows: 48, barrier: true)
        var problem = PlannerInstances.problem(
            outline, nodes: (0..<3).map { PlannerInstances.node($0) })
        problem.baseline = .deepthingsLike
        let tiles = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        problem.baseline = .pipedreamLike
        problem.nodes = [problem.nodes[0], problem.nodes[1]]
        problem.outline = PlannerInstances.chain(operations: [9_000_000], elements: 10)
        let copies = try #require(PlannerInstances.bundle(problem)).bundle.primary.plan
        func expect(
            _ part: String, _ plan: Plan, _ outline: ModelOutline, _ change: (inout Plan) -> Void
        ) {
            var bad = plan
            #expect(PlanCheck.isValid(bad, outline: outline, modes: .all))
            change(&bad)
            let reason = PlanCheck.reason(against: bad, outline: outline, modes: .all)
            #expect(reason?.contains(part) == true, "\(reason ?? "nothing")")
        }
        expect("follow each other", tiles, outline) { $0.fragments[0].rows = nil }
        expect("follow each other", tiles, outline) { $0.fragments[1].rows = 0..<4 }
        expect("tiles for", tiles, outline) { plan in
            let last = plan.stages[0].fragments.upperBound - 1
            plan.fragments[last].rows = (plan.fragments[last].rows?.lowerBound ?? 0)..<47
        }
        expect("barrier", tiles, outline) { $0.stages[1].mode = .rows }
        expect("its mode is single", tiles, outline) { $0.stages[0].mode = .single }
        expect("two replicas on one node", copies, problem.outline) {
            $0.fragments[1].host = $0.fragments[0].host
        }
        expect("only some rows", copies, problem.outline) { $0.fragments[1].rows = 0..<1 }
        expect("follow each other", copies, problem.outline) { $0.stages[0].mode = .branches }
    }

    /// The plan with the tiles of each node put together again.
    private func merged(_ plan: Plan, _ outline: ModelOutline) -> Plan {
        var plan = plan
        var fragments: [Fragment] = []
        for index in plan.stages.indices {
            let begin = fragments.count
            for fragment in plan.fragments[plan.stages[index].fragments] {
                if let rows = fragment.rows,
                    let held = fragments[begin...].firstIndex(where: { $0.host == fragment.host })
                {
                    let other = fragments[held].rows ?? rows
                    fragments[held].rows =
                        min(
                            rows.lowerBound, other.lowerBound)..<max(
                            rows.upperBound, other.upperBound)
                } else {
                    fragments.append(fragment)
                }
            }
            plan.stages[index].fragments = begin..<fragments.count
        }
        plan.fragments = fragments
        plan.routes = Plan.routes(for: outline, fragments: fragments)
        return plan
    }

    @Test("border rows go first where that hides their way, and inner rows need nothing of others")
    func borders() throws {
        var cutPlans = 0
        for seed in 0..<120 {
            var numbers = TestNumbers(seed: UInt64(seed))
            var problem = problem(seed: seed * 3)
            problem.baseline = nil
            problem.goal.objective = .latency
            problem.allowedModes = [.single, .rows]
            for index in problem.links.indices {
                problem.links[index].bytesPerSecond = UInt64(
                    numbers.next(20_000_000...1_000_000_000))
                problem.links[index].latencyMicroseconds = Int64(numbers.next(10...400))
            }
            guard let plan = PlannerInstances.bundle(problem)?.bundle.primary.plan else { continue }
            #expect(PlanCheck.reason(against: plan, outline: problem.outline) == nil)
            let whole = merged(plan, problem.outline)
            #expect(PlanCheck.reason(against: whole, outline: problem.outline) == nil)
            guard whole.fragments.count < plan.fragments.count else { continue }
            cutPlans += 1
            var unoverlapped = problem
            unoverlapped.baseline = .wholeTiles
            let bundle = try #require(PlannerInstances.bundle(unoverlapped)?.bundle)
            #expect(bundle.primary.plan.fragments == whole.fragments, "seed \(seed)")
            let expected = try #require(PlanEvaluation.evaluate(whole, problem))
            #expect(plan.predictedLatencyMicroseconds < expected.latencyMicroseconds)
            for stage in plan.stages where stage.mode == .rows {
                for host in Set(plan.fragments[stage.fragments].map { $0.host }) {
                    let own = stage.fragments.filter { plan.fragments[$0].host == host }
                    guard own.count > 1, let inner = own.last else { continue }
                    // The inner rows stand last: what they read was made by their own node, or by
                    // nobody's tile.
                    for route in plan.routes where route.destination == .fragment(inner) {
                        guard case .fragment(let maker) = route.source,
                            plan.fragments[maker].rows != nil
                        else { continue }
                        #expect(plan.fragments[maker].host == host, "seed \(seed)")
                    }
                    // Nobody else's tile reads them.
                    for route in plan.routes where route.source == .fragment(inner) {
                        guard case .fragment(let reader) = route.destination,
                            plan.fragments[reader].rows != nil,
                            plan.fragments[reader].operators.lowerBound
                                == stage.operators.upperBound
                        else { continue }
                        #expect(plan.fragments[reader].host == host, "seed \(seed)")
                    }
                }
            }
        }
        #expect(cutPlans > 10)
    }

    @Test("every node has a note that says why it got what it got")
    func notes() {
        for seed in 0..<60 {
            let figures = SpaceFigures.random(
                seed: UInt64(70_000 + seed), SpaceKnobs(nodes: 3...4, tightMemory: seed % 2 == 0))
            let search = PlanSearch(figures.space)
            guard case .found(let sketch, let isExact) = search.best() else { continue }
            let notes = search.notes(on: sketch, isExact: isExact)
            #expect(notes.map(\.node) == Array(figures.space.nodes.indices))
            for note in notes {
                #expect(note.isUsed == sketch.nodes.contains(note.node), "seed \(seed)")
                let isReason = note.text.contains("period") || note.text.contains("memory")
                #expect(isReason, "\(note.text)")
            }
            #expect(!search.bottleneckText(of: sketch).isEmpty)
            #expect(!search.bindingText(search.bound.binding).isEmpty)
        }
    }
}
