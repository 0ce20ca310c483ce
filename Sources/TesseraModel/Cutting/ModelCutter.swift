public import TesseraCore

/// Cuts one model: derives its outline once, and writes the fragment of any range of operators.
///
/// Everything follows from the manifest alone, so every node cuts the same.
public struct ModelCutter: Sendable {
    /// The model.
    public let manifest: Manifest
    /// What the core knows of it.
    public let outline: ModelOutline
    /// The layers of each operator of the outline, ascending.
    let groups: [[Int]]
    /// Where each tensor of the outline comes from.
    let sources: [ModelGraph.Source]
    /// For each layer, whether its value does not depend on the model's inputs.
    let isConstant: [Bool]
    /// The row axis and the row rule of each layer.
    let rows: RowAxes

    /// Derives the outline of a model.
    public init(_ manifest: Manifest) throws(ModelError) {
        self.manifest = manifest
        let graph = manifest.graph
        isConstant = graph.constantLayers()
        let layout = Self.layout(graph, isConstant)
        groups = layout.groups
        sources = layout.tensors.map(\.source)
        rows = RowAxes(graph, isConstant: isConstant)
        outline = try Self.outline(manifest, layout, isConstant, rows)
    }

    /// The groups in their order, and the tensors between them.
    private struct Layout {
        var groups: [[Int]]
        var tensors: [Tensor]
    }

    /// A tensor by where it comes from, with the operators that read it.
    private struct Tensor {
        var source: ModelGraph.Source
        var producer: Int?
        var consumers: [Int]
        /// The model's output that it is.
        var result: Int?
    }

    // MARK: Layout

    private static func layout(_ graph: ModelGraph, _ isConstant: [Bool]) -> Layout {
        let grouped = OperatorGrouping.groups(of: graph)
        if let order = order(grouped, graph, isConstant) {
            return layout(order.map { grouped[$0] }, graph, isConstant)
        }
        // Groups that form a cycle would be a mistake of the grouping. The layers themselves have
        // none, so the model is still served, with every layer an operator of its own.
        let single = grouped.joined().sorted().map { [$0] }
        return layout(single, graph, isConstant)
    }

    private static func layout(
        _ groups: [[Int]], _ graph: ModelGraph, _ isConstant: [Bool]
    ) -> Layout {
        Layout(groups: groups, tensors: tensors(groups, graph, isConstant))
    }

    private static func order(
        _ groups: [[Int]], _ graph: ModelGraph, _ isConstant: [Bool]
    ) -> [Int]? {
        let tensors = tensors(groups, graph, isConstant)
        var predecessors = [Set<Int>](repeating: [], count: groups.count)
        var successors = [Set<Int>](repeating: [], count: groups.count)
        var reads = [[Int]](repeating: [], count: groups.count)
        for (index, tensor) in tensors.enumerated() {
            for consumer in tensor.consumers {
                reads[consumer].append(index)
                guard let producer = tensor.producer else { continue }
                predecessors[consumer].insert(producer)
                successors[producer].insert(consumer)
            }
        }
        let nodes = groups.indices.map {
            OperatorOrder.Node(
                predecessors: predecessors[$0].sorted(), successors: successors[$0].sorted(),
                reads: reads[$0])
        }
        let flows = tensors.map {
            OperatorOrder.Tensor(
                producer: $0.producer, consumers: $0.consumers,
                byteCount: graph.port($0.source).byteCount)
        }
        return OperatorOrder(nodes: nodes, tensors: flows).best()
    }

    /// The inputs of the model, then what each group makes for others, in the groups' order.
    private static func tensors(
        _ groups: [[Int]], _ graph: ModelGraph, _ isConstant: [Bool]
    ) -> [Tensor] {
        var groupOf = [Int?](repeating: nil, count: graph.layers.count)
        for (index, group) in groups.enumerated() {
            for layer in group { groupOf[layer] = index }
        }
        var readers: [ModelGraph.Source: [Int]] = [:]
        var results: [ModelGraph.Source: Int] = [:]
        for (index, layer) in graph.layers.enumerated() {
            for source in layer.inputs where !isConstant[source.layer] {
                if layer.isResult {
                    results[source] = index
                } else if let reader = groupOf[index], reader != groupOf[source.layer] {
                    readers[source, default: []].append(reader)
                }
            }
        }
        let makers = graph.layers.indices.filter { graph.layers[$0].isParameter } + groups.joined()
        var tensors: [Tensor] = []
        for layer in makers {
            for port in graph.layers[layer].outputs.indices {
                let source = ModelGraph.Source(layer: layer, port: port)
                let consumers = Array(Set(readers[source] ?? [])).sorted()
                guard groupOf[layer] == nil || !consumers.isEmpty || results[source] != nil else {
                    continue
                }
                tensors.append(
                    Tensor(
                        source: source, producer: groupOf[layer], consumers: consumers,
                        result: results[source]))
            }
        }
        return tensors
    }

    // MARK: Outline

