import TesseraCore

/// The small models with which an engine measures itself.
struct ProbeModel {
    /// What one run does, in the unit of the measurement: operations or bytes.
    let workCount: UInt64
    private let weightCount: Int
    private let layers: String
    private let edges: String

    /// One operator of a family.
    static func probe(of family: OperatorFamily) -> ProbeModel {
        switch family {
        case .convolution: convolution
        case .groupConvolution: groupConvolution
        case .product: product
        case .pooling: pooling
        case .elementwise: elementwise
        }
    }

    /// 3×3 convolution of 64 channels into 64 over 56×56: the heart of a residual network.
    private static let convolution = ProbeModel(
        // A multiplication and an addition per weight and output position.
        workCount: 2 * 64 * 64 * 9 * 56 * 56, input: [1, 64, 56, 56], weights: [64, 64, 3, 3],
        kind: "Convolution", version: 1, data: convolutionData, output: [1, 64, 56, 56])

    /// 3×3 convolution of each of 96 channels by itself over 56×56, as in the nets for phones.
    private static let groupConvolution = ProbeModel(
        workCount: 2 * 96 * 9 * 56 * 56, input: [1, 96, 56, 56], weights: [96, 1, 1, 3, 3],
        kind: "GroupConvolution", version: 1, data: convolutionData, output: [1, 96, 56, 56])

    /// A layer over 197 tokens of 768 values, as in a transformer.
    private static let product = ProbeModel(
        workCount: 2 * 197 * 768 * 768, input: [1, 197, 768], weights: [768, 768],
        kind: "MatMul", version: 1, data: "transpose_a=\"false\" transpose_b=\"true\"",
        output: [1, 197, 768])

    /// The largest of 3×3 values, at every second place.
    private static let pooling = ProbeModel(
        workCount: 64 * 56 * 56 * 9, input: [1, 64, 112, 112], weights: nil, kind: "MaxPool",
        version: 1,
        data: """
            strides="2, 2" pads_begin="1, 1" pads_end="1, 1" kernel="3, 3" \
            rounding_type="floor" auto_pad="explicit"
            """, output: [1, 64, 56, 56])

    /// A function that costs several operations for each value.
    private static let elementwise = ProbeModel(
        // As many operations for each value as `ModelOutline` counts.
        workCount: 8 * 197 * 3_072, input: [1, 197, 3_072], weights: nil, kind: "Gelu",
        version: 7, data: "approximation_mode=\"ERF\"", output: [1, 197, 3_072])

    private static let convolutionData = """
        strides="1, 1" dilations="1, 1" pads_begin="1, 1" pads_end="1, 1" auto_pad="explicit"
        """

    /// The sum of two tensors of 8 MiB each.
    static let sum = ProbeModel(
        // Two tensors are read and one is written.
        workCount: 3 * 8 << 20,
        weightCount: 0,
        layers: """
            \(parameter(id: 0, name: "left", shape: [1, 2, 1024, 1024]))
            \(parameter(id: 1, name: "right", shape: [1, 2, 1024, 1024]))
            <layer id="2" name="sum" type="Add" version="opset1">\
            <data auto_broadcast="numpy"/>\
            <input>\(port(id: 0, shape: [1, 2, 1024, 1024]))\(port(id: 1, shape: [1, 2, 1024, 1024]))\
            </input><output>\(port(id: 2, shape: [1, 2, 1024, 1024]))</output></layer>
            \(result(id: 3, shape: [1, 2, 1024, 1024]))
            """,
        edges: edge(0, 0, to: 2, 0) + edge(1, 0, to: 2, 1) + edge(2, 2, to: 3, 0))

    private init(workCount: UInt64, weightCount: Int, layers: String, edges: String) {
        self.workCount = workCount
        self.weightCount = weightCount
        self.layers = layers
        self.edges = edges
    }

    /// One operator with one input, over constants if it has some.
    private init(
        workCount: UInt64, input: [Int], weights: [Int]?, kind: String, version: Int,
        data: String, output: [Int]
    ) {
        let count = weights?.reduce(1, *) ?? 0
        var layers = Self.parameter(id: 0, name: "input", shape: input)
        var ports = Self.port(id: 0, shape: input)
        var edges = Self.edge(0, 0, to: 2, 0)
        if let weights {
            let shape = weights.map(String.init).joined(separator: ",")
            layers += """
                <layer id="1" name="weights" type="Const" version="opset1">\
                <data element_type="f32" shape="\(shape)" offset="0" \
                size="\(count * MemoryLayout<Float>.stride)"/>\
                <output>\(Self.port(id: 0, shape: weights))</output></layer>
                """
            ports += Self.port(id: 1, shape: weights)
            edges += Self.edge(1, 0, to: 2, 1)
        }
        layers += """
            <layer id="2" name="operator" type="\(kind)" version="opset\(version)">\
            <data \(data)/><input>\(ports)</input>\
            <output>\(Self.port(id: 2, shape: output))</output></layer>\
            \(Self.result(id: 3, shape: output))
            """
        self.init(
            workCount: workCount, weightCount: count, layers: layers,
            edges: edges + Self.edge(2, 2, to: 3, 0))
    }

    /// The model as the engine takes it.
    func source() throws(EngineError) -> FragmentSource {
        let xml = """
            <?xml version="1.0"?>
            <net name="probe" version="11"><layers>
            \(layers)
            </layers><edges>\(edges)</edges></net>
            """
        let byteCount = weightCount * MemoryLayout<Float>.stride
        guard let weights = try? WeightBuffer(byteCount: byteCount, fill: Self.fill) else {
            // The fill throws nothing, so the only cause left is memory.
            throw .outOfMemory(byteCount: byteCount)
        }
        return FragmentSource(xml: Array(xml.utf8), weights: weights)
    }

    /// Small numbers that differ: no kernel may take a short cut for zeros.
    private static func fill(_ memory: UnsafeMutableRawBufferPointer) {
        for (index, _) in memory.bindMemory(to: Float.self).enumerated() {
            let value = Float(index % 13) / 64 - 0.1
            memory.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
        }
    }

    private static func port(id: Int, shape: [Int]) -> String {
        let extents = shape.map { "<dim>\($0)</dim>" }.joined()
        return "<port id=\"\(id)\" precision=\"FP32\">\(extents)</port>"
    }

    private static func parameter(id: Int, name: String, shape: [Int]) -> String {
        let extents = shape.map(String.init).joined(separator: ",")
        return """
            <layer id="\(id)" name="\(name)" type="Parameter" version="opset1">\
            <data element_type="f32" shape="\(extents)"/>\
            <output>\(port(id: 0, shape: shape))</output></layer>
            """
    }

    private static func result(id: Int, shape: [Int]) -> String {
        """
        <layer id="\(id)" name="result" type="Result" version="opset1">\
        <input>\(port(id: 0, shape: shape))</input></layer>
        """
    }

    private static func edge(_ from: Int, _ fromPort: Int, to: Int, _ toPort: Int) -> String {
        """
        <edge from-layer="\(from)" from-port="\(fromPort)" to-layer="\(to)" to-port="\(toPort)"/>
        """
    }
}
