/// What a plan is expected to do on the nodes and links of a problem.
///
/// Right also where one node holds several fragments (its times add up) and where a tensor skips
/// stages (it goes straight to its reader). The entry is not known: what comes from it and goes to
/// it costs its ends their processor time and no link, but for one item alone that several nodes
/// begin with. It comes in at the node of the first fragment, and from there goes to the others.
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

    /// The expected times of one fragment.
    public struct StageTime: Hashable, Sendable {
        /// The operators.
        public var operators: Range<Int>
        /// The rows that it makes; nil for all of them.
        public var rows: Range<Int>?
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
    /// What the nodes draw for one item beyond idle, by their powers; nil if that of a node which the
    /// plan uses is not known.
    public var nanojoules: Int?
    /// What sets the period.
    public var bottleneck: Bottleneck
    /// The fragments, in the order of the plan: one for each stage where all modes are `single`.
    public var stages: [StageTime]
    /// By stage: how long, for each item, the busiest side of a node is busy with what passes from
    /// the stages before to the fragments of the stage.
    public var cutMicroseconds: [Int64]
    /// The memory on each node used, ascending by node.
    public var memory: [NodeMemory]
    /// The routes that are expected to be packed.
    public var packing: [RoutePacking]

    /// Whether every node has room for its part.
    public var fits: Bool { memory.allSatisfy { $0.neededBytes <= $0.freeBytes } }

    /// Evaluates a valid plan; nil if the plan is not valid for the problem's model, or uses a node
    /// that the problem does not have.
    public static func evaluate(_ plan: Plan, _ problem: PlanningProblem) -> PlanEvaluation? {
        guard PlanCheck.isValid(plan, outline: problem.outline, modes: .all) else { return nil }
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
    let problem: PlanningProblem
    private let outline: ModelOutline
    let nodes: [PlanningProblem.Node]
    private let times: [OperatorTimes]
    let links: LinkTable
    private let index: TensorIndex

    /// Reads the problem's figures once.
    init(_ problem: PlanningProblem) {
        self.problem = problem
        outline = problem.outline
        nodes = problem.nodes
        times = nodes.map { OperatorTimes($0, outline: problem.outline) }
        links = LinkTable(problem.links, nodes: nodes)
        index = TensorIndex(problem.outline)
    }

    /// What a fragment takes in memory.
    func memory(of fragment: Fragment) -> FragmentMemory {
        fragment.rows == nil
            ? FragmentMemory.of(fragment.operators, in: outline, index: index)
            : FragmentMemory.of(fragment.operators, rows: fragment.rows, in: outline)
    }

    /// How long a fragment computes; 0 on a node that is not known.
    func nanoseconds(of fragment: Fragment) -> Int {
        nodes.firstIndex { $0.member == fragment.host }.map { nanoseconds(of: fragment, on: $0) }
            ?? 0
    }

    private func nanoseconds(of fragment: Fragment, on node: Int) -> Int {
        fragment.rows.map {
            times[node].nanoseconds(fragment.operators, rows: $0, outline: outline)
        } ?? times[node].nanoseconds(fragment.operators)
    }

    /// How long bytes travel from one node to another; 0 where one is not known.
    func passage(from source: NodeBoot, to destination: NodeBoot, bytes: Int) -> Int {
        guard let from = nodes.firstIndex(where: { $0.member == source }),
            let to = nodes.firstIndex(where: { $0.member == destination })
        else { return 0 }
        return links.latency(from: from, to: to) + links.occupancy(from: from, to: to, bytes: bytes)
    }

    /// What handing over so many slices takes a node, beside their bytes.
    func handover(on host: NodeBoot, slices: Int) -> Int {
        TransferCost.endpointNanoseconds(
            bytes: 0, slices: slices,
            cost: nodes.first { $0.member == host }?.capability.handover)
    }

    /// Bytes of some rows of a tensor; nil stands for all.
    func bytes(ofTensor tensor: Int, rows: Range<Int>?) -> Int {
        let bytes = CostArithmetic.bytes(outline.tensors[tensor].descriptor.byteCount)
        guard let rows, let count = outline.rowCount(ofTensor: tensor) else { return bytes }
        return bytes / max(count, 1) * rows.count
    }

    /// What all times of a plan come from.
    private struct Load {
        var compute: [Int]
        /// The part of the items that a fragment works on, in `1 / 2^16`: less than all of them for
        /// replicas.
        var parts: [Int]
        /// The part of the items that get to a fragment before an exit answers them, in millionths.
        var reach: [Int]
        /// Bytes and slices that a fragment hands over for an item that it works on, in `1 / 2^16`.
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
        let (load, packing) = loads(of: plan, hosts: hosts)
        let endpoint = plan.fragments.indices.map { index in
            TransferCost.endpointNanoseconds(
                bytes: Self.whole(load.endpointBytes[index]),
                slices: Self.whole(load.endpointSlices[index]),
                cost: nodes[hosts[index]].capability.handover) + packing.times[index]
        }
        let (latency, waits) = walkThrough(load, plan, endpoint: endpoint, hosts: hosts)
        var (period, bottleneck) = busiest(load, endpoint: endpoint, hosts: hosts)
        // Little's law: with at most `window` items under way, each of which takes `latency`.
        let windowPeriod = (latency + plan.window - 1) / plan.window
        if windowPeriod > period {
            period = windowPeriod
            bottleneck = .window(plan.window)
        }
        let memories = plan.fragments.map { self.memory(of: $0) }
        let stages = plan.fragments.indices.map { index in
            PlanEvaluation.StageTime(
                operators: plan.fragments[index].operators,
                rows: plan.fragments[index].rows, host: plan.fragments[index].host,
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
            latencyMicroseconds: CostArithmetic.microseconds(latency),
            nanojoules: nanojoules(load, endpoint: endpoint, hosts: hosts), bottleneck: bottleneck,
            stages: stages, cutMicroseconds: cuts(load, plan, hosts: hosts), memory: memory,
            packing: packing.routes)
    }

    /// A number in `1 / 2^16`, rounded up.
    private static func whole(_ value: Int) -> Int {
        value >> SpaceCosts.shareBits + (value & (1 << SpaceCosts.shareBits - 1) == 0 ? 0 : 1)
    }

    private static func part(_ value: Int, _ part: Int) -> Int {
        guard part != 1 << SpaceCosts.shareBits else { return value }
        let product = UInt128(value) * UInt128(part) + UInt128(1 << SpaceCosts.shareBits - 1)
        return Int(product >> UInt128(SpaceCosts.shareBits))
    }

    private func loads(of plan: Plan, hosts: [Int]) -> (load: Load, packing: Packing) {
        let count = plan.fragments.count
        let compute = plan.fragments.indices.map {
            nanoseconds(of: plan.fragments[$0], on: hosts[$0])
        }
        let parts = Self.parts(plan)
        let packing = packing(
            of: plan, hosts: hosts, compute: zip(compute, parts).map { Self.part($0, $1) })
        var load = Load(
            compute: compute, parts: parts,
            reach: plan.fragments.map { problem.share(atOperator: $0.operators.lowerBound) },
            endpointBytes: Array(repeating: 0, count: count),
            endpointSlices: Array(repeating: 0, count: count),
            transfers: Array(repeating: 0, count: count * count))
        for (index, route) in plan.routes.enumerated() {
            let bytes = packing.bytes[index]
            if case .fragment(let source) = route.source,
                case .fragment(let destination) = route.destination
            {
                if hosts[source] != hosts[destination] {
                    load.transfers[source * count + destination] += bytes
                } else if plan.fragments[destination].rows == nil {
                    // Between fragments of one node a slice is handed over as it is, while a tile's
                    // pieces are put together.
                    continue
                }
            }
            for (end, other) in [
                (route.source, route.destination), (route.destination, route.source),
            ] {
                guard case .fragment(let fragment) = end else { continue }
                var part = 1 << SpaceCosts.shareBits
                if case .fragment(let peer) = other { part = load.parts[peer] }
                load.endpointBytes[fragment] += min(bytes, CostArithmetic.bytesMax >> 12) * part
                load.endpointSlices[fragment] += part
            }
        }
        return (load, packing)
    }

    /// Items go to replicas by the weights of the plan, and come in at each entry as often as at
    /// any other.
    private static func parts(_ plan: Plan) -> [Int] {
        var parts = [Int](repeating: 1 << SpaceCosts.shareBits, count: plan.fragments.count)
        for stage in plan.stages
        where stage.fragments.count > 1 && (stage.mode == .replicas || stage.mode == .entry) {
            let weights = stage.fragments.map { max(plan.fragments[$0].weight, 1) }
            let sum = max(weights.reduce(0, +), 1)
            for (fragment, weight) in zip(stage.fragments, weights) {
                parts[fragment] = ((weight << SpaceCosts.shareBits) + sum - 1) / sum
            }
        }
        return parts
    }

    /// The finish of the last fragment, and how long each fragment's slices travel.
    ///
    /// A node runs what it has of a stage in the order in which the slices are there, as they stand
    /// in the plan where that is the same.
    private func walkThrough(
        _ load: Load, _ plan: Plan, endpoint: [Int], hosts: [Int]
    ) -> (latency: Int, waits: [Int]) {
        let count = hosts.count
        var finish = [Int](repeating: 0, count: count)
        var waits = arrivals(plan, hosts: hosts)
        var ready = waits
        var nodeFree = [Int](repeating: 0, count: nodes.count)
        for stage in plan.stages {
            for index in stage.fragments {
                for source in 0..<stage.fragments.lowerBound
                where load.transfers[source * count + index] > 0 {
                    let travel =
                        links.latency(from: hosts[source], to: hosts[index])
                        + links.occupancy(
                            from: hosts[source], to: hosts[index],
                            bytes: load.transfers[source * count + index])
                    waits[index] = max(waits[index], travel)
                    ready[index] = max(ready[index], finish[source] + travel)
                }
                // What its own node made for it is there as soon as the node is free for it.
                ready[index] = max(ready[index], nodeFree[hosts[index]])
            }
            for index in stage.fragments.sorted(by: { (ready[$0], $0) < (ready[$1], $1) }) {
                let start = max(ready[index], nodeFree[hosts[index]])
                finish[index] = start + load.compute[index] + endpoint[index]
                nodeFree[hosts[index]] = finish[index]
            }
        }
        return (expected(finish, plan), waits)
    }

    /// When what a request brings is at each fragment, if it comes in at the node of the first one.
    ///
    /// Where one of several nodes takes a request, it may have come in at that one.
    private func arrivals(_ plan: Plan, hosts: [Int]) -> [Int] {
        var result = [Int](repeating: 0, count: hosts.count)
        guard let first = plan.stages.first, first.mode != .replicas, first.mode != .entry,
            let home = first.fragments.first
        else { return result }
        for route in plan.routes where route.source == .entry {
            guard case .fragment(let reader) = route.destination, hosts[reader] != hosts[home]
            else { continue }
            result[reader] = max(
                result[reader],
                soonest(route, from: hosts[home], to: hosts[reader]))
        }
        return result
    }

    /// What a route takes from one node to another, packed if that is known to be sooner.
    private func soonest(_ route: Route, from source: Int, to target: Int) -> Int {
        let plain = bytes(ofTensor: route.tensor, rows: route.rows)
        func occupancy(_ bytes: Int) -> Int {
            links.occupancy(from: source, to: target, bytes: bytes)
        }
        var best = occupancy(plain)
        if plain >= LinkCodecs.bytesMin, problem.goal.objective == .latency {
            for (codec, perMille) in problem.packings(ofTensor: route.tensor) {
                let time = PackingCost.nanoseconds(
                    codec, bytes: plain, from: nodes[source].capability,
                    to: nodes[target].capability)
                let packed = CostArithmetic.scaled(plain, by: perMille, over: 1_000)
                best = min(best, time.packing + occupancy(packed) + time.unpacking)
            }
        }
        return links.latency(from: source, to: target) + best
    }

    /// The time of an item: those that an exit answers end where its output is made.
    private func expected(_ finish: [Int], _ plan: Plan) -> Int {
        let last = finish.max() ?? 0
        var left = ModelExit.unit
        var sum = 0
        for exit in problem.exits {
            let made = plan.fragments.indices.filter {
                plan.fragments[$0].operators.contains(exit.producer)
            }.map { finish[$0] }.max()
            let share = min(exit.share, left)
            sum += CostArithmetic.scaled(made ?? last, by: share, over: ModelExit.unit)
            left -= share
        }
        return left == ModelExit.unit
            ? last : sum + CostArithmetic.scaled(last, by: left, over: ModelExit.unit)
    }

    /// How long a fragment keeps its node busy for an item in a stream.
    private func busy(_ index: Int, _ load: Load, endpoint: [Int]) -> Int {
        CostArithmetic.scaled(
            Self.part(load.compute[index] + endpoint[index], load.parts[index]),
            by: load.reach[index], over: ModelExit.unit)
    }

    /// The energy of an item: what each fragment's node draws while it is busy with it.
    private func nanojoules(_ load: Load, endpoint: [Int], hosts: [Int]) -> Int? {
        var sum = 0
        for index in hosts.indices {
            guard let power = nodes[hosts[index]].capability.milliwatts else { return nil }
            let milliwatts = min(max(power, 0), SpaceCosts.milliwattsMax)
            let time = busy(index, load, endpoint: endpoint)
            let used = UInt128(max(time, 0)) * UInt128(milliwatts) / 1_000
            // A plan has at most 1,024 fragments, so the sum stays within an Int.
            sum += Int(min(used, UInt128(Int.max / 2_048)))
        }
        return sum
    }

    private func busiest(
        _ load: Load, endpoint: [Int], hosts: [Int]
    ) -> (period: Int, bottleneck: PlanEvaluation.Bottleneck) {
        var nodeTime = [Int](repeating: 0, count: nodes.count)
        for index in hosts.indices {
            nodeTime[hosts[index]] += busy(index, load, endpoint: endpoint)
        }
        var period = -1
        var bottleneck = PlanEvaluation.Bottleneck.window(0)
        for node in nodes.indices where nodeTime[node] > period {
            period = nodeTime[node]
            bottleneck = .node(nodes[node].member)
        }
        let busy = linkTimes(load, hosts: hosts) { _, _ in true }
        for side in sides where busySum(busy, side) > period {
            period = busySum(busy, side)
            // What keeps the side busiest stands for it.
            let link = side.reduce(side[0]) { busy[$1] > busy[$0] ? $1 : $0 }
            bottleneck = .link(
                from: nodes[link / nodes.count].member, to: nodes[link % nodes.count].member)
        }
        return (period, bottleneck)
    }

    /// The links that a node sends over, and those that it receives over, for each node.
    private var sides: [[Int]] {
        let count = nodes.count
        return nodes.indices.flatMap { node in
            [
                nodes.indices.map { node * count + $0 }, nodes.indices.map { $0 * count + node },
            ]
        }
    }

    private func busySum(_ busy: [Int], _ side: [Int]) -> Int {
        side.reduce(0) { $0 + busy[$1] }
    }

    /// How long each link is busy for an item with what passes between some fragments, row by row
    /// of the source.
    private func linkTimes(
        _ load: Load, hosts: [Int], between isCounted: (Int, Int) -> Bool
    ) -> [Int] {
        let count = hosts.count
        var bytes = [Int](repeating: 0, count: nodes.count * nodes.count)
        for source in 0..<count {
            for target in 0..<count
            where load.transfers[source * count + target] > 0 && isCounted(source, target) {
                let shared = Self.part(
                    Self.part(load.transfers[source * count + target], load.parts[source]),
                    load.parts[target])
                bytes[hosts[source] * nodes.count + hosts[target]] +=
                    load.reach[target] == ModelExit.unit
                    ? shared
                    : CostArithmetic.scaled(shared, by: load.reach[target], over: ModelExit.unit)
            }
        }
        return bytes.indices.map { link in
            links.occupancy(
                from: link / nodes.count, to: link % nodes.count, bytes: bytes[link])
        }
    }

    private func cuts(_ load: Load, _ plan: Plan, hosts: [Int]) -> [Int64] {
        plan.stages.map { stage in
            let busy = linkTimes(load, hosts: hosts) { source, target in
                stage.fragments.contains(target) && !stage.fragments.contains(source)
            }
            return CostArithmetic.microseconds(
                sides.reduce(0) { max($0, busySum(busy, $1)) })
        }
    }
}
