import TesseraCore
import Testing

@testable import TesseraModel

@Suite("A model is cut at every position, and the pieces fit")
struct ModelCutterTests {
    @Test(
        "Every operator of the graph is in exactly one operator of the outline",
        arguments: Fixture.names)
    func coversGraph(name: String) throws {
        let cutter = try ModelCutter(Fixture(name).manifest)
        let graph = cutter.manifest.graph
        let constants = graph.constantLayers()
        let expected = graph.layers.indices.filter {
            !constants[$0] && graph.layers[$0].type != "Parameter"
                && graph.layers[$0].type != "Result"
        }
        #expect(cutter.groups.joined().sorted() == expected)
        #expect(cutter.groups.count == cutter.outline.operators.count)
    }

    @Test(
        "Tensors stand once each, after their makers, under unique names", arguments: Fixture.names)
    func tensors(name: String) throws {
        let outline = try ModelCutter(Fixture(name).manifest).outline
        #expect(Set(outline.tensors.map(\.descriptor.name)).count == outline.tensors.count)
        #expect(outline.inputs == Array(0..<outline.inputs.count))
        for (index, tensor) in outline.tensors.enumerated() {
            #expect(outline.inputs.contains(index) == (tensor.producer == nil))
            #expect(outline.outputs.contains(index) == tensor.isOutput)
            #expect(tensor.consumers == Array(Set(tensor.consumers)).sorted())
            for consumer in tensor.consumers { #expect(consumer > tensor.producer ?? -1) }
        }
    }

    @Test("Inputs and outputs keep the model's order and names")
    func ends() throws {
        let outline = try ModelCutter(Fixture("several").manifest).outline
        let inputs = outline.inputs.map { outline.tensors[$0].descriptor.name }
        let outputs = outline.outputs.map { outline.tensors[$0].descriptor }
        #expect(inputs == ["b,c", "a<&>\"'", "idle"])
        #expect(
            outputs.map(\.name) == ["sum", "total", "a", "far", "scalar", "values", "indices"])
        #expect(outputs[4].shape == [])
        #expect(outputs[6].type == .int32)
        #expect(outline.tensors[2].consumers.isEmpty)
    }

    @Test("What the engine fuses is one operator: a residual CNN")
    func groupsCNN() throws {
        #expect(try groups("residual-cnn") == Self.groupsOfCNN)
    }

    /// Kind, name and layers, as a person would group them: sums and activations with their
    /// convolution, also on the short cut; `swish` with its convolution; the gate's product alone,
    /// because it makes more than it reads.
    private static let groupsOfCNN = """
        Convolution: Convolution Add ReLU
        MaxPool: MaxPool
        Convolution: Convolution Add ReLU
        Convolution: Convolution Add Add ReLU
        Convolution: Convolution Add ReLU
        Convolution: Convolution Add
        Convolution: Convolution Add Add ReLU
        Convolution: Convolution Add Swish
        AvgPool: AvgPool
        Convolution: Convolution Add ReLU
        Convolution: Convolution Add Sigmoid
        Multiply: Multiply
        Convolution: Convolution
        Convolution: Convolution
        AvgPool: AvgPool Reshape
        MatMul: MatMul Add
        """

    @Test("What the engine fuses is one operator: a transformer")
    func groupsTransformer() throws {
        #expect(try groups("transformer") == Self.groupsOfTransformer)
    }

    /// Norms with their scale and shift, products with bias, activation or residual sum, the split
    /// into query, key and value with its attention, the root-mean-square norm as one, the gate
    /// with the split before it.
    private static let groupsOfTransformer = """
        Add: Add
        MVN: MVN Multiply Add
        MatMul: MatMul Add Reshape Transpose
        ScaledDotProductAttention: VariadicSplit Reshape Reshape Reshape \
        ScaledDotProductAttention Transpose Reshape
        MatMul: MatMul Add Add
        MVN: MVN Multiply Add
        MatMul: MatMul Add Gelu
        MatMul: MatMul Add
        MVN: MVN Multiply Add
        MatMul: MatMul Add Reshape Transpose
        ScaledDotProductAttention: VariadicSplit Reshape Reshape Reshape \
        ScaledDotProductAttention Transpose Reshape
        MatMul: MatMul Add Add
        Power: Power ReduceMean Add Sqrt Divide Multiply
        MatMul: MatMul
        Swish: VariadicSplit Swish Multiply
        MatMul: MatMul Add
        MVN: MVN Multiply Add
        Gather: Gather
        MatMul: MatMul
        """

