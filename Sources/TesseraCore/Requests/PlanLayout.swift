/// The shape of a plan's dataflow, worked out once when the plan becomes known, so that a slice
/// costs a few array look-ups and nothing is searched.
struct PlanLayout: Hashable, Sendable {
    /// One tensor, or some of its rows, that a fragment reads, or that the entry waits for.
    struct Input: Hashable, Sendable {
        /// The routes that bring it, in the order of their rows; for each replica that it may come
        /// from, once.
        var routes: [Int]
        /// Blocks that the row axis is in.
        var blocks: Int
    }

    /// What one fragment reads and writes.
    struct FragmentFlow: Hashable, Sendable {
        /// What it reads, ascending by tensor: the engine's order.
        var inputs: [Input]
        /// For each tensor that it makes for others, ascending, which is the engine's order: the
        /// routes that carry it or rows of it.
        var outputs: [[Int]]
    }

    /// What one attempt uses of a layout with replicas.
    struct Choice: Hashable, Sendable {
        /// For each fragment of the plan.
        fileprivate var isUsed: [Bool]
    }

    /// The plan with its name.
    let named: NamedPlan
    /// For each fragment of the plan.
    let flows: [FragmentFlow]
    /// The routes from the entry: what it sends.
    let entrySends: [Int]
    /// For each model output, what brings it to the entry.
    let entryReceives: [Input]
    /// For each route, the descriptor of what travels.
    let descriptors: [TensorDescriptor]
    /// For each route, how its sender takes it out of what it made; nil if that is all of it.
    let cuts: [RowCut?]
    /// For each route, the place of its tensor among the inputs of its reader, or the outputs of the
    /// model at the entry.
    let places: [Int]
    private let hasReplicas: Bool

    var plan: Plan { named.plan }
    var id: PlanID { named.id }

    /// Lays out a plan that is valid for the model.
    init(_ named: NamedPlan, outline: ModelOutline) {
        let plan = named.plan
        self.named = named
        hasReplicas = plan.hasReplicas
        let slices = plan.fragments.map { fragment -> Plan.Slices in
            guard let slices = Plan.slices(of: fragment, in: outline) else {
                invariantFailure("a plan with rows that cannot be made was laid out")
            }
            return slices
        }
        var sent: [Endpoint: [Int: [Int]]] = [:]
        var received = sent
        var cuts: [RowCut?] = []
        var places: [Int] = []
        for (index, route) in plan.routes.enumerated() {
            sent[route.source, default: [:]][route.tensor, default: []].append(index)
            received[route.destination, default: [:]][route.tensor, default: []].append(index)
            let held: Range<Int>? =
                switch route.source {
                case .entry: nil
                case .fragment(let maker):
                    slices[maker].outputs.first { $0.tensor == route.tensor }?.rows
                }
            cuts.append(outline.cut(route.rows, of: route.tensor, held: held))
            let place: Int? =
                switch route.destination {
                case .entry: outline.outputs.firstIndex(of: route.tensor)
                case .fragment(let reader):
                    slices[reader].inputs.firstIndex { $0.tensor == route.tensor }
                }
            places.append(place ?? 0)
        }
        func input(_ tensor: Int, of end: Endpoint) -> Input {
            Input(
                routes: (received[end]?[tensor] ?? []).sorted { one, other in
                    let first = plan.routes[one].rows?.lowerBound ?? 0
                    let second = plan.routes[other].rows?.lowerBound ?? 0
                    return (first, one) < (second, other)
                }, blocks: outline.blocks(ofTensor: tensor))
        }
        flows = plan.fragments.indices.map { index in
            FragmentFlow(
                inputs: slices[index].inputs.map { input($0.tensor, of: .fragment(index)) },
                outputs: slices[index].outputs.map { sent[.fragment(index)]?[$0.tensor] ?? [] })
        }
        entrySends = plan.routes.indices.filter { plan.routes[$0].source == .entry }
        entryReceives = outline.outputs.map { input($0, of: .entry) }
        descriptors = plan.routes.map { outline.descriptor(ofTensor: $0.tensor, rows: $0.rows) }
        self.cuts = cuts
        self.places = places
    }

    // MARK: One attempt

    /// Which fragments an attempt uses.
    func choice(of attempt: AttemptID) -> Choice {
        guard hasReplicas else { return Choice(isUsed: []) }
        var isUsed = [Bool](repeating: false, count: plan.fragments.count)
        for fragment in plan.fragments(usedBy: attempt) { isUsed[fragment] = true }
        return Choice(isUsed: isUsed)
    }

    /// Whether an attempt uses a fragment.
    func uses(_ fragment: Int, _ choice: Choice) -> Bool {
        choice.isUsed.isEmpty || choice.isUsed[fragment]
    }

    /// Whether an attempt uses a route: both its ends.
    func uses(route: Int, _ choice: Choice) -> Bool {
        guard !choice.isUsed.isEmpty else { return true }
        for case .fragment(let end) in [plan.routes[route].source, plan.routes[route].destination]
        where !choice.isUsed[end] {
            return false
        }
        return true
    }

    /// The routes that bring an input to an attempt, in the order of their rows.
    func routes(of input: Input, _ choice: Choice) -> [Int] {
        choice.isUsed.isEmpty ? input.routes : input.routes.filter { uses(route: $0, choice) }
    }

    /// The nodes that an attempt uses.
    func hosts(_ choice: Choice) -> [NodeBoot] {
        guard !choice.isUsed.isEmpty else { return plan.hosts }
        return plan.hosts.filter { host in
            plan.fragments.indices.contains { choice.isUsed[$0] && plan.fragments[$0].host == host }
        }
    }

    /// Whether a route that an attempt uses goes from one of two nodes to the other.
    func usesLink(_ one: NodeBoot, _ other: NodeBoot, _ choice: Choice) -> Bool {
        plan.routes.indices.contains { index in
            guard case .fragment(let maker) = plan.routes[index].source,
                case .fragment(let reader) = plan.routes[index].destination,
                uses(route: index, choice)
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
