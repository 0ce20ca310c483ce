import TesseraCore
import Testing

@testable import TesseraModel

@Suite("Which rows a layer needs")
struct RowRuleTests {
    private typealias Layer = ModelGraph.Layer

    /// A layer that reads an image and constants.
    private struct Case {
        var layers: [Layer]
        var last: Int { layers.count - 1 }

        init(_ image: [Int]) {
            layers = [
                Layer(
                    name: "image", type: "Parameter", opset: 1, inputs: [],
                    outputs: [.init(precision: .float32, shape: image)])
            ]
        }

        func integers(_ values: [Int]) -> Case {
            let bytes = values.flatMap { value in
                withUnsafeBytes(of: Int64(value).littleEndian) { Array($0) }
            }
            return constant(.init(precision: .int64, shape: [values.count]), bytes)
        }

        func weights(_ shape: [Int]) -> Case {
            constant(.init(precision: .float32, shape: shape), [])
        }

        private func constant(_ port: ModelGraph.Port, _ bytes: [UInt8]) -> Case {
            var result = self
            result.layers.append(
                Layer(
                    name: "c\(layers.count)", type: "Const", opset: 1, inputs: [],
                    outputs: [port], constant: .inline(bytes)))
            return result
        }

        /// Appends the layer that reads everything before it.
        func layer(
            _ type: String, _ output: [Int], opset: Int = 1, _ attributes: [String: String] = [:]
        ) -> Case {
            var result = self
            result.layers.append(
                Layer(
                    name: "layer", type: type, opset: opset,
                    attributes: attributes.sorted { $0.key < $1.key }.map {
                        .init(name: $0.key, value: $0.value)
                    },
                    inputs: layers.indices.map { .init(layer: $0, port: 0) },
                    outputs: [.init(precision: .float32, shape: output)]))
            return result
        }

        /// The rule for rows along an axis of the output.
        func rule(axis: Int = 2) -> RowRule? {
            let graph = ModelGraph(layers: layers)
            let rules = RowRules(graph, isConstant: graph.constantLayers())
            return rules.rule(of: last, axis: axis)
        }

        /// The window of the first input, if it is on this axis.
        func window(axis: Int = 2, from inputAxis: Int = 2) -> RowWindow? {
            guard case .rows(inputAxis, let window) = rule(axis: axis)?.inputs[0] else {
                return nil
            }
            return window
        }
    }

    private static let same = RowWindow.same

    private func convolution(
        _ attributes: [String: String], output: [Int], kernel: Int = 3
    ) -> Case {
        let usual = ["strides": "1,1", "dilations": "1,1", "pads_begin": "1,1", "pads_end": "1,1"]
        return Case([1, 4, 12, 9]).weights([5, 4, kernel, 3])
            .layer("Convolution", output, usual.merging(attributes) { $1 })
    }

