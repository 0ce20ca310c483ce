/// Orders groups so that few bytes are alive between any two of them: every position is a cut that
/// a plan may choose, and what is alive there is what it must send.
///
/// Three orders are tried and the one with the fewest bytes over all positions is taken: that of
/// the graph, depth first (a branch is finished before the next begins), and greedy (what frees
/// most is next).
struct OperatorOrder {
    /// What a group reads and makes.
    struct Node {
        /// The groups it reads, ascending, without doubles.
        var predecessors: [Int]
        /// The groups that read it, ascending, without doubles.
        var successors: [Int] = []
        /// Indices of the tensors it reads.
        var reads: [Int]
    }

    /// A tensor between groups, or from an input of the model.
    struct Tensor {
        var producer: Int?
        var consumers: [Int]
        var byteCount: Int
    }

    let nodes: [Node]
    let tensors: [Tensor]

    /// The order as indices of groups; nil if the groups make a cycle.
    func best() -> [Int]? {
        var candidates = [depthFirst(), inGraphOrder()]
        if nodes.count <= ModelLimits.greedyOrderGroupsMax { candidates.append(greedy()) }
        let complete = candidates.filter { $0.count == nodes.count }
        let costs = complete.map(liveByteSum)
        guard let least = costs.min(), let index = costs.firstIndex(of: least) else { return nil }
        return complete[index]
    }

    /// Kahn's algorithm with the lowest index first.
    private func inGraphOrder() -> [Int] {
        var missing = nodes.map(\.predecessors.count)
        var ready = MinHeap(nodes.indices.filter { missing[$0] == 0 })
        var order: [Int] = []
        while let next = ready.pop() {
            order.append(next)
            for successor in nodes[next].successors {
                missing[successor] -= 1
                if missing[successor] == 0 { ready.push(successor) }
            }
        }
        return order
    }

    /// Kahn's algorithm with the group that became ready last first.
    private func depthFirst() -> [Int] {
        var missing = nodes.map(\.predecessors.count)
        var ready = Array(nodes.indices.filter { missing[$0] == 0 }.reversed())
        var order: [Int] = []
        while let next = ready.popLast() {
            order.append(next)
            for successor in nodes[next].successors.reversed() {
                missing[successor] -= 1
                if missing[successor] == 0 { ready.append(successor) }
            }
        }
        return order
    }

    /// Kahn's algorithm with the group first that leaves the fewest bytes alive, the newest of
    /// equals.
    private func greedy() -> [Int] {
        var missing = nodes.map(\.predecessors.count)
        var unread = tensors.map(\.consumers.count)
        var made = [Int](repeating: 0, count: nodes.count)
        for tensor in tensors {
            if let producer = tensor.producer, !tensor.consumers.isEmpty {
                made[producer] += tensor.byteCount
            }
        }
        var ready = Array(nodes.indices.filter { missing[$0] == 0 }.reversed())
        var order: [Int] = []
        while !ready.isEmpty {
            var choice = 0
            var leastGrowth = Int.max
            for (place, candidate) in ready.enumerated() {
                let freed = nodes[candidate].reads.reduce(0) {
                    $0 + (unread[$1] == 1 ? tensors[$1].byteCount : 0)
                }
                if made[candidate] - freed <= leastGrowth {
                    leastGrowth = made[candidate] - freed
                    choice = place
                }
            }
            let next = ready.remove(at: choice)
            order.append(next)
            for tensor in nodes[next].reads { unread[tensor] -= 1 }
            for successor in nodes[next].successors.reversed() {
                missing[successor] -= 1
                if missing[successor] == 0 { ready.append(successor) }
            }
        }
        return order
    }

    /// The sum over all positions of the bytes that are alive there.
    private func liveByteSum(_ order: [Int]) -> Double {
        var place = [Int](repeating: 0, count: nodes.count)
        for (position, node) in order.enumerated() { place[node] = position }
        return tensors.reduce(0) { sum, tensor in
            let first = tensor.producer.map { place[$0] } ?? -1
            let last = tensor.consumers.map { place[$0] }.max() ?? first
            return sum + Double(last - first) * Double(tensor.byteCount)
        }
    }
}
