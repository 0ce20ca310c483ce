import TesseraCore

/// Draws a network of image operators that branch and join: everything that has a row rule.
struct RandomNetwork {
    private var net: NetworkWriter
    /// What was made so far, and how often each was read.
    private var made: [NetworkWriter.Tensor] = []
    private var reads: [Int] = []

    private static let elementsMax = 40_000
    private static let stepsAllowed = 2...6

    /// The ONNX file of a seed.
    static func file(seed: UInt64) -> (file: ONNXWriter, input: NetworkWriter.Tensor) {
        var network = RandomNetwork(net: NetworkWriter(seed: seed))
        return network.draw()
    }

    private init(net: NetworkWriter) { self.net = net }

    private mutating func pick(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + net.random.next(below: range.count)
    }

    private mutating func draw() -> (file: ONNXWriter, input: NetworkWriter.Tensor) {
        let shape = [1, pick(1...6), pick(9...40), pick(5...16)]
        let input = net.onnx.input("image", shape)
        made = [input]
        reads = [0]
        for _ in 0..<pick(Self.stepsAllowed) { step() }
        if made.count == 1 { keep(net.relu(input), from: [0]) }
        // What nobody reads is an output, and sometimes something that is read too.
        for index in made.indices.dropFirst()
        where reads[index] == 0 || net.random.chance(1, outOf: 12) {
            net.onnx.output(made[index])
        }
        return (net.onnx, input)
    }

    private mutating func keep(_ tensor: NetworkWriter.Tensor?, from sources: [Int]) {
        guard let tensor, tensor.shape.reduce(1, *) <= Self.elementsMax else { return }
        for source in sources { reads[source] += 1 }
        made.append(tensor)
        reads.append(0)
    }

    /// Reads mostly what was made last.
    private mutating func source() -> Int {
        net.random.chance(2, outOf: 3) ? made.count - 1 : net.random.next(below: made.count)
    }

    private mutating func step() {
        let index = source()
        let x = made[index]
        switch net.random.next(below: 22) {
        case 0..<7: keep(convolution(x), from: [index])
        case 7, 8: keep(pool(x), from: [index])
        case 9, 10, 11: join(index)
        case 12: keep(transposed(x), from: [index])
        case 13, 14: keep(resize(x), from: [index])
        case 15: keep(pad(x), from: [index])
        case 16: keep(slice(x), from: [index])
        case 17: keep(blocks(x), from: [index])
        case 18: keep(normalized(x), from: [index])
        case 19: keep(net.gate(x), from: [index])
        case 20: keep(split(x), from: [index])
        default: keep(activated(x), from: [index])
        }
    }

    // MARK: Layers

    private mutating func window(_ x: NetworkWriter.Tensor, largest: Int) -> NetworkWriter.Window {
        var window = NetworkWriter.Window(1)
        for axis in 0..<2 {
            window.kernel[axis] = pick(1...largest)
            window.strides[axis] = net.random.chance(1, outOf: 2) ? 1 : pick(1...3)
            window.dilations[axis] = net.random.chance(3, outOf: 4) ? 1 : 2
            let span = (window.kernel[axis] - 1) * window.dilations[axis] + 1
            window.pads[axis] = net.random.chance(2, outOf: 3) ? span / 2 : pick(0...(span - 1))
            window.pads[axis + 2] =
                net.random.chance(2, outOf: 3) ? window.pads[axis] : pick(0...(span - 1))
        }
        if net.random.chance(1, outOf: 8) {
            window.automatic = net.random.chance(1, outOf: 2) ? "SAME_UPPER" : "SAME_LOWER"
            window.dilations = [1, 1]
            window.strides = zip(window.strides, window.kernel).map { min($0, $1) }
        }
        return window
    }

