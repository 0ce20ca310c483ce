/// The plan space of a model on nodes and links of known figures: what a search works on where no
/// mesh runs.
public struct ModelSpace: Hashable, Sendable {
    /// The figures.
    public let space: PlanSpace
    /// For each position of the space the operator that it stands before, ascending; the last is the
    /// number of operators.
    public let positions: [Int]

    /// The spaces in which a plan is looked for: with buffers for as many attempts in flight as keep
    /// every stage busy; if other stages fit then, also with buffers for the least number.
    ///
    /// The problem's nodes are ascending by member, at most `nodesMax`, and each has its rates. If
    /// packing was measured, cuts count with what it leaves, and its own time does not.
    ///
    /// - Parameters:
    ///   - problem: The model and the nodes; its links do not count.
    ///   - links: Row by row of the source, in bits per second.
    ///   - milliwatts: What each node draws while it is busy, where that is known.
    /// - Returns: One space or two, the one with the most attempts in flight first.
    public static func spaces(
        of problem: PlanningProblem, links: [PlanSpace.Link], milliwatts: [Int?]
    ) -> [ModelSpace] {
        let model = CostModel(problem, isPacked: problem.codecs != nil)
        invariant(
            model.nodes == problem.nodes && milliwatts.count == model.nodes.count,
            "all nodes of the problem can be used and are in order")
        let wide = Planner.window(
            stageCount: min(model.nodes.count, model.end), latencyShare: 0)
        let spaces = [wide, Planner.windowMin].map { window in
            var space = PlanSpace(
                PlanSpace(model, window: window), links: links, milliwatts: milliwatts,
                mediumBitsPerSecond: problem.mediumBitsPerSecond)
            if space.entry != nil, problem.keepInputLocal > 0 {
                space = space.keepingLocal(pieces: model.piecesKept)
            }
            return ModelSpace(space: space, positions: model.positions)
        }
        return Planner.fitsAlike(spaces[0].space, spaces[1].space) ? [spaces[0]] : spaces
    }

    /// More nodes than this are not considered.
    public static var nodesMax: Int { CostModel.nodesMax }
}

extension PlanSpace {
    /// Another space with these links and powers.
    fileprivate init(
        _ other: PlanSpace, links: [Link], milliwatts: [Int?], mediumBitsPerSecond: Int?
    ) {
        self.init(
            nodes: zip(other.nodes, milliwatts).map { node, power in
                Node(name: node.name, memoryBytes: node.memoryBytes, milliwatts: power)
            },
            pieceNames: other.pieceNames, nanoseconds: other.times, stageBytes: other.stageBytes,
            crossingBytes: other.crossingBytes, links: links, entry: other.entry, rows: other.rows,
            mediumBitsPerSecond: mediumBitsPerSecond)
    }
}

extension PlanSearch {
    /// For each stage how long the links of the cut before it are busy for one item, then those of
    /// the way back to the entry; 0 where the way costs nothing.
    public func cutNanoseconds(of sketch: PlanSketch) -> [Int] {
        (0...sketch.stages.count).map { index in
            let before = index == 0 ? space.entry.map { [$0] } : sketch.stages[index - 1].nodes
            let isLast = index == sketch.stages.count
            let after = isLast ? space.entry.map { [$0] } : sketch.stages[index].nodes
            guard let before, let after else { return 0 }
            let position = isLast ? space.end : sketch.stages[index].from
            return costs.cutRate(
                from: before, costs.shares(of: before), to: after, costs.shares(of: after)
            ).nanoseconds(space.crossingBytes[position])
        }
    }
}
