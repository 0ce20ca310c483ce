import TesseraCore

/// Enlarging and shrinking images.
extension RowRules {
    /// Integer factors only: with others, the coordinates of a row depend on the whole's size.
    func interpolate(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        let (input, output) = (shape(layer, 0), layer.outputs[0].shape)
        guard input.count == output.count else { return nil }
        let (count, made) = (input[axis], output[axis])
        guard layer.opset >= 4, count > 0, let resizing = Resizing(layer, axis, self) else {
            return nil
        }
        let change = { @Sendable (rows: Range<Int>, count: Int) in
            RowRule.Change(
                rows: rows, attributes: resizing.attributes,
                integers: resizing.integers(rowCount: count))
        }
        if count == made {
            return RowRule(inputs: RowRule.first(axis, .same, of: layer)) { rows, _ in
                change(rows, rows.count)
            }
        }
        guard resizing.isLocal else { return nil }
        // The engine computes from a row's place in the tile where it lies in the input. Unless the
        // factor is a power of two that rounds otherwise than from the place in the whole.
        if count % made == 0 {
            let factor = count / made
            let isExact = factor.nonzeroBitCount == 1
            // The nearest of two rows at the same distance would be a matter of the rounding.
            guard isExact || !resizing.isNearest else { return nil }
            let need = RowWindow(scale: factor, lower: 0, upper: 0)
            return RowRule(
                inputs: RowRule.first(axis, need, of: layer), isExact: isExact
            ) { rows, _ in
                change(rows, rows.count)
            }
        }
        guard made % count == 0 else { return nil }
        let factor = made / count
        let need = resizing.window(factor: factor)
        let isExact = resizing.isNearest || factor.nonzeroBitCount == 1
        return RowRule(
            inputs: RowRule.first(axis, need, of: layer), isExact: isExact
        ) { rows, inputs in
            let input = inputs[0] ?? 0..<count
            return change(
                (input.lowerBound * factor)..<(input.upperBound * factor), input.count * factor)
        }
    }

    /// What an `Interpolate` layer does along one axis.
    private struct Resizing: Sendable {
        /// Whether output rows depend on the input rows around them alone.
        var isLocal: Bool
        var attributes: [ModelGraph.Attribute] = []
        let isNearest: Bool
        private var coordinates: String
        private var nearest: String
        /// The sizes as a constant, where sizes are given, and which of them the axis has.
        private var sizes: [Int]?
        private var place: Int?

        init?(_ layer: ModelGraph.Layer, _ axis: Int, _ rules: RowRules) {
            let output = layer.outputs[0].shape
            let mode = layer.attribute("mode") ?? ""
            let hasNoPadding = ["pads_begin", "pads_end"].allSatisfy {
                RowRules.list(layer, $0).allSatisfy { $0 == 0 }
            }
            guard ["nearest", "linear", "linear_onnx"].contains(mode), hasNoPadding,
                ["false", "0"].contains(layer.attribute("antialias") ?? "false")
            else { return nil }
            isNearest = mode == "nearest"
            coordinates = layer.attribute("coordinate_transformation_mode") ?? "half_pixel"
            nearest = layer.attribute("nearest_mode") ?? "round_prefer_floor"
            switch coordinates {
            case "half_pixel", "asymmetric": isLocal = true
            case "pytorch_half_pixel":
                // It differs where an output has one row only, as a tile may have.
                isLocal = output.dropFirst(2).allSatisfy { $0 > 1 }
                if isLocal {
                    attributes = [
                        .init(name: "coordinate_transformation_mode", value: "half_pixel")
                    ]
                    coordinates = "half_pixel"
                }
            default: isLocal = false
            }
            guard readSizes(layer, axis, rules) else { return nil }
        }

        /// Finds where the layer says how large its output is; false if it cannot be told.
        private mutating func readSizes(
            _ layer: ModelGraph.Layer, _ axis: Int, _ rules: RowRules
        ) -> Bool {
            let hasOneInput = layer.opset >= 11
            let rank = layer.outputs[0].shape.count
            let axesInput = hasOneInput ? 2 : 3
            var axes = Array(0..<rank)
            if layer.inputs.count > axesInput {
                guard let given = rules.integers(layer, axesInput) else { return false }
                axes = given.compactMap { RowRules.axis($0, of: rank) }
            }
            place = axes.firstIndex(of: axis)
            if layer.attribute("shape_calculation_mode") == "sizes" {
                sizes = rules.integers(layer, 1)
                return sizes?.count == axes.count
            }
            guard let scales = rules.floats(layer, hasOneInput ? 1 : 2), scales.count == axes.count
            else { return false }
            let (count, made) = (rules.shape(layer, 0)[axis], layer.outputs[0].shape[axis])
            return place.map { scales[$0] == Float(made) / Float(count) } ?? true
        }

        /// The sizes with another number of rows.
        func integers(rowCount: Int) -> [Int: [Int]] {
            guard var sizes, let place else { return [:] }
            sizes[place] = rowCount
            return [1: sizes]
        }

        /// Output row `o` lies at `o / factor` or, between pixel centres, at
        /// `(o + 0.5) / factor - 0.5` of the input, and reads the rows on both sides of it; the
        /// nearest of them is often known to be that with the number `o / factor`.
        func window(factor: Int) -> RowWindow {
            let isRounded = nearest == "round_prefer_floor" || nearest == "round_prefer_ceil"
            let isOwn =
                coordinates == "asymmetric"
                ? nearest == "floor" || nearest == "simple" : isRounded
            if isNearest, isOwn {
                return RowWindow(scale: 1, lower: 0, upper: factor - 1, divisor: factor)
            }
            if coordinates == "asymmetric" {
                return RowWindow(scale: 1, lower: 0, upper: 2 * factor - 1, divisor: factor)
            }
            return RowWindow(
                scale: 2, lower: 1 - factor, upper: 3 * factor - 1, divisor: 2 * factor)
        }
    }
}
