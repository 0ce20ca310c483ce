import TesseraCore

/// Some time after every fault has ended, the living nodes agree: each sees all others alive, all
/// follow one plan, nothing is left over, and what was asked late was answered.
enum HealedMesh {
    /// What one living node shows at the end.
    struct Node {
        var index: Int
        var member: NodeBoot
        /// Members that it sees alive and is connected to, itself included.
        var alive: [NodeBoot]
        var current: PlanID?
        var payloads: Int
        var isIdle: Bool
        /// How its late request ended; nil if it got none.
        var lateEnd: EndsExactlyOnce.End?
    }

    /// `isPlannable` says whether the living nodes hold the model's blobs and memory.
    static func check(
        _ nodes: [Node], isPlannable: Bool, at time: Timestamp
    ) throws(Violation) {
        func violation(_ node: Node, _ what: String) -> Violation {
            Violation(
                checker: "a healed mesh converges", at: time, what: "node \(node.index) \(what)")
        }
        let members = nodes.map(\.member).sorted()
        for node in nodes {
            let alive = node.alive.sorted()
            if alive != members {
                throw violation(node, "sees \(alive.count) of \(members.count) members alive")
            }
            if !node.isIdle { throw violation(node, "is not idle") }
            if node.payloads > 0 { throw violation(node, "keeps \(node.payloads) payloads") }
        }
        guard isPlannable else { return }
        for node in nodes {
            guard let current = node.current else { throw violation(node, "has no plan") }
            if current != nodes[0].current {
                throw violation(node, "follows \(current), not \(nodes[0].current?.short ?? "?")")
            }
            switch node.lateEnd {
            case nil, .answered: break
            case .rejected(let error): throw violation(node, "rejected a late request: \(error)")
            case .open: throw violation(node, "did not end a late request")
            }
        }
    }
}
