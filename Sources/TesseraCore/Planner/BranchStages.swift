/// Gives branches of the graph, which one node was to compute one after the other, to several nodes:
/// one scatter before them, one join behind.
///
/// It looks at a finished plan: where a `single` stage holds a parallel region, the region becomes a
/// stage of mode `branches`, with the stage's own operators before and behind it where they were. The
/// longest branches are dealt out first, each to the node that is through with it first (list
/// scheduling by longest processing time: Graham 1969), with what the way there and back takes. A
/// division is taken only if the whole plan meets its goal better by the evaluation of the walk of one
/// item, so that it never makes a plan worse.
struct BranchStages {
    private let problem: PlanningProblem
    /// The nodes that may be used: not all of the problem's where one is lost.
    private let hosts: [NodeBoot]
    private let evaluator: PlanEvaluator
    private let regions: [BranchRegion]

    /// More regions are not divided: each is looked at alone.
    private static let regionsMax = 64
    /// More branches of a region are not dealt out one by one.
    private static let branchesMax = 64
    /// Nodes that share a region.
    private static let nodesMax = 8

    /// Looks at the graph.
    init(_ problem: PlanningProblem, hosts: [NodeBoot], evaluator: PlanEvaluator) {
        self.problem = problem
        self.hosts = hosts
        self.evaluator = evaluator
        regions = Array(problem.outline.branchRegions.prefix(Self.regionsMax))
    }

    /// The stages with parallel regions divided over up to `count` nodes each; nil if there is none
    /// that gains.
    func divided(_ parts: [Planner.StageParts], over count: Int) -> [Planner.StageParts]? {
        divided(parts) { region, home in divide(region, at: home, over: count) }
    }

    /// The stages with every parallel region divided over all nodes; nil if there is none.
    ///
    /// As LCP does it (Hadidi and others, 2020): as many branches to one node as to the other, the
    /// node of the join first.
    func dealt(_ parts: [Planner.StageParts]) -> [Planner.StageParts]? {
        divided(parts) { region, home in
            let count = min(hosts.count, region.branches.count)
            guard count > 1, isDivisible(region) else { return nil }
            let lanes = [home] + others(than: home, for: region).prefix(count - 1)
            return stage(
                region,
                hosts: region.branches.indices.map { lanes[$0 * count / region.branches.count] })
        }
    }

    private func divided(
        _ parts: [Planner.StageParts],
        by divide: (BranchRegion, NodeBoot) -> Planner.StageParts?
    ) -> [Planner.StageParts]? {
        var result: [Planner.StageParts] = []
        var hasDivided = false
        for part in parts {
            guard let fragment = home(of: part) else {
                result.append(part)
                continue
            }
            let before = result.count
            var next = part.operators.lowerBound
            func rest(upTo end: Int) -> [Planner.StageParts] {
                guard next < end else { return [] }
                return [
                    Planner.StageParts(
                        operators: next..<end, mode: .single,
                        fragments: [Fragment(host: fragment.host, operators: next..<end)])
                ]
            }
            for region in regions
            where region.operators.lowerBound >= next
                && region.operators.upperBound <= part.operators.upperBound
            {
                guard let stage = divide(region, fragment.host) else { continue }
                result += rest(upTo: region.operators.lowerBound)
                result.append(stage)
                next = region.operators.upperBound
                hasDivided = true
            }
            if next == part.operators.lowerBound {
                result[before...] = [part]
            } else {
                result += rest(upTo: part.operators.upperBound)
            }
        }
        return hasDivided ? result : nil
    }

    /// The fragment whose node is to keep what is not divided; nil for a stage that stays as it is.
    ///
    /// One item alone gains nothing from replicas: for its sake the quickest of them stands for all.
    private func home(of part: Planner.StageParts) -> Fragment? {
        switch part.mode {
        case .single: part.fragments.first
        case .replicas where problem.goal.objective == .latency:
            part.fragments.max { ($0.weight, $1.host) < ($1.weight, $0.host) }
        case .replicas, .rows, .branches, .entry: nil
        }
    }

