import TesseraEngine

/// Writes small IR texts by hand, so that the engine's tests do not rest on the importer.
struct IRText {
    private var layers = ""
    private var edges = ""
    private var weights: [UInt8] = []
    private var count = 0

    /// A layer's output.
    struct Output {
        var layer: Int
        var port: Int
        var precision: String
        var shape: [Int]
    }

    /// Appends a parameter.
    mutating func parameter(
        _ name: String, _ shape: [Int], type: String = "f32", precision: String = "FP32"
    ) -> Output {
        let extents = shape.map { $0 < 0 ? "?" : String($0) }.joined(separator: ",")
        return layer(
            name, "Parameter", "<data element_type=\"\(type)\" shape=\"\(extents)\"/>", [],
            shape: shape, precision: precision)
    }

    /// Appends a constant of 32-bit floats.
    mutating func constant(_ name: String, _ shape: [Int], _ values: [Float]) -> Output {
        constant(name, shape, bytes(of: values), type: "f32", precision: "FP32")
    }

    /// Appends a constant of 64-bit integers.
    mutating func indices(_ name: String, _ shape: [Int], _ values: [Int64]) -> Output {
        constant(name, shape, bytes(of: values), type: "i64", precision: "I64")
    }

    private mutating func constant(
        _ name: String, _ shape: [Int], _ bytes: [UInt8], type: String, precision: String
    ) -> Output {
        let start = weights.count
        weights += bytes
        let extents = shape.map(String.init).joined(separator: ",")
        return layer(
            name, "Const",
            """
            <data element_type="\(type)" shape="\(extents)" offset="\(start)" \
            size="\(bytes.count)"/>
            """, [], shape: shape, precision: precision)
    }

    /// Appends an operator with one output.
    mutating func layer(
        _ name: String, _ kind: String, _ data: String, _ inputs: [Output], shape: [Int],
        precision: String = "FP32"
    ) -> Output {
        var text =
            "<layer id=\"\(count)\" name=\"\(name)\" type=\"\(kind)\" version=\"opset1\">\(data)"
        if !inputs.isEmpty {
            let ports = inputs.enumerated().map { index, input in
                port(index, input.shape, precision: input.precision)
            }.joined()
            text += "<input>\(ports)</input>"
        }
        for (index, input) in inputs.enumerated() {
            edges += """
                <edge from-layer="\(input.layer)" from-port="\(input.port)" \
                to-layer="\(count)" to-port="\(index)"/>
                """
        }
        let output = Output(
            layer: count, port: inputs.count, precision: precision, shape: shape)
        text += """
            <output>\(port(output.port, shape, precision: precision, names: name))</output></layer>

            """
        layers += text
        count += 1
        return output
    }

    /// Appends a result.
    mutating func result(_ input: Output) {
        layers += """
            <layer id="\(count)" name="result\(count)" type="Result" version="opset1">\
            <input>\(port(0, input.shape, precision: input.precision))</input></layer>

            """
        edges += """
            <edge from-layer="\(input.layer)" from-port="\(input.port)" \
            to-layer="\(count)" to-port="0"/>
            """
        count += 1
    }

    /// The text and the constants.
    func source() throws -> FragmentSource {
        let xml = """
            <?xml version="1.0"?>
            <net name="test" version="11"><layers>
            \(layers)</layers><edges>\(edges)</edges></net>
            """
        return FragmentSource(
            xml: Array(xml.utf8),
            weights: try WeightBuffer(byteCount: weights.count) { $0.copyBytes(from: weights) })
    }

    private func port(
        _ id: Int, _ shape: [Int], precision: String = "FP32", names: String? = nil
    ) -> String {
        let extents = shape.map { "<dim>\($0)</dim>" }.joined()
        let title = names.map { " names=\"\($0)\"" } ?? ""
        return "<port id=\"\(id)\" precision=\"\(precision)\"\(title)>\(extents)</port>"
    }

    /// `y = x * factor + offset` over four numbers.
    static func affine(factor: Float, offset: Float) throws -> FragmentSource {
        var text = IRText()
        let x = text.parameter("x", [1, 4])
        let slope = text.constant("factor", [1, 1], [factor])
        let product = text.layer(
            "product", "Multiply", "<data auto_broadcast=\"numpy\"/>", [x, slope], shape: [1, 4])
        let shift = text.constant("offset", [1, 1], [offset])
        let sum = text.layer(
            "sum", "Add", "<data auto_broadcast=\"numpy\"/>", [product, shift], shape: [1, 4])
        text.result(sum)
        return try text.source()
    }
}
