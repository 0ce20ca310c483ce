import Testing

@testable import TesseraCore

/// Thresholds and placements for models with exits.
@Suite struct PlannerExitTests {
    private func exits(_ figures: SpaceFigures, _ numbers: inout TestNumbers) -> [ExitSearch.Exit] {
        (1..<max(figures.end, 1)).filter { _ in numbers.next(0...2) > 0 }.map {
            ExitSearch.Exit(position: $0, bytes: numbers.next(1...400))
        }
    }

    private func policies(_ count: Int, _ numbers: inout TestNumbers) -> [ExitPolicy] {
        (0..<4).map { number in
            var left = ModelExit.unit
            let shares = (0..<count).map { _ in
                let share = numbers.next(0...3) == 0 ? left : numbers.next(0...left)
                left -= share
                return share
            }
            return ExitPolicy(
                threshold: 500_000 + number, accuracy: numbers.next(900_000...1_000_000),
                shares: shares)
        }
    }

    private func part(_ value: Int, _ share: Int) -> Int {
        (value * share + ModelExit.unit - 1) / ModelExit.unit
    }

    /// Every placement of single nodes, written from the description of the search alone: expected
    /// value and latency of the longest way.
    private func placements(
        _ figures: SpaceFigures, _ exits: [ExitSearch.Exit], _ policy: ExitPolicy, energy: Bool
    ) -> [(value: Int, latency: Int, steps: [Int])] {
        let count = figures.positionCount
        let ended = exits.indices.first {
            policy.shares.prefix($0 + 1).reduce(0, +) == ModelExit.unit
        }
        let end = ended.map { exits[$0].position } ?? figures.end
        func left(_ position: Int) -> Int {
            let gone = exits.indices.filter { exits[$0].position <= position }
            return ModelExit.unit - gone.reduce(0) { $0 + policy.shares[$1] }
        }
        func way(_ one: Int?, _ other: Int?, _ bytes: Int) -> Int {
            guard let one = one ?? figures.entry, let other = other ?? figures.entry, one != other
            else { return 0 }
            let rate = max(figures.bits[one][other], 1_000)
            let perByte = ((8_000_000_000 << 24) + rate - 1) / rate
            return figures.latencies[one][other] + (bytes * perByte + (1 << 24) - 1) >> 24
        }
        var results: [(value: Int, latency: Int, steps: [Int])] = []
        func extend(
            _ from: Int, _ before: Int?, _ value: Int, _ steps: [Int], _ memory: [Int]
        ) {
            if from == end {
                results.append((value, steps.reduce(0, +), steps))
                return
            }
            for to in (from + 1)...end {
                for node in 0..<figures.nodeCount {
                    let bytes = figures.bytes[from * count + to]
                    guard bytes <= memory[node] else { continue }
                    let time = figures.times[node][from * count + to]
                    let way0 = way(before, node, figures.crossing[from]) + time
                    var latency = way0
                    var more = part(way0, left(from))
                    var slowest = 0
                    for (index, exit) in exits.enumerated()
                    where exit.position > from && exit.position <= to {
                        let back = way(node, nil, exit.bytes)
                        more += part(back, policy.shares[index])
                        if policy.shares[index] > 0 { slowest = max(slowest, back) }
                    }
                    if to == figures.end {
                        let back = way(node, nil, figures.crossing[to])
                        more += part(back, max(left(to), 0))
                        slowest = max(slowest, back)
                    }
                    if to == end { latency += slowest }
                    if energy {
                        more = part(time * (figures.milliwatts[node] ?? 0) / 1_000, left(from))
                    }
                    var rest = memory
                    // The search looks at each stage's memory; whether all fit is settled at the end.
                    rest[node] = memory[node]
                    extend(to, node, value + more, steps + [latency], rest)
                }
            }
        }
        extend(0, nil, 0, [], figures.memory)
        return results
    }

