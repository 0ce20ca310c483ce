import TesseraCore

extension ModelCutter {
    /// Writes the fragment of `operators`, a range of the outline's operators.
    ///
    /// The IR has one `Parameter` for each tensor that comes in and one `Result` for each that goes
    /// out, in ascending order of the outline's tensors, so that the engine's input `i` is
    /// `inputs[i]`. Every byte of it is written here from the checked graph.
    public func fragment(
        operators: Range<Int>
    ) throws(ModelError) -> FragmentDescription {
        guard !operators.isEmpty, operators.lowerBound >= 0, operators.upperBound <= groups.count
        else {
            throw .invalidRange(
                lower: operators.lowerBound, upper: operators.upperBound, count: groups.count)
        }
        let inputs = outline.inputs(of: operators)
        let outputs = outline.outputs(of: operators)
        let inside = groups[operators].joined().sorted()
        let constants = Self.constantLayers(below: inside, manifest.graph, isConstant)
        var writer = FragmentWriter(graph: manifest.graph, blobs: manifest.blobs)
        for tensor in inputs {
            writer.parameter(sources[tensor], name: outline.tensors[tensor].descriptor.name)
        }
        for layer in (constants + inside).sorted() { writer.layer(layer) }
        for tensor in outputs {
            writer.result(sources[tensor], name: outline.tensors[tensor].descriptor.name)
        }
        return FragmentDescription(
            xml: writer.document(), constants: writer.constants,
            weightByteCount: writer.weightByteCount, inputs: inputs, outputs: outputs)
    }
}

extension ModelOutline {
    /// The tensors that operators `range` read and do not make, ascending.
    func inputs(of range: Range<Int>) -> [Int] {
        tensors.indices.filter { index in
            let isInside = tensors[index].producer.map(range.contains) ?? false
            return !isInside && tensors[index].consumers.contains(where: range.contains)
        }
    }

    /// The tensors that operators `range` make for other operators or as outputs, ascending.
    func outputs(of range: Range<Int>) -> [Int] {
        tensors.indices.filter { index in
            guard let producer = tensors[index].producer, range.contains(producer) else {
                return false
            }
            return tensors[index].isOutput
                || tensors[index].consumers.contains { !range.contains($0) }
        }
    }
}

/// Writes IR, and lays out the constants that it refers to.
struct FragmentWriter {
    let graph: ModelGraph
    let blobs: [ModelOutline.Blob]
    private(set) var constants: [FragmentDescription.Constant] = []
    private(set) var weightByteCount = 0

    private var layers: [UInt8] = []
    private var edges: [UInt8] = []
    private var layerCount = 0
    /// Layer and port number, in this document, of each tensor.
    private var places: [ModelGraph.Source: (layer: Int, port: Int)] = [:]
    private var offsetOfBlob: [Int: Int] = [:]

    init(graph: ModelGraph, blobs: [ModelOutline.Blob]) {
        self.graph = graph
        self.blobs = blobs
    }

    // MARK: Layers

    /// Writes an input of the fragment.
    mutating func parameter(_ source: ModelGraph.Source, name: String) {
        let port = graph.port(source)
        begin(name: name, type: "Parameter", opset: 1)
        append("<data shape=\"\(Self.list(port.shape))\" ")
        append("element_type=\"\(port.precision.attributeName)\"/><output>")
        append(port, number: 0, tensorName: name)
        append("</output></layer>\n")
        places[source] = (layerCount, 0)
        layerCount += 1
    }

    /// Writes an output of the fragment.
    mutating func result(_ source: ModelGraph.Source, name: String) {
        begin(name: name + "/result", type: "Result", opset: 1)
        append("<input>")
        append(graph.port(source), number: 0)
        append("</input></layer>\n")
        connect(source, toPort: 0)
        layerCount += 1
    }

