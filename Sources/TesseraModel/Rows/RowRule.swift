import TesseraCore

/// How the rows of a layer's outputs follow from the rows of its inputs, and how the layer runs on
/// some of them.
struct RowRule: Sendable {
    /// What the layer needs of one input.
    enum Input: Hashable, Sendable {
        /// Rows along an axis of that input.
        case rows(axis: Int, RowWindow)
        /// All of it.
        case all
    }

    /// What changes in a layer when it runs on some rows.
    struct Change: Sendable {
        /// The rows that it then makes: those asked for, and perhaps some around them.
        var rows: Range<Int>
        /// Attributes in place of the layer's own.
        var attributes: [ModelGraph.Attribute] = []
        /// Integers in place of constant inputs, by the number of the input.
        var integers: [Int: [Int]] = [:]
    }

    /// For each input of the layer.
    var inputs: [Input]
    /// Whether the rows have the bits that the whole layer gives them.
    var isExact = true
    /// What changes for the rows asked for, given the rows that each input then has (nil: all).
    var change: @Sendable (_ rows: Range<Int>, _ inputs: [Range<Int>?]) -> Change = { rows, _ in
        Change(rows: rows)
    }

    /// Runs as it is: the outputs have as many rows as were asked for.
    static func unchanged(_ inputs: [Input]) -> RowRule { RowRule(inputs: inputs) }

    /// The first input's rows along an axis; the others whole.
    static func first(
        _ axis: Int, _ window: RowWindow, of layer: ModelGraph.Layer
    ) -> [Input] {
        layer.inputs.indices.map { $0 == 0 ? .rows(axis: axis, window) : .all }
    }
}

/// Finds the row rule of a layer.
///
/// A rule holds for one axis of the layer's outputs. There is none where the rows of the outputs
/// mix all rows of an input, where a size of the whole decides about values, and for operators that
/// nobody wrote a rule for: such a layer is a barrier.
///
/// Every rule answers rows with at least one row of each input, but for a concatenation of rows.
struct RowRules: Sendable {
    let graph: ModelGraph
    let isConstant: [Bool]
    /// For each layer, whether anything reads an output but its first.
    private let hasReadExtras: [Bool]

    init(_ graph: ModelGraph, isConstant: [Bool]) {
        self.graph = graph
        self.isConstant = isConstant
        var hasReadExtras = [Bool](repeating: false, count: graph.layers.count)
        for layer in graph.layers {
            for source in layer.inputs where source.port > 0 { hasReadExtras[source.layer] = true }
        }
        self.hasReadExtras = hasReadExtras
    }

    /// The rule of a layer for rows along `axis` of its outputs; nil if there is none.
    ///
    /// For a tensor that the layer reads, `known` gives the axis that its rows are known to be on; it
    /// decides where the shapes alone leave a choice.
    func rule(
        of index: Int, axis: Int, known: (ModelGraph.Source) -> Int? = { _ in nil }
    ) -> RowRule? {
        let layer = graph.layers[index]
        guard !layer.inputs.isEmpty, !layer.outputs.isEmpty,
            layer.outputs.allSatisfy({
                $0.shape.indices.contains(axis) && $0.shape[axis] == layer.outputs[0].shape[axis]
            }), let rule = uncheckedRule(of: index, axis: axis, known: known),
            fits(rule, layer, count: layer.outputs[0].shape[axis])
        else { return nil }
        return rule
    }

    /// Whether a rule holds for the layer's shapes, which a graph from a peer may have at will: the
    /// whole inputs make at least the whole outputs.
    private func fits(_ rule: RowRule, _ layer: ModelGraph.Layer, count: Int) -> Bool {
        guard rule.inputs.count == layer.inputs.count else { return false }
        var inputs: [Range<Int>?] = []
        for (source, input) in zip(layer.inputs, rule.inputs) {
            guard case .rows(let axis, let window) = input else {
                inputs.append(nil)
                continue
            }
            let shape = graph.port(source).shape
            guard shape.indices.contains(axis), shape[axis] > 0, window.isModest,
                window != .same || shape[axis] == count || joins(layer, along: axis, count)
            else { return false }
            inputs.append(0..<shape[axis])
        }
        let made = rule.change(0..<count, inputs).rows
        return made.lowerBound <= 0 && made.upperBound >= count
    }

