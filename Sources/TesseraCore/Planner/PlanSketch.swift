/// A plan in a `PlanSpace`: stages by node and position, with what they are expected to take.
public struct PlanSketch: Hashable, Sendable {
    /// A range of pieces and the nodes that compute it.
    public struct Stage: Hashable, Sendable {
        /// How the nodes share it.
        public var mode: StageMode
        /// Indices into `PlanSpace.nodes`; in mode `rows` in the order of the tiles.
        public var nodes: [Int]
        /// The first position.
        public var from: Int
        /// The position behind the last piece.
        public var to: Int
        /// In mode `rows`: the positions within where the tiles exchange rows, ascending.
        public var borders: [Int]
        /// Time between two items.
        public var nanoseconds: Int
        /// Time of one item alone.
        public var latencyNanoseconds: Int

        /// Makes a stage of one node or several replicas whose times are not worked out yet.
        public init(nodes: [Int], from: Int, to: Int) {
            self.init(
                mode: nodes.count == 1 ? .single : .replicas, nodes: nodes, from: from, to: to)
        }

        /// Makes a stage whose times are not worked out yet.
        public init(mode: StageMode, nodes: [Int], from: Int, to: Int, borders: [Int] = []) {
            self.mode = mode
            self.nodes = nodes
            self.from = from
            self.to = to
            self.borders = borders
            nanoseconds = 0
            latencyNanoseconds = 0
        }
    }

    /// What sets the period.
    public enum Bottleneck: Hashable, Sendable {
        /// This node is busy all the time.
        case node(Int)
        /// The links of the cut before this stage; the number of stages for the way to the entry.
        case cut(beforeStage: Int)
        /// The medium that all links share.
        case medium
    }

    /// The stages, in order, covering every piece once.
    public var stages: [Stage]
    /// Time per item in a stream.
    public var periodNanoseconds: Int
    /// Time of one item alone.
    public var latencyNanoseconds: Int
    /// What the nodes draw for one item; nil if a node's power is not known.
    public var nanojoules: Int?
    /// What sets the period.
    public var bottleneck: Bottleneck

    /// The nodes that the plan uses, ascending, without doubles.
    public var nodes: [Int] {
        var result: [Int] = []
        for node in stages.flatMap(\.nodes).sorted() where result.last != node {
            result.append(node)
        }
        return result
    }
}

extension SpaceCosts {
    /// Time between two items of a stage, by the best division into blocks for `rows`; infeasible
    /// if the nodes cannot run it so.
    func nanoseconds(_ stage: PlanSketch.Stage) -> Int {
        switch stage.mode {
        case .single:
            return stage.nodes.count == 1
                ? single(stage.nodes[0], stage.from, stage.to) : Self.infeasible
        case .replicas: return replicas(stage.nodes, stage.from, stage.to)
        case .rows:
            guard stage.nodes.count > 1,
                stage.nodes.allSatisfy({ fits($0, stage.from, stage.to) })
            else { return Self.infeasible }
            let split = RowSplit(self, group: stage.nodes)
            var sum = 0
            for (from, to) in blocks(of: stage) {
                guard let block = split.block(from, to) else { return Self.infeasible }
                sum += block.nanoseconds
            }
            return sum
        case .branches, .entry: return Self.infeasible
        }
    }

    /// The blocks of a row stage: from and to position.
    func blocks(of stage: PlanSketch.Stage) -> [(Int, Int)] {
        let marks = [stage.from] + stage.borders + [stage.to]
        return zip(marks, marks.dropFirst()).map { ($0, $1) }
    }

    /// Time of one item alone in a stage whose time between items is known.
    func latency(_ stage: PlanSketch.Stage, nanoseconds: Int) -> Int {
        guard stage.mode == .replicas else { return nanoseconds }
        return stage.nodes.reduce(0) { max($0, single($1, stage.from, stage.to)) }
    }

    /// The stage in the mode, of those allowed, in which its nodes take least; nil if in none.
    ///
    /// Of equal times the one of lower latency is taken, then the first of the modes.
    func quickest(_ nodes: [Int], _ from: Int, _ to: Int, modes: ModeSet) -> PlanSketch.Stage? {
        var best: PlanSketch.Stage?
        func consider(_ stage: PlanSketch.Stage) {
            var stage = stage
            stage.nanoseconds = nanoseconds(stage)
            guard stage.nanoseconds < Self.infeasible else { return }
            stage.latencyNanoseconds = latency(stage, nanoseconds: stage.nanoseconds)
            if let best,
                (best.nanoseconds, best.latencyNanoseconds)
                    <= (stage.nanoseconds, stage.latencyNanoseconds)
            {
                return
            }
            best = stage
        }
        guard nodes.count > 1 else {
            consider(PlanSketch.Stage(nodes: nodes, from: from, to: to))
            return best
        }
        if modes.contains(.replicas) {
            consider(PlanSketch.Stage(mode: .replicas, nodes: nodes, from: from, to: to))
        }
        if modes.contains(.rows), space.rows != nil {
            let ordered = space.rowOrder.filter(nodes.contains)
            let rows = RowStages(
                self, group: ordered, rates: RateTable(self), limit: Self.infeasible - 1,
                range: from..<to)
            if rows.nanoseconds(from, to) < Self.infeasible {
                consider(
                    PlanSketch.Stage(
                        mode: .rows, nodes: ordered, from: from, to: to,
                        borders: rows.borders(from, to)))
            }
        }
        return best
    }