    private mutating func convolution(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor? {
        let depth = x.shape[1]
        var groups = 1
        var channels = pick(1...16)
        switch net.random.next(below: 5) {
        case 0:
            groups = depth
            channels = depth * pick(1...2)
        case 1 where depth % 2 == 0:
            groups = 2
            channels = 2 * pick(1...8)
        default: break
        }
        let window = window(x, largest: net.random.chance(1, outOf: 3) ? 5 : 3)
        guard
            let made = net.convolution(
                x, channels, window, groups: groups, hasBias: net.random.chance(3, outOf: 4))
        else { return nil }
        if net.random.chance(1, outOf: 6) { return activated(net.batchNorm(made)) }
        return net.random.chance(3, outOf: 4) ? activated(made) : made
    }

    private mutating func activated(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor {
        switch net.random.next(below: 8) {
        case 0, 1: return net.relu(x)
        case 2: return net.clip(x)
        case 3: return net.multiply(x, net.sigmoid(x))
        case 4: return net.onnx.node("HardSwish", [x], shape: x.shape)
        case 5: return net.onnx.node("LeakyRelu", [x], [("alpha", .float(0.1))], shape: x.shape)
        case 6:
            let slopes = net.onnx.constant([x.shape[1], 1, 1], net.numbers(x.shape[1]))
            return net.onnx.node("PRelu", [x, slopes], shape: x.shape)
        default: return net.onnx.node("Tanh", [x], shape: x.shape)
        }
    }

    private mutating func pool(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor? {
        var window = window(x, largest: 3)
        window.kernel = window.kernel.map { $0 + 1 }
        window.dilations = [1, 1]
        for place in window.pads.indices {
            window.pads[place] = min(window.pads[place], window.kernel[place % 2] - 1)
        }
        window.isRoundedUp = window.automatic == nil && net.random.chance(1, outOf: 2)
        let isMaximum = net.random.chance(1, outOf: 2)
        // What counts in a kernel that hangs over declared padding differs between engines.
        let countsPadding = !window.isRoundedUp && net.random.chance(1, outOf: 2)
        return net.pool(
            x, isMaximum ? "MaxPool" : "AveragePool", window, countsPadding: countsPadding)
    }

    /// A sum, a product or a concatenation with something of the same size.
    private mutating func join(_ index: Int) {
        let x = made[index]
        let others = made.indices.filter {
            $0 != index && made[$0].shape.dropFirst(2) == x.shape.dropFirst(2)
        }
        guard let other = net.random.pick(Array(others)) else {
            keep(convolution(x), from: [index])
            return
        }
        let y = made[other]
        if net.random.chance(1, outOf: 3) {
            keep(net.concat([x, y]), from: [index, other])
            return
        }
        let fitted =
            x.shape == y.shape ? y : net.convolution(y, x.shape[1], NetworkWriter.Window(1))
        guard let fitted else { return }
        let joined =
            net.random.chance(4, outOf: 5) ? net.add(x, fitted) : net.multiply(x, fitted)
        keep(net.random.chance(1, outOf: 2) ? net.relu(joined) : joined, from: [index, other])
    }

    private mutating func transposed(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor? {
        let depth = x.shape[1]
        let isDeep = net.random.chance(1, outOf: 4)
        let groups = isDeep ? depth : 1
        let channels = isDeep ? depth : pick(1...8)
        var strides: [Int] = []
        var kernel: [Int] = []
        var pads = [0, 0, 0, 0]
        var extra: [Int] = []
        var shape = [1, channels]
        for axis in 0..<2 {
            strides.append(pick(1...3))
            kernel.append(strides[axis] + pick(0...2))
            pads[axis] = pick(0...(kernel[axis] / 2))
            pads[axis + 2] = pick(0...(kernel[axis] / 2))
            extra.append(min(pads[axis + 2], strides[axis] - 1, pick(0...1)))
            let room = (x.shape[2 + axis] - 1) * strides[axis] + kernel[axis]
            shape.append(room - pads[axis] - pads[axis + 2] + extra[axis])
        }
        guard shape.allSatisfy({ $0 > 0 }) else { return nil }
        let count = channels / groups * kernel[0] * kernel[1]
        let weights = net.onnx.constant(
            [depth, channels / groups] + kernel,
            net.numbers(depth * count, scale: 1 / Float(depth).squareRoot()))
        let bias = net.onnx.constant([channels], net.numbers(channels, scale: 0.2))
        let made = net.onnx.node(
            "ConvTranspose", [x, weights, bias],
            [
                ("kernel_shape", .integers(kernel)), ("strides", .integers(strides)),
                ("pads", .integers(pads)), ("output_padding", .integers(extra)),
                ("group", .integer(groups)),
            ], shape: shape)
        return net.random.chance(1, outOf: 2) ? net.relu(made) : made
    }

    private mutating func resize(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor? {
        if x.shape[2] % 2 == 0, x.shape[2] > 4, net.random.chance(1, outOf: 4) { return shrunk(x) }
        let factors = [pick(1...3), pick(1...2)]
        let isNearest = net.random.chance(1, outOf: 2)
        let coordinates = ["half_pixel", "asymmetric", "pytorch_half_pixel"][pick(0...2)]
        var shape = x.shape
        shape[2] *= factors[0]
        shape[3] *= factors[1]
        var attributes: [(String, ONNXWriter.Value)] = [
            ("mode", .text(isNearest ? "nearest" : "linear")),
            ("coordinate_transformation_mode", .text(coordinates)),
        ]
        if isNearest {
            let roundings = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
            attributes.append(("nearest_mode", .text(roundings[pick(0...3)])))
        }
        if net.random.chance(1, outOf: 2) {
            let sizes = net.onnx.integers(shape)
            return net.onnx.node("Resize", [x, nil, nil, sizes], attributes, shape: shape)
        }
        let scales = net.onnx.constant([4], [1, 1, Float(factors[0]), Float(factors[1])])
        return net.onnx.node("Resize", [x, nil, scales], attributes, shape: shape)
    }

    private mutating func shrunk(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor {
        var shape = x.shape
        shape[2] /= 2
        let sizes = net.onnx.integers(shape)
        let mode: (String, ONNXWriter.Value) = ("mode", .text("linear"))
        return net.onnx.node("Resize", [x, nil, nil, sizes], [mode], shape: shape)
    }

    private mutating func pad(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor {
        let pads = (0..<4).map { _ in pick(0...3) }
        var shape = x.shape
        shape[2] += pads[0] + pads[2]
        shape[3] += pads[1] + pads[3]
        let amounts = net.onnx.integers([0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]])
        if net.random.chance(1, outOf: 3) {
            return net.onnx.node("Pad", [x, amounts], [("mode", .text("edge"))], shape: shape)
        }
        let value = net.onnx.constant([], [net.number()])
        return net.onnx.node("Pad", [x, amounts, value], shape: shape)
    }

    private mutating func slice(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor? {
        let count = x.shape[2]
        let step = pick(1...2)
        let first = pick(0...2)
        let last = count - pick(0...2)
        guard last - first > step else { return nil }
        var shape = x.shape
        shape[2] = (last - first + step - 1) / step
        let figures = [[first], [last], [2], [step]].map { net.onnx.integers($0) }
        return net.onnx.node("Slice", [x] + figures, shape: shape)
    }

    private mutating func blocks(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor? {
        let size: (String, ONNXWriter.Value) = ("blocksize", .integer(2))
        if x.shape[1] % 4 == 0, net.random.chance(2, outOf: 3) {
            let mode = net.random.chance(1, outOf: 2) ? "DCR" : "CRD"
            return net.onnx.node(
                "DepthToSpace", [x], [size, ("mode", .text(mode))],
                shape: [1, x.shape[1] / 4, x.shape[2] * 2, x.shape[3] * 2])
        }
        guard x.shape[2] % 2 == 0, x.shape[3] % 2 == 0, x.shape[2] > 2, x.shape[1] <= 8 else {
            return nil
        }
        return net.onnx.node(
            "SpaceToDepth", [x], [size],
            shape: [1, x.shape[1] * 4, x.shape[2] / 2, x.shape[3] / 2])
    }

    private mutating func normalized(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor {
        switch net.random.next(below: 4) {
        case 0:
            return net.onnx.node(
                "LRN", [x], [("size", .integer(3)), ("alpha", .float(0.1))], shape: x.shape)
        case 1: return net.onnx.node("Softmax", [x], [("axis", .integer(1))], shape: x.shape)
        case 2: return net.batchNorm(x)
        default:
            // The norm of ConvNeXt: over the channels, which stand last for it.
            let last = [1, x.shape[2], x.shape[3], x.shape[1]]
            let there = net.onnx.node(
                "Transpose", [x], [("perm", .integers([0, 2, 3, 1]))], shape: last)
            let scale = net.onnx.constant([x.shape[1]], net.numbers(x.shape[1]))
            let shift = net.onnx.constant([x.shape[1]], net.numbers(x.shape[1]))
            let norm = net.onnx.node(
                "LayerNormalization", [there, scale, shift], [("axis", .integer(-1))], shape: last)
            return net.onnx.node(
                "Transpose", [norm], [("perm", .integers([0, 3, 1, 2]))], shape: x.shape)
        }
    }

    private mutating func split(_ x: NetworkWriter.Tensor) -> NetworkWriter.Tensor? {
        let channels = x.shape[1]
        guard channels >= 2 else { return nil }
        let first = pick(1...(channels - 1))
        let lengths = net.onnx.integers([first, channels - first])
        let parts = net.onnx.nodes(
            "Split", [x, lengths], [("axis", .integer(1))],
            shapes: [first, channels - first].map { [1, $0] + x.shape.dropFirst(2) })
        guard let left = net.convolution(parts[0], pick(1...6), NetworkWriter.Window(3)) else {
            return nil
        }
        return net.concat([left, parts[1]])
    }
}
