import Testing

@testable import TesseraCore

/// Larger spaces than brute force can go through.
@Suite struct PlannerRecurrenceTests {
    /// EdgePipe's recurrence with every node told apart: the least period of a pipeline that ends at
    /// position `j` with node `u`, having used exactly the nodes of a set.
    private func edgePipe(_ space: PlanSpace) -> Int? {
        let costs = SpaceCosts(space)
        let count = space.nodes.count
        func cut(_ source: Int, _ target: Int, _ position: Int) -> Int {
            space.rates[source * count + target].nanoseconds(space.crossingBytes[position])
        }
        var best: [[Int?]] = Array(
            repeating: Array(repeating: nil, count: space.positionCount),
            count: count << count)
        for set in 1..<(1 << count) {
            for node in 0..<count where set >> node & 1 == 1 {
                let rest = set & ~(1 << node)
                for to in 1...space.end {
                    for from in 0..<to {
                        let time = costs.single(node, from, to)
                        guard time < SpaceCosts.infeasible, (from == 0) == (rest == 0) else {
                            continue
                        }
                        var arrivals: [Int] = []
                        if from == 0 {
                            arrivals = [space.entry.map { cut($0, node, 0) } ?? 0]
                        }
                        for before in 0..<count where rest >> before & 1 == 1 {
                            guard let held = best[rest * count + before][from] else { continue }
                            arrivals.append(max(held, cut(before, node, from)))
                        }
                        guard let arrival = arrivals.min() else { continue }
                        let value = max(arrival, time)
                        if value < best[set * count + node][to] ?? .max {
                            best[set * count + node][to] = value
                        }
                    }
                }
            }
        }
        var result: Int?
        for set in 1..<(1 << count) {
            for node in 0..<count {
                guard let value = best[set * count + node][space.end] else { continue }
                let exit = space.entry.map { cut(node, $0, space.end) } ?? 0
                result = min(result ?? .max, max(value, exit))
            }
        }
        return result
    }

    @Test("where only single is allowed the plan is that of EdgePipe's recurrence")
    func recurrence() {
        var impossible = 0
        for seed in 0..<250 {
            let figures = SpaceFigures.random(
                seed: UInt64(80_000 + seed),
                SpaceKnobs(nodes: 3...5, pieces: 5...9, tightMemory: seed % 2 == 0))
            let expected = edgePipe(figures.space)
            let found = PlanSearch(
                figures.space, goal: PlanGoal(), modes: .single, usesBaselines: false
            ).best().sketch
            #expect(found?.periodNanoseconds == expected, "seed \(seed)")
            if expected == nil { impossible += 1 }
        }
        #expect((1..<200).contains(impossible))
    }

    @Test("runs of an order are never better than exact, and often as good")
    func orders() {
        var hits = 0
        var count = 0
        for seed in 0..<60 {
            let figures = SpaceFigures.random(
                seed: UInt64(90_000 + seed), SpaceKnobs(nodes: 4...5, pieces: 5...8))
            let modes: ModeSet = seed % 2 == 0 ? .all : [.single, .replicas]
            let exact = PlanSearch(
                figures.space, goal: PlanGoal(), modes: modes, usesBaselines: false
            ).best().sketch
            var search = OrderSearch(
                SpaceCosts(figures.space), modes: modes, limit: CostArithmetic.nanosecondsMax)
            let found = search.search(starts: search.starts())
            #expect((found == nil) == (exact == nil), "seed \(seed)")
            guard let found, let exact else { continue }
            #expect(found.period >= exact.periodNanoseconds, "seed \(seed)")
            count += 1
            if found.period == exact.periodNanoseconds { hits += 1 }
        }
        #expect(hits * 2 > count)
    }

    @Test("a space too large for all sets of nodes says so, and no baseline is better")
    func large() throws {
        let figures = SpaceFigures.random(
            seed: 95_002, SpaceKnobs(nodes: 11...11, pieces: 4...4))
        let search = PlanSearch(figures.space)
        #expect(figures.space.members.count == 11)
        guard case .found(let sketch, let isExact) = search.best() else {
            Issue.record("there is a plan")
            return
        }
        #expect(isExact == (sketch.periodNanoseconds == search.bound.nanoseconds))
        #expect(search.bound.nanoseconds <= sketch.periodNanoseconds)
        for baseline in PlanBaseline.allCases where baseline != .pipeedgeLike {
            let other = search.baseline(baseline)?.periodNanoseconds ?? .max
            #expect(sketch.periodNanoseconds <= other, "\(baseline)")
        }
    }

