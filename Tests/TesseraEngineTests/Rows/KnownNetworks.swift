/// The layers of well-known networks with few channels and seeded random weights.
enum KnownNetwork: String, CaseIterable {
    case resNet50, vgg16, mobileNetV2, googLeNet, denseNet121, efficientNetB0

    /// Small images keep the tests short; the layers are all there.
    private static let extent = 96

    /// The network's file; its one input is an image of three channels.
    func file() -> ONNXWriter {
        var builder = Builder(
            net: NetworkWriter(seed: UInt64(rawValue.utf8.reduce(0) { $0 + Int($1) })))
        let image = builder.net.onnx.input("image", [1, 3, Self.extent, Self.extent])
        let features =
            switch self {
            case .resNet50: builder.resNet50(image)
            case .vgg16: builder.vgg16(image)
            case .mobileNetV2: builder.mobileNetV2(image)
            case .googLeNet: builder.googLeNet(image)
            case .denseNet121: builder.denseNet121(image)
            case .efficientNetB0: builder.efficientNetB0(image)
            }
        builder.net.onnx.output(builder.net.classifier(features))
        return builder.net.onnx
    }

    /// How many values the input has.
    static let inputCount = 3 * extent * extent
}

private struct Builder {
    typealias Tensor = NetworkWriter.Tensor
    typealias Window = NetworkWriter.Window

    var net: NetworkWriter

    /// A convolution that keeps the size but for its stride; these always fit their images.
    mutating func convolution(
        _ x: Tensor, _ channels: Int, _ kernel: Int, stride: Int = 1, groups: Int = 1
    ) -> Tensor {
        net.convolution(x, channels, Window(kernel, stride: stride), groups: groups) ?? x
    }

    mutating func unit(_ x: Tensor, _ channels: Int, _ kernel: Int, stride: Int = 1) -> Tensor {
        net.relu(convolution(x, channels, kernel, stride: stride))
    }

    mutating func maximum(
        _ x: Tensor, _ kernel: Int, stride: Int, pad: Int, isRoundedUp: Bool = false
    )
        -> Tensor
    {
        var window = Window(kernel, stride: stride)
        window.pads = [pad, pad, pad, pad]
        window.isRoundedUp = isRoundedUp
        return net.pool(x, "MaxPool", window) ?? x
    }

    // MARK: ResNet-50 (He et al. 2015)

    mutating func resNet50(_ image: Tensor) -> Tensor {
        var x = maximum(unit(image, 16, 7, stride: 2), 3, stride: 2, pad: 1)
        for (stage, count) in [3, 4, 6, 3].enumerated() {
            for index in 0..<count {
                let stride = stage > 0 && index == 0 ? 2 : 1
                x = bottleneck(x, width: 8 << stage, stride: stride, isFirst: index == 0)
            }
        }
        return x
    }

    private mutating func bottleneck(
        _ x: Tensor, width: Int, stride: Int, isFirst: Bool
    ) -> Tensor {
        let inner = unit(unit(x, width, 1), width, 3, stride: stride)
        let made = convolution(inner, 4 * width, 1)
        let short = isFirst ? convolution(x, 4 * width, 1, stride: stride) : x
        return net.relu(net.add(made, short))
    }

    // MARK: VGG-16 (Simonyan and Zisserman 2014)

    mutating func vgg16(_ image: Tensor) -> Tensor {
        var x = image
        for (stage, count) in [2, 2, 3, 3, 3].enumerated() {
            for _ in 0..<count { x = unit(x, min(64, 8 << stage), 3) }
            x = maximum(x, 2, stride: 2, pad: 0)
        }
        return x
    }

    // MARK: MobileNetV2 (Sandler et al. 2018)

