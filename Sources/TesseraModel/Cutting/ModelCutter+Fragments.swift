import TesseraCore

extension ModelCutter {
    /// Writes the fragment of `operators`, a range of the outline's operators, or of some rows of
    /// what they make.
    ///
    /// The IR has one `Parameter` for each tensor that comes in and one `Result` for each that goes
    /// out, in ascending order of the outline's tensors, so that the engine's input `i` is
    /// `inputs[i]`. Every byte of it is written here from the checked graph.
    ///
    /// With rows, what comes in and goes out are the slices of `ModelOutline.rowTile(of:rows:)`. A
    /// slice without rows has neither `Parameter` nor `Result` and is in neither list: a tile at one
    /// end of a concatenation of rows reads only one part of it.
    public func fragment(
        operators: Range<Int>, rows: Range<Int>? = nil
    ) throws(ModelError) -> FragmentDescription {
        guard !operators.isEmpty, operators.lowerBound >= 0, operators.upperBound <= groups.count
        else {
            throw .invalidRange(
                lower: operators.lowerBound, upper: operators.upperBound, count: groups.count)
        }
        if let rows { return try tile(operators, rows) }
        let inputs = outline.inputTensors(of: operators)
        let outputs = outline.outputTensors(of: operators)
        let inside = groups[operators].joined().sorted()
        let constants = Self.constantLayers(below: inside, manifest.graph, isConstant)
        var writer = FragmentWriter(graph: manifest.graph, blobs: manifest.blobs, axes: self.rows)
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

    private func tile(
        _ operators: Range<Int>, _ rows: Range<Int>
    ) throws(ModelError) -> FragmentDescription {
        let count = outline.referenceRowCount(of: operators)
        guard let count, !rows.isEmpty, rows.lowerBound >= 0, rows.upperBound <= count,
            let tile = outline.rowTile(of: operators, rows: rows)
        else {
            throw .invalidRows(lower: rows.lowerBound, upper: rows.upperBound, count: count)
        }
        let inputs = tile.inputs.filter { $0.rows?.isEmpty != true }
        let outputs = tile.outputs.filter { $0.rows?.isEmpty != true }
        let walk = TileWalk(
            manifest.graph, self.rows, inside: groups[operators].joined().sorted(),
            outputs: outputs.compactMap { slice in
                slice.rows.map { (sources[slice.tensor], $0) }
            })
        let inside = walk.steps.keys.sorted()
        let constants = Self.constantLayers(below: inside, manifest.graph, isConstant)
        var writer = FragmentWriter(graph: manifest.graph, blobs: manifest.blobs, axes: self.rows)
        for slice in inputs {
            let name = outline.tensors[slice.tensor].descriptor.name
            writer.parameter(sources[slice.tensor], name: name, rows: slice.rows)
        }
        for layer in (constants + inside).sorted() { writer.layer(layer, step: walk.steps[layer]) }
        for slice in outputs {
            let name = outline.tensors[slice.tensor].descriptor.name
            writer.result(sources[slice.tensor], name: name, rows: slice.rows)
        }
        return FragmentDescription(
            xml: writer.document(), constants: writer.constants,
            weightByteCount: writer.weightByteCount, inputs: inputs.map(\.tensor),
            outputs: outputs.map(\.tensor))
    }
}
