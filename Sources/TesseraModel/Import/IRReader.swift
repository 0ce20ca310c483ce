/// Reads OpenVINO IR as `ov::serialize` writes it into a checked `ModelGraph`.
///
/// The text is not trusted: whatever it holds ends in a graph that `GraphRules` accepts or in an
/// error. Beyond reading, the graph is brought into the one form that manifests have: layers in
/// topological order, without what no output needs, and with one output per tensor.
public enum IRReader {
    /// Reads a graph whose constants lie in a weights file of `weightByteCount` bytes.
    public static func read(
        xml: [UInt8], weightByteCount: Int
    ) throws(ModelError) -> ModelGraph {
        var parser = try IRParser(xml)
        let parsed = try parser.parse(weightByteCount: weightByteCount)
        var graph = try GraphNormalizer.normalize(parsed)
        GraphNormalizer.makeNamesUnique(&graph)
        try GraphRules.check(graph)
        return graph
    }
}

/// A layer as it stands in the text, with the port numbers that the edges use.
struct IRLayer {
    var id = 0
    var layer: ModelGraph.Layer
    var inputPorts: [IRPort] = []
    var outputPorts: [Int] = []
    /// The names of each output tensor, as the user knows them.
    var tensorNames: [[String]] = []
    /// The names that a `Result` gives its output.
    var outputNames: [String] = []
}

/// An input port as it stands in the text.
struct IRPort {
    var id: Int
    var port: ModelGraph.Port
}

/// An edge as it stands in the text.
struct IREdge {
    var fromLayer: Int
    var fromPort: Int
    var toLayer: Int
    var toPort: Int
}

/// All of the text that matters.
struct IRText {
    var layers: [IRLayer] = []
    var edges: [IREdge] = []
}

/// The recursive descent over the tokens.
struct IRParser {
    private var scanner: XMLScanner

    typealias Attributes = [(name: String, value: String)]

    init(_ xml: [UInt8]) throws(ModelError) {
        scanner = try XMLScanner(xml)
    }

    mutating func parse(weightByteCount: Int) throws(ModelError) -> IRText {
        guard case .start("net", let attributes) = try scanner.next() else {
            throw scanner.fail("there is no <net> element at the start")
        }
        let version = attributes.first { $0.name == "version" }?.value
        guard version == "11" else {
            throw scanner.fail("the IR version is \(version ?? "missing"), not 11")
        }
        var text = IRText()
        try children { parser, name, _ throws(ModelError) in
            switch name {
            case "layers":
                try parser.children { parser, name, attributes throws(ModelError) in
                    guard name == "layer" else { throw parser.unexpected(name) }
                    text.layers.append(
                        try parser.layer(attributes, weightByteCount: weightByteCount))
                    try ModelLimits.check(text.layers.count, ModelLimits.layersMax, "layers")
                }
            case "edges":
                try parser.children { parser, name, attributes throws(ModelError) in
                    guard name == "edge" else { throw parser.unexpected(name) }
                    text.edges.append(try parser.edge(attributes))
                    try ModelLimits.check(
                        text.edges.count, ModelLimits.connectionsMax, "connections")
                    try parser.skip()
                }
            case "rt_info": try parser.skip()
            default: throw parser.unexpected(name)
            }
        }
        guard try scanner.next() == .done else { throw scanner.fail("text follows </net>") }
        return text
    }

    // MARK: Layers

    private mutating func layer(
        _ attributes: Attributes, weightByteCount: Int
    ) throws(ModelError) -> IRLayer {
        let type = try required("type", attributes)
        let name = Self.cleaned(try required("name", attributes))
        let version = try required("version", attributes)
        guard OperatorCatalogue.entry(type) != nil else {
            throw .unsupportedOperator(
                type: type, layer: name, reason: OperatorCatalogue.refusal(type))
        }
        guard version.hasPrefix("opset"), let opset = Int(version.dropFirst(5)) else {
            throw .unsupportedOperator(
                type: type, layer: name,
                reason: "it comes from the operator set '\(version.prefix(60))'")
        }
        var result = IRLayer(
            id: try integer("id", attributes),
            layer: ModelGraph.Layer(
                name: name, type: type, opset: opset, inputs: [], outputs: []))
        if let names = attributes.first(where: { $0.name == "output_names" })?.value {
            result.outputNames = Self.names(names)
        }
        var data: Attributes = []
        try children { parser, child, childAttributes throws(ModelError) in
            switch child {
            case "data":
                data = childAttributes
                try parser.skip()
            case "input": try parser.ports(into: &result, isInput: true)
            case "output": try parser.ports(into: &result, isInput: false)
            case "rt_info": try parser.skip()
            case "body", "then_body", "else_body", "port_map", "back_edges":
                throw .unsupportedOperator(
                    type: type, layer: name, reason: "it carries a body graph")
            default: throw parser.unexpected(child)
            }
        }
        try settle(&result, data: data, weightByteCount: weightByteCount)
        return result
    }

    /// Turns `<data>` into attributes, or into the constant's place.
    private func settle(
        _ result: inout IRLayer, data: Attributes, weightByteCount: Int
    ) throws(ModelError) {
        guard result.layer.isParameter || result.layer.isConstant else {
            result.layer.attributes =
                data
                .map { ModelGraph.Attribute(name: $0.name, value: $0.value) }
                .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            return
        }
        let name = result.layer.name
        guard let port = result.layer.outputs.first, result.layer.outputs.count == 1 else {
            throw .inconsistent(reason: "it has no single output", layer: name)
        }
        let element = try required("element_type", data)
        guard Precision(attributeName: element) == port.precision else {
            throw .unsupportedType(name: element, layer: name)
        }
        guard try Self.shape(required("shape", data), layer: name) == port.shape else {
            throw .inconsistent(reason: "its shape and that of its output differ", layer: name)
        }
        guard result.layer.isConstant else { return }
        let offset = try integer("offset", data)
        let size = try integer("size", data)
        let byteCount = port.byteCount
        // The serialiser writes one byte for a constant without elements.
        guard size == byteCount || (byteCount == 0 && size == 1) else {
            throw .weights(reason: "it has \(size) bytes, not \(byteCount)", layer: name)
        }
        guard offset <= weightByteCount, byteCount <= weightByteCount - offset else {
            throw .weights(
                reason: "bytes \(offset)+\(byteCount) are beyond its \(weightByteCount) bytes",
                layer: name)
        }
        result.layer.constant = .range(offset: offset, byteCount: byteCount)
    }

