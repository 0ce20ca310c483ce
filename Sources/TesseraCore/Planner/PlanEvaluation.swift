/// What a plan is expected to do on the nodes and links of a problem.
///
/// Right also where one node holds several fragments (its times add up) and where a tensor skips
/// stages (it goes straight to its reader). The entry is not known: what comes from it and goes to
/// it costs its ends their processor time and no link.
public struct PlanEvaluation: Hashable, Sendable {
    /// What sets the period.
    public enum Bottleneck: Hashable, Sendable {
        /// A node is busy all the time.
        case node(NodeBoot)
        /// A link is busy all the time.
        case link(from: NodeBoot, to: NodeBoot)
        /// Too few attempts fit into the hosts' memory to keep every stage busy.
        case window(Int)
    }

    /// The expected times of one stage.
    public struct StageTime: Hashable, Sendable {
        /// The operators.
        public var operators: Range<Int>
        /// The node.
        public var host: NodeBoot
        /// Time of computing one item.
        public var computeMicroseconds: Int64
        /// Time that the node spends on the stage's slices of one item.
        public var endpointMicroseconds: Int64
        /// Time from when the last stage that feeds this one is done to when its slices are here.
        public var linkMicroseconds: Int64
        /// What the fragment takes in memory.
        public var memory: FragmentMemory
    }

    /// What a plan takes on one node.
    public struct NodeMemory: Hashable, Sendable {
        /// The node.
        public var host: NodeBoot
        /// Bytes that the plan's fragments take there.
        public var neededBytes: Int
        /// Bytes that are free for the model.
        public var freeBytes: Int
    }

    /// Time per item in a stream.
    public var periodMicroseconds: Int64
    /// Time of one item alone.
    public var latencyMicroseconds: Int64
    /// What sets the period.
    public var bottleneck: Bottleneck
    /// The stages, in order.
    public var stages: [StageTime]
    /// The memory on each node used, ascending by node.
    public var memory: [NodeMemory]

    /// Whether every node has room for its part.
    public var fits: Bool { memory.allSatisfy { $0.neededBytes <= $0.freeBytes } }

    /// Evaluates a valid plan; nil if the plan is not valid for the problem's model, or uses a node
    /// that the problem does not have.
    public static func evaluate(_ plan: Plan, _ problem: PlanningProblem) -> PlanEvaluation? {
        guard PlanCheck.isValid(plan, outline: problem.outline) else { return nil }
        return PlanEvaluator(problem).evaluate(plan)
    }
}

extension PlanEvaluation.Bottleneck: CustomStringConvertible {
    /// For people: what is busy all the time.
    public var description: String {
        switch self {
        case .node(let host): "computing on \(host.node.short)"
        case .link(let source, let destination):
            "the link from \(source.node.short) to \(destination.node.short)"
        case .window(let count): "room for only \(count) attempts in flight"
        }
    }
}

/// Evaluates many plans of one problem.
struct PlanEvaluator {
    private let outline: ModelOutline
    private let nodes: [PlanningProblem.Node]
    private let times: [OperatorTimes]
    private let links: LinkTable
    private let index: TensorIndex

    /// Reads the problem's figures once.
    init(_ problem: PlanningProblem) {
        outline = problem.outline
        nodes = problem.nodes
        times = nodes.map { OperatorTimes($0, outline: problem.outline) }
        links = LinkTable(problem.links, nodes: nodes)
        index = TensorIndex(problem.outline)
    }

    /// What a fragment takes in memory.
    func memory(of operators: Range<Int>) -> FragmentMemory {
        FragmentMemory.of(operators, in: outline, index: index)
    }

    /// What all times of a plan come from.
    private struct Load {
        var compute: [Int]
        var endpointBytes: [Int]
        var endpointSlices: [Int]
        /// Bytes from fragment to fragment, row by row of the source.
        var transfers: [Int]
    }