    /// How many nodes may share a region.
    var nodeCounts: ClosedRange<Int>? {
        let most = min(
            regions.map(\.branches.count).max() ?? 0, hosts.count, Self.nodesMax)
        return most > 1 ? 2...most : nil
    }

    private struct Lane {
        var host: NodeBoot
        var time: Int
        /// What is there already, for a branch that was dealt out before.
        var inputs: Set<Int> = []
    }

    /// A stage of the region's branches; nil if one node is through with them as soon.
    private func divide(
        _ region: BranchRegion, at home: NodeBoot, over count: Int
    ) -> Planner.StageParts? {
        guard isDivisible(region) else { return nil }
        var lanes = ([home] + others(than: home, for: region).prefix(count - 1))
            .map { Lane(host: $0, time: 0) }
        var hosts = [Int](repeating: 0, count: region.branches.count)
        let order = region.branches.indices.sorted {
            (-time(region.branches[$0], home), $0) < (-time(region.branches[$1], home), $1)
        }
        for branch in order {
            let range = region.branches[branch]
            let ends = lanes.map { lane in
                lane.time + time(range, lane.host)
                    + (lane.host == home ? 0 : travel(range, from: home, to: lane))
            }
            let best = ends.indices.min { (ends[$0], $0) < (ends[$1], $1) } ?? 0
            lanes[best].time = ends[best]
            lanes[best].inputs.formUnion(problem.outline.inputTensors(of: range))
            hosts[branch] = best
        }
        guard Set(hosts).count > 1 else { return nil }
        return stage(region, hosts: hosts.map { lanes[$0].host })
    }

    private func time(_ branch: Range<Int>, _ host: NodeBoot) -> Int {
        evaluator.nanoseconds(of: Fragment(host: host, operators: branch))
    }

    /// The other nodes, those that are quicker with the whole region first.
    private func others(than home: NodeBoot, for region: BranchRegion) -> [NodeBoot] {
        hosts.filter { $0 != home }
            .map { (time(region.operators, $0), $0) }
            .sorted { $0 < $1 }.map(\.1)
    }

    private func isDivisible(_ region: BranchRegion) -> Bool {
        region.branches.count <= Self.branchesMax
            // A fragment that reads nothing would never begin.
            && region.branches.allSatisfy { !problem.outline.inputTensors(of: $0).isEmpty }
    }

    /// The stage of a region's branches on one host each; neighbours on one host are one fragment.
    private func stage(_ region: BranchRegion, hosts: [NodeBoot]) -> Planner.StageParts {
        var fragments: [Fragment] = []
        for (branch, host) in zip(region.branches, hosts) {
            if let last = fragments.indices.last, fragments[last].host == host {
                fragments[last].operators =
                    fragments[last].operators.lowerBound..<branch.upperBound
            } else {
                fragments.append(Fragment(host: host, operators: branch))
            }
        }
        return Planner.StageParts(
            operators: region.operators, mode: .branches, fragments: fragments)
    }

    /// The way of a branch's inputs to a node and of its outputs back, and what both take to hand over.
    private func travel(_ branch: Range<Int>, from home: NodeBoot, to lane: Lane) -> Int {
        let host = lane.host
        func bytes(_ tensors: [Int]) -> Int {
            tensors.reduce(0) { $0 + evaluator.bytes(ofTensor: $1, rows: nil) }
        }
        let inputs = problem.outline.inputTensors(of: branch).filter {
            !lane.inputs.contains($0)
        }
        let outputs = problem.outline.outputTensors(of: branch)
        let slices = inputs.count + outputs.count
        return evaluator.passage(from: home, to: host, bytes: bytes(inputs))
            + evaluator.passage(from: host, to: home, bytes: bytes(outputs))
            + evaluator.handover(on: home, slices: slices)
            + evaluator.handover(on: host, slices: slices)
    }
}