    private mutating func ports(
        into result: inout IRLayer, isInput: Bool
    ) throws(ModelError) {
        let layerName = result.layer.name
        try children { parser, name, attributes throws(ModelError) in
            guard name == "port" else { throw parser.unexpected(name) }
            let id = try parser.integer("id", attributes)
            let element = try parser.required("precision", attributes)
            guard let precision = Precision(portName: element) else {
                throw .unsupportedType(name: element, layer: layerName)
            }
            let shape = try parser.dimensions(layer: layerName)
            let port = ModelGraph.Port(precision: precision, shape: shape)
            try GraphRules.checkSize(port, layer: layerName)
            if isInput {
                result.inputPorts.append(IRPort(id: id, port: port))
            } else {
                let names = attributes.first { $0.name == "names" }?.value ?? ""
                result.outputPorts.append(id)
                result.layer.outputs.append(port)
                result.tensorNames.append(Self.names(names))
            }
            try ModelLimits.check(
                max(result.inputPorts.count, result.outputPorts.count),
                ModelLimits.portsPerLayerMax, "ports of one layer")
        }
    }

    private mutating func dimensions(layer: String) throws(ModelError) -> [Int] {
        var shape: [Int] = []
        try children { parser, name, _ throws(ModelError) in
            switch name {
            case "dim":
                guard case .text(let text) = try parser.scanner.next(),
                    case .end = try parser.scanner.next()
                else { throw parser.scanner.fail("<dim> holds no number") }
                shape.append(try Self.extent(text[...], layer: layer))
                try ModelLimits.check(shape.count, ModelLimits.rankMax, "axes of a tensor")
            case "rt_info": try parser.skip()
            default: throw parser.unexpected(name)
            }
        }
        return shape
    }

    private func edge(_ attributes: Attributes) throws(ModelError) -> IREdge {
        IREdge(
            fromLayer: try integer("from-layer", attributes),
            fromPort: try integer("from-port", attributes),
            toLayer: try integer("to-layer", attributes),
            toPort: try integer("to-port", attributes))
    }

    // MARK: Values

    private static func shape(_ text: String, layer: String) throws(ModelError) -> [Int] {
        var shape: [Int] = []
        for part in text.split(separator: ",") {
            shape.append(try extent(part, layer: layer))
            try ModelLimits.check(shape.count, ModelLimits.rankMax, "axes of a tensor")
        }
        return shape
    }

    private static func extent(_ text: Substring, layer: String) throws(ModelError) -> Int {
        guard let value = Int(text.filter { $0 != " " }) else {
            throw .dynamicShape(layer: layer)
        }
        guard value >= 0 else { throw .dynamicShape(layer: layer) }
        return value
    }

    /// A list of names: commas part them, and a comma inside a name has a backslash before it.
    static func names(_ text: String) -> [String] {
        var result: [String] = []
        var current = ""
        var isEscaped = false
        for character in text.unicodeScalars {
            if isEscaped {
                if character != "," { current.unicodeScalars.append("\\") }
                current.unicodeScalars.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                result.append(cleaned(current))
                current = ""
            } else {
                current.unicodeScalars.append(character)
            }
        }
        if isEscaped { current.unicodeScalars.append("\\") }
        result.append(cleaned(current))
        return result.filter { !$0.isEmpty }
    }

    /// A name without control characters, which neither XML nor a terminal should carry.
    private static func cleaned(_ name: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            result.append(GraphRules.isAllowed(scalar) ? scalar : " ")
        }
        return String(result)
    }

    private func required(
        _ name: String, _ attributes: Attributes
    ) throws(ModelError) -> String {
        guard let value = attributes.first(where: { $0.name == name })?.value else {
            throw scanner.fail("attribute '\(name)' is missing")
        }
        return value
    }

    private func integer(_ name: String, _ attributes: Attributes) throws(ModelError) -> Int {
        let text = try required(name, attributes)
        guard let value = Int(text), value >= 0 else {
            throw scanner.fail("attribute '\(name)' is not a number: '\(text.prefix(40))'")
        }
        return value
    }

    // MARK: Structure

    /// Hands every child element of the element that began last to `body`, which must read up to
    /// the child's end; then reads the element's own end.
    private mutating func children(
        _ body: (inout IRParser, String, Attributes) throws(ModelError) -> Void
    ) throws(ModelError) {
        while true {
            switch try scanner.next() {
            case .start(let name, let attributes): try body(&self, name, attributes)
            case .end: return
            case .text, .done: throw scanner.fail("text stands where elements are expected")
            }
        }
    }

    /// Reads up to the end of the element that began last.
    private mutating func skip() throws(ModelError) {
        var depth = 1
        while depth > 0 {
            switch try scanner.next() {
            case .start: depth += 1
            case .end: depth -= 1
            case .text: continue
            case .done: throw scanner.fail("the text ends too early")
            }
        }
    }

    private func unexpected(_ name: String) -> ModelError {
        scanner.fail("element <\(name)> is not expected here")
    }
}
