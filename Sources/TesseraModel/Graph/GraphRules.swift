/// What every graph must satisfy, whether it was read from a file or came in a manifest from a
/// peer.
///
/// The rest of the module relies on it without checking again.
enum GraphRules {
    /// Checks everything but constants' places.
    static func check(_ graph: ModelGraph) throws(ModelError) {
        try ModelLimits.check(graph.layers.count, ModelLimits.layersMax, "layers")
        // An output may be called like the operator that makes it, but not like an input.
        var operatorNames: Set<String> = []
        var endNames: Set<String> = []
        var connections = 0
        for (index, layer) in graph.layers.enumerated() {
            try checkText(layer.name, ModelLimits.nameBytesMax, "bytes of a layer name", layer)
            let isNew =
                (layer.isResult || operatorNames.insert(layer.name).inserted)
                && (!(layer.isResult || layer.isParameter)
                    || endNames.insert(layer.name).inserted)
            guard !layer.name.isEmpty, isNew else {
                throw .inconsistent(reason: "its name is empty or not unique", layer: layer.name)
            }
            try checkOperator(layer)
            try checkConnections(layer, at: index, in: graph)
            connections += layer.inputs.count
            try ModelLimits.check(connections, ModelLimits.connectionsMax, "connections")
        }
        try checkEnds(graph)
        guard !liveLayers(graph.layers).contains(false) else {
            throw .inconsistent(reason: "a layer leads to no output", layer: "graph")
        }
    }

    /// Whether each layer leads to an output.
    ///
    /// Inputs always count: clients send them.
    static func liveLayers(_ layers: [ModelGraph.Layer]) -> [Bool] {
        var isLive = layers.map { $0.isResult || $0.isParameter }
        for index in layers.indices.reversed() where isLive[index] {
            for source in layers[index].inputs { isLive[source.layer] = true }
        }
        return isLive
    }

    /// Whether a character may stand in names and attribute values.
    static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x00...0x1F, 0x7F...0x9F, 0xFFFE, 0xFFFF: false
        default: true
        }
    }

    /// Checks rank and size of a port without overflow.
    static func checkSize(_ port: ModelGraph.Port, layer: String) throws(ModelError) {
        try ModelLimits.check(port.shape.count, ModelLimits.rankMax, "axes of a tensor")
        var count = 1
        for extent in port.shape {
            guard extent >= 0 else { throw .dynamicShape(layer: layer) }
            let (product, overflow) = count.multipliedReportingOverflow(by: max(extent, 1))
            guard !overflow, product <= ModelLimits.elementsMax else {
                throw .limit(
                    what: "elements in one tensor (or more)", value: overflow ? .max : product,
                    maximum: ModelLimits.elementsMax)
            }
            count = product
        }
    }

    private static func checkText(
        _ text: String, _ maximum: Int, _ what: String, _ layer: ModelGraph.Layer
    ) throws(ModelError) {
        try ModelLimits.check(text.utf8.count, maximum, what)
        guard text.unicodeScalars.allSatisfy(isAllowed) else {
            throw .inconsistent(
                reason: "a name or value has a control character", layer: layer.type)
        }
    }

    private static func checkOperator(_ layer: ModelGraph.Layer) throws(ModelError) {
        guard let entry = OperatorCatalogue.entry(layer.type) else {
            throw .unsupportedOperator(
                type: layer.type, layer: layer.name,
                reason: OperatorCatalogue.refusal(layer.type))
        }
        guard entry.opsets.contains(layer.opset) else {
            throw .unsupportedOperator(
                type: layer.type, layer: layer.name,
                reason: "operator set \(layer.opset) has no version of it")
        }
        var previous: ModelGraph.Attribute?
        for attribute in layer.attributes {
            guard entry.attributes.contains(attribute.name) else {
                throw .unknownAttribute(
                    attribute: attribute.name, type: layer.type, layer: layer.name)
            }
            if let previous {
                guard previous.name.utf8.lexicographicallyPrecedes(attribute.name.utf8) else {
                    throw .inconsistent(
                        reason: "its attributes are not in order", layer: layer.name)
                }
            }
            try checkText(
                attribute.value, ModelLimits.attributeBytesMax, "bytes of an attribute", layer)
            previous = attribute
        }
        for port in layer.outputs { try checkSize(port, layer: layer.name) }
        try ModelLimits.check(
            max(layer.inputs.count, layer.outputs.count), ModelLimits.portsPerLayerMax,
            "ports of one layer")
    }

    private static func checkConnections(
        _ layer: ModelGraph.Layer, at index: Int, in graph: ModelGraph
    ) throws(ModelError) {
        for source in layer.inputs {
            guard source.layer >= 0, source.layer < index else {
                throw .inconsistent(reason: "it reads a later layer", layer: layer.name)
            }
            guard graph.layers[source.layer].outputs.indices.contains(source.port) else {
                throw .inconsistent(
                    reason: "it reads a port that is not there", layer: layer.name)
            }
        }
        let isSource = layer.isParameter || layer.isConstant
        let inputsFit = isSource ? layer.inputs.isEmpty : !layer.inputs.isEmpty
        let outputsFit =
            layer.isResult
            ? layer.inputs.count == 1 && layer.outputs.isEmpty
            : isSource ? layer.outputs.count == 1 : !layer.outputs.isEmpty
        guard inputsFit, outputsFit, layer.isConstant == (layer.constant != nil) else {
            throw .inconsistent(
                reason: "\(layer.type) cannot have these inputs and outputs", layer: layer.name)
        }
        guard layer.isConstant || layer.outputs.allSatisfy({ !$0.shape.contains(0) }) else {
            throw .inconsistent(reason: "it makes an empty tensor", layer: layer.name)
        }
    }

    /// Inputs and outputs exist, have types that travel, and every output is a tensor of its own
    /// that an operator makes.
    private static func checkEnds(_ graph: ModelGraph) throws(ModelError) {
        let constants = graph.constantLayers()
        var outputs: Set<ModelGraph.Source> = []
        for layer in graph.layers {
            if layer.isParameter, layer.outputs[0].precision.elementType == nil {
                throw .unsupportedType(
                    name: layer.outputs[0].precision.attributeName, layer: layer.name)
            }
            guard layer.isResult else { continue }
            let source = layer.inputs[0]
            guard graph.port(source).precision.elementType != nil else {
                throw .unsupportedType(
                    name: graph.port(source).precision.attributeName, layer: layer.name)
            }
            guard !constants[source.layer] else { throw .constantOutput(name: layer.name) }
            guard !graph.layers[source.layer].isParameter, outputs.insert(source).inserted else {
                throw .inconsistent(
                    reason: "an output is an input, or two outputs are one", layer: layer.name)
            }
        }
        guard !outputs.isEmpty, graph.layers.contains(where: \.isParameter) else {
            throw .inconsistent(reason: "there are no inputs or no outputs", layer: "graph")
        }
    }
}
