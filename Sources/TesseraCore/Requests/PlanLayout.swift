/// The shape of a plan's dataflow, worked out once when the plan becomes known, so that a slice
/// costs a few array look-ups and nothing is searched.
struct PlanLayout: Hashable, Sendable {
    /// What one fragment reads and writes.
    struct FragmentFlow: Hashable, Sendable {
        /// Indices into `ModelOutline.tensors` of what it reads, ascending: the engine's order.
        var inputs: [Int]
        /// Indices of what it writes and others read, ascending: the engine's order.
        var outputs: [Int]
        /// For each of `outputs`, the routes that carry it.
        var routes: [[Int]]
    }

    /// The plan with its name.
    let named: NamedPlan
    /// For each fragment of the plan.
    let flows: [FragmentFlow]
    /// The routes from the entry: what it sends.
    let entrySends: [Int]
    /// For each model output, the route that brings it to the entry; routes are unique per tensor.
    let entryReceives: [Int]
    /// For each route, its tensor's descriptor.
    let descriptors: [TensorDescriptor]

    var plan: Plan { named.plan }
    var id: PlanID { named.id }

    init(_ named: NamedPlan, outline: ModelOutline) {
        let plan = named.plan
        self.named = named
        var sent: [Endpoint: [Int: [Int]]] = [:]
        for (index, route) in plan.routes.enumerated() {
            sent[route.source, default: [:]][route.tensor, default: []].append(index)
        }
        flows = plan.fragments.indices.map { index in
            let operators = plan.fragments[index].operators
            let outputs = outline.outputTensors(of: operators)
            return FragmentFlow(
                inputs: outline.inputTensors(of: operators), outputs: outputs,
                routes: outputs.map { sent[.fragment(index)]?[$0] ?? [] })
        }
        entrySends = plan.routes.indices.filter { plan.routes[$0].source == .entry }
        entryReceives = outline.outputs.map { tensor in
            plan.routes.firstIndex { $0.tensor == tensor && $0.destination == .entry } ?? -1
        }
        descriptors = plan.routes.map { outline.tensors[$0.tensor].descriptor }
    }

    /// Whether a route goes from one of two nodes to the other.
    func usesLink(_ one: NodeBoot, _ other: NodeBoot) -> Bool {
        plan.routes.contains { route in
            guard case .fragment(let maker) = route.source,
                case .fragment(let reader) = route.destination
            else { return false }
            let ends = [plan.fragments[maker].host, plan.fragments[reader].host]
            return ends == [one, other] || ends == [other, one]
        }
    }

    /// The fragments that one run of a node hosts, ascending.
    func fragments(on host: NodeBoot) -> [Int] {
        plan.fragments.indices.filter { plan.fragments[$0].host == host }
    }
}

extension ModelOutline {
    /// The tensors that operators `range` read and do not make, ascending: the order of a fragment's
    /// inputs.
    public func inputTensors(of range: Range<Int>) -> [Int] {
        tensors.indices.filter { index in
            let tensor = tensors[index]
            if let producer = tensor.producer, range.contains(producer) { return false }
            return tensor.consumers.contains { range.contains($0) }
        }
    }

    /// The tensors that operators `range` make and that others read or the model gives back,
    /// ascending: the order of a fragment's outputs.
    public func outputTensors(of range: Range<Int>) -> [Int] {
        tensors.indices.filter { index in
            let tensor = tensors[index]
            guard let producer = tensor.producer, range.contains(producer) else { return false }
            return tensor.isOutput || tensor.consumers.contains { !range.contains($0) }
        }
    }
}
