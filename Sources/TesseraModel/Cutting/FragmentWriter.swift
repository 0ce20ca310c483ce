import TesseraCore

/// Writes IR, and lays out the constants that it refers to.
struct FragmentWriter {
    let graph: ModelGraph
    let blobs: [ModelOutline.Blob]
    let axes: RowAxes
    private(set) var constants: [FragmentDescription.Constant] = []
    private(set) var weightByteCount = 0

    private var layers: [UInt8] = []
    private var edges: [UInt8] = []
    private var layerCount = 0
    /// Where each tensor is in this document.
    private var places: [ModelGraph.Source: Place] = [:]
    /// Where the parts of tensors are that were cut off.
    private var cuts: [Cut: Place] = [:]
    private var offsetOfBlob: [Int: Int] = [:]

    /// A tensor, or rows of one, in this document.
    private struct Place {
        var layer: Int
        var number: Int
        var port: ModelGraph.Port
        /// The rows of the model's tensor that it has; nil for all.
        var rows: Range<Int>?
    }

    /// Rows that are cut off a tensor.
    private struct Cut: Hashable {
        var source: ModelGraph.Source
        var rows: Range<Int>
    }

    init(graph: ModelGraph, blobs: [ModelOutline.Blob], axes: RowAxes) {
        self.graph = graph
        self.blobs = blobs
        self.axes = axes
    }

    // MARK: Layers

    /// Writes an input of the fragment: a tensor, or rows of it.
    mutating func parameter(_ source: ModelGraph.Source, name: String, rows: Range<Int>? = nil) {
        let port = port(source, rows: rows)
        begin(name: name, type: "Parameter", opset: 1)
        append("<data shape=\"\(Self.list(port.shape))\" ")
        append("element_type=\"\(port.precision.attributeName)\"/><output>")
        append(port, number: 0, tensorName: name)
        append("</output></layer>\n")
        places[source] = Place(layer: layerCount, number: 0, port: port, rows: rows)
        layerCount += 1
    }

    /// Writes an output of the fragment: a tensor, or rows of it.
    mutating func result(_ source: ModelGraph.Source, name: String, rows: Range<Int>? = nil) {
        let place = place(of: source, rows: rows, axis: axes.axis(of: source))
        begin(name: name + "/result", type: "Result", opset: 1)
        append("<input>")
        append(place.port, number: 0)
        append("</input></layer>\n")
        connect(place, toPort: 0)
        layerCount += 1
    }

