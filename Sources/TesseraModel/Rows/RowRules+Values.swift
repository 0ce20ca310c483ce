import TesseraCore

/// Layers that compute each row by itself.
extension RowRules {
    /// Element by element with NumPy's broadcasting.
    func elementwise(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        guard ["numpy", "none"].contains(layer.attribute("auto_broadcast") ?? "none") else {
            return nil
        }
        let inputs = layer.inputs.indices.map { aligned(layer, $0, axis) }
        return inputs.contains(nil) ? nil : .unchanged(inputs.compactMap { $0 })
    }

    /// An input that is broadcast to the output: its own rows, or all of it if they repeat.
    private func aligned(
        _ layer: ModelGraph.Layer, _ input: Int, _ axis: Int
    ) -> RowRule.Input? {
        let (shape, output) = (shape(layer, input), layer.outputs[0].shape)
        let place = axis - (output.count - shape.count)
        guard place >= 0, shape[place] != 1 || output[axis] == 1 else { return .all }
        return shape[place] == output[axis] ? .rows(axis: place, .same) : nil
    }

    func slope(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        guard layer.inputs.count == 2 else { return nil }
        let slopes = shape(layer, 1)
        // One slope for each channel, whatever the rank.
        if slopes.count == 1, axis != 1 {
            return .unchanged(RowRule.first(axis, .same, of: layer))
        }
        return elementwise(layer, axis)
    }

    func batchNorm(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        // The first version has its data between the figures.
        guard layer.opset >= 5, axis != 1 else { return nil }
        return .unchanged(RowRule.first(axis, .same, of: layer))
    }

    /// Works along the axis that an attribute names.
    func alongOneAxis(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let rank = layer.outputs[0].shape.count
        guard let own = Self.axis(Self.list(layer, "axis").first ?? 1, of: rank), own != axis
        else { return nil }
        return .unchanged(RowRule.first(axis, .same, of: layer))
    }

    /// Works along the axes that a constant names.
    func alongAxes(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let rank = layer.outputs[0].shape.count
        guard layer.inputs.count == 2, let axes = integers(layer, 1),
            !axes.contains(where: { Self.axis($0, of: rank) == axis })
        else { return nil }
        return .unchanged(RowRule.first(axis, .same, of: layer))
    }

    func reduce(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let input = shape(layer, 0)
        guard let axes = integers(layer, 1) else { return nil }
        let reduced = axes.compactMap { Self.axis($0, of: input.count) }
        let keeps = layer.attribute("keep_dims") == "true"
        let kept = input.indices.filter { keeps || !reduced.contains($0) }
        guard kept.count == layer.outputs[0].shape.count, !reduced.contains(kept[axis]) else {
            return nil
        }
        return .unchanged(RowRule.first(kept[axis], .same, of: layer))
    }

    /// A matrix product keeps the rows of its left side.
    func product(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        guard layer.inputs.count == 2 else { return nil }
        let (left, right) = (shape(layer, 0), shape(layer, 1))
        let rank = layer.outputs[0].shape.count
        guard left.count == rank, right.count >= 2, axis == rank - 2 else { return nil }
        let isTransposed = layer.attribute("transpose_a") == "true"
        let place = isTransposed ? rank - 1 : rank - 2
        return .unchanged([.rows(axis: place, .same), .all])
    }

    /// Attention keeps the rows of the queries; each needs all keys and values.
    func attention(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let rank = layer.outputs[0].shape.count
        // The causal mask counts rows from the first.
        guard layer.attribute("causal") != "true", axis == rank - 2, shape(layer, 0).count == rank
        else { return nil }
        var inputs: [RowRule.Input] = [.rows(axis: axis, .same), .all, .all]
        for input in layer.inputs.indices.dropFirst(3) {
            let shape = shape(layer, input)
            let hasRows = input == 3 && shape.count >= 2 && shape[shape.count - 2] > 1
            inputs.append(hasRows ? .rows(axis: shape.count - 2, .same) : .all)
        }
        return .unchanged(inputs)
    }
}
