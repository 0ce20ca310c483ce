/// Puts into words why a search found no plan, and what each node got and why.
struct SearchReasons {
    private let search: PlanSearch
    private var space: PlanSpace { search.space }

    init(_ search: PlanSearch) { self.search = search }

    /// The limit that binds, with figures.
    func impossible() -> String {
        let free = PlanGoal(
            objective: search.goal.objective,
            memoryHeadroomPercent: 0)
        let relaxed = PlanSearch(space, goal: free, modes: search.modes)
        if free != search.goal, case .found(let sketch, _) = relaxed.best() {
            return limits(sketch)
        }
        guard let largest = space.nodes.max(by: { $0.memoryBytes < $1.memoryBytes }) else {
            return "no node is there"
        }
        if let entry = space.entry, space.localPieces > 0 {
            let node = space.nodes[entry]
            for piece in 0..<space.localPieces
            where search.costs.stageBytes(piece, piece + 1) > node.memoryBytes {
                return "\(space.pieceNames[piece]) is to run on the entry \(node.name), needs "
                    + "\(search.costs.stageBytes(piece, piece + 1)) bytes of memory there, and "
                    + "\(node.memoryBytes) are free"
            }
        }
        for piece in 0..<space.end {
            let needed = search.costs.stageBytes(piece, piece + 1)
            if needed > largest.memoryBytes {
                return "\(space.pieceNames[piece]) alone needs \(needed) bytes of memory, and the "
                    + "most that a node has free is \(largest.memoryBytes) bytes on \(largest.name)"
            }
        }
        let whole = search.costs.stageBytes(0, space.end)
        let sum = space.nodes.reduce(0) { $0 + CostArithmetic.bytes($1.memoryBytes) }
        let names = space.nodes.prefix(Self.namesMax).map { "\($0.name) \($0.memoryBytes)" }
        let more = space.nodes.count > Self.namesMax ? ", …" : ""
        return
            "all pieces together need \(whole) bytes of memory, and no cut of them fits into what "
            + "is free: \(sum) bytes on \(space.nodes.count) "
            + "node\(space.nodes.count == 1 ? "" : "s") (\(names.joined(separator: ", "))\(more))"
    }

    /// More nodes than this are not listed.
    private static let namesMax = 12

    private func limits(_ sketch: PlanSketch) -> String {
        var parts: [String] = []
        let goal = search.goal
        if let limit = goal.periodNanosecondsMax {
            parts.append("a period of at most \(Self.time(limit))")
        }
        if let limit = goal.latencyNanosecondsMax {
            parts.append("a latency of at most \(Self.time(limit))")
        }
        if let limit = goal.nanojoulesMax { parts.append("at most \(limit) nJ per item") }
        let energy = sketch.nanojoules.map { " and takes \($0) nJ per item" } ?? ""
        return "no plan keeps within " + parts.joined(separator: " and ")
            + ": without limits, the plan of the best \(goal.objective.rawValue) has a period of "
            + "\(Self.time(sketch.periodNanoseconds)) and a latency of "
            + "\(Self.time(sketch.latencyNanoseconds))\(energy)"
    }

    /// What a plan's bottleneck is called.
    func words(_ bottleneck: PlanSketch.Bottleneck, of sketch: PlanSketch) -> String {
        func names(_ nodes: [Int]) -> String {
            nodes.prefix(Self.namesMax).map { space.nodes[$0].name }.joined(separator: ", ")
                + (nodes.count > Self.namesMax ? ", …" : "")
        }
        switch bottleneck {
        case .node(let node): return "computing on \(space.nodes[node].name)"
        case .medium: return "the medium that all links share"
        case .cut(let index):
            let entry = space.entry.map { [$0] } ?? []
            let before = index == 0 ? entry : sketch.stages[index - 1].nodes
            let after = index == sketch.stages.count ? entry : sketch.stages[index].nodes
            return "the way from \(names(before)) to \(names(after))"
        }
    }

