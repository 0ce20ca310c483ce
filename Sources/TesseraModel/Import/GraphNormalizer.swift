/// Brings a graph from its text into the one form that manifests have.
enum GraphNormalizer {
    /// Connects the layers, orders them, drops what no output needs and gives every output a
    /// tensor of its own.
    static func normalize(_ text: IRText) throws(ModelError) -> ModelGraph {
        var layers = try connected(text)
        try nameInputsAndOutputs(&layers, text)
        let order = try topologicalOrder(layers)
        layers = renumbered(layers, order: order)
        layers = separatedOutputs(layers)
        return ModelGraph(layers: withoutDead(layers))
    }

    // MARK: Connections

    /// Resolves the edges: every input port has exactly one, from an existing output of the same
    /// type and shape.
    private static func connected(_ text: IRText) throws(ModelError) -> [ModelGraph.Layer] {
        var indexOfID: [Int: Int] = [:]
        for (index, layer) in text.layers.enumerated() {
            guard indexOfID.updateValue(index, forKey: layer.id) == nil else {
                throw .inconsistent(
                    reason: "number \(layer.id) is given twice", layer: layer.layer.name)
            }
        }
        var sources = text.layers.map {
            [ModelGraph.Source?](repeating: nil, count: $0.inputPorts.count)
        }
        for edge in text.edges {
            guard let from = indexOfID[edge.fromLayer], let to = indexOfID[edge.toLayer] else {
                throw .inconsistent(
                    reason: "an edge leads to a layer that is not there",
                    layer: "\(edge.fromLayer)->\(edge.toLayer)")
            }
            let name = text.layers[to].layer.name
            guard let output = text.layers[from].outputPorts.firstIndex(of: edge.fromPort),
                let input = text.layers[to].inputPorts.firstIndex(where: { $0.id == edge.toPort })
            else {
                throw .inconsistent(
                    reason: "an edge leads to a port that is not there", layer: name)
            }
            guard sources[to][input] == nil else {
                throw .inconsistent(reason: "an input has two edges", layer: name)
            }
            guard text.layers[from].layer.outputs[output] == text.layers[to].inputPorts[input].port
            else {
                throw .inconsistent(
                    reason: "the two ends of an edge differ in type or shape", layer: name)
            }
            sources[to][input] = ModelGraph.Source(layer: from, port: output)
        }
        var layers: [ModelGraph.Layer] = []
        for (index, entry) in text.layers.enumerated() {
            var layer = entry.layer
            layer.inputs = sources[index].compactMap { $0 }
            guard layer.inputs.count == sources[index].count else {
                throw .inconsistent(reason: "an input has no edge", layer: layer.name)
            }
            layers.append(layer)
        }
        return layers
    }

    // MARK: Names

    /// Names `Parameter` and `Result` layers as the user names the model's inputs and outputs:
    /// by the tensor's names, else by the layer's.
    private static func nameInputsAndOutputs(
        _ layers: inout [ModelGraph.Layer], _ text: IRText
    ) throws(ModelError) {
        var names = UniqueNames()
        func claim(_ candidates: [String]) -> String {
            let short = candidates.map(UniqueNames.shortened).filter { !$0.isEmpty }
            for name in short where names.claim(name) { return name }
            return names.unique(short.last ?? "tensor")
        }
        for index in layers.indices where layers[index].isParameter {
            let known = text.layers[index].tensorNames.first ?? []
            layers[index].name = claim(known + [layers[index].name])
        }
        for index in layers.indices where layers[index].isResult {
            guard let source = layers[index].inputs.first else {
                throw .inconsistent(reason: "an output has no source", layer: layers[index].name)
            }
            let known =
                text.layers[index].outputNames
                + text.layers[source.layer].tensorNames[source.port]
            layers[index].name = claim(
                known + [text.layers[source.layer].layer.name, layers[index].name])
        }
    }

    /// Gives operators and constants unique names; those of inputs and outputs stay.
    static func makeNamesUnique(_ graph: inout ModelGraph) {
        var names = UniqueNames()
        for layer in graph.layers where layer.isParameter { _ = names.claim(layer.name) }
        for index in graph.layers.indices {
            let layer = graph.layers[index]
            guard !layer.isParameter, !layer.isResult else { continue }
            let base = UniqueNames.shortened(layer.name.isEmpty ? layer.type : layer.name)
            graph.layers[index].name = names.unique(base)
        }
    }

    // MARK: Order

    /// Kahn's algorithm, the earliest layer of the text first: text that is in order stays so.
    private static func topologicalOrder(
        _ layers: [ModelGraph.Layer]
    ) throws(ModelError) -> [Int] {
        var missing = layers.map { $0.inputs.count }
        var readers = [[Int]](repeating: [], count: layers.count)
        for (index, layer) in layers.enumerated() {
            for source in layer.inputs { readers[source.layer].append(index) }
        }
        var ready = MinHeap(layers.indices.filter { missing[$0] == 0 })
        var order: [Int] = []
        while let index = ready.pop() {
            order.append(index)
            for reader in readers[index] {
                missing[reader] -= 1
                if missing[reader] == 0 { ready.push(reader) }
            }
        }
        guard order.count == layers.count else {
            let stuck = missing.firstIndex { $0 > 0 } ?? 0
            throw .inconsistent(reason: "it reads its own result", layer: layers[stuck].name)
        }
        return order
    }

    private static func renumbered(
        _ layers: [ModelGraph.Layer], order: [Int]
    ) -> [ModelGraph.Layer] {
        var place = [Int](repeating: -1, count: layers.count)
        for (new, old) in order.enumerated() { place[old] = new }
        return order.map { old in
            var layer = layers[old]
            layer.inputs = layer.inputs.map { .init(layer: place[$0.layer], port: $0.port) }
            return layer
        }
    }

    /// Puts a copying `Convert` before an output that is a model input as it is, or that another
    /// output has already: every output is then a tensor that some operator makes for it.
    private static func separatedOutputs(_ layers: [ModelGraph.Layer]) -> [ModelGraph.Layer] {
        var result: [ModelGraph.Layer] = []
        var place: [Int] = []
        var used: Set<ModelGraph.Source> = []
        for original in layers {
            var layer = original
            layer.inputs = layer.inputs.map { .init(layer: place[$0.layer], port: $0.port) }
            if layer.isResult, let source = layer.inputs.first,
                result[source.layer].isParameter || !used.insert(source).inserted
            {
                let port = result[source.layer].outputs[source.port]
                let type = ModelGraph.Attribute(
                    name: "destination_type", value: port.precision.attributeName)
                result.append(
                    ModelGraph.Layer(
                        name: layer.name, type: "Convert", opset: 1, attributes: [type],
                        inputs: [source], outputs: [port]))
                layer.inputs = [.init(layer: result.count - 1, port: 0)]
            }
            place.append(result.count)
            result.append(layer)
        }
        return result
    }

    private static func withoutDead(_ layers: [ModelGraph.Layer]) -> [ModelGraph.Layer] {
        let isLive = GraphRules.liveLayers(layers)
        let order = layers.indices.filter { isLive[$0] }
        return renumbered(layers, order: order)
    }
}
