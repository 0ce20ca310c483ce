import Testing

@testable import TesseraCore

@Suite struct PlannerSpaceTests {
    private static let variants: [ModeSet] = [
        .all, [.single, .replicas], [.single, .rows], .single, .all,
    ]

    private func knobs(_ seed: Int) -> SpaceKnobs {
        SpaceKnobs(
            nodes: 1...(seed % 8 == 0 ? 4 : 3), pieces: 1...(seed % 8 == 0 ? 3 : 4),
            tightMemory: seed % 3 == 0, hasMedium: seed % 11 == 0)
    }

    /// Where nodes serve several stages there are many more plans.
    private func repeatingKnobs(_ seed: Int) -> SpaceKnobs {
        let sizes = [(1...3, 1...3), (1...4, 1...2), (1...2, 1...4), (1...2, 1...4)]
        let (nodes, pieces) = sizes[seed % sizes.count]
        return SpaceKnobs(nodes: nodes, pieces: pieces, tightMemory: seed % 3 == 0)
    }

    private func search(
        _ figures: SpaceFigures, _ goal: PlanGoal, _ modes: ModeSet
    ) -> PlanSearchResult {
        PlanSearch(figures.space, goal: goal, modes: modes, usesBaselines: false).best()
    }

    @Test("the least period equals brute force over 4200 random spaces")
    func throughput() {
        var impossible = 0
        for seed in 0..<4_200 {
            let figures = SpaceFigures.random(seed: UInt64(seed), knobs(seed))
            let modes = Self.variants[seed % Self.variants.count]
            let results = PlannerBruteForce(figures, modes: modes).results(repeating: false)
            let found = search(figures, PlanGoal(), modes)
            let expected = results.map(\.period).min()
            #expect(found.sketch?.periodNanoseconds == expected, "seed \(seed)")
            guard case .found(let sketch, let isExact) = found else {
                impossible += 1
                continue
            }
            #expect(isExact, "seed \(seed)")
            let bound = SpaceBound(figures.space, modes: modes)
            #expect(bound.nanoseconds <= sketch.periodNanoseconds, "seed \(seed) \(bound)")
        }
        #expect((100..<2_000).contains(impossible))
    }

