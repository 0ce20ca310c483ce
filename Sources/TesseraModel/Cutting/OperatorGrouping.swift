/// Puts layers that the engine runs as one kernel into one group, so that no cut parts them.
///
/// Two rules, applied to each layer in topological order:
///
/// - *Side branches*: where the inputs of an element-by-element operator, a concatenation, a matrix
///   product or an attention come together again after a few cheap steps from one tensor, these
///   steps are one group with it: `x * sigmoid(x)`, a root-mean-square norm, a rotary embedding,
///   the split into query, key and value.
/// - *Chains*: an element-by-element or reordering operator joins the group of the tensor it reads
///   if nothing else reads that tensor: convolution, bias, activation, the residual sum and its
///   activation, quantisation. Attention that is written out (product, softmax, product) and rows
///   of small dense layers are chains too: the engine makes one kernel of them.
///
/// Groups never make a cycle: a chain joins a group that nothing else reads, and a region of side
/// branches has every path between its ends. Constants belong to no group; every fragment that
/// needs one has it.
struct OperatorGrouping {
    private let graph: ModelGraph
    private let isConstant: [Bool]
    private let consumers: [[Int]]
    private let kinds: [OperatorKind]
    /// The group of each layer, named by one of its layers; -1 for layers without one.
    private var groupOf: [Int]
    private var members: [Int: [Int]] = [:]

    /// The groups of a graph, each ascending, ordered by their last layer.
    static func groups(of graph: ModelGraph) -> [[Int]] {
        var grouping = OperatorGrouping(graph)
        if let whole = grouping.quantized() { return [whole] }
        for layer in graph.layers.indices where grouping.groupOf[layer] >= 0 {
            grouping.joinSideBranches(layer)
            grouping.joinChain(layer)
        }
        return grouping.members.values.map { $0.sorted() }.sorted { $0.last ?? 0 < $1.last ?? 0 }
    }

    private init(_ graph: ModelGraph) {
        self.graph = graph
        isConstant = graph.constantLayers()
        consumers = graph.consumers()
        kinds = graph.layers.map { OperatorKind.of($0.type) }
        groupOf = []
        for (index, layer) in graph.layers.enumerated() {
            let hasGroup = !isConstant[index] && !layer.isParameter && !layer.isResult
            groupOf.append(hasGroup ? index : -1)
            if hasGroup { members[index] = [index] }
        }
    }

    /// All layers, if intermediate tensors are quantised; nil if not.
    ///
    /// The engine turns such a model into integer kernels only where it sees the quantisation on
    /// both sides, so that a cut model gives other values (by a percent, measured): it is not cut.
    private func quantized() -> [Int]? {
        let layers = graph.layers.indices.filter { groupOf[$0] >= 0 }
        let isQuantized = layers.contains {
            ["FakeQuantize", "FakeConvert"].contains(graph.layers[$0].type)
        }
        return isQuantized ? layers : nil
    }

    // MARK: Side branches

    private mutating func joinSideBranches(_ layer: Int) {
        guard Self.endsSideBranches(graph.layers[layer], kinds[layer]) else { return }
        guard let region = sideBranches(to: layer), !region.isEmpty else { return }
        let inside = Set(region + [layer])
        let groups = Set(inside.map { groupOf[$0] })
        // A group that reaches out of the region belongs to another pattern: leave both alone.
        for group in groups {
            guard let layers = members[group], layers.allSatisfy(inside.contains) else { return }
        }
        for group in groups.sorted() where group != groupOf[layer] {
            merge(group, into: groupOf[layer])
        }
    }

    private static func endsSideBranches(
        _ layer: ModelGraph.Layer, _ kind: OperatorKind
    ) -> Bool {
        switch kind {
        case .elementwise: true
        case .light: layer.type == "Concat"
        case .heavy: layer.type == "MatMul" || layer.type == "ScaledDotProductAttention"
        case .movement: false
        }
    }

    /// The cheap layers on all ways to `layer` from the last tensor that all of them pass; nil if
    /// there are none, or too many, or others read them too.
    private func sideBranches(to layer: Int) -> [Int]? {
        var frontier = producers(of: layer)
        guard frontier.count > 1 else { return nil }
        var inside: [Int] = []
        func isEnclosed(_ candidate: Int) -> Bool {
            kinds[candidate] != .heavy && groupOf[candidate] >= 0
                && consumers[candidate].allSatisfy { $0 == layer || inside.contains($0) }
        }
        // The latest layer of the frontier reads only earlier ones, so a frontier of one layer is
        // a layer that every way passes.
        while frontier.count > 1, let latest = frontier.popLast() {
            guard inside.count < ModelLimits.regionLayersMax, isEnclosed(latest) else {
                return nil
            }
            inside.append(latest)
            for producer in producers(of: latest) { Self.insert(producer, &frontier) }
        }
        // What only splits and reorders before the branches is part of the pattern too.
        while let only = frontier.first, inside.count < ModelLimits.regionLayersMax,
            isEnclosed(only), Self.isSplit(graph.layers[only], kinds[only]),
            members[groupOf[only]]?.count == 1
        {
            inside.append(only)
            frontier = producers(of: only)
            guard frontier.count == 1 else { break }
        }
        return inside
    }

    private static func isSplit(_ layer: ModelGraph.Layer, _ kind: OperatorKind) -> Bool {
        kind == .movement || layer.type == "Split" || layer.type == "VariadicSplit"
    }