    @Test("Convolutions and pools need the rows under their kernels")
    func windows() {
        #expect(
            convolution([:], output: [1, 5, 12, 9]).window()
                == RowWindow(scale: 1, lower: -1, upper: 1))
        #expect(
            convolution(["strides": "2,1"], output: [1, 5, 6, 9]).window()
                == RowWindow(scale: 2, lower: -1, upper: 0))
        #expect(
            convolution(
                ["dilations": "2,1", "pads_begin": "0,1", "pads_end": "3,1"], output: [1, 5, 11, 9]
            ).window() == RowWindow(scale: 1, lower: 0, upper: 4))
        // One row short for two strides: the smaller half of the padding is above.
        #expect(
            convolution(
                ["auto_pad": "same_upper", "strides": "2,1", "pads_begin": "0,0"],
                output: [1, 5, 6, 9]
            ).window() == RowWindow(scale: 2, lower: 0, upper: 1))
        let pool = Case([1, 4, 12, 9]).layer(
            "MaxPool", [1, 4, 6, 4],
            [
                "kernel": "3,3", "strides": "2,2", "pads_begin": "0,0", "pads_end": "0,0",
                "rounding_type": "ceil",
            ])
        #expect(pool.window() == RowWindow(scale: 2, lower: 0, upper: 1))
        #expect(convolution([:], output: [1, 5, 11, 9]).window() == nil, "the shape does not fit")
        let beside = convolution(
            ["pads_begin": "3,1"], output: [1, 5, 14, 9])
        #expect(beside.window() == nil, "the first kernel sees only padding")
    }

    @Test("A tile is padded by what remains at the image's border")
    func padding() throws {
        let rule = try #require(convolution([:], output: [1, 5, 12, 9]).rule())
        func pads(_ rows: Range<Int>) -> [String] {
            let change = rule.change(rows, [nil, nil])
            return ["pads_begin", "pads_end"].compactMap { name in
                change.attributes.first { $0.name == name }?.value
            }
        }
        #expect(pads(0..<4) == ["1,1", "0,1"])
        #expect(pads(4..<8) == ["0,1", "0,1"])
        #expect(pads(8..<12) == ["0,1", "1,1"])
        #expect(pads(0..<12) == ["1,1", "1,1"])
    }

    @Test("A transposed convolution cuts off what belongs to its neighbours")
    func transposed() throws {
        let layers = Case([1, 4, 12, 9]).weights([4, 5, 4, 3]).layer(
            "ConvolutionBackpropData", [1, 5, 24, 9],
            [
                "strides": "2,1", "dilations": "1,1", "pads_begin": "1,1", "pads_end": "1,1",
                "output_padding": "0,0",
            ])
        let rule = try #require(layers.rule())
        #expect(
            layers.window() == RowWindow(scale: 1, lower: -1, upper: 2, divisor: 2))
        // Rows 5, 6, 7 come from input rows 2, 3 and 4, which make rows 3 to 12 without the cut.
        let change = rule.change(5..<8, [2..<5, nil])
        #expect(change.rows == 5..<8)
        #expect(change.attributes.first { $0.name == "pads_begin" }?.value == "2,1")
        #expect(change.attributes.first { $0.name == "pads_end" }?.value == "3,1")
    }

    @Test("Blocks, slices, pads and sizes move rows")
    func movements() {
        #expect(
            Case([1, 8, 6, 4]).layer("DepthToSpace", [1, 2, 12, 8], ["block_size": "2"]).window()
                == RowWindow(scale: 1, lower: 0, upper: 1, divisor: 2))
        #expect(
            Case([1, 2, 12, 8]).layer("SpaceToDepth", [1, 8, 6, 4], ["block_size": "2"]).window()
                == RowWindow(scale: 2, lower: 0, upper: 0))
        let slice = Case([1, 2, 12, 8]).integers([-10]).integers([99]).integers([3]).integers([2])
        #expect(
            slice.layer("Slice", [1, 2, 4, 8], opset: 8).window()
                == RowWindow(scale: 3, lower: 2, upper: 0))
        let pad = Case([1, 2, 12, 8]).integers([0, 0, 2, 0]).integers([0, 0, 1, 0]).weights([])
        #expect(
            pad.layer("Pad", [1, 2, 15, 8], opset: 12, ["pad_mode": "constant"]).window()
                == RowWindow(scale: 1, lower: -3, upper: 0))
        #expect(
            pad.layer("Pad", [1, 2, 15, 8], opset: 12, ["pad_mode": "reflect"]).window() == nil)
    }

    @Test("Rows follow through a change of shape and of the axes' order")
    func shapes() throws {
        let tokens = Case([1, 16, 6, 4]).integers([1, 16, 24]).layer("Reshape", [1, 16, 24])
        #expect(tokens.window() == RowWindow(scale: 1, lower: 0, upper: 3, divisor: 4))
        let rule = try #require(tokens.rule())
        let change = rule.change(5..<7, [1..<2, nil])
        #expect(change.rows == 4..<8)
        #expect(change.integers == [1: [1, 16, 4]])
        let image = Case([1, 16, 24]).integers([1, 16, 6, 4]).layer("Reshape", [1, 16, 6, 4])
        #expect(image.window() == RowWindow(scale: 4, lower: 0, upper: 0))
        let flat = Case([1, 16, 6, 4]).integers([1, 384]).layer("Reshape", [1, 384])
        #expect(flat.window(axis: 1, from: 2) == nil)
        let moved = Case([1, 16, 24]).integers([0, 2, 1]).layer("Transpose", [1, 24, 16])
        #expect(moved.window(axis: 1, from: 2) == Self.same)
    }

    @Test("Integer factors have rules, the rest has none", arguments: ["nearest", "linear_onnx"])
    func factors(mode: String) {
        func resized(_ rows: Int, _ coordinates: String = "half_pixel") -> Case {
            Case([1, 2, 6, 4]).integers([rows, 4]).weights([2]).integers([2, 3]).layer(
                "Interpolate", [1, 2, rows, 4], opset: 4,
                [
                    "mode": mode, "shape_calculation_mode": "sizes", "nearest_mode": "floor",
                    "coordinate_transformation_mode": coordinates,
                ])
        }
        #expect(resized(6).window() == Self.same)
        #expect(
            resized(12).window() == RowWindow(scale: 2, lower: -1, upper: 5, divisor: 4))
        #expect(resized(3).window() == RowWindow(scale: 2, lower: 0, upper: 0))
        #expect(resized(9).rule() == nil)
        #expect(resized(12, "align_corners").rule() == nil)
        #expect(resized(12).rule()?.isExact == true)
        #expect(resized(18).rule()?.isExact == (mode == "nearest"))
    }

    @Test("Joined rows stand one behind the other")
    func joins() {
        let joined = Case([1, 3, 8]).weights([1, 2, 8]).layer("Concat", [1, 5, 8], ["axis": "-2"])
        #expect(
            joined.rule(axis: 1)?.inputs == [
                .rows(axis: 1, RowWindow(scale: 1, lower: 0, upper: 0)),
                .rows(axis: 1, RowWindow(scale: 1, lower: -3, upper: -3)),
            ])
        #expect(
            Case([1, 3, 8]).layer("Concat", [1, 3, 8], ["axis": "2"]).window(axis: 1, from: 1)
                == Self.same)
    }

    @Test("What works along the rows is a barrier, what works beside them is not")
    func values() {
        let soft = Case([1, 6, 8]).layer("SoftMax", [1, 6, 8], opset: 8, ["axis": "-1"])
        #expect(soft.window(axis: 1, from: 1) == Self.same)
        #expect(soft.rule(axis: 2) == nil)
        let norm = Case([1, 6, 8]).integers([2]).layer("MVN", [1, 6, 8], opset: 6)
        #expect(norm.window(axis: 1, from: 1) == Self.same)
        #expect(norm.rule(axis: 2) == nil)
        let mean = Case([1, 3, 6, 8]).integers([1, 3]).layer("ReduceMean", [1, 6])
        #expect(mean.window(axis: 1, from: 2) == Self.same)
        #expect(mean.rule(axis: 0) != nil)
        let product = Case([1, 6, 8]).weights([8, 5]).layer("MatMul", [1, 6, 5])
        #expect(product.rule(axis: 1)?.inputs == [.rows(axis: 1, Self.same), .all])
        #expect(product.rule(axis: 2) == nil)
        #expect(Case([1, 6, 8]).integers([1]).layer("CumSum", [1, 6, 8]).rule(axis: 1) == nil)
    }

    @Test("Broadcast inputs come whole, the others by rows")
    func broadcasts() {
        let sum = Case([1, 4, 6, 8]).weights([6, 1]).layer(
            "Add", [1, 4, 6, 8], ["auto_broadcast": "numpy"])
        #expect(sum.rule()?.inputs == [.rows(axis: 2, Self.same), .rows(axis: 0, Self.same)])
        let scaled = Case([1, 4, 6, 8]).weights([1, 4, 1, 1]).layer(
            "Multiply", [1, 4, 6, 8], ["auto_broadcast": "numpy"])
        #expect(scaled.rule()?.inputs == [.rows(axis: 2, Self.same), .all])
        let other = Case([1, 4, 6, 8]).weights([4]).layer(
            "Add", [1, 4, 6, 8], ["auto_broadcast": "pdpd"])
        #expect(other.rule() == nil)
    }
}
