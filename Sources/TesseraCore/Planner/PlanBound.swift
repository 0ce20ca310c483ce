/// What no plan over the nodes of a problem can beat, and what binds: printed beside every plan.
///
/// The bound of the problem's plan space (`SpaceBound`) for the modes that it allows, with what
/// holds for every way to hand tensors over: a stage takes its computing alone, and of what crosses
/// a cut only that counts which the pieces beside it read and make.
public struct PlanBound: Hashable, Sendable {
    /// What binds.
    public enum Binding: Hashable, Sendable {
        /// All nodes together cannot compute faster.
        case compute
        /// This operator takes so long on every node, and cannot be split.
        case indivisibleOperator(name: String)
        /// This operator takes so long on all nodes that may share it.
        case sharedOperator(name: String)
        /// All nodes together cannot get their work and hand it on faster.
        case network
        /// The entry cannot send the requests out faster.
        case sourceLink
        /// The entry cannot take the results in faster.
        case resultLink
        /// The medium that all links share cannot carry what must cross it faster.
        case medium
    }

    /// The least time per item in a stream.
    public var periodMicroseconds: Int64
    /// What binds.
    public var binding: Binding

    /// The bound of a problem; nil if no node can be used.
    public static func of(_ problem: PlanningProblem) -> PlanBound? {
        let model = CostModel(problem, isPacked: problem.codecs != nil)
        guard !model.nodes.isEmpty, model.end > 0 else { return nil }
        let modes = problem.allowedModes.union(problem.baseline?.modes ?? []).union(.single)
        let bound = SpaceBound(PlanSpace(bounding: model), modes: modes)
        let binding: Binding
        switch bound.binding {
        case .compute: binding = .compute
        case .operation(let piece):
            let index = model.positions[piece + 1] - 1
            let name = problem.outline.operators[index].name
            binding =
                modes == .single
                ? .indivisibleOperator(name: name) : .sharedOperator(name: name)
        case .network: binding = .network
        case .sourceLink: binding = .sourceLink
        case .resultLink: binding = .resultLink
        case .medium: binding = .medium
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
        case .sharedOperator(let name):
            "operator \(name), which takes so long on all nodes that may share it"
        case .network: "computing and links of all nodes"
        case .sourceLink: "the links from the entry"
        case .resultLink: "the links to the entry"
        case .medium: "the medium that all links share"
        }
    }
}