    /// A plan with what it takes; nil if a stage of it cannot run.
    ///
    /// A node may serve several stages: its times then add up, and so does what they take in memory.
    func sketch(_ given: [PlanSketch.Stage]) -> PlanSketch? {
        var stages = given
        for index in stages.indices {
            let time = nanoseconds(stages[index])
            guard time < Self.infeasible else { return nil }
            stages[index].nanoseconds = time
            stages[index].latencyNanoseconds = latency(stages[index], nanoseconds: time)
        }
        var result = PlanSketch(
            stages: stages, periodNanoseconds: 0, latencyNanoseconds: 0, nanojoules: 0,
            bottleneck: .node(stages.first?.nodes.first ?? 0))
        for node in space.nodes.indices {
            let own = stages.filter { $0.nodes.contains(node) }
            let bytes = own.reduce(0) { $0 + stageBytes($1.from, $1.to) }
            guard own.isEmpty || bytes <= space.nodes[node].memoryBytes else { return nil }
            Self.raise(&result, to: own.reduce(0) { $0 + $1.nanoseconds }, .node(node))
        }
        for stage in stages {
            result.latencyNanoseconds += stage.latencyNanoseconds
            let used = energy(nodes: stage.nodes, nanoseconds: stage.nanoseconds)
            result.nanojoules = result.nanojoules.flatMap { sum in used.map { sum + $0 } }
        }
        addCuts(to: &result)
        return result
    }

    /// Bytes that a stage takes on each of its nodes.
    func stageBytes(_ from: Int, _ to: Int) -> Int {
        space.stageBytes[from * space.positionCount + to]
    }

    /// What busy nodes draw in some time; nil if the power of one is not known.
    func energy(nodes: [Int], nanoseconds: Int) -> Int? {
        var milliwatts = 0
        for node in nodes {
            guard let power = space.nodes[node].milliwatts else { return nil }
            milliwatts += min(max(power, 0), Self.milliwattsMax)
        }
        return Int(min(UInt128(nanoseconds) * UInt128(milliwatts) / 1_000, UInt128(Self.energyMax)))
    }

    /// A node draws at most this much: a megawatt.
    static let milliwattsMax = Capability.milliwattsMax
    /// One stage takes at most this much energy, so that many can be added.
    static let energyMax = Int.max / 1_000

    private static func raise(
        _ sketch: inout PlanSketch, to period: Int, _ bottleneck: PlanSketch.Bottleneck
    ) {
        guard period > sketch.periodNanoseconds else { return }
        sketch.periodNanoseconds = period
        sketch.bottleneck = bottleneck
    }

    private func addCuts(to sketch: inout PlanSketch) {
        var air = 0
        for index in 0...sketch.stages.count {
            let before = index == 0 ? nil : sketch.stages[index - 1]
            let after = index == sketch.stages.count ? nil : sketch.stages[index]
            guard let source = before.map(CutEnd.init) ?? space.entry.map(CutEnd.init(entry:)),
                let target = after.map(CutEnd.init) ?? space.entry.map(CutEnd.init(entry:))
            else { continue }
            let bytes = space.crossingBytes[after?.from ?? space.end]
            let (ones, others) = (shares(of: source.nodes), shares(of: target.nodes))
            let rate = cutRate(from: source.nodes, ones, to: target.nodes, others)
            Self.raise(&sketch, to: rate.nanoseconds(bytes), .cut(beforeStage: index))
            sketch.latencyNanoseconds += passage(
                from: source.nodes, source.mode, to: target.nodes, target.mode, bytes: bytes)
            air += airTime(from: source.nodes, ones, to: target.nodes, others, bytes: bytes)
        }
        for stage in sketch.stages { air += airTime(within: stage) }
        Self.raise(&sketch, to: air, .medium)
    }

    /// How long a cut's bytes keep the shared medium busy; 0 without one.
    func airTime(
        from source: [Int], _ ones: [Int], to target: [Int], _ others: [Int], bytes: Int
    ) -> Int {
        guard let medium = space.medium else { return 0 }
        var local = 0
        for (node, share) in zip(source, ones) {
            guard let place = target.firstIndex(of: node) else { continue }
            local += (share * others[place]) >> Self.shareBits
        }
        let travelling = max((1 << Self.shareBits) - local, 0)
        let rate = LinkRate(fixedPoint: (medium.fixedPoint * travelling) >> Self.shareBits)
        return rate.nanoseconds(bytes)
    }

    /// How long a stage's halos keep the shared medium busy; 0 without one.
    func airTime(within stage: PlanSketch.Stage) -> Int {
        guard space.medium != nil, stage.mode == .rows else { return 0 }
        return blocks(of: stage).reduce(0) { sum, block in
            sum + airTime(ofBlock: block.0, block.1, tiles: stage.nodes.count)
        }
    }

    /// How long a block's halos keep the shared medium busy; 0 without one.
    func airTime(ofBlock from: Int, _ to: Int, tiles: Int) -> Int {
        guard let medium = space.medium, let rows = space.rows, from > 0 || space.entry != nil
        else { return 0 }
        let halo = rows.haloBytes[from * space.positionCount + to]
        return medium.nanoseconds(2 * (tiles - 1) * halo)
    }
}

/// One side of a cut: the nodes of a stage, or the entry.
struct CutEnd {
    /// The nodes.
    let nodes: [Int]
    /// How they share what passes.
    let mode: StageMode

    /// The side of a stage.
    init(_ stage: PlanSketch.Stage) {
        nodes = stage.nodes
        mode = stage.mode
    }

    /// The side of the entry.
    init(entry: Int) {
        nodes = [entry]
        mode = .single
    }
}