    @Test("Small dense layers in a row are one operator, and outputs end a group")
    func groupsSeveral() throws {
        #expect(
            try groups("several") == """
                ReduceSum: ReduceSum Reshape
                Add: Add
                Convert: Convert
                Convert: Convert
                SoftMax: SoftMax
                SoftMax: MatMul SoftMax MatMul SoftMax MatMul SoftMax Add
                TopK: TopK
                """)
    }

    @Test("A model with quantised tensors is not cut")
    func keepsQuantizedWhole() throws {
        let port = ModelGraph.Port(precision: .float32, shape: [1, 4])
        let scalar = ModelGraph.Port(precision: .float32, shape: [])
        let levels = [ModelGraph.Attribute(name: "levels", value: "256")]
        func source(_ layer: Int) -> ModelGraph.Source { .init(layer: layer, port: 0) }
        let graph = ModelGraph(layers: [
            .init(name: "x", type: "Parameter", opset: 1, inputs: [], outputs: [port]),
            .init(
                name: "one", type: "Const", opset: 1, inputs: [], outputs: [scalar],
                constant: .inline([0, 0, 128, 63])),
            .init(name: "a", type: "SoftMax", opset: 8, inputs: [source(0)], outputs: [port]),
            .init(
                name: "q", type: "FakeQuantize", opset: 1, attributes: levels,
                inputs: [2, 1, 1, 1, 1].map(source), outputs: [port]),
            .init(name: "b", type: "SoftMax", opset: 8, inputs: [source(3)], outputs: [port]),
            .init(name: "y", type: "Result", opset: 1, inputs: [source(4)], outputs: []),
        ])
        let outline = try ModelCutter(Manifest(graph: graph, blobs: [])).outline
        #expect(outline.operators.count == 1)
        #expect(outline.tensors.map(\.descriptor.name) == ["x", "y"])
    }

    /// One line for each operator: its kind, and the layers that it is made of.
    private func groups(_ name: String) throws -> String {
        let cutter = try ModelCutter(Fixture(name).manifest)
        return zip(cutter.outline.operators, cutter.groups).map { made, group in
            let types = group.map { cutter.manifest.graph.layers[$0].type }
            return "\(made.kind): \(types.joined(separator: " "))"
        }.joined(separator: "\n")
    }

    @Test("Costs count two operations for each multiply-add")
    func costs() throws {
        let outline = try ModelCutter(Fixture("residual-cnn").manifest).outline
        let first = outline.operators[0]
        // 16x32x32 outputs of 3x3x3 products, bias and activation; image, weights and result.
        let outputs = 16 * 32 * 32
        let image = 3 * 32 * 32
        let weights = 16 * 27 + 16
        #expect(first.operationCount == UInt64(2 * outputs * 27 + 2 * outputs))
        #expect(first.movedBytes == UInt64(4 * (image + weights + outputs)))
        #expect(first.blobs == [0])
    }

    @Test(
        "Every range of operators is a fragment that reads back and fits", arguments: Fixture.names)
    func fragments(name: String) throws {
        let cutter = try ModelCutter(Fixture(name).manifest)
        let count = cutter.outline.operators.count
        for lower in 0..<count {
            for upper in (lower + 1)...count {
                try check(cutter, lower..<upper)
            }
        }
    }

    private func check(_ cutter: ModelCutter, _ range: Range<Int>) throws {
        let outline = cutter.outline
        let fragment = try cutter.fragment(operators: range)
        #expect(fragment.inputs == outline.inputs(of: range))
        #expect(fragment.outputs == outline.outputs(of: range))
        #expect(!fragment.inputs.isEmpty && !fragment.outputs.isEmpty)
        let graph = try IRReader.read(
            xml: fragment.xml, weightByteCount: fragment.weightByteCount)
        let parameters = graph.layers.filter { $0.type == "Parameter" }
        let results = graph.layers.filter { $0.type == "Result" }
        let inputPorts = parameters.map { $0.outputs[0] }
        let outputPorts = results.map { graph.port($0.inputs[0]) }
        for (tensors, ports) in [(fragment.inputs, inputPorts), (fragment.outputs, outputPorts)] {
            #expect(tensors.count == ports.count)
            for (tensor, port) in zip(tensors, ports) {
                #expect(outline.tensors[tensor].descriptor.shape == port.shape)
                #expect(outline.tensors[tensor].descriptor.type == port.precision.elementType)
            }
        }
        #expect(
            parameters.map(\.name) == fragment.inputs.map { outline.tensors[$0].descriptor.name })
        let inside = cutter.groups[range].joined().map { cutter.manifest.graph.layers[$0] }
        let constants = cutter.manifest.graph.constantLayers()
        let written = graph.layers.filter { layer in
            inside.contains { $0.name == layer.name && $0.type == layer.type }
        }
        #expect(written.count == inside.count && !constants.isEmpty)
        var end = 0
        for constant in fragment.constants {
            #expect(constant.offset % FragmentDescription.alignment == 0)
            #expect(constant.offset >= end)
            end = constant.offset + constant.byteCount
        }
        #expect(end <= fragment.weightByteCount)
    }

    @Test("At every cut, what one side gives is what the other takes", arguments: Fixture.names)
    func cutsMatch(name: String) throws {
        let outline = try ModelCutter(Fixture(name).manifest).outline
        let count = outline.operators.count
        for position in 1..<count {
            let before = Set(outline.outputs(of: 0..<position))
            let after = Set(outline.inputs(of: position..<count))
            let given = before.union(outline.inputs)
            #expect(after.isSubset(of: given))
            let crossing = before.filter { !outline.tensors[$0].isOutput }
            #expect(crossing.isSubset(of: after))
        }
    }

    @Test("A blob that two layers use is placed once; fragments need only their own blobs")
    func sharesBlobs() throws {
        let cutter = try ModelCutter(Fixture("residual-cnn").manifest)
        let count = cutter.outline.operators.count
        let whole = try cutter.fragment(operators: 0..<count)
        var blobs: [Int] = []
        for constant in whole.constants {
            if case .blob(let index) = constant.source { blobs.append(index) }
        }
        #expect(blobs.sorted() == Array(cutter.outline.blobs.indices))
        for index in 0..<count {
            let part = try cutter.fragment(operators: index..<(index + 1))
            var own: [Int] = []
            for constant in part.constants {
                if case .blob(let blob) = constant.source { own.append(blob) }
            }
            #expect(own.sorted() == cutter.outline.operators[index].blobs)
        }
    }

    @Test("The same manifest gives the same outline", arguments: Fixture.names)
    func isDeterministic(name: String) throws {
        let manifest = try Fixture(name).manifest
        let first = try ModelCutter(manifest)
        for _ in 0..<5 {
            let again = try ModelCutter(try Manifest(encoded: manifest.encoded))
            #expect(again.outline == first.outline)
        }
    }

    @Test("A range that the model does not have is refused")
    func refusesRanges() throws {
        let cutter = try ModelCutter(Fixture("several").manifest)
        let count = cutter.outline.operators.count
        for range in [0..<0, 0..<(count + 1), -1..<1, count..<count] {
            #expect(
                throws: ModelError.invalidRange(
                    lower: range.lowerBound, upper: range.upperBound, count: count)
            ) {
                try cutter.fragment(operators: range)
            }
        }
    }
}
