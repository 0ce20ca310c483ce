extension Planner {
    /// A standby takes over from a lost node unless that makes the period this many times longer
    /// than the best receiver would: it has room and time to spare, the others do not.
    static let standbyPeriodFactor: Int64 = 2

    /// One way to go on without a node.
    private struct Candidate {
        var choice: Choice
        var receiver: NodeBoot
        var isStandby: Bool
        /// Whether the receiver also has room for what it stands by for already.
        var fitsTogether: Bool
    }

    /// For each node that the plan uses the least-change plan without it.
    ///
    /// Its fragments go to one other node, all others stay where they are. Where no node has room
    /// for them, it is a new plan without the node; where there is none either, nothing.
    func alternates(for primary: Plan, model: CostModel) -> [Plan] {
        var result: [Plan] = []
        // What receivers hold armed beside the primary: bytes by node, in the order of `nodes`.
        var armed = [Int](repeating: 0, count: model.nodes.count)
        for lost in primary.hosts {
            let candidates = candidates(for: primary, lost: lost, model: model, armed: armed)
            if let best = Self.best(of: candidates) {
                let moved = movedBytes(primary, lost: lost, window: best.choice.plan.window)
                if let index = model.nodes.firstIndex(where: { $0.member == best.receiver }) {
                    armed[index] += moved
                }
                result.append(best.choice.plan)
            } else if var plan = choose(
                CostModel(model.problem, excluding: lost, isPacked: model.isPacked))?.plan
            {
                plan.without = lost
                result.append(plan)
            }
        }
        return result
    }

    private func candidates(
        for primary: Plan, lost: NodeBoot, model: CostModel, armed: [Int]
    ) -> [Candidate] {
        let hosts = primary.hosts
        return model.nodes.enumerated().compactMap { index, node in
            guard node.member != lost else { return nil }
            let parts = primary.stages.map { stage in
                Self.moved(primary.fragments[stage.fragments], stage, from: lost, to: node.member)
            }
            // The only entry has no other to take its place.
            guard parts.allSatisfy({ !$0.fragments.isEmpty }) else { return nil }
            guard let choice = makeChoice(parts, without: lost, window: primary.window) else {
                return nil
            }
            let needed =
                choice.evaluation.memory.first { $0.host == node.member }?.neededBytes ?? 0
            return Candidate(
                choice: choice, receiver: node.member, isStandby: !hosts.contains(node.member),
                fitsTogether: needed + armed[index] <= node.freeMemoryBytes)
        }
    }

    /// A stage with what one node has of it on another; a replica's fellow takes over its requests,
    /// and what an entry keeps for itself is lost with it.
    private static func moved(
        _ fragments: ArraySlice<Fragment>, _ stage: Stage, from lost: NodeBoot,
        to receiver: NodeBoot
    ) -> StageParts {
        let isFellow =
            stage.mode == .entry
            || (stage.mode == .replicas && fragments.contains { $0.host == receiver })
        let kept = fragments.compactMap { fragment -> Fragment? in
            guard fragment.host == lost else { return fragment }
            var fragment = fragment
            fragment.host = receiver
            return isFellow ? nil : fragment
        }
        return StageParts(operators: stage.operators, mode: stage.mode, fragments: kept)
    }

    /// First those that have room for all they stand by for, then standbys, then by period.
    private static func best(of candidates: [Candidate]) -> Candidate? {
        let roomy = candidates.filter(\.fitsTogether)
        let pool = roomy.isEmpty ? candidates : roomy
        func key(_ candidate: Candidate) -> (Int64, Int64, NodeBoot) {
            let evaluation = candidate.choice.evaluation
            return (
                evaluation.periodMicroseconds, evaluation.latencyMicroseconds, candidate.receiver
            )
        }
        guard let quickest = pool.min(by: { key($0) < key($1) }) else { return nil }
        let limit = key(quickest).0 * standbyPeriodFactor
        return pool.filter { $0.isStandby && key($0).0 <= limit }.min { key($0) < key($1) }
            ?? quickest
    }

    private func movedBytes(_ primary: Plan, lost: NodeBoot, window: Int) -> Int {
        primary.fragments.filter { $0.host == lost }.reduce(0) { sum, fragment in
            sum + memory(of: fragment).bytes(window: window)
        }
    }
}
