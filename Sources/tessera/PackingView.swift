import TesseraAPI
import TesseraCore

/// What a plan's senders do, and are expected to do, with slow links.
struct PackingView {
    let plan: NamedPlan
    let outline: ModelOutline
    let expected: [RoutePacking]
    let inUse: [PackedRoute]
    let me: NodeBoot
    let name: (NodeID) -> String

    /// A line for each route that is packed or expected to be, in the order of the routes.
    var documents: [PackingDocument] {
        plan.plan.routes.indices.flatMap { index -> [PackingDocument] in
            let uses = inUse.filter {
                $0.route == index && ($0.codec != .none || $0.sentBytes > 0)
            }
            let wanted = expected.first { $0.route == index }
            if uses.isEmpty { return wanted == nil ? [] : [document(index, wanted, nil)] }
            return uses.map { document(index, wanted, $0) }
        }
    }

    private func document(
        _ index: Int, _ wanted: RoutePacking?, _ use: PackedRoute?
    ) -> PackingDocument {
        let route = plan.plan.routes[index]
        let descriptor = outline.descriptor(of: route)
        let bytes = descriptor.byteCount
        func host(_ end: Endpoint) -> String {
            switch end {
            case .entry: "the entry"
            case .fragment(let fragment): name(plan.plan.fragments[fragment].host.node)
            }
        }
        return PackingDocument(
            tensor: descriptor.name, from: use.map { _ in name(me.node) } ?? host(route.source),
            to: use.map { name($0.peer.node) } ?? host(route.destination), bytes: bytes,
            codec: "\(wanted?.codec ?? Codec.none)",
            packedBytes: bytes * (wanted?.perMille ?? 1_000) / 1_000,
            codecInUse: use.map { "\($0.codec)" },
            measuredBytes: use.flatMap { use in
                use.plainBytes > 0
                    ? Int(Double(bytes) * Double(use.sentBytes) / Double(use.plainBytes)) : nil
            })
    }
}
