/// What no plan over the nodes of a problem can beat, and what binds: printed beside every plan.
///
/// Counts computing only, so that it holds for every way to hand tensors over. It holds for plans
/// whose stages are not replicated.
public struct PlanBound: Hashable, Sendable {
    /// What binds.
    public enum Binding: Hashable, Sendable {
        /// All nodes together cannot compute faster.
        case compute
        /// This operator takes so long on every node, and cannot be split.
        case indivisibleOperator(name: String)
    }

    /// The least time per item in a stream.
    public var periodMicroseconds: Int64
    /// What binds.
    public var binding: Binding

    /// The bound of a problem; nil if no node can be used.
    public static func of(_ problem: PlanningProblem) -> PlanBound? {
        let model = CostModel(problem)
        guard !model.nodes.isEmpty, model.end > 0 else { return nil }
        let bound = PeriodBound(StageTable(model, window: 1, countsEndpoints: false))
        let binding: Binding
        switch bound.binding {
        case .compute: binding = .compute
        case .indivisibleOperator(let position):
            let index = model.positions[position + 1] - 1
            binding = .indivisibleOperator(name: problem.outline.operators[index].name)
        }
        return PlanBound(
            periodMicroseconds: Int64(bound.nanoseconds / 1_000), binding: binding)
    }
}

extension PlanBound.Binding: CustomStringConvertible {
    /// For people: what binds.
    public var description: String {
        switch self {
        case .compute: "the computing power of all nodes"
        case .indivisibleOperator(let name): "operator \(name), which is not split"
        }
    }
}