    private static func outline(
        _ manifest: Manifest, _ layout: Layout, _ isConstant: [Bool], _ rows: RowAxes
    ) throws(ModelError) -> ModelOutline {
        let graph = manifest.graph
        var tensors: [ModelOutline.Tensor] = []
        let names = tensorNames(layout, graph)
        for (index, tensor) in layout.tensors.enumerated() {
            let port = graph.port(tensor.source)
            guard let type = port.precision.elementType else {
                throw .unsupportedType(
                    name: port.precision.attributeName,
                    layer: graph.layers[tensor.source.layer].name)
            }
            tensors.append(
                .init(
                    descriptor: .init(name: names[index], type: type, shape: port.shape),
                    producer: tensor.producer, consumers: tensor.consumers,
                    isOutput: tensor.result != nil))
        }
        let outputs =
            layout.tensors.indices
            .filter { layout.tensors[$0].result != nil }
            .sorted { (layout.tensors[$0].result ?? 0) < (layout.tensors[$1].result ?? 0) }
        var operators = operators(manifest, layout, isConstant, tensors)
        addRows(layout, RowOutline(graph: graph, axes: rows), &operators, &tensors)
        return ModelOutline(
            manifest: manifest.id, operators: operators, tensors: tensors,
            inputs: tensors.indices.filter { tensors[$0].producer == nil },
            outputs: outputs, blobs: manifest.blobs)
    }

    /// Inputs and outputs are called as the user calls them, the rest after their layers.
    private static func tensorNames(_ layout: Layout, _ graph: ModelGraph) -> [String] {
        var names = UniqueNames()
        var known: [Int: String] = [:]
        for (index, tensor) in layout.tensors.enumerated() {
            guard tensor.producer == nil || tensor.result != nil else { continue }
            let name = graph.layers[tensor.result ?? tensor.source.layer].name
            _ = names.claim(name)
            known[index] = name
        }
        return layout.tensors.enumerated().map { index, tensor in
            if let name = known[index] { return name }
            let layer = graph.layers[tensor.source.layer]
            let suffix = layer.outputs.count > 1 ? ":\(tensor.source.port)" : ""
            return names.unique(layer.name + suffix)
        }
    }

    private static func operators(
        _ manifest: Manifest, _ layout: Layout, _ isConstant: [Bool],
        _ tensors: [ModelOutline.Tensor]
    ) -> [ModelOutline.Operator] {
        let graph = manifest.graph
        var touched = [UInt64](repeating: 0, count: layout.groups.count)
        for tensor in tensors {
            let byteCount = UInt64(tensor.descriptor.byteCount)
            if let producer = tensor.producer { touched[producer] += byteCount }
            for consumer in tensor.consumers { touched[consumer] += byteCount }
        }
        return layout.groups.enumerated().map { index, group in
            let costs = group.map { OperatorCost.operationCount(graph.layers[$0], in: graph) }
            let most = costs.max() ?? 0
            let main = group[costs.firstIndex(of: most) ?? 0]
            let constants = constantLayers(below: group, graph, isConstant)
            var blobs: Set<Int> = []
            var inlineByteCount = 0
            for layer in constants {
                switch graph.layers[layer].constant {
                case .blob(let blob): blobs.insert(blob)
                case .inline(let bytes): inlineByteCount += bytes.count
                case .range, nil: continue
                }
            }
            let weights = blobs.reduce(inlineByteCount) { $0 + manifest.blobs[$1].byteCount }
            return ModelOutline.Operator(
                name: graph.layers[group[group.count - 1]].name, kind: graph.layers[main].type,
                operationCount: costs.reduce(0, +), movedBytes: touched[index] + UInt64(weights),
                blobs: blobs.sorted())
        }
    }

    /// Says what each operator reads, which rows of it, and which tensors may be cut into rows:
    /// what an operator that is split makes, and what one reads by rows.
    private static func addRows(
        _ layout: Layout, _ rows: RowOutline, _ operators: inout [ModelOutline.Operator],
        _ tensors: inout [ModelOutline.Tensor]
    ) {
        for (index, tensor) in tensors.enumerated() {
            for consumer in tensor.consumers { operators[consumer].reads.append(index) }
        }
        var makes = [[Int]](repeating: [], count: operators.count)
        for (index, tensor) in tensors.enumerated() {
            if let producer = tensor.producer { makes[producer].append(index) }
        }
        for (index, group) in layout.groups.enumerated() {
            let (reads, made) = (operators[index].reads, makes[index])
            let needs = rows.needs(
                of: group, reads: reads.map { layout.tensors[$0].source },
                makes: made.map { layout.tensors[$0].source })
            guard let needs else { continue }
            operators[index].rowNeeds = needs.needs
            operators[index].rowCount = needs.rowCount
            operators[index].hasExactRows = needs.isExact
            for (tensor, need) in zip(reads, needs.needs) where need != .all {
                tensors[tensor].rowAxis = rows.axes.axis(of: layout.tensors[tensor].source)
            }
            for tensor in made {
                tensors[tensor].rowAxis = rows.axes.axis(of: layout.tensors[tensor].source)
            }
        }
    }

    /// The constant layers that `layers` need, ascending: constants, and what is computed from
    /// constants alone.
    static func constantLayers(
        below layers: [Int], _ graph: ModelGraph, _ isConstant: [Bool]
    ) -> [Int] {
        var found: Set<Int> = []
        var open = layers
        while let layer = open.popLast() {
            for source in graph.layers[layer].inputs
            where isConstant[source.layer] && found.insert(source.layer).inserted {
                open.append(source.layer)
            }
        }
        return found.sorted()
    }
}
