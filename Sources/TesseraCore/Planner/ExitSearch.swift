/// What a choice of thresholds does to a model with exits, by calibration: how accurate the answers
/// are, and which share of requests each exit answers.
public struct ExitPolicy: Hashable, Sendable {
    /// The threshold of every exit, in millionths.
    public var threshold: Int
    /// The share of right answers, in millionths.
    public var accuracy: Int
    /// By exit, in the order of the model, the share of requests that it answers, in millionths; the
    /// rest goes to the end.
    public var shares: [Int]

    /// Makes a policy.
    public init(threshold: Int, accuracy: Int, shares: [Int]) {
        self.threshold = threshold
        self.accuracy = accuracy
        self.shares = shares
    }

    /// The share of requests that the first exits leave, in millionths.
    func left(behind exits: Int) -> Int {
        max(ModelExit.unit - shares.prefix(exits).reduce(0, +), 0)
    }

    /// The number of exits after which no request is left: what lies behind need not be placed.
    func lastExit(of count: Int) -> Int? {
        (1...max(count, 1)).first { $0 <= count && left(behind: $0) == 0 }
    }
}

/// Picks thresholds and a placement for a model with exits: a shortest path over positions, nodes and
/// latency in steps (FIN, "feasible inference graph").
///
/// A path is a sequence of stages on single nodes, which may serve several. What a stage costs
/// counts with the share of requests that get to it: those that no exit before its first position
/// answered. An exit within a stage is noticed at the stage's end. The limit of the latency is for a
/// request that goes all the way.
public struct ExitSearch: Sendable {
    /// An exit of the chain.
    public struct Exit: Hashable, Sendable {
        /// The position behind the piece that makes its output.
        public var position: Int
        /// Bytes of its output.
        public var bytes: Int

        /// Makes an exit.
        public init(position: Int, bytes: Int) {
            self.position = position
            self.bytes = bytes
        }
    }

    /// A plan that was found.
    public struct Found: Hashable, Sendable {
        /// The thresholds.
        public var policy: ExitPolicy
        /// The stages, up to the last exit that answers anything.
        public var stages: [PlanSketch.Stage]
        /// The expected latency, in nanoseconds.
        public var expectedLatency: Int
        /// The latency of a request that goes all the way.
        public var worstLatency: Int
        /// The expected energy in nanojoules; nil where a node's power is not known.
        public var expectedEnergy: Int?
    }

    /// Into how many steps the longest latency is divided.
    public static let stepsUsual = 400
    /// More states than this are not tried: some seconds.
    static let statesMax = 40_000_000

    /// The space.
    public let space: PlanSpace
    /// The exits, ascending by position.
    public let exits: [Exit]
    /// The limit of the latency; nil for none.
    public let latencyMax: Int?
    /// What is to be least: `latency` or `energy`.
    public let objective: PlanGoal.Objective
    let steps: Int
    let costs: SpaceCosts

    /// A search.
    public init(
        _ space: PlanSpace, exits: [Exit], latencyMax: Int?, objective: PlanGoal.Objective,
        steps: Int = stepsUsual
    ) {
        self.space = space
        self.exits = exits
        self.latencyMax = latencyMax
        self.objective = objective
        self.steps = latencyMax == nil ? 0 : max(steps, 1)
        costs = SpaceCosts(space)
    }

    /// The best of several policies that are accurate enough; nil if none has a plan.
    public func best(of policies: [ExitPolicy], accuracyMin: Int) -> Found? {
        var best: (value: Int, found: Found)?
        for policy in policies where policy.accuracy >= accuracyMin {
            guard let found = plan(for: policy), let value = value(of: found) else { continue }
            if let held = best, held.value <= value { continue }
            best = (value, found)
        }
        return best?.found
    }

    private func value(of found: Found) -> Int? {
        objective == .energy ? found.expectedEnergy : found.expectedLatency
    }

    /// Why a search would be too long; nil if it is not.
    public var reasonAgainst: String? {
        let squares = space.positionCount * space.positionCount / 2
        let pairs = space.nodes.count * space.nodes.count
        let (states, isTooLarge) = (squares * pairs).multipliedReportingOverflow(by: steps + 1)
        guard isTooLarge || states > Self.statesMax else { return nil }
        return "\(space.end) layers on \(space.nodes.count) nodes in \(steps) steps of latency are "
            + "too many to search for exits"
    }

    /// The best placement for given thresholds; nil if none keeps the limit.
    public func plan(for policy: ExitPolicy) -> Found? {
        let end = policy.lastExit(of: exits.count).map { exits[$0 - 1].position } ?? space.end
        let table = Table(self, policy, end: end)
        guard let stages = table.best() else { return nil }
        return evaluate(stages, policy)
    }

    /// What stages cost under a policy; nil if they do not fit or keep the limit.
    func evaluate(_ stages: [PlanSketch.Stage], _ policy: ExitPolicy) -> Found? {
        var found = Found(
            policy: policy, stages: stages, expectedLatency: 0, worstLatency: 0,
            expectedEnergy: 0)
        var taken = [Int](repeating: 0, count: space.nodes.count)
        var before: Int?
        let end = stages.last?.to ?? 0
        for stage in stages {
            let step = Step(self, policy, from: stage.from, to: stage.to, end: end)
            guard let cost = step.cost(from: before, on: stage.nodes[0]) else { return nil }
            found.expectedLatency += cost.expectedLatency
            found.worstLatency += cost.latency
            found.expectedEnergy = found.expectedEnergy.flatMap { sum in
                cost.energy.map { sum + $0 }
            }
            taken[stage.nodes[0]] += costs.stageBytes(stage.from, stage.to)
            before = stage.nodes[0]
        }
        guard zip(taken, space.memoryBytes).allSatisfy({ $0 <= $1 }) else { return nil }
        if let latencyMax, found.worstLatency > latencyMax { return nil }
        return found
    }