    /// Writes a layer of the model, or what of it a tile runs.
    mutating func layer(_ index: Int, step: TileWalk.Step? = nil) {
        let layer = graph.layers[index]
        let inputs = inputs(of: index, step)
        begin(name: layer.name, type: layer.type, opset: layer.opset)
        if let constant = layer.constant {
            append(constant, of: layer.outputs[0])
        } else {
            append(changed(layer.attributes, step?.change.attributes ?? []))
        }
        append(inputs)
        append("<output>")
        for (position, port) in layer.outputs.enumerated() {
            let number = inputs.count + position
            let source = ModelGraph.Source(layer: index, port: position)
            let made = step == nil ? port : self.port(source, rows: step?.change.rows)
            append(made, number: number)
            places[source] = Place(
                layer: layerCount, number: number, port: made, rows: step?.change.rows)
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

    // MARK: Rows

    /// What a layer reads, cut to the rows that it takes; inputs without rows are left out.
    private mutating func inputs(of index: Int, _ step: TileWalk.Step?) -> [Place] {
        let layer = graph.layers[index]
        guard let step else { return layer.inputs.map { place(of: $0, rows: nil, axis: nil) } }
        var result: [Place] = []
        for (number, source) in layer.inputs.enumerated() {
            if let values = step.change.integers[number] {
                let name = "\(layer.name)/rows/\(number)"
                result.append(integers(values, like: graph.port(source), name: name))
                continue
            }
            let rows = step.inputs[number]
            if rows?.isEmpty == true { continue }
            var axis: Int?
            if case .rows(let place, _) = axes.rules[index]?.inputs[number] { axis = place }
            result.append(place(of: source, rows: rows, axis: axis))
        }
        return result
    }

    /// A tensor's port, with as many rows as there are in `rows`.
    private func port(_ source: ModelGraph.Source, rows: Range<Int>?) -> ModelGraph.Port {
        Self.port(graph.port(source), rows: rows, axis: axes.axis(of: source))
    }

    private static func port(
        _ whole: ModelGraph.Port, rows: Range<Int>?, axis: Int?
    ) -> ModelGraph.Port {
        guard let rows, let axis else { return whole }
        var port = whole
        port.shape[axis] = rows.count
        return port
    }

    /// Where rows of a tensor are; cuts them off if the document has more of it.
    private mutating func place(
        of source: ModelGraph.Source, rows: Range<Int>?, axis: Int?
    ) -> Place {
        guard let place = places[source] else {
            fatalError("layer \(layerCount) reads \(source), which is not in the fragment")
        }
        guard let axis else { return place }
        let count = graph.port(source).shape[axis]
        let (wanted, present) = (rows ?? 0..<count, place.rows ?? 0..<count)
        if wanted == present { return place }
        invariant(
            present.lowerBound <= wanted.lowerBound && wanted.upperBound <= present.upperBound,
            "rows \(wanted) of \(source) are needed and the fragment has \(present)")
        let cut = Cut(source: source, rows: wanted)
        if let known = cuts[cut] { return known }
        let made = slice(place, cut, first: wanted.lowerBound - present.lowerBound, axis: axis)
        cuts[cut] = made
        return made
    }

    /// Writes a layer that takes some rows of a tensor.
    private mutating func slice(_ place: Place, _ cut: Cut, first: Int, axis: Int) -> Place {
        let name =
            "\(graph.layers[cut.source.layer].name):\(cut.source.port)/rows/"
            + "\(cut.rows.lowerBound)-\(cut.rows.upperBound)"
        let figures = [first, first + cut.rows.count, 1, axis]
        let port = ModelGraph.Port(precision: .int64, shape: [1])
        var inputs = [place]
        for (number, figure) in figures.enumerated() {
            inputs.append(integers([figure], like: port, name: "\(name)/\(number)"))
        }
        let made = Self.port(place.port, rows: cut.rows, axis: axis)
        begin(name: name, type: "Slice", opset: 8)
        append(inputs)
        append("<output>")
        append(made, number: inputs.count)
        append("</output></layer>\n")
        layerCount += 1
        return Place(layer: layerCount - 1, number: inputs.count, port: made, rows: cut.rows)
    }

    /// Writes a constant of integers in the type of another one.
    private mutating func integers(
        _ values: [Int], like port: ModelGraph.Port, name: String
    ) -> Place {
        let bytes =
            port.precision == .int32
            ? values.flatMap { Self.bytes(Int32(clamping: $0)) }
            : values.flatMap { Self.bytes(Int64($0)) }
        let precision: Precision = port.precision == .int32 ? .int32 : .int64
        let made = ModelGraph.Port(precision: precision, shape: port.shape)
        begin(name: name, type: ModelGraph.Layer.constantType, opset: 1)
        append(.inline(bytes), of: made)
        append("<output>")
        append(made, number: 0)
        append("</output></layer>\n")
        layerCount += 1
        return Place(layer: layerCount - 1, number: 0, port: made, rows: nil)
    }

    private static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    // MARK: Constants

    /// Places the bytes of a constant: a blob once however often it is used.
    private mutating func append(
        _ constant: ModelGraph.Constant, of port: ModelGraph.Port
    ) {
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

    /// The attributes, some of them replaced, in the order of their names.
    private func changed(
        _ attributes: [ModelGraph.Attribute], _ changes: [ModelGraph.Attribute]
    ) -> [ModelGraph.Attribute] {
        let kept = attributes.filter { attribute in
            !changes.contains { $0.name == attribute.name }
        }
        return changes.isEmpty ? kept : (kept + changes).sorted { $0.name < $1.name }
    }

    private mutating func append(_ attributes: [ModelGraph.Attribute]) {
        if attributes.isEmpty { return }
        append("<data")
        for attribute in attributes {
            append(" \(attribute.name)=\"\(Self.escaped(attribute.value))\"")
        }
        append("/>")
    }

    /// Writes and connects the inputs of the layer that is being written.
    private mutating func append(_ inputs: [Place]) {
        if inputs.isEmpty { return }
        append("<input>")
        for (number, place) in inputs.enumerated() {
            append(place.port, number: number)
            connect(place, toPort: number)
        }
        append("</input>")
    }

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

    private mutating func connect(_ place: Place, toPort: Int) {
        let edge =
            "<edge from-layer=\"\(place.layer)\" from-port=\"\(place.number)\" "
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
