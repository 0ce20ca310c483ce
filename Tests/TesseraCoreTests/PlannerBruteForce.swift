@testable import TesseraCore

/// Every plan of a small plan space, one after the other, written from `Docs/Planning.md` alone: it
/// shares no code with the planner but the modes' names.
struct PlannerBruteForce {
    struct Stage {
        var mode: StageMode
        var nodes: [Int]
        var from: Int
        var to: Int
        var time: Int
        var latency: Int
        var energy: Int?
        var air: Int
    }

    struct Result {
        var period: Int
        var latency: Int
        var energy: Int?
    }

    let figures: SpaceFigures
    let modes: ModeSet
    let order: [Int]
    /// By from and to position: every stage that its nodes can run.
    var stages: [[Stage]] = []

    init(_ figures: SpaceFigures, modes: ModeSet) {
        self.figures = figures
        self.modes = modes
        var kinds: [[Int]] = []
        for node in 0..<figures.nodeCount {
            let place = kinds.firstIndex { figures.exchanging($0[0], node) == figures }
            if let place { kinds[place].append(node) } else { kinds.append([node]) }
        }
        order = kinds.flatMap { $0 }
        for from in 0..<figures.positionCount {
            for to in 0..<figures.positionCount {
                stages.append(from < to ? allStages(from, to) : [])
            }
        }
    }

    // MARK: Stages

    private func slot(_ from: Int, _ to: Int) -> Int { from * figures.positionCount + to }

    private func allStages(_ from: Int, _ to: Int) -> [Stage] {
        var result: [Stage] = []
        for set in 1..<(1 << figures.nodeCount) {
            let nodes = order.filter { set >> $0 & 1 == 1 }
            let bytes = figures.bytes[slot(from, to)]
            guard nodes.allSatisfy({ bytes <= figures.memory[$0] }) else { continue }
            if from < figures.local, nodes != [figures.entry] { continue }
            let times = nodes.map { figures.times[$0][slot(from, to)] }
            func add(_ mode: StageMode, _ time: Int, latency: Int, air: Int = 0) {
                var power: Int? = 0
                for node in nodes {
                    power = power.flatMap { sum in figures.milliwatts[node].map { sum + $0 } }
                }
                result.append(
                    Stage(
                        mode: mode, nodes: nodes, from: from, to: to, time: time,
                        latency: latency, energy: power.map { time * $0 / 1_000 }, air: air))
            }
            if nodes.count == 1 {
                add(.single, times[0], latency: times[0])
                continue
            }
            if modes.contains(.replicas) {
                let rate = times.reduce(0) { $0 + (1 << 56) / $1 }
                add(.replicas, ((1 << 56) + rate - 1) / rate, latency: times.max() ?? 0)
            }
            if modes.contains(.rows), let (time, air) = rowStage(nodes, from, to) {
                add(.rows, time, latency: time, air: air)
            }
        }
        return result
    }

    /// Over all divisions into blocks; of equal times the one whose last block begins first.
    private func rowStage(_ nodes: [Int], _ from: Int, _ to: Int) -> (Int, Int)? {
        guard figures.hasRows else { return nil }
        let inner = to - from - 1
        var best: (time: Int, starts: [Int], air: Int)?
        for set in 0..<(1 << inner) {
            let marks =
                [from] + ((from + 1)..<max(to, from + 1)).filter { set >> ($0 - from - 1) & 1 == 1 }
                + [to]
            var time = 0
            var air = 0
            var canRun = true
            for (start, end) in zip(marks, marks.dropFirst()) {
                guard let block = block(nodes, start, end) else { canRun = false; break }
                time += block
                if start > 0 || figures.entry != nil, let medium = figures.medium {
                    let bytes = 2 * (nodes.count - 1) * figures.halo[slot(start, end)]
                    air += carry(bytes, rate(bits: medium))
                }
            }
            guard canRun else { continue }
            let starts = Array(marks.dropLast().reversed())
            if let held = best {
                if held.time < time { continue }
                if held.time == time, held.starts.lexicographicallyPrecedes(starts) { continue }
            }
            best = (time, starts, air)
        }
        return best.map { ($0.time, $0.air) }
    }

    /// Over all ways to deal the rows out, each tile at least one.
    private func block(_ nodes: [Int], _ from: Int, _ to: Int) -> Int? {
        let count = figures.counts[slot(from, to)]
        guard count >= nodes.count else { return nil }
        func finish(_ place: Int, _ rows: Int) -> Int {
            let node = nodes[place]
            let time = figures.times[node][slot(from, to)]
            let neighbours = [place - 1, place + 1].filter(nodes.indices.contains).map { nodes[$0] }
            let excess = neighbours.count * figures.excess[node][slot(from, to)]
            let overhead = figures.overheads[slot(from, to)]
            let bytes = from == 0 && figures.entry == nil ? 0 : figures.halo[slot(from, to)]
            var halo = 0
            if bytes > 0 {
                halo = neighbours.map { figures.latencies[$0][node] }.max() ?? 0
                halo += carry(
                    bytes, neighbours.reduce(0) { $0 + rate(bits: figures.bits[$1][node]) })
            }
            let computing = overhead + min(time, (time * rows + count - 1) / count + excess)
            let row = (time + count - 1) / count
            let waiting = overhead + 2 * excess + neighbours.count * row
            return max(computing, halo + min(computing, waiting))
        }
        var best = Int.max
        func deal(_ place: Int, _ left: Int, _ worst: Int) {
            if place == nodes.count - 1 {
                best = min(best, max(worst, finish(place, left)))
                return
            }
            for rows in 1...(left - (nodes.count - 1 - place)) {
                deal(place + 1, left - rows, max(worst, finish(place, rows)))
            }
        }
        deal(0, count, 0)
        return best
    }