    mutating func mobileNetV2(_ image: Tensor) -> Tensor {
        var x = net.clip(convolution(image, 8, 3, stride: 2))
        let settings = [
            (1, 4, 1, 1), (6, 6, 2, 2), (6, 8, 3, 2), (6, 16, 4, 2), (6, 24, 3, 1), (6, 40, 3, 2),
            (6, 80, 1, 1),
        ]
        for (expansion, channels, count, stride) in settings {
            for index in 0..<count {
                x = inverted(
                    x, expansion: expansion, channels: channels, stride: index == 0 ? stride : 1)
            }
        }
        return net.clip(convolution(x, 128, 1))
    }

    private mutating func inverted(
        _ x: Tensor, expansion: Int, channels: Int, stride: Int
    ) -> Tensor {
        let width = x.shape[1] * expansion
        let wide = expansion == 1 ? x : net.clip(convolution(x, width, 1))
        let deep = net.clip(convolution(wide, width, 3, stride: stride, groups: width))
        let made = convolution(deep, channels, 1)
        return made.shape == x.shape ? net.add(made, x) : made
    }

    // MARK: GoogLeNet (Szegedy et al. 2014)

    mutating func googLeNet(_ image: Tensor) -> Tensor {
        var x = maximum(unit(image, 16, 7, stride: 2), 3, stride: 2, pad: 0, isRoundedUp: true)
        x = unit(unit(x, 16, 1), 48, 3)
        x = maximum(x, 3, stride: 2, pad: 0, isRoundedUp: true)
        for (stage, count) in [2, 5, 2].enumerated() {
            for index in 0..<count { x = inception(x, width: 8 + 4 * (stage + index)) }
            if stage == 0 { x = maximum(x, 3, stride: 2, pad: 0, isRoundedUp: true) }
            if stage == 1 { x = maximum(x, 2, stride: 2, pad: 0, isRoundedUp: true) }
        }
        return x
    }

    private mutating func inception(_ x: Tensor, width: Int) -> Tensor {
        let direct = unit(x, width, 1)
        let middle = unit(unit(x, width, 1), 2 * width, 3)
        let wide = unit(unit(x, width / 2, 1), width, 5)
        let pooled = unit(maximum(x, 3, stride: 1, pad: 1), width, 1)
        return net.concat([direct, middle, wide, pooled])
    }

    // MARK: DenseNet-121 (Huang et al. 2016)

    mutating func denseNet121(_ image: Tensor) -> Tensor {
        let growth = 4
        var x = maximum(unit(image, 2 * growth, 7, stride: 2), 3, stride: 2, pad: 1)
        for (stage, count) in [6, 12, 24, 16].enumerated() {
            for _ in 0..<count {
                let narrow = unit(net.relu(net.batchNorm(x)), 4 * growth, 1)
                x = net.concat([x, convolution(narrow, growth, 3)])
            }
            x = net.relu(net.batchNorm(x))
            guard stage < 3 else { break }
            x = convolution(x, x.shape[1] / 2, 1)
            var window = Window(2, stride: 2)
            window.pads = [0, 0, 0, 0]
            x = net.pool(x, "AveragePool", window) ?? x
        }
        return x
    }

    // MARK: EfficientNet-B0 (Tan and Le 2019)

    mutating func efficientNetB0(_ image: Tensor) -> Tensor {
        var x = swish(convolution(image, 8, 3, stride: 2))
        let settings = [
            (1, 4, 1, 1, 3), (6, 6, 2, 2, 3), (6, 10, 2, 2, 5), (6, 20, 3, 2, 3), (6, 28, 3, 1, 5),
            (6, 48, 4, 2, 5), (6, 80, 1, 1, 3),
        ]
        for (expansion, channels, count, stride, kernel) in settings {
            for index in 0..<count {
                let width = x.shape[1] * expansion
                let wide = expansion == 1 ? x : swish(convolution(x, width, 1))
                let deep = convolution(
                    wide, width, kernel, stride: index == 0 ? stride : 1, groups: width)
                let made = convolution(net.gate(swish(deep)), channels, 1)
                x = made.shape == x.shape ? net.add(made, x) : made
            }
        }
        return swish(convolution(x, 128, 1))
    }

    private mutating func swish(_ x: Tensor) -> Tensor { net.multiply(x, net.sigmoid(x)) }
}