    @Test("the least expected cost within limits equals brute force over 800 random chains")
    func bruteForce() {
        var (limited, early) = (0, 0)
        for seed in 0..<800 {
            var numbers = TestNumbers(seed: UInt64(seed))
            var figures = SpaceFigures.random(
                seed: UInt64(90_000 + seed),
                SpaceKnobs(nodes: 1...3, pieces: 2...4, hasRows: false))
            if seed % 2 == 0 { figures.entry = nil }
            let exits = exits(figures, &numbers)
            let policies = policies(exits.count, &numbers)
            let energy = seed % 3 == 0
            let accuracy = 950_000
            let free = policies.filter { $0.accuracy >= accuracy }.flatMap {
                placements(figures, exits, $0, energy: energy)
            }
            var limit: Int?
            if seed % 4 != 0, let least = free.map(\.latency).min(),
                let most = free.map(\.latency).max()
            {
                limit = least + (most - least) / (1 + seed % 5)
            }
            let steps = 50 + seed % 100
            // A path is possible if its latencies, each rounded up to steps, keep the limit.
            let possible = free.filter { placement in
                guard let limit else { return true }
                return placement.steps.reduce(0) { $0 + ($1 * steps + limit - 1) / limit } <= steps
            }
            if possible.count < free.count { limited += 1 }
            let search = ExitSearch(
                figures.space, exits: exits, latencyMax: limit,
                objective: energy ? .energy : .latency, steps: steps)
            let found = search.best(of: policies, accuracyMin: accuracy)
            let value = energy ? found?.expectedEnergy : found?.expectedLatency
            #expect(value == possible.map(\.value).min(), "seed \(seed)")
            guard let found else { continue }
            #expect(found.worstLatency <= limit ?? .max, "seed \(seed)")
            #expect(found.policy.accuracy >= accuracy, "seed \(seed)")
            if found.stages.last?.to != figures.end { early += 1 }
        }
        #expect(limited > 100)
        #expect(early > 20)
    }

    @Test("with one step for each nanosecond the search is exact")
    func exact() {
        for seed in 0..<60 {
            var numbers = TestNumbers(seed: UInt64(500 + seed))
            var figures = SpaceFigures.random(
                seed: UInt64(95_000 + seed),
                SpaceKnobs(nodes: 1...2, pieces: 2...3, hasRows: false))
            // Times of at most some hundred nanoseconds.
            figures.times = figures.times.map { $0.map { $0 / 4_000 + 1 } }
            figures.latencies = figures.latencies.map { $0.map { $0 / 4_000 } }
            figures.crossing = figures.crossing.map { $0 / 40_000 }
            let exits = exits(figures, &numbers).map {
                ExitSearch.Exit(position: $0.position, bytes: 1)
            }
            let policy = policies(exits.count, &numbers)[0]
            let all = placements(figures, exits, policy, energy: false)
            guard let most = all.map(\.latency).max() else { continue }
            let limit = max(most * 3 / 4, 1)
            let search = ExitSearch(
                figures.space, exits: exits, latencyMax: limit, objective: .latency, steps: limit)
            #expect(
                search.plan(for: policy)?.expectedLatency
                    == all.filter { $0.latency <= limit }.map(\.value).min(), "seed \(seed)")
        }
    }

    @Test("what an exit answers makes what lies behind it cheap, not shorter")
    func shares() throws {
        var figures = SpaceFigures.random(
            seed: 7, SpaceKnobs(nodes: 2...2, pieces: 2...2, hasRows: false))
        figures.entry = 0
        let exits = [ExitSearch.Exit(position: 1, bytes: 40)]
        let search = ExitSearch(
            figures.space, exits: exits, latencyMax: nil, objective: .latency)
        let none = try #require(
            search.plan(for: ExitPolicy(threshold: 1, accuracy: 1, shares: [0])))
        let half = try #require(
            search.plan(for: ExitPolicy(threshold: 1, accuracy: 1, shares: [500_000])))
        let all = try #require(
            search.plan(for: ExitPolicy(threshold: 1, accuracy: 1, shares: [ModelExit.unit])))
        #expect(none.expectedLatency == none.worstLatency)
        #expect(half.expectedLatency <= none.expectedLatency)
        #expect(all.expectedLatency <= half.expectedLatency)
        #expect(all.stages.last?.to == 1)
    }
}