    /// For each node why it got what it got, or nothing, ascending.
    func notes(on sketch: PlanSketch, isExact: Bool, baseline: PlanBaseline?) -> [PlanNote] {
        space.nodes.indices.map { node in
            let own = sketch.stages.filter { $0.nodes.contains(node) }
            guard own.isEmpty else {
                return PlanNote(node: node, isUsed: true, text: used(node, own, sketch))
            }
            let text =
                baseline.map { "the baseline \($0.rawValue) does not use it" }
                ?? leftOut(node, sketch, isExact: isExact)
            return PlanNote(node: node, isUsed: false, text: text)
        }
    }

    private func used(_ node: Int, _ own: [PlanSketch.Stage], _ sketch: PlanSketch) -> String {
        let parts = own.map { stage in
            let pieces =
                stage.to == stage.from + 1
                ? space.pieceNames[stage.from]
                : "\(space.pieceNames[stage.from]) to \(space.pieceNames[stage.to - 1])"
            switch stage.mode {
            case .single, .branches, .entry: return "it computes \(pieces)"
            case .replicas:
                let time = search.costs.single(node, stage.from, stage.to)
                return
                    "it computes \(pieces) for \(stage.nanoseconds * 100 / max(time, 1)) % of the "
                    + "requests, as one of \(stage.nodes.count) replicas"
            case .rows:
                return "it computes rows of \(pieces), as one of \(stage.nodes.count) tiles"
            }
        }
        let busy = own.reduce(0) { $0 + $1.nanoseconds }
        let role =
            sketch.bottleneck == .node(node)
            ? "which sets the period" : "of a period of \(Self.time(sketch.periodNanoseconds))"
        return parts.joined(separator: ", and ") + ": busy for \(Self.time(busy)) per item, \(role)"
    }

    private func leftOut(_ node: Int, _ sketch: PlanSketch, isExact: Bool) -> String {
        let pieces = 0..<space.end
        let least = pieces.reduce(Int.max) { min($0, search.costs.stageBytes($1, $1 + 1)) }
        let free = space.nodes[node].memoryBytes
        if least > free {
            return "it has \(free) bytes of memory free, and the smallest stage needs \(least)"
        }
        let verdict = isExact ? "no plan with it has" : "no plan with it was found that has"
        guard search.goal.objective == .throughput else {
            let value =
                search.goal.objective == .latency ? "a lower latency" : "less energy per item"
            return "\(verdict) \(value)"
        }
        let quickest = pieces.reduce(SpaceCosts.infeasible) {
            min($0, search.costs.single(node, $1, $1 + 1))
        }
        if quickest > sketch.periodNanoseconds {
            return "its quickest operator takes \(Self.time(quickest)), longer than the period of "
                + Self.time(sketch.periodNanoseconds)
        }
        return
            "\(verdict) a shorter period: \(words(sketch.bottleneck, of: sketch)) sets the period "
            + "of \(Self.time(sketch.periodNanoseconds))"
    }

    /// Microseconds, rounded up.
    static func time(_ nanoseconds: Int) -> String {
        "\(CostArithmetic.microseconds(nanoseconds)) µs"
    }
}

/// Why a node got what it got in a plan, or nothing.
public struct PlanNote: Hashable, Sendable {
    /// Index into `PlanSpace.nodes`.
    public var node: Int
    /// Whether the plan uses it.
    public var isUsed: Bool
    /// For people: the reason.
    public var text: String
}

extension PlanSearch {
    /// For each node why it got what it got in a plan, or nothing.
    public func notes(
        on sketch: PlanSketch, isExact: Bool, baseline: PlanBaseline? = nil
    ) -> [PlanNote] {
        SearchReasons(self).notes(on: sketch, isExact: isExact, baseline: baseline)
    }

    /// For people: what sets a plan's period.
    public func bottleneckText(of sketch: PlanSketch) -> String {
        SearchReasons(self).words(sketch.bottleneck, of: sketch)
    }

    /// For people: what a bound's binding is called.
    public func bindingText(_ binding: SpaceBound.Binding) -> String {
        switch binding {
        case .compute: "the computing power of all nodes"
        case .operation(let piece):
            "\(space.pieceNames[piece]), which takes so long on all nodes that may share it"
        case .network: "computing and links of all nodes"
        case .sourceLink: "the links from the entry"
        case .resultLink: "the links to the entry"
        case .medium: "the medium that all links share"
        }
    }
}