    /// A stage under a policy, wherever it runs.
    struct Step {
        /// What a stage adds.
        struct Cost {
            var expectedLatency: Int
            var latency: Int
            var energy: Int?
        }

        let search: ExitSearch
        let from: Int
        let to: Int
        let end: Int
        /// The share of requests that get here.
        let share: Int
        /// The exits that are noticed at its end, with their shares.
        let leaving: [(bytes: Int, share: Int)]

        init(_ search: ExitSearch, _ policy: ExitPolicy, from: Int, to: Int, end: Int) {
            self.search = search
            self.from = from
            self.to = to
            self.end = end
            share = policy.left(behind: search.exits.prefix { $0.position <= from }.count)
            leaving = search.exits.indices.filter {
                search.exits[$0].position > from && search.exits[$0].position <= to
            }.map { (search.exits[$0].bytes, policy.shares[$0]) }
        }

        /// What it adds on a node, from another one or the entry.
        func cost(from source: Int?, on node: Int) -> Cost? {
            let (costs, space) = (search.costs, search.space)
            let time = costs.single(node, from, to)
            guard time < SpaceCosts.infeasible else { return nil }
            func way(_ one: Int?, _ other: Int?, _ bytes: Int) -> Int {
                guard let one = one ?? space.entry, let other = other ?? space.entry else {
                    return 0
                }
                return costs.passage(from: [one], .single, to: [other], .single, bytes: bytes)
            }
            let before = way(source, node, space.crossingBytes[from]) + time
            var cost = Cost(
                expectedLatency: Self.part(before, share), latency: before,
                energy: space.nodes[node].milliwatts.map { milliwatts in
                    Self.part(
                        costs.energy(nodes: [node], nanoseconds: time) ?? milliwatts, share)
                })
            var slowest = 0
            for exit in leaving {
                let back = way(node, nil, exit.bytes)
                cost.expectedLatency += Self.part(back, exit.share)
                if exit.share > 0 { slowest = max(slowest, back) }
            }
            guard to == end else { return cost }
            if to == space.end {
                let back = way(node, nil, space.crossingBytes[to])
                let gone = leaving.reduce(0) { $0 + $1.share }
                cost.expectedLatency += Self.part(back, max(share - gone, 0))
                slowest = max(slowest, back)
            }
            cost.latency += slowest
            return cost
        }

        private static func part(_ value: Int, _ share: Int) -> Int {
            CostArithmetic.scaled(value, by: share, over: ModelExit.unit)
        }
    }

    /// The states of one policy: positions, last nodes and steps of latency.
    private struct Table {
        private struct State {
            var cost = Int.max
            var before = -1
        }

        private let search: ExitSearch
        private let policy: ExitPolicy
        private let end: Int
        private let width: Int
        private var states: [State]

        init(_ search: ExitSearch, _ policy: ExitPolicy, end: Int) {
            self.search = search
            self.policy = policy
            self.end = end
            width = search.steps + 1
            states = Array(
                repeating: State(), count: (end + 1) * search.space.nodes.count * width)
            fill()
        }

        private func index(_ position: Int, _ node: Int, _ step: Int) -> Int {
            (position * search.space.nodes.count + node) * width + step
        }

        private mutating func fill() {
            let nodes = search.space.nodes.indices
            for from in 0..<end {
                for to in (from + 1)...end {
                    let step = Step(search, policy, from: from, to: to, end: end)
                    for node in nodes {
                        let sources: [Int?] = from == 0 ? [nil] : Array(nodes)
                        for source in sources {
                            guard let cost = step.cost(from: source, on: node) else { continue }
                            extend(from, source, to, node, cost)
                        }
                    }
                }
            }
        }

        /// Latency in steps, rounded up, so that what is found keeps the limit.
        private func stepCount(_ latency: Int) -> Int {
            guard let most = search.latencyMax else { return 0 }
            guard most > 0 else { return width }
            let product = latency.multipliedReportingOverflow(by: search.steps)
            guard !product.overflow else { return width }
            return product.partialValue / most + (product.partialValue % most == 0 ? 0 : 1)
        }

        private mutating func extend(
            _ from: Int, _ source: Int?, _ to: Int, _ node: Int, _ cost: Step.Cost
        ) {
            let more = stepCount(cost.latency)
            let value = search.objective == .energy ? cost.energy : cost.expectedLatency
            guard let value, more < width else { return }
            guard let source else {
                take(index(to, node, more), value, before: -1)
                return
            }
            for step in 0..<(width - more) {
                let before = index(from, source, step)
                guard states[before].cost < Int.max else { continue }
                take(
                    index(to, node, step + more), states[before].cost + value, before: before)
            }
        }

        private mutating func take(_ index: Int, _ cost: Int, before: Int) {
            guard cost < states[index].cost else { return }
            states[index] = State(cost: cost, before: before)
        }

        func best() -> [PlanSketch.Stage]? {
            var last = -1
            for node in search.space.nodes.indices {
                for step in 0..<width {
                    let index = index(end, node, step)
                    guard states[index].cost < Int.max,
                        last < 0 || states[index].cost < states[last].cost
                    else { continue }
                    last = index
                }
            }
            guard last >= 0 else { return nil }
            var stages: [PlanSketch.Stage] = []
            var (place, to) = (last, end)
            while place >= 0 {
                let node = place / width % search.space.nodes.count
                let before = states[place].before
                let from = before < 0 ? 0 : before / width / search.space.nodes.count
                stages.append(PlanSketch.Stage(nodes: [node], from: from, to: to))
                (place, to) = (before, from)
            }
            return stages.reversed()
        }
    }
}