    /// Whether the rows of its inputs stand one behind the other in the output.
    private func joins(_ layer: ModelGraph.Layer, along axis: Int, _ count: Int) -> Bool {
        layer.type == "Concat"
            && layer.inputs.indices.reduce(0) { $0 + shape(layer, $1)[axis] } == count
    }

    private func uncheckedRule(
        of index: Int, axis: Int, known: (ModelGraph.Source) -> Int?
    ) -> RowRule? {
        let layer = graph.layers[index]
        switch layer.type {
        case "Convolution", "GroupConvolution": return convolution(layer, axis)
        case "ConvolutionBackpropData", "GroupConvolutionBackpropData":
            return transposedConvolution(layer, axis)
        case "MaxPool": return hasReadExtras[index] ? nil : pool(layer, axis)
        case "AvgPool": return pool(layer, axis)
        case "Interpolate": return interpolate(layer, axis)
        case "DepthToSpace", "SpaceToDepth": return blocks(layer, axis)
        case "Pad": return pad(layer, axis)
        case "Concat": return concat(layer, axis)
        case "Split", "VariadicSplit": return split(layer, axis)
        case "Slice": return slice(layer, axis)
        case "StridedSlice": return stridedSlice(layer, axis)
        case "Reshape", "Squeeze", "Unsqueeze":
            return reshape(layer, axis, known: known(layer.inputs[0]))
        case "Transpose": return transpose(layer, axis)
        case "SoftMax", "LogSoftmax", "ShuffleChannels": return alongOneAxis(layer, axis)
        case "MVN", "LRN", "NormalizeL2": return alongAxes(layer, axis)
        case "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
            "ReduceSum":
            return reduce(layer, axis)
        case "MatMul": return product(layer, axis)
        case "ScaledDotProductAttention": return attention(layer, axis)
        case "BatchNormInference": return batchNorm(layer, axis)
        case "PReLU": return slope(layer, axis)
        case "FakeQuantize", "FakeConvert": return nil
        default:
            return OperatorKind.of(layer.type) == .elementwise ? elementwise(layer, axis) : nil
        }
    }

    // MARK: Reading layers

    /// The shape of an input.
    func shape(_ layer: ModelGraph.Layer, _ input: Int) -> [Int] {
        graph.port(layer.inputs[input]).shape
    }

    /// The integers of a constant input; nil if it is none, or too large to be in the manifest.
    func integers(_ layer: ModelGraph.Layer, _ input: Int) -> [Int]? {
        guard let (bytes, precision) = constant(layer, input) else { return nil }
        return bytes.withUnsafeBytes { raw in
            switch precision {
            case .int64: Self.values(in: raw, as: Int64.self).map { Int(clamping: $0) }
            case .int32: Self.values(in: raw, as: Int32.self).map { Int($0) }
            default: nil
            }
        }
    }

    /// The numbers of a constant input of 32-bit floats; nil if it is none.
    func floats(_ layer: ModelGraph.Layer, _ input: Int) -> [Float]? {
        guard let (bytes, precision) = constant(layer, input), precision == .float32 else {
            return nil
        }
        return bytes.withUnsafeBytes { Self.values(in: $0, as: Float.self) }
    }

    private func constant(
        _ layer: ModelGraph.Layer, _ input: Int
    ) -> (bytes: [UInt8], precision: Precision)? {
        guard layer.inputs.indices.contains(input) else { return nil }
        let source = graph.layers[layer.inputs[input].layer]
        guard case .inline(let bytes) = source.constant else { return nil }
        return (bytes, source.outputs[0].precision)
    }

    private static func values<Value: BitwiseCopyable>(
        in raw: UnsafeRawBufferPointer, as type: Value.Type
    ) -> [Value] {
        let stride = MemoryLayout<Value>.stride
        return (0..<(raw.count / stride)).map {
            raw.loadUnaligned(fromByteOffset: $0 * stride, as: type)
        }
    }

    /// The integers of an attribute such as `1,1`; empty if it is not there.
    static func list(_ layer: ModelGraph.Layer, _ name: String) -> [Int] {
        (layer.attribute(name) ?? "").split(separator: ",").compactMap {
            Int($0.filter { $0 != " " })
        }
    }

    /// The axis that a number means, which may count from the end; nil if there is none.
    static func axis(_ number: Int, of rank: Int) -> Int? {
        let axis = number < 0 ? number + rank : number
        return (0..<rank).contains(axis) ? axis : nil
    }
}
