import TesseraCore

/// Layers that move, cut and join rows.
extension RowRules {
    func concat(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let rank = layer.outputs[0].shape.count
        guard let joined = Self.list(layer, "axis").first.flatMap({ Self.axis($0, of: rank) }),
            layer.inputs.indices.allSatisfy({ shape(layer, $0).count == rank })
        else { return nil }
        guard joined == axis else {
            return .unchanged(layer.inputs.map { _ in .rows(axis: axis, .same) })
        }
        // Each input stands behind the rows of those before it.
        var start = 0
        return .unchanged(
            layer.inputs.indices.map { input in
                defer { start += shape(layer, input)[axis] }
                return .rows(axis: axis, RowWindow(scale: 1, lower: -start, upper: -start))
            })
    }

    func split(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let rank = layer.outputs[0].shape.count
        guard let axes = integers(layer, 1), axes.count == 1,
            let divided = Self.axis(axes[0], of: rank), divided != axis
        else { return nil }
        return .unchanged(RowRule.first(axis, .same, of: layer))
    }

    /// Inputs are data, begins, ends, steps and, if not for all axes, the axes.
    func slice(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let input = shape(layer, 0)
        guard input.indices.contains(axis), layer.inputs.count >= 4,
            let begins = integers(layer, 1),
            let ends = integers(layer, 2), let steps = integers(layer, 3),
            begins.count == ends.count, begins.count == steps.count
        else { return nil }
        let axes: [Int]
        if layer.inputs.count > 4 {
            guard let given = integers(layer, 4) else { return nil }
            axes = given
        } else {
            axes = Array(begins.indices)
        }
        let rank = layer.outputs[0].shape.count
        guard axes.count == begins.count else { return nil }
        guard let place = axes.firstIndex(where: { Self.axis($0, of: rank) == axis }) else {
            return .unchanged(RowRule.first(axis, .same, of: layer))
        }
        return cut(
            layer, axis, begin: Self.clamped(begins[place], input[axis]), step: steps[place]
        ) { inputCount in
            var (begins, ends) = (begins, ends)
            begins[place] = 0
            ends[place] = inputCount
            return [1: begins, 2: ends]
        }
    }

    /// Inputs are data, begins, ends and steps; masks say where the whole axis is meant.
    func stridedSlice(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let masks = ["ellipsis_mask", "new_axis_mask", "shrink_axis_mask"]
        let input = shape(layer, 0)
        guard masks.allSatisfy({ Self.list(layer, $0).allSatisfy { $0 == 0 } }),
            input.count == layer.outputs[0].shape.count,
            let begins = integers(layer, 1), let ends = integers(layer, 2),
            begins.count == ends.count
        else { return nil }
        guard axis < begins.count else {
            return .unchanged(RowRule.first(axis, .same, of: layer))
        }
        var steps = [Int](repeating: 1, count: begins.count)
        if layer.inputs.count > 3 {
            guard let given = integers(layer, 3), given.count == begins.count else { return nil }
            steps = given
        }
        let beginMask = Self.list(layer, "begin_mask")
        let isFromStart = axis < beginMask.count && beginMask[axis] == 1
        return cut(
            layer, axis, begin: isFromStart ? 0 : Self.clamped(begins[axis], input[axis]),
            step: steps[axis]
        ) { inputCount in
            var (begins, ends) = (begins, ends)
            begins[axis] = 0
            ends[axis] = inputCount
            return [1: begins, 2: ends]
        }
    }

    /// Every `step`-th row from `begin`.
    private func cut(
        _ layer: ModelGraph.Layer, _ axis: Int, begin: Int, step: Int,
        integers: @escaping @Sendable (_ inputCount: Int) -> [Int: [Int]]
    ) -> RowRule? {
        let count = shape(layer, 0)[axis]
        guard (1...ModelLimits.rowFigureMax) ~= step,
            begin + (layer.outputs[0].shape[axis] - 1) * step < count
        else { return nil }
        let need = RowWindow(scale: step, lower: begin, upper: begin - step + 1)
        return RowRule(inputs: RowRule.first(axis, need, of: layer)) { rows, inputs in
            RowRule.Change(rows: rows, integers: integers(inputs[0]?.count ?? count))
        }
    }

    private static func clamped(_ index: Int, _ count: Int) -> Int {
        min(max(index < 0 ? index + count : index, 0), count)
    }