    @Test("a decision for one period says what the least times of row stages say, over 300 spaces")
    func decisions() {
        var marked = 0
        for seed in 0..<300 {
            let figures = SpaceFigures.random(
                seed: UInt64(96_000 + seed),
                SpaceKnobs(nodes: 2...4, pieces: 3...8, tightMemory: seed % 3 == 0))
            let costs = SpaceCosts(figures.space)
            let groups = NodeGroups(figures.space)
            let modes: ModeSet = seed % 2 == 0 ? .all : [.single, .rows]
            let least = GroupTable(
                costs, groups: groups, modes: modes, limit: CostArithmetic.nanosecondsMax)
            for percent in [20, 50, 90] {
                let whole = least.time(groups.nodes.count - 1, 0, figures.end)
                let single = costs.space.times.reduce(Int.max) { min($0, $1[figures.end]) }
                let period = min(whole, single) / 100 * percent + 1
                let decided = GroupTable(
                    costs, groups: groups, modes: modes, limit: period, decides: true)
                for group in groups.nodes.indices {
                    for from in 0..<figures.end {
                        for to in (from + 1)...figures.end {
                            let isQuick = least.time(group, from, to) <= period
                            #expect(
                                (decided.time(group, from, to) <= period) == isQuick,
                                "seed \(seed) group \(group) \(from)..<\(to) in \(period)")
                            if isQuick, groups.nodes[group].count > 1 { marked += 1 }
                        }
                    }
                }
            }
        }
        #expect(marked > 1_000)
    }

    @Test("limits in a space too large to be exact are kept, and said not to be settled")
    func largeLimits() throws {
        let figures = SpaceFigures.random(
            seed: 95_002, SpaceKnobs(nodes: 11...11, pieces: 4...4))
        let local = try #require(PlanSearch(figures.space).baseline(.local))
        let goal = PlanGoal(
            objective: .latency, periodNanosecondsMax: local.periodNanoseconds / 2)
        guard
            case .found(let sketch, let isExact) = PlanSearch(figures.space, goal: goal).best()
        else {
            Issue.record("there is a plan")
            return
        }
        #expect(sketch.periodNanoseconds <= local.periodNanoseconds / 2)
        #expect(!isExact)
        let chosen = [1, 4, 7] + (figures.entry.map { [$0] } ?? [])
        let nodes = Set(chosen).sorted()
        let part = figures.space.restricted(to: nodes)
        #expect(part.nodes.map(\.name) == nodes.map { figures.space.nodes[$0].name })
        let search = PlanSearch(part)
        let best = try #require(search.best().sketch)
        let whole = try #require(PlanSearch(figures.space).whole(best, nodes: nodes))
        #expect(whole.periodNanoseconds == best.periodNanoseconds)
        #expect(whole.latencyNanoseconds == best.latencyNanoseconds)
    }

    @Test("equal nodes are exchanged freely: sixteen of one kind are planned exactly")
    func equalNodes() throws {
        let piece = 1_000_000
        let layers = (0..<6).map {
            ChainProfile.Layer(
                name: "layer-\($0)", memoryBytes: 1, outputBytes: 100, nanoseconds: [piece])
        }
        let nodes = (0..<16).map { ChainProfile.Node(name: "n\($0)", type: 0, memoryBytes: 3) }
        let link = PlanSpace.Link(bitsPerSecond: 1_000_000_000, latencyNanoseconds: 0)
        let space = ChainProfile(
            inputBytes: 100, outputBytes: 100, layers: layers, nodes: nodes,
            links: Array(repeating: link, count: 256), entry: nil, fixedMemoryBytes: 0
        ).space()
        #expect(space.members.count == 1)
        guard case .found(let sketch, let isExact) = PlanSearch(space).best() else {
            Issue.record("there is a plan")
            return
        }
        #expect(isExact)
        // At most three layers on a node: two stages of eight replicas, each node busy always.
        // Rates are rounded down, by less than a nanosecond of the period.
        #expect(sketch.periodNanoseconds - 3 * piece / 8 <= 1)
        #expect(sketch.nodes.count == 16)
        #expect(search(space, percent: 70) == nil)
        #expect(search(space, percent: 40)?.stages.count == 6)
        // With a third of the memory kept free a node holds two layers: five nodes for each.
        #expect(search(space, percent: 33)?.stages.count == 3)
    }

    private func search(_ space: PlanSpace, percent: Int) -> PlanSketch? {
        PlanSearch(space, goal: PlanGoal(memoryHeadroomPercent: percent)).best().sketch
    }
}