    // MARK: Cuts

    private func rate(bits: Int) -> Int {
        ((8_000_000_000 << 24) + max(bits, 1_000) - 1) / max(bits, 1_000)
    }

    private func carry(_ bytes: Int, _ rate: Int) -> Int { (bytes * rate + (1 << 24) - 1) >> 24 }

    private func shares(_ nodes: [Int]) -> [Int] {
        if nodes.count == 1 { return [1 << 16] }
        let speeds = nodes.map { (1 << 56) / figures.times[$0][figures.end] }
        let sum = UInt128(speeds.reduce(0, +))
        return speeds.map { Int((UInt128($0) * 65_536 + sum - 1) / sum) }
    }

    private func link(_ source: Int, _ target: Int) -> Int {
        source == target ? 0 : rate(bits: figures.bits[source][target])
    }

    private func up(_ value: Int) -> Int { (value + 65_535) >> 16 }

    private func cutRate(_ sources: [Int], _ targets: [Int]) -> Int {
        let (ones, others) = (shares(sources), shares(targets))
        var ends: [Int] = []
        for (place, source) in sources.enumerated() {
            let sum = zip(targets, others).reduce(0) { $0 + $1.1 * link(source, $1.0) }
            ends.append(up(up(sum) * ones[place]))
        }
        for (place, target) in targets.enumerated() {
            let sum = zip(sources, ones).reduce(0) { $0 + $1.1 * link($1.0, target) }
            ends.append(up(up(sum) * others[place]))
        }
        return ends.max() ?? 0
    }

    private func passage(
        _ source: (StageMode, [Int]), _ target: (StageMode, [Int]), _ bytes: Int
    ) -> Int {
        let sources = source.0 == .rows ? [source.1] : source.1.map { [$0] }
        let targets = target.0 == .rows ? [target.1] : target.1.map { [$0] }
        var worst = 0
        for one in sources {
            for other in targets {
                var latency = 0
                for node in one {
                    for reader in other where node != reader {
                        latency = max(latency, figures.latencies[node][reader])
                    }
                }
                worst = max(worst, latency + carry(bytes, cutRate(one, other)))
            }
        }
        return worst
    }

    private func air(_ sources: [Int], _ targets: [Int], _ bytes: Int) -> Int {
        guard let medium = figures.medium else { return 0 }
        let (ones, others) = (shares(sources), shares(targets))
        var local = 0
        for (source, share) in zip(sources, ones) {
            for (target, other) in zip(targets, others) where source == target {
                local += (share * other) >> 16
            }
        }
        return carry(bytes, (rate(bits: medium) * max(65_536 - local, 0)) >> 16)
    }

    // MARK: Plans

    /// What a plan takes; nil if a node's memory does not hold its stages.
    func evaluate(_ plan: [Stage]) -> Result? {
        var period = 0
        for node in 0..<figures.nodeCount {
            let own = plan.filter { $0.nodes.contains(node) }
            guard
                own.reduce(0, { $0 + figures.bytes[slot($1.from, $1.to)] }) <= figures.memory[node]
                    || own.isEmpty
            else { return nil }
            period = max(period, own.reduce(0) { $0 + $1.time })
        }
        var ends: [(StageMode, [Int])?] = plan.map { ($0.mode, $0.nodes) }
        let entry: (StageMode, [Int])? = figures.entry.map { (.single, [$0]) }
        ends = [entry] + ends + [entry]
        var latency = plan.reduce(0) { $0 + $1.latency }
        var energy: Int? = 0
        for stage in plan { energy = energy.flatMap { sum in stage.energy.map { sum + $0 } } }
        var onAir = plan.reduce(0) { $0 + $1.air }
        let positions = plan.map(\.from) + [figures.end]
        for (index, position) in positions.enumerated() {
            guard let source = ends[index], let target = ends[index + 1] else { continue }
            let bytes = figures.crossing[position]
            period = max(period, carry(bytes, cutRate(source.1, target.1)))
            latency += passage(source, target, bytes)
            onAir += air(source.1, target.1, bytes)
        }
        return Result(period: max(period, onAir), latency: latency, energy: energy)
    }

    /// Every plan whose nodes serve one stage at most, or any number.
    func allPlans(repeating: Bool, _ body: ([Stage]) -> Void) {
        func extend(_ plan: [Stage], _ from: Int, _ used: [Int]) {
            if from == figures.end { body(plan) }
            for to in (from + 1)..<max(figures.positionCount, from + 1) {
                for stage in stages[slot(from, to)] {
                    if !repeating, stage.nodes.contains(where: used.contains) { continue }
                    extend(plan + [stage], to, repeating ? [] : used + stage.nodes)
                }
            }
        }
        extend([], 0, [])
    }

    /// The results of all plans.
    func results(repeating: Bool) -> [Result] {
        var results: [Result] = []
        allPlans(repeating: repeating) { plan in
            if let result = evaluate(plan) { results.append(result) }
        }
        return results
    }
}