    /// Evaluates a valid plan; nil if it uses an unknown node.
    func evaluate(_ plan: Plan) -> PlanEvaluation? {
        var hosts: [Int] = []
        for fragment in plan.fragments {
            guard let index = nodes.firstIndex(where: { $0.member == fragment.host }) else {
                return nil
            }
            hosts.append(index)
        }
        let load = loads(of: plan, hosts: hosts)
        let endpoint = plan.fragments.indices.map { index in
            TransferCost.endpointNanoseconds(
                bytes: load.endpointBytes[index], slices: load.endpointSlices[index])
        }
        let (latency, waits) = walkThrough(load, endpoint: endpoint, hosts: hosts)
        var (period, bottleneck) = busiest(load, endpoint: endpoint, hosts: hosts)
        // Little's law: with at most `window` items under way, each of which takes `latency`.
        let windowPeriod = (latency + plan.window - 1) / plan.window
        if windowPeriod > period {
            period = windowPeriod
            bottleneck = .window(plan.window)
        }
        let memories = plan.fragments.map { self.memory(of: $0.operators) }
        let stages = plan.fragments.indices.map { index in
            PlanEvaluation.StageTime(
                operators: plan.fragments[index].operators, host: plan.fragments[index].host,
                computeMicroseconds: CostArithmetic.microseconds(load.compute[index]),
                endpointMicroseconds: CostArithmetic.microseconds(endpoint[index]),
                linkMicroseconds: CostArithmetic.microseconds(waits[index]),
                memory: memories[index])
        }
        let memory = nodes.indices.filter(hosts.contains).map { node in
            PlanEvaluation.NodeMemory(
                host: nodes[node].member,
                neededBytes: hosts.indices.reduce(0) { sum, index in
                    hosts[index] == node ? sum + memories[index].bytes(window: plan.window) : sum
                }, freeBytes: nodes[node].freeMemoryBytes)
        }
        return PlanEvaluation(
            periodMicroseconds: CostArithmetic.microseconds(period),
            latencyMicroseconds: CostArithmetic.microseconds(latency), bottleneck: bottleneck,
            stages: stages, memory: memory)
    }

    private func loads(of plan: Plan, hosts: [Int]) -> Load {
        let count = plan.fragments.count
        var load = Load(
            compute: plan.fragments.indices.map { index in
                times[hosts[index]].nanoseconds(plan.fragments[index].operators)
            },
            endpointBytes: Array(repeating: 0, count: count),
            endpointSlices: Array(repeating: 0, count: count),
            transfers: Array(repeating: 0, count: count * count))
        for route in plan.routes {
            let bytes = CostArithmetic.bytes(outline.tensors[route.tensor].descriptor.byteCount)
            if case .fragment(let source) = route.source,
                case .fragment(let destination) = route.destination
            {
                // Between fragments of one node a slice is handed over as it is.
                if hosts[source] == hosts[destination] { continue }
                load.transfers[source * count + destination] += bytes
            }
            for case .fragment(let end) in [route.source, route.destination] {
                load.endpointBytes[end] += bytes
                load.endpointSlices[end] += 1
            }
        }
        return load
    }

    /// The finish of the last fragment, and how long each fragment's slices travel.
    private func walkThrough(
        _ load: Load, endpoint: [Int], hosts: [Int]
    ) -> (latency: Int, waits: [Int]) {
        let count = hosts.count
        var finish = [Int](repeating: 0, count: count)
        var waits = [Int](repeating: 0, count: count)
        var nodeFree = [Int](repeating: 0, count: nodes.count)
        for index in 0..<count {
            var start = nodeFree[hosts[index]]
            for source in 0..<index where load.transfers[source * count + index] > 0 {
                let travel =
                    links.latency(from: hosts[source], to: hosts[index])
                    + links.occupancy(
                        from: hosts[source], to: hosts[index],
                        bytes: load.transfers[source * count + index])
                waits[index] = max(waits[index], travel)
                start = max(start, finish[source] + travel)
            }
            finish[index] = start + load.compute[index] + endpoint[index]
            nodeFree[hosts[index]] = finish[index]
        }
        return (finish.max() ?? 0, waits)
    }

    private func busiest(
        _ load: Load, endpoint: [Int], hosts: [Int]
    ) -> (period: Int, bottleneck: PlanEvaluation.Bottleneck) {
        let count = hosts.count
        var nodeTime = [Int](repeating: 0, count: nodes.count)
        var linkBytes = [Int](repeating: 0, count: nodes.count * nodes.count)
        for index in 0..<count {
            nodeTime[hosts[index]] += load.compute[index] + endpoint[index]
            for target in 0..<count {
                linkBytes[hosts[index] * nodes.count + hosts[target]] +=
                    load.transfers[index * count + target]
            }
        }
        var period = -1
        var bottleneck = PlanEvaluation.Bottleneck.window(0)
        for node in nodes.indices where nodeTime[node] > period {
            period = nodeTime[node]
            bottleneck = .node(nodes[node].member)
        }
        for source in nodes.indices {
            for target in nodes.indices where linkBytes[source * nodes.count + target] > 0 {
                let busy = links.occupancy(
                    from: source, to: target, bytes: linkBytes[source * nodes.count + target])
                if busy > period {
                    period = busy
                    bottleneck = .link(from: nodes[source].member, to: nodes[target].member)
                }
            }
        }
        return (period, bottleneck)
    }
}