    @Test("the least latency, nodes in several stages, equals brute force over 4200 random spaces")
    func latency() {
        for seed in 0..<4_200 {
            let knobs = repeatingKnobs(seed)
            let figures = SpaceFigures.random(seed: UInt64(10_000 + seed), knobs)
            let modes = Self.variants[seed % Self.variants.count]
            let results = PlannerBruteForce(figures, modes: modes).results(repeating: true)
            let found = search(figures, PlanGoal(objective: .latency), modes)
            #expect(
                found.sketch?.latencyNanoseconds == results.map(\.latency).min(), "seed \(seed)")
            guard case .found(let sketch, let isExact) = found else { continue }
            #expect(isExact, "seed \(seed)")
            let bound = SpaceBound.latencyNanoseconds(figures.space, modes: modes)
            #expect(bound <= sketch.latencyNanoseconds, "seed \(seed)")
            // What is predicted is what brute force says of some plan.
            #expect(
                results.contains {
                    $0.latency == sketch.latencyNanoseconds
                        && $0.period == sketch.periodNanoseconds && $0.energy == sketch.nanojoules
                }, "seed \(seed)")
        }
    }

    @Test("the least energy equals brute force over 4200 random spaces")
    func energy() {
        for seed in 0..<4_200 {
            let knobs = repeatingKnobs(seed)
            let figures = SpaceFigures.random(seed: UInt64(20_000 + seed), knobs)
            let modes = Self.variants[seed % Self.variants.count]
            let results = PlannerBruteForce(figures, modes: modes).results(repeating: true)
            let found = search(figures, PlanGoal(objective: .energy), modes)
            #expect(
                found.sketch?.nanojoules == results.compactMap(\.energy).min(), "seed \(seed)")
        }
    }

    @Test("limits hold and the best within them equals brute force over 1500 random spaces")
    func limits() {
        var tight = 0
        for seed in 0..<1_500 {
            let figures = SpaceFigures.random(seed: UInt64(30_000 + seed), knobs(seed))
            let modes = Self.variants[seed % Self.variants.count]
            let results = PlannerBruteForce(figures, modes: modes).results(repeating: false)
            guard let middle = results.randomMiddle else { continue }
            var goal = PlanGoal(objective: PlanGoal.Objective.allCases[seed % 3])
            goal.periodNanosecondsMax = middle.period
            if seed % 2 == 0 { goal.latencyNanosecondsMax = middle.latency }
            if seed % 5 == 0 { goal.nanojoulesMax = middle.energy }
            func value(_ result: PlannerBruteForce.Result) -> Int {
                switch goal.objective {
                case .throughput: result.period
                case .latency: result.latency
                case .energy: result.energy ?? .max
                }
            }
            let expected = results.filter { result in
                result.period <= middle.period
                    && result.latency <= goal.latencyNanosecondsMax ?? .max
                    && result.energy ?? 0 <= goal.nanojoulesMax ?? .max
            }.map(value).min()
            let found = search(figures, goal, modes)
            #expect(found.sketch.map(goal.value) == expected, "seed \(seed) \(goal)")
            if expected != results.map(value).min() { tight += 1 }
            goal.periodNanosecondsMax = (results.map(\.period).min() ?? 0) - 1
            guard case .impossible(let reason) = search(figures, goal, modes) else {
                Issue.record("seed \(seed): there is no plan")
                continue
            }
            #expect(reason.contains("no plan keeps within a period of at most"), "\(reason)")
        }
        #expect(tight > 200)
    }

    @Test("the front equals brute force over 1000 random spaces")
    func front() {
        var longest = 0
        for seed in 0..<1_000 {
            var knobs = knobs(seed)
            knobs.hasPower = seed % 2 == 0
            let figures = SpaceFigures.random(seed: UInt64(40_000 + seed), knobs)
            let modes = Self.variants[seed % Self.variants.count]
            let results = PlannerBruteForce(figures, modes: modes).results(repeating: false)
            let all = Set(results.map { [$0.period, $0.latency, $0.energy ?? 0] })
            let expected = all.filter { one in
                !all.contains { $0 != one && zip($0, one).allSatisfy { $0 <= $1 } }
            }
            let search = PlanSearch(
                figures.space, goal: PlanGoal(), modes: modes, usesBaselines: false)
            let front = search.front()
            #expect(front.isExact, "seed \(seed)")
            let found = front.sketches.map {
                [$0.periodNanoseconds, $0.latencyNanoseconds, $0.nanojoules ?? 0]
            }
            #expect(found == expected.sorted { $0.lexicographicallyPrecedes($1) }, "seed \(seed)")
            longest = max(longest, found.count)
        }
        #expect(longest >= 5)
    }

    @Test("never worse than a baseline, nor below the bound, on 1000 random spaces")
    func baselines() {
        var counts = [Int](repeating: 0, count: PlanBaseline.allCases.count)
        for seed in 0..<1_000 {
            var knobs = SpaceKnobs(
                nodes: 1...5, pieces: 1...7, tightMemory: seed % 4 == 0,
                hasMedium: seed % 9 == 0)
            if knobs.hasMedium { knobs.nodes = 1...3 }
            let figures = SpaceFigures.random(seed: UInt64(50_000 + seed), knobs)
            let modes = Self.variants[seed % Self.variants.count]
            let search = PlanSearch(figures.space, modes: modes)
            let found = search.best().sketch
            let bound = search.bound
            if let found {
                #expect(bound.nanoseconds <= found.periodNanoseconds, "seed \(seed) \(bound)")
            }
            for (index, baseline) in PlanBaseline.allCases.enumerated() {
                guard let other = search.baseline(baseline) else { continue }
                counts[index] += 1
                #expect(
                    SpaceBound(figures.space, modes: modes.union(baseline.modes)).nanoseconds
                        <= other.periodNanoseconds, "seed \(seed) \(baseline)")
                guard modes.isSuperset(of: baseline.modes) else { continue }
                let period = found?.periodNanoseconds ?? .max
                #expect(period <= other.periodNanoseconds, "seed \(seed) \(baseline)")
            }
        }
        for (baseline, count) in zip(PlanBaseline.allCases, counts) {
            #expect(count > 200, "\(baseline)")
        }
    }

    @Test("for latency and energy no baseline is better either, on 1000 random spaces")
    func baselinesOfSums() {
        for seed in 0..<1_000 {
            let figures = SpaceFigures.random(
                seed: UInt64(60_000 + seed),
                SpaceKnobs(nodes: 1...4, pieces: 1...6, tightMemory: seed % 4 == 0))
            let modes = Self.variants[seed % Self.variants.count]
            let goal = PlanGoal(objective: seed % 2 == 0 ? .latency : .energy)
            let search = PlanSearch(figures.space, goal: goal, modes: modes)
            let found = search.best().sketch.map(goal.value) ?? .max
            if goal.objective == .latency {
                let bound = SpaceBound.latencyNanoseconds(search.space, modes: search.modes)
                #expect(bound <= found, "seed \(seed)")
            }
            for baseline in PlanBaseline.allCases where modes.isSuperset(of: baseline.modes) {
                guard let other = search.baseline(baseline) else { continue }
                #expect(found <= goal.value(other), "seed \(seed) \(baseline)")
            }
        }
    }
}

extension [PlannerBruteForce.Result] {
    /// A result that is neither the first nor the last by period, if there is one.
    var randomMiddle: PlannerBruteForce.Result? {
        let sorted = self.sorted { ($0.period, $0.latency) < ($1.period, $1.latency) }
        return sorted.isEmpty ? nil : sorted[sorted.count / 3]
    }
}
