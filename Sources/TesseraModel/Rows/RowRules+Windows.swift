import TesseraCore

/// Convolutions and pools.
extension RowRules {
    /// Kernel, strides and padding of a layer on its image axes, `auto_pad` resolved.
    struct Window {
        /// Rows that one kernel spans on each axis, holes of the dilation included.
        var spans: [Int]
        var strides: [Int]
        var padsBegin: [Int]
        var padsEnd: [Int]

        /// Attributes with other padding on one axis.
        func attributes(
            axis: Int, begin: Int, end: Int
        ) -> [ModelGraph.Attribute] {
            var padsBegin = padsBegin
            var padsEnd = padsEnd
            padsBegin[axis] = begin
            padsEnd[axis] = end
            return [
                .init(name: "auto_pad", value: "explicit"),
                .init(name: "pads_begin", value: RowRules.text(padsBegin)),
                .init(name: "pads_end", value: RowRules.text(padsEnd)),
            ]
        }
    }

    static func text(_ values: [Int]) -> String {
        values.map(String.init).joined(separator: ",")
    }

    func convolution(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        guard layer.inputs.count == 2, isConstant[layer.inputs[1].layer] else { return nil }
        let weightAxes = layer.type == "GroupConvolution" ? 3 : 2
        var rule = sliding(layer, axis, kernel: Array(shape(layer, 1).dropFirst(weightAxes)))
        rule?.isExact = !isTiny(layer, axis)
        return rule
    }

    /// Whether a few rows of a convolution of one channel are so little work that the engine
    /// (OpenVINO 2026.4) takes another kernel for them than for the whole, with other bits.
    ///
    /// Measured: it does below 421 products; with more channels than one both kernels add alike.
    private func isTiny(_ layer: ModelGraph.Layer, _ axis: Int) -> Bool {
        let most = ModelLimits.tinyConvolutionProducts
        let weights = graph.port(layer.inputs[1]).elementCount
        let columns = layer.outputs[0].shape[(axis + 1)...].reduce(1, *)
        return shape(layer, 0)[1] == 1 && weights < most && weights * columns < most
    }

    func pool(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        sliding(layer, axis, kernel: Self.list(layer, "kernel"))
    }

    /// A kernel that slides over the image: output row `r` reads the `span` rows from
    /// `r * stride - begin`.
    private func sliding(_ layer: ModelGraph.Layer, _ axis: Int, kernel: [Int]) -> RowRule? {
        let input = shape(layer, 0)
        let output = layer.outputs[0].shape
        guard axis >= 2, input.count == output.count, let window = window(layer, kernel, input)
        else { return nil }
        let place = axis - 2
        let (span, stride) = (window.spans[place], window.strides[place])
        let (begin, end) = (window.padsBegin[place], window.padsEnd[place])
        let count = input[axis]
        // Every kernel must touch a row that is there: nothing can be read for one that does not.
        guard begin >= 0, end >= 0, begin < span, (output[axis] - 1) * stride - begin < count else {
            return nil
        }
        // Rounding up may slide a kernel over the padding's end. A maximum, and an average that
        // leaves padding out, do not notice more padding. One that counts the declared padding,
        // and nothing behind it, starts a kernel earlier, because the engine wants at least one
        // kernel that fits.
        let overhang = (output[axis] - 1) * stride - begin + span - count - end
        let countsPadding = overhang > 0 && layer.attribute("exclude-pad") == "false"
        let extra = countsPadding ? 1 : 0
        let need = RowWindow(
            scale: stride, lower: -begin - extra * stride, upper: span - stride - begin)
        return RowRule(inputs: RowRule.first(axis, need, of: layer)) { rows, _ in
            let made = max(0, rows.lowerBound - extra)..<rows.upperBound
            let first = made.lowerBound * stride - begin
            let behind = max(0, (made.upperBound - 1) * stride - begin + span - count)
            let padding = window.attributes(
                axis: place, begin: max(0, -first), end: countsPadding ? min(end, behind) : behind)
            return RowRule.Change(rows: made, attributes: padding)
        }
    }

