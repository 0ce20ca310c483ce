/// The best plan by what adds up over stages and cuts (latency, energy, time on a shared medium)
/// within a period, with each node in at most one stage, exactly.
///
/// For each set of nodes, last option and position it keeps every *label*, the sums of a way there,
/// that no other label beats in all sums that count.
struct LabelSolver {
    /// More labels than this for one period, and the search is given up.
    static let labelsMax = 3_000_000
    /// After so many tries to place a label, over all periods, likewise: about a second.
    static let triesMax = 60_000_000
    /// More table entries than this are not made: 160 MB.
    static let entriesMax = 20_000_000

    /// More pairs of a set and a last group than this are not walked through.
    static let statesMax = 100_000

    /// What adds up.
    ///
    /// Sums that do not count are zero everywhere.
    struct Sums: Hashable, Sendable {
        var latency = 0
        var energy = 0
        var air = 0

        /// Whether it is at most the other in each sum.
        func isCovering(_ other: Sums) -> Bool {
            latency <= other.latency && energy <= other.energy && air <= other.air
        }

        static func + (left: Sums, right: Sums) -> Sums {
            Sums(
                latency: left.latency + right.latency, energy: left.energy + right.energy,
                air: left.air + right.air)
        }
    }

    /// Which sums count.
    struct Criteria: OptionSet, Sendable {
        let rawValue: Int
        static let latency = Criteria(rawValue: 1)
        static let energy = Criteria(rawValue: 2)
        static let air = Criteria(rawValue: 4)
    }

    private struct Label {
        var sums: Sums
        /// Index of the step that led here; -1 at the start.
        var step: Int32
    }

    private struct Step {
        var before: Int32
        var option: Int32
        var from: Int32
        var to: Int32
    }

    private let costs: SpaceCosts
    private let groups: NodeGroups
    private let table: StageOptions
    private let criteria: Criteria
    /// By pair of options; only looked up, never walked.
    private var passages: [Int: StageOptions.Passage] = [:]
    private var steps: [Step] = []
    private var labelCount = 0
    private var tries = 0
    private let triesMax: Int
    /// By position: the most that a label's sums may be there.
    private var most: [Sums] = []

    private var space: PlanSpace { costs.space }

    /// Whether a space is small enough.
    static func canSolve(_ space: PlanSpace, modes: ModeSet) -> Bool {
        if modes.isDisjoint(with: [.replicas, .rows]) {
            let vectors = NodeVectors.count(space, limit: statesMax)
            return vectors * space.members.count < statesMax
        }
        return StageOptions.entryCount(space, modes: modes, limit: entriesMax) < entriesMax
            && NodeVectors.pairCount(space, limit: statesMax) < statesMax
    }

    /// A solver over all groups of a space.
    init(
        _ costs: SpaceCosts, modes: ModeSet, criteria: Criteria, limit: Int,
        triesMax: Int = Self.triesMax
    ) {
        self.triesMax = triesMax
        self.costs = costs
        self.criteria = criteria
        groups = NodeGroups(
            costs.space, sizeMax: modes.isDisjoint(with: [.replicas, .rows]) ? 1 : .max)
        table = StageOptions(costs, groups: groups.nodes, modes: modes, limit: limit)
    }

    /// Every way to the end within the period and the limits that no other beats; nil if there were
    /// too many labels.
    mutating func front(period: Int, limits: Sums) -> [(sums: Sums, stages: [PlanSketch.Stage])]? {
        steps = []
        labelCount = 0
        most = mostSums(period: period, limits: limits)
        let all = groups.vectors.count - 1
        var finished: [Label] = []
        // By set: for each of its options the labels by position.
        var rows: [[(option: Int, labels: [[Label]])]] = Array(repeating: [], count: all + 1)
        for set in 0..<all {
            for next in groups.groups(in: all - set) {
                let group = Int(next)
                let target = set + groups.numbers[group]
                for option in table.ofGroup[group] {
                    var labels = [[Label]](repeating: [], count: space.positionCount)
                    let starts = arrivals(
                        rows[set], option: option, isFirst: set == 0, period: period,
                        limits: limits)
                    guard
                        extend(
                            starts, option: option, period: period, limits: limits, into: &labels)
                    else { continue }
                    finish(
                        labels[space.end], option: option, period: period, limits: limits,
                        into: &finished)
                    rows[target].append((option, labels))
                    if labelCount > Self.labelsMax || tries > triesMax { return nil }
                }
            }
        }
        return finished.map { ($0.sums, stages(endingWith: $0.step)) }
    }

    /// The limits less what, at the very least, the way from each position to the end adds: each
    /// sum by itself, by whatever options, without cuts.
    private func mostSums(period: Int, limits: Sums) -> [Sums] {
        let none = Sums(latency: -1, energy: -1, air: -1)
        var least = [Sums?](repeating: nil, count: space.positionCount)
        least[space.end] = Sums()
        for from in (0..<space.end).reversed() {
            for to in (from + 1)...space.end {
                guard let rest = least[to] else { continue }
                for option in table.options.indices where table.time(option, from, to) <= period {
                    let one = sums(option, from, to) + rest
                    guard let held = least[from] else {
                        least[from] = one
                        continue
                    }
                    least[from] = Sums(
                        latency: min(held.latency, one.latency),
                        energy: min(held.energy, one.energy), air: min(held.air, one.air))
                }
            }
        }
        return least.map { least in
            guard let least else { return none }
            return Sums(
                latency: limits.latency - least.latency, energy: limits.energy - least.energy,
                air: limits.air - least.air)
        }
    }

    /// What a stage adds.
    private func sums(_ option: Int, _ from: Int, _ to: Int) -> Sums {
        var sums = Sums()
        if criteria.contains(.latency) { sums.latency = table.latency(option, from, to) }
        if criteria.contains(.energy) { sums.energy = table.nanojoules(option, from, to) }
        if criteria.contains(.air) { sums.air = table.airTime(option, from, to) }
        return sums
    }

