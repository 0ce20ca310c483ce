/// The two small models with which an engine measures itself.
struct ProbeModel {
    /// What one run does, in the unit of the measurement: operations or bytes.
    let workCount: UInt64
    private let weightCount: Int
    private let layers: String
    private let edges: String

    /// 3×3 convolution of 64 channels into 64 over 56×56: the heart of a residual network.
    static let convolution = ProbeModel(
        // A multiplication and an addition per weight and output position.
        workCount: 2 * 64 * 64 * 9 * 56 * 56,
        weightCount: 64 * 64 * 9,
        layers: """
            \(parameter(id: 0, name: "image", shape: [1, 64, 56, 56]))
            <layer id="1" name="weights" type="Const" version="opset1">\
            <data element_type="f32" shape="64,64,3,3" offset="0" size="147456"/>\
            <output>\(port(id: 0, shape: [64, 64, 3, 3]))</output></layer>
            <layer id="2" name="convolution" type="Convolution" version="opset1">\
            <data strides="1, 1" dilations="1, 1" pads_begin="1, 1" pads_end="1, 1" \
            auto_pad="explicit"/>\
            <input>\(port(id: 0, shape: [1, 64, 56, 56]))\(port(id: 1, shape: [64, 64, 3, 3]))</input>\
            <output>\(port(id: 2, shape: [1, 64, 56, 56]))</output></layer>
            \(result(id: 3, shape: [1, 64, 56, 56]))
            """,
        edges: edge(0, 0, to: 2, 0) + edge(1, 0, to: 2, 1) + edge(2, 2, to: 3, 0))

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