    /// The window of a layer; nil if its attributes do not fit each other or its output.
    private func window(_ layer: ModelGraph.Layer, _ kernel: [Int], _ input: [Int]) -> Window? {
        let rank = input.count - 2
        let strides = Self.list(layer, "strides")
        var dilations = Self.list(layer, "dilations")
        if dilations.isEmpty { dilations = [Int](repeating: 1, count: rank) }
        guard [kernel, strides, dilations].allSatisfy({ $0.count == rank }),
            (kernel + strides + dilations).allSatisfy({ (1...ModelLimits.rowFigureMax) ~= $0 })
        else { return nil }
        let spans = zip(kernel, dilations).map { ($0 - 1) * $1 + 1 }
        var result = Window(
            spans: spans, strides: strides, padsBegin: Self.list(layer, "pads_begin"),
            padsEnd: Self.list(layer, "pads_end"))
        switch layer.attribute("auto_pad")?.lowercased() ?? "explicit" {
        case "explicit", "notset": break
        case "valid":
            result.padsBegin = [Int](repeating: 0, count: rank)
            result.padsEnd = result.padsBegin
        case "same_upper", "same_lower":
            let totals = (0..<rank).map { axis in
                let count = (input[axis + 2] + strides[axis] - 1) / strides[axis]
                return max(0, (count - 1) * strides[axis] + spans[axis] - input[axis + 2])
            }
            let isUpper = layer.attribute("auto_pad")?.lowercased() == "same_upper"
            result.padsBegin = totals.map { isUpper ? $0 / 2 : $0 - $0 / 2 }
            result.padsEnd = zip(totals, result.padsBegin).map { $0 - $1 }
        default: return nil
        }
        guard result.padsBegin.count == rank, result.padsEnd.count == rank,
            (result.padsBegin + result.padsEnd).allSatisfy({ abs($0) <= ModelLimits.rowFigureMax })
        else { return nil }
        let isRoundedUp = (layer.attribute("rounding_type") ?? "floor").hasPrefix("ceil")
        for axis in 0..<rank {
            let room =
                input[axis + 2] + result.padsBegin[axis] + result.padsEnd[axis] - spans[axis]
            let up = (room + strides[axis] - 1) / strides[axis] + 1
            let made = layer.outputs[0].shape[axis + 2]
            // Some roundings drop a last kernel that would see only padding.
            let fits = made == room / strides[axis] + 1 || (isRoundedUp && made == up)
            guard room >= 0, fits else { return nil }
        }
        return result
    }

    /// Input row `i` is spread over the `span` rows from `i * stride - begin`.
    func transposedConvolution(_ layer: ModelGraph.Layer, _ axis: Int) -> RowRule? {
        // With a third input the output's size decides about the padding.
        let input = shape(layer, 0)
        guard layer.inputs.count == 2, isConstant[layer.inputs[1].layer], axis >= 2,
            input.count == layer.outputs[0].shape.count
        else { return nil }
        let rank = input.count - 2
        let weightAxes = layer.type == "GroupConvolutionBackpropData" ? 3 : 2
        let kernel = Array(shape(layer, 1).dropFirst(weightAxes))
        let (strides, dilations) = (Self.list(layer, "strides"), Self.list(layer, "dilations"))
        var padsBegin = Self.list(layer, "pads_begin")
        var padsEnd = Self.list(layer, "pads_end")
        var extra = Self.list(layer, "output_padding")
        if extra.isEmpty { extra = [Int](repeating: 0, count: rank) }
        let automatic = layer.attribute("auto_pad")?.lowercased() ?? "explicit"
        if automatic == "valid" {
            padsBegin = [Int](repeating: 0, count: rank)
            padsEnd = padsBegin
        }
        guard ["explicit", "notset", "valid"].contains(automatic),
            [kernel, strides, dilations, padsBegin, padsEnd, extra].allSatisfy({ $0.count == rank }
            ),
            (kernel + strides + dilations).allSatisfy({ (1...ModelLimits.rowFigureMax) ~= $0 }),
            (padsBegin + padsEnd + extra).allSatisfy({ (0...ModelLimits.rowFigureMax) ~= $0 })
        else { return nil }
        let window = Window(
            spans: zip(kernel, dilations).map { ($0 - 1) * $1 + 1 }, strides: strides,
            padsBegin: padsBegin, padsEnd: padsEnd)
        return transposedConvolution(layer, axis, window, extra: extra)
    }

    private func transposedConvolution(
        _ layer: ModelGraph.Layer, _ axis: Int, _ window: Window, extra: [Int]
    ) -> RowRule? {
        let place = axis - 2
        let (span, stride) = (window.spans[place], window.strides[place])
        let (begin, end) = (window.padsBegin[place], window.padsEnd[place])
        let count = shape(layer, 0)[axis]
        let made = (count - 1) * stride + span - begin - end + extra[place]
        // Rows that no input row reaches would have to be made from nothing.
        guard stride <= span, extra[place] <= end, made == layer.outputs[0].shape[axis] else {
            return nil
        }
        let need = RowWindow(
            scale: 1, lower: begin - span + stride, upper: begin - 1 + stride, divisor: stride)
        var changedExtra = extra
        changedExtra[place] = 0
        let extraText = Self.text(changedExtra)
        return RowRule(inputs: RowRule.first(axis, need, of: layer)) { rows, inputs in
            // What the input rows make beyond the rows asked for is cut off as padding.
            let input = inputs[0] ?? 0..<count
            let first = input.lowerBound * stride - begin
            let last = (input.upperBound - 1) * stride - begin + span
            let padding = window.attributes(
                axis: place, begin: rows.lowerBound - first, end: last - rows.upperBound)
            return RowRule.Change(
                rows: rows,
                attributes: padding + [.init(name: "output_padding", value: extraText)])
        }
    }
}