    /// The labels with which an option may begin, by position.
    private mutating func arrivals(
        _ rows: [(option: Int, labels: [[Label]])], option: Int, isFirst: Bool, period: Int,
        limits: Sums
    ) -> [[Label]] {
        var starts = [[Label]](repeating: [], count: space.positionCount)
        let nodes = table.options[option].nodes
        let shares = costs.shares(of: nodes)
        if isFirst {
            let bytes = space.crossingBytes[0]
            guard costs.entryRate(to: nodes, shares).nanoseconds(bytes) <= period else {
                return starts
            }
            let sums = cutSums(entry: true, option: option, bytes: bytes)
            if sums.isCovering(most[0]) { starts[0] = [Label(sums: sums, step: -1)] }
            return starts
        }
        for row in rows {
            let (one, other) = groups.concreteNodes(
                table.options[row.option].group, table.options[option].group, of: space)
            let rate = costs.cutRate(from: one, costs.shares(of: one), to: other, shares)
            let passage = passage(row.option, option, one, other)
            for position in 1..<max(space.end, 1) where !row.labels[position].isEmpty {
                let bytes = space.crossingBytes[position]
                guard rate.nanoseconds(bytes) <= period else { continue }
                var sums = Sums()
                if criteria.contains(.latency) { sums.latency = passage.nanoseconds(bytes) }
                if criteria.contains(.air) { sums.air = space.medium?.nanoseconds(bytes) ?? 0 }
                for label in row.labels[position] {
                    insert(
                        Label(sums: label.sums + sums, step: label.step), limits: most[position],
                        into: &starts[position])
                }
            }
        }
        return starts
    }

    private mutating func passage(
        _ source: Int, _ target: Int, _ one: [Int], _ other: [Int]
    ) -> StageOptions.Passage {
        guard criteria.contains(.latency) else { return StageOptions.Passage(pairs: []) }
        let key = source * table.options.count + target
        if let known = passages[key] { return known }
        let made = table.passage(
            from: one, table.options[source].mode, to: other, table.options[target].mode)
        passages[key] = made
        return made
    }

    /// What the way from the entry to an option adds, or the way back.
    private func cutSums(entry isStart: Bool, option: Int, bytes: Int) -> Sums {
        guard let entry = space.entry else { return Sums() }
        let one = table.options[option]
        let whole = [1 << SpaceCosts.shareBits]
        let shares = costs.shares(of: one.nodes)
        var sums = Sums()
        if criteria.contains(.latency) {
            let passage =
                isStart
                ? table.passage(from: [entry], .single, to: one.nodes, one.mode)
                : table.passage(from: one.nodes, one.mode, to: [entry], .single)
            sums.latency = passage.nanoseconds(bytes)
        }
        if criteria.contains(.air) {
            sums.air =
                isStart
                ? costs.airTime(from: [entry], whole, to: one.nodes, shares, bytes: bytes)
                : costs.airTime(from: one.nodes, shares, to: [entry], whole, bytes: bytes)
        }
        return sums
    }

    /// Runs an option from each start; whether it got anywhere.
    private mutating func extend(
        _ starts: [[Label]], option: Int, period: Int, limits: Sums, into labels: inout [[Label]]
    ) -> Bool {
        var any = false
        for from in 0..<space.end where !starts[from].isEmpty {
            for to in (from + 1)...space.end where table.time(option, from, to) <= period {
                let sums = sums(option, from, to)
                for start in starts[from] {
                    let label = Label(sums: start.sums + sums, step: Int32(steps.count))
                    if insert(label, limits: most[to], into: &labels[to]) {
                        steps.append(
                            Step(
                                before: start.step, option: Int32(option), from: Int32(from),
                                to: Int32(to)))
                        any = true
                    }
                }
            }
        }
        return any
    }

    private mutating func finish(
        _ labels: [Label], option: Int, period: Int, limits: Sums, into finished: inout [Label]
    ) {
        guard !labels.isEmpty else { return }
        let nodes = table.options[option].nodes
        let bytes = space.crossingBytes[space.end]
        guard
            costs.exitRate(from: nodes, costs.shares(of: nodes)).nanoseconds(bytes) <= period
        else { return }
        let sums = cutSums(entry: false, option: option, bytes: bytes)
        for label in labels {
            insert(
                Label(sums: label.sums + sums, step: label.step), limits: limits,
                into: &finished)
        }
    }

    /// Takes a label into a list unless one of the list covers it; drops those that it covers.
    @discardableResult
    private mutating func insert(
        _ label: Label, limits: Sums, into list: inout [Label]
    ) -> Bool {
        tries += 1 + list.count
        guard label.sums.isCovering(limits) else { return false }
        for held in list where held.sums.isCovering(label.sums) { return false }
        labelCount += 1
        list.removeAll { label.sums.isCovering($0.sums) }
        list.append(label)
        return true
    }

    private func stages(endingWith last: Int32) -> [PlanSketch.Stage] {
        var chain: [Step] = []
        var index = last
        while index >= 0 {
            chain.append(steps[Int(index)])
            index = steps[Int(index)].before
        }
        var used = [Int](repeating: 0, count: space.members.count)
        return chain.reversed().map { step in
            let option = Int(step.option)
            let counts = groups.vectors.counts(groups.numbers[table.options[option].group])
            var nodes: [Int] = []
            for kind in counts.indices {
                nodes += space.members[kind][used[kind]..<(used[kind] + counts[kind])]
                used[kind] += counts[kind]
            }
            return table.stage(option, nodes: nodes, Int(step.from), Int(step.to))
        }
    }
}