    /// Inputs are data, padding before, padding behind and perhaps the value.
    func pad(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        guard let begins = integers(layer, 1), let ends = integers(layer, 2),
            begins.indices.contains(axis), ends.indices.contains(axis),
            shape(layer, 0).indices.contains(axis)
        else { return nil }
        let (begin, end) = (begins[axis], ends[axis])
        if begin == 0, end == 0 { return .unchanged(RowRule.first(axis, .same, of: layer)) }
        guard ["constant", "edge"].contains(layer.attribute("pad_mode")?.lowercased() ?? ""),
            (0...ModelLimits.rowFigureMax) ~= begin, (0...ModelLimits.rowFigureMax) ~= end
        else { return nil }
        let count = shape(layer, 0)[axis]
        guard layer.outputs[0].shape[axis] == begin + count + end else { return nil }
        // Wider than needed, so that a tile of padding alone has a row to begin from.
        let need = RowWindow(scale: 1, lower: -begin - end, upper: 0)
        return RowRule(inputs: RowRule.first(axis, need, of: layer)) { _, inputs in
            let input = inputs[0] ?? 0..<count
            var (begins, ends) = (begins, ends)
            begins[axis] = input.lowerBound == 0 ? begin : 0
            ends[axis] = input.upperBound == count ? end : 0
            let first = input.lowerBound + begin - begins[axis]
            let last = input.upperBound + begin + ends[axis]
            return RowRule.Change(rows: first..<last, integers: [1: begins, 2: ends])
        }
    }

    /// Blocks of `r` by `r` pixels become channels, or the other way round.
    func blocks(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let (input, made) = (shape(layer, 0), layer.outputs[0].shape[axis])
        guard let size = Self.list(layer, "block_size").first, axis >= 2, axis < input.count,
            (1...ModelLimits.rowFigureMax) ~= size
        else { return nil }
        if layer.type == "SpaceToDepth" {
            guard made * size == input[axis] else { return nil }
            let need = RowWindow(scale: size, lower: 0, upper: 0)
            return .unchanged(RowRule.first(axis, need, of: layer))
        }
        guard input[axis] * size == made else { return nil }
        let need = RowWindow(scale: 1, lower: 0, upper: size - 1, divisor: size)
        return RowRule(inputs: RowRule.first(axis, need, of: layer)) { rows, inputs in
            let input = inputs[0] ?? rows
            return RowRule.Change(rows: (input.lowerBound * size)..<(input.upperBound * size))
        }
    }

    func transpose(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        guard let order = integers(layer, 1), order.count == layer.outputs[0].shape.count,
            let moved = Self.axis(order[axis], of: order.count)
        else { return nil }
        return .unchanged(RowRule.first(moved, .same, of: layer))
    }

    /// Rows survive a change of shape if what stands before the row axis keeps its extent, and
    /// whole rows on one side are whole rows on the other: an image becomes a row of tokens.
    func reshape(_ layer: ModelGraph.Layer, _ axis: Int, known: Int?) -> RowRule? {
        let (input, output) = (shape(layer, 0), layer.outputs[0].shape)
        // Without axes it drops every axis of one row, also that of a tile with one row.
        if layer.type == "Squeeze", layer.inputs.count < 2 { return nil }
        let before = Self.product(output[..<axis])
        let candidates = input.indices.filter { place in
            Self.product(input[..<place]) == before && (input[place] > 1) == (output[axis] > 1)
        }
        let alike = candidates.first { input[$0] == output[axis] }
        let choice = candidates.first { $0 == known } ?? alike ?? candidates.first
        guard let choice else { return nil }
        let inputElements = Self.product(input[(choice + 1)...])
        let outputElements = Self.product(output[(axis + 1)...])
        guard inputElements > 0, input[choice] * inputElements == output[axis] * outputElements,
            inputElements % outputElements == 0 || outputElements % inputElements == 0
        else { return nil }
        let divisor = max(1, inputElements / outputElements)
        let scale = max(1, outputElements / inputElements)
        let need = RowWindow(scale: scale, lower: 0, upper: divisor - 1, divisor: divisor)
        let writesShape = layer.type == "Reshape"
        return RowRule(inputs: RowRule.first(choice, need, of: layer)) { rows, inputs in
            let input = inputs[0] ?? 0..<input[choice]
            let made = (input.lowerBound * divisor / scale)..<(input.upperBound * divisor / scale)
            var target = output
            target[axis] = made.count
            return RowRule.Change(rows: made, integers: writesShape ? [1: target] : [:])
        }
    }

    private static func product(_ extents: ArraySlice<Int>) -> Int { extents.reduce(1, *) }
}
