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
        return "all pieces together need \(whole) bytes of memory, and no cut of them fits into what "
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

    /// Microseconds, rounded up.
    static func time(_ nanoseconds: Int) -> String {
        "\(CostArithmetic.microseconds(nanoseconds)) µs"
    }
}
