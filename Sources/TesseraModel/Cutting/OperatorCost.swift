/// Estimates the arithmetic of a layer from shapes alone: what a planner starts from before
/// anything was measured.
enum OperatorCost {
    /// The most that one layer counts: sums of a whole model stay far from overflow.
    private static let operationsMax: UInt64 = 1 << 46

    /// Arithmetic operations for one item: two for each multiply-add.
    static func operationCount(_ layer: ModelGraph.Layer, in graph: ModelGraph) -> UInt64 {
        let inputs = layer.inputs.map(graph.port)
        let outputElements = layer.outputs.map(\.elementCount).max() ?? 0
        let inputElements = inputs.map(\.elementCount).max() ?? 0
        func weights(_ input: Int, from axis: Int) -> Int {
            guard inputs.count > input else { return 1 }
            return product(inputs[input].shape.dropFirst(axis))
        }
        switch layer.type {
        case "Convolution", "BinaryConvolution":
            return times(2, outputElements, weights(1, from: 1))
        case "DeformableConvolution": return times(2, outputElements, weights(2, from: 1))
        case "GroupConvolution": return times(2, outputElements, weights(1, from: 2))
        case "ConvolutionBackpropData":
            return times(2, inputElementsOfFirst(inputs), weights(1, from: 1))
        case "GroupConvolutionBackpropData":
            return times(2, inputElementsOfFirst(inputs), weights(1, from: 2))
        case "MatMul":
            let isTransposed = layer.attribute("transpose_a") == "true"
            let shape = inputs[0].shape
            let depth = isTransposed && shape.count > 1 ? shape[shape.count - 2] : shape.last ?? 1
            return times(2, outputElements, depth)
        case "ScaledDotProductAttention": return attention(inputs)
        case "LSTMSequence", "GRUSequence", "RNNSequence", "LSTMCell", "GRUCell", "RNNCell":
            return recurrent(layer, inputs)
        case "AvgPool", "MaxPool": return times(outputElements, kernelElements(layer))
        default:
            return times(max(inputElements, outputElements), operationsPerElement(layer.type))
        }
    }

    private static func inputElementsOfFirst(_ inputs: [ModelGraph.Port]) -> Int {
        inputs.first?.elementCount ?? 0
    }

    private static func operationsPerElement(_ type: String) -> Int {
        switch type {
        case "Const", "Parameter", "Result", "Reshape", "Squeeze", "Unsqueeze": 0
        case "MVN", "LRN", "GroupNormalization", "NormalizeL2", "Interpolate", "GridSample": 8
        case "Gelu", "Erf", "Exp", "Tanh", "Sigmoid", "Swish", "Mish", "SoftPlus", "Power", "Log",
            "Sin", "Cos", "SoftMax", "LogSoftmax":
            8
        case "FakeQuantize", "HSwish", "HSigmoid", "HardSigmoid", "BatchNormInference": 4
        case "TopK", "NonMaxSuppression": 16
        default: 1
        }
    }

    /// Two products over the keys, and the softmax between them.
    private static func attention(_ inputs: [ModelGraph.Port]) -> UInt64 {
        guard inputs.count >= 3, let width = inputs[0].shape.last,
            let valueWidth = inputs[2].shape.last, inputs[1].shape.count >= 2
        else { return 0 }
        let keys = inputs[1].shape[inputs[1].shape.count - 2]
        let queries = product(inputs[0].shape.dropLast()[...])
        return times(2, queries, keys, width + valueWidth + 4)
    }

    /// Every weight is used once for each step of each item.
    private static func recurrent(
        _ layer: ModelGraph.Layer, _ inputs: [ModelGraph.Port]
    ) -> UInt64 {
        guard let data = inputs.first else { return 0 }
        let steps = layer.type.hasSuffix("Sequence") && data.shape.count == 3 ? data.shape[1] : 1
        let weights = inputs.dropFirst().map(\.elementCount).sorted().suffix(2).reduce(0, +)
        return times(2, data.shape.first ?? 1, steps, weights)
    }

    private static func kernelElements(_ layer: ModelGraph.Layer) -> Int {
        let extents = (layer.attribute("kernel") ?? "").split(separator: ",").map {
            max(1, min(Int($0.filter { $0 != " " }) ?? 1, ModelLimits.elementsMax))
        }
        return product(extents[...])
    }

    private static func product(_ extents: ArraySlice<Int>) -> Int {
        Int(times(extents))
    }

    private static func times(_ factors: Int...) -> UInt64 { times(factors[...]) }

    private static func times(_ factors: ArraySlice<Int>) -> UInt64 {
        factors.reduce(1) { result, factor in
            let (product, overflow) = result.multipliedReportingOverflow(
                by: UInt64(max(0, factor)))
            return overflow ? operationsMax : min(product, operationsMax)
        }
    }
}