    /// Keeps the frontier ascending and without doubles.
    private static func insert(_ layer: Int, _ frontier: inout [Int]) {
        let place = frontier.firstIndex { $0 >= layer } ?? frontier.endIndex
        if place < frontier.endIndex, frontier[place] == layer { return }
        frontier.insert(layer, at: place)
    }

    // MARK: Chains

    private mutating func joinChain(_ layer: Int) {
        guard follows(layer), let layers = members[groupOf[layer]] else { return }
        let target = groupOf[layer]
        var candidates: [Int] = []
        for member in layers {
            for source in graph.layers[member].inputs where canJoin(source, target, to: layer) {
                Self.insert(source.layer, &candidates)
            }
        }
        // Of two kernels that feed a sum, the engine appends it to one: a product rather than
        // another, and the later of two products. What is cheap on the other side is computed
        // with it.
        candidates = candidates.filter { !hasProduct($0) } + candidates.filter(hasProduct)
        var hasKernel = false
        for candidate in candidates.reversed() where groupOf[candidate] != groupOf[layer] {
            let isKernel = members[groupOf[candidate]]?.contains { kinds[$0] == .heavy } ?? false
            guard !(isKernel && hasKernel), canMerge(groupOf[candidate], groupOf[layer]) else {
                continue
            }
            hasKernel = hasKernel || isKernel
            merge(groupOf[layer], into: groupOf[candidate])
        }
    }

    /// Whether the layer is of a type that may be appended to another kernel.
    private func follows(_ layer: Int) -> Bool {
        switch kinds[layer] {
        case .elementwise, .movement: true
        case .light: dependsOnLayout(layer)
        case .heavy:
            ["MatMul", "SoftMax"].contains(graph.layers[layer].type) || dependsOnLayout(layer)
        }
    }

    /// Whether the layer sums over axes of an image: the order of the sum, and so its last bits,
    /// depends on the layout in which the engine keeps the tensor, which a cut would reset.
    private func dependsOnLayout(_ layer: Int) -> Bool {
        let type = graph.layers[layer].type
        guard let source = graph.layers[layer].inputs.first, graph.port(source).shape.count >= 4
        else { return false }
        return type.hasPrefix("Reduce")
            || ["GroupNormalization", "LRN", "MVN", "NormalizeL2", "SoftMax"].contains(type)
    }

    /// Whether the group that makes `source` makes it only for the group `target`, and the engine
    /// appends `layer` to such a group.
    private func canJoin(_ source: ModelGraph.Source, _ target: Int, to layer: Int) -> Bool {
        let group = groupOf[source.layer]
        guard group >= 0, group != target, let layers = members[group],
            canMerge(group, target), fits(source, layers, layer)
        else { return false }
        return layers.allSatisfy { member in
            consumers[member].allSatisfy { groupOf[$0] == group || groupOf[$0] == target }
        }
    }

    /// Whether the layer's group has a convolution or a matrix product.
    private func hasProduct(_ layer: Int) -> Bool {
        (members[groupOf[layer]] ?? []).contains { member in
            let type = graph.layers[member].type
            return type == "MatMul" || type.contains("Convolution")
        }
    }

    private func canMerge(_ group: Int, _ other: Int) -> Bool {
        let count = (members[group]?.count ?? 0) + (members[other]?.count ?? 0)
        return count <= ModelLimits.groupLayersMax
    }

    private func fits(_ source: ModelGraph.Source, _ group: [Int], _ layer: Int) -> Bool {
        if dependsOnLayout(layer), graph.layers[layer].inputs.first == source { return true }
        let isSameSize =
            graph.port(source).elementCount == graph.layers[layer].outputs[0].elementCount
        switch kinds[layer] {
        case .elementwise: return isSameSize
        case .movement: return true
        case .light: return false
        case .heavy: break
        }
        guard let product = group.filter({ graph.layers[$0].type == "MatMul" }).max() else {
            return false
        }
        if graph.layers[layer].type == "SoftMax" { return isSameSize }
        // A product that reads the softmax of a product: attention that is written out.
        let after = group.filter { $0 > product }
        let isLeft = graph.layers[layer].inputs.first == source
        if isLeft, after.contains(where: { graph.layers[$0].type == "SoftMax" }) { return true }
        // Small dense layers in a row.
        return isLeft && isSmallDense(product) && isSmallDense(layer)
            && after.allSatisfy { kinds[$0] == .elementwise }
    }

    /// Whether the engine would put this product and its neighbours into one kernel.
    private func isSmallDense(_ layer: Int) -> Bool {
        let inputs = graph.layers[layer].inputs
        guard inputs.count == 2, isConstant[inputs[1].layer] else { return false }
        let extents = graph.port(inputs[1]).shape + graph.port(inputs[0]).shape.suffix(1)
        return graph.port(inputs[0]).shape.count <= 2 && graph.port(inputs[1]).shape.count <= 2
            && extents.allSatisfy { $0 <= ModelLimits.denseExtentMax }
    }

    // MARK: Helpers

    /// The layers that `layer` reads and that depend on the model's inputs, ascending.
    private func producers(of layer: Int) -> [Int] {
        var result: [Int] = []
        for source in graph.layers[layer].inputs where !isConstant[source.layer] {
            Self.insert(source.layer, &result)
        }
        return result
    }

    private mutating func merge(_ group: Int, into other: Int) {
        let moved = members.removeValue(forKey: group) ?? []
        for layer in moved { groupOf[layer] = other }
        members[other, default: []] += moved
    }
}
