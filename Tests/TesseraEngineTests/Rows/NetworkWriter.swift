import TesseraCore

/// Builds networks of usual layers with seeded random weights.
struct NetworkWriter {
    typealias Tensor = ONNXWriter.Tensor

    var onnx = ONNXWriter()
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// A number in `-1..<1`.
    mutating func number() -> Float { Float(random.next(below: 1 << 20)) / Float(1 << 19) - 1 }

    mutating func numbers(_ count: Int, scale: Float = 1, around center: Float = 0) -> [Float] {
        (0..<count).map { _ in center + scale * number() }
    }

    // MARK: Windows

    /// How a kernel slides over the image; each array has one figure for rows and one for columns.
    struct Window {
        var kernel = [3, 3]
        var strides = [1, 1]
        var dilations = [1, 1]
        /// Above, left, below, right.
        var pads = [1, 1, 1, 1]
        var isRoundedUp = false
        /// `SAME_UPPER` or `SAME_LOWER` in place of `pads`.
        var automatic: String?

        init(_ kernel: Int, stride: Int = 1) {
            self.kernel = [kernel, kernel]
            strides = [stride, stride]
            pads = [Int](repeating: kernel / 2, count: 4)
        }

        /// The output's extents; nil if the kernel does not fit.
        func extents(_ shape: [Int]) -> [Int]? {
            var result: [Int] = []
            for axis in 0..<2 {
                let count = shape[2 + axis]
                let (stride, span) = (strides[axis], (kernel[axis] - 1) * dilations[axis] + 1)
                if automatic != nil {
                    result.append((count + stride - 1) / stride)
                    continue
                }
                let room = count + pads[axis] + pads[axis + 2] - span
                guard room >= 0, span > max(pads[axis], pads[axis + 2]) else { return nil }
                let made = (room + (isRoundedUp ? stride - 1 : 0)) / stride + 1
                // Engines differ over a kernel that begins behind the image.
                guard (made - 1) * stride < count + pads[axis] else { return nil }
                result.append(made)
            }
            return result
        }

        /// The attributes of ONNX.
        var attributes: [(String, ONNXWriter.Value)] {
            let padding: (String, ONNXWriter.Value) =
                automatic.map { ("auto_pad", .text($0)) } ?? ("pads", .integers(pads))
            return [("kernel_shape", .integers(kernel)), ("strides", .integers(strides)), padding]
        }
    }

    mutating func convolution(
        _ x: Tensor, _ channels: Int, _ window: Window, groups: Int = 1, hasBias: Bool = true
    ) -> Tensor? {
        guard let extents = window.extents(x.shape) else { return nil }
        let depth = x.shape[1] / groups
        let count = depth * window.kernel[0] * window.kernel[1]
        let scale = (3 / Float(count)).squareRoot()
        let weights = onnx.constant(
            [channels, depth] + window.kernel, numbers(channels * count, scale: scale))
        var inputs: [Tensor?] = [x, weights]
        if hasBias { inputs.append(onnx.constant([channels], numbers(channels, scale: 0.2))) }
        return onnx.node(
            "Conv", inputs,
            window.attributes + [
                ("dilations", .integers(window.dilations)), ("group", .integer(groups)),
            ], shape: [1, channels] + extents)
    }

    mutating func pool(
        _ x: Tensor, _ type: String, _ window: Window, countsPadding: Bool = false
    )
        -> Tensor?
    {
        guard let extents = window.extents(x.shape) else { return nil }
        var attributes = window.attributes
        attributes.append(("ceil_mode", .integer(window.isRoundedUp ? 1 : 0)))
        if type == "AveragePool" {
            attributes.append(("count_include_pad", .integer(countsPadding ? 1 : 0)))
        }
        return onnx.node(type, [x], attributes, shape: [1, x.shape[1]] + extents)
    }

    // MARK: Usual layers

    mutating func relu(_ x: Tensor) -> Tensor { onnx.node("Relu", [x], shape: x.shape) }

    mutating func add(_ x: Tensor, _ y: Tensor) -> Tensor {
        onnx.node("Add", [x, y], shape: x.shape)
    }

    mutating func multiply(_ x: Tensor, _ y: Tensor) -> Tensor {
        onnx.node("Mul", [x, y], shape: x.shape)
    }

    mutating func sigmoid(_ x: Tensor) -> Tensor { onnx.node("Sigmoid", [x], shape: x.shape) }

    mutating func clip(_ x: Tensor) -> Tensor {
        let (low, high) = (onnx.constant([], [0]), onnx.constant([], [6]))
        return onnx.node("Clip", [x, low, high], shape: x.shape)
    }

    mutating func concat(_ parts: [Tensor], axis: Int = 1) -> Tensor {
        var shape = parts[0].shape
        shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
        return onnx.node("Concat", parts, [("axis", .integer(axis))], shape: shape)
    }

    mutating func batchNorm(_ x: Tensor) -> Tensor {
        let count = x.shape[1]
        let figures = [
            numbers(count, scale: 0.3, around: 1), numbers(count, scale: 0.2),
            numbers(count, scale: 0.2), numbers(count, scale: 0.3, around: 1),
        ].map { onnx.constant([count], $0) }
        return onnx.node("BatchNormalization", [x] + figures, shape: x.shape)
    }

    mutating func spatialMean(_ x: Tensor) -> Tensor {
        onnx.node("GlobalAveragePool", [x], shape: [1, x.shape[1], 1, 1])
    }

    /// Squeeze and excitation: a gate for each channel from the mean of the image.
    mutating func gate(_ x: Tensor) -> Tensor {
        let channels = x.shape[1]
        let mean = spatialMean(x)
        guard let squeezed = convolution(mean, max(1, channels / 4), Window(1)),
            let excited = convolution(relu(squeezed), channels, Window(1))
        else { return x }
        return multiply(x, sigmoid(excited))
    }

    /// The mean of the image, and a dense layer.
    mutating func classifier(_ x: Tensor, classes: Int = 10) -> Tensor {
        let depth = x.shape[1]
        let mean = spatialMean(x)
        let flat = onnx.node("Flatten", [mean], shape: [1, depth])
        let scale = (3 / Float(depth)).squareRoot()
        let weights = onnx.constant([depth, classes], numbers(depth * classes, scale: scale))
        let bias = onnx.constant([classes], numbers(classes))
        return onnx.node("Gemm", [flat, weights, bias], shape: [1, classes])
    }
}