    /// Writes a layer of the model.
    mutating func layer(_ index: Int) {
        let layer = graph.layers[index]
        begin(name: layer.name, type: layer.type, opset: layer.opset)
        if let constant = layer.constant {
            append(constant, of: layer)
        } else if !layer.attributes.isEmpty {
            append("<data")
            for attribute in layer.attributes {
                append(" \(attribute.name)=\"\(Self.escaped(attribute.value))\"")
            }
            append("/>")
        }
        if !layer.inputs.isEmpty {
            append("<input>")
            for (number, source) in layer.inputs.enumerated() {
                append(graph.port(source), number: number)
                connect(source, toPort: number)
            }
            append("</input>")
        }
        append("<output>")
        for (position, port) in layer.outputs.enumerated() {
            let number = layer.inputs.count + position
            append(port, number: number)
            places[ModelGraph.Source(layer: index, port: position)] = (layerCount, number)
        }
        append("</output></layer>\n")
        layerCount += 1
    }

    /// The whole document.
    func document() -> [UInt8] {
        var result = Array("<?xml version=\"1.0\"?>\n<net name=\"fragment\" version=\"11\">\n".utf8)
        result += Array("<layers>\n".utf8) + layers + Array("</layers>\n<edges>\n".utf8)
        result += edges + Array("</edges>\n<rt_info/>\n</net>\n".utf8)
        return result
    }

    // MARK: Constants

    /// Places the bytes of a constant: a blob once however often it is used.
    private mutating func append(
        _ constant: ModelGraph.Constant, of layer: ModelGraph.Layer
    ) {
        let port = layer.outputs[0]
        let offset: Int
        switch constant {
        case .blob(let blob):
            offset = offsetOfBlob[blob] ?? place(.blob(blob), blobs[blob].byteCount)
            offsetOfBlob[blob] = offset
        case .inline(let bytes): offset = place(.inline(bytes), bytes.count)
        case .range(_, let byteCount):
            // A manifest has no ranges; an empty constant keeps the document well formed.
            offset = place(.inline([UInt8](repeating: 0, count: byteCount)), byteCount)
        }
        append("<data element_type=\"\(port.precision.attributeName)\" ")
        append("shape=\"\(Self.list(port.shape))\" offset=\"\(offset)\" ")
        append("size=\"\(max(1, port.byteCount))\"/>")
    }

    private mutating func place(
        _ source: FragmentDescription.Source, _ byteCount: Int
    ) -> Int {
        let alignment = FragmentDescription.alignment
        let offset = (weightByteCount + alignment - 1) / alignment * alignment
        constants.append(.init(source: source, offset: offset, byteCount: byteCount))
        // The engine wants a constant without elements to have a byte all the same.
        weightByteCount = offset + max(1, byteCount)
        return offset
    }

    // MARK: Text

    private mutating func append(_ text: String) { layers.append(contentsOf: text.utf8) }

    private mutating func begin(name: String, type: String, opset: Int) {
        append("<layer id=\"\(layerCount)\" name=\"\(Self.escaped(name))\" type=\"\(type)\" ")
        append("version=\"opset\(opset)\">")
    }

    private mutating func append(
        _ port: ModelGraph.Port, number: Int, tensorName: String? = nil
    ) {
        append("<port id=\"\(number)\" precision=\"\(port.precision.portName)\"")
        if let tensorName {
            let name = Self.escaped(tensorName).split(
                separator: ",", omittingEmptySubsequences: false)
            append(" names=\"\(name.joined(separator: "\\,"))\"")
        }
        append(">")
        for extent in port.shape { append("<dim>\(extent)</dim>") }
        append("</port>")
    }

    private mutating func connect(_ source: ModelGraph.Source, toPort: Int) {
        guard let place = places[source] else {
            fatalError("layer \(layerCount) reads \(source), which is not in the fragment")
        }
        let edge =
            "<edge from-layer=\"\(place.layer)\" from-port=\"\(place.port)\" "
            + "to-layer=\"\(layerCount)\" to-port=\"\(toPort)\"/>\n"
        edges.append(contentsOf: edge.utf8)
    }

    private static func list(_ extents: [Int]) -> String {
        extents.map(String.init).joined(separator: ",")
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
