/// How an image becomes a model's input, and what the model's output says of it.
///
/// Part of the manifest, so it goes wherever the model goes.
public struct ImageInput: Hashable, Sendable {
    /// The channels of the input, in order.
    public enum Channels: String, CaseIterable, Hashable, Sendable {
        /// Red, green, blue.
        case rgb
        /// Blue, green, red.
        case bgr
        /// Brightness alone.
        case grey

        /// How many there are.
        public var count: Int { self == .grey ? 1 : 3 }
    }

    /// Where the channels stand in the input's shape.
    public enum Layout: String, CaseIterable, Hashable, Sendable {
        /// `[1, channels, height, width]`.
        case nchw
        /// `[1, height, width, channels]`.
        case nhwc
    }

    /// What happens to an image of another aspect ratio.
    public enum Fit: String, CaseIterable, Hashable, Sendable {
        /// It is stretched.
        case stretch
        /// Its middle is taken, as much as has the aspect ratio of the input.
        case crop
    }

    /// What the output's values are.
    public enum Scores: String, CaseIterable, Hashable, Sendable {
        /// Scores of which the softmax gives probabilities.
        case logits
        /// Probabilities.
        case probabilities
    }

    /// The channels.
    public var channels: Channels
    /// Where they stand.
    public var layout: Layout
    /// What happens to another aspect ratio.
    public var fit: Fit
    /// What is taken off a value from 0 to 255, for each channel.
    public var mean: [Float]
    /// What the rest is divided by, for each channel.
    public var scale: [Float]
    /// What the output's values are.
    public var scores: Scores
    /// The names of the classes, in the output's order; empty if they have none.
    public var labels: [String]

    /// Classes with a name: more than any set of them has.
    public static let labelsMax = 65_536
    /// Bytes of one name.
    public static let labelBytesMax = 256
    /// Bytes of all names: a manifest is held by every node.
    public static let labelsBytesMax = 1 << 20

    /// Describes an input.
    public init(
        channels: Channels, layout: Layout, fit: Fit = .stretch, mean: [Float], scale: [Float],
        scores: Scores = .logits, labels: [String] = []
    ) {
        self.channels = channels
        self.layout = layout
        self.fit = fit
        self.mean = mean
        self.scale = scale
        self.scores = scores
        self.labels = labels
    }

    /// What is wrong with it in itself; nil if nothing is.
    public var fault: String? {
        guard mean.count == channels.count, scale.count == channels.count else {
            return "mean and scale need \(channels.count) values each, one for each channel"
        }
        guard mean.allSatisfy(\.isFinite), scale.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            return "mean has to be finite, and scale above 0"
        }
        guard labels.count <= Self.labelsMax,
            labels.allSatisfy({ $0.utf8.count <= Self.labelBytesMax }),
            labels.reduce(0, { $0 + $1.utf8.count }) <= Self.labelsBytesMax
        else {
            return "there are at most \(Self.labelsMax) labels of \(Self.labelBytesMax) bytes, "
                + "\(Self.labelsBytesMax) bytes in all"
        }
        return nil
    }

    /// What keeps it from describing a model with these tensors; nil if nothing does.
    public func fault(inputs: [TensorDescriptor], outputs: [TensorDescriptor]) -> String? {
        if let fault { return fault }
        guard inputs.count == 1, let input = inputs.first, let output = outputs.first else {
            return "the model has \(inputs.count) inputs; an image fills one"
        }
        guard let size = size(of: input.shape) else {
            return "the input's shape is \(input.shape); for \(channels.rawValue) as "
                + "\(layout.rawValue) it has to be "
                + (layout == .nchw
                    ? "[1, \(channels.count), height, width]"
                    : "[1, height, width, \(channels.count)]")
        }
        guard size.width <= Self.sideMax, size.height <= Self.sideMax else {
            return "the input is larger than \(Self.sideMax) pixels"
        }
        let isRaw = mean.allSatisfy { $0 == 0 } && scale.allSatisfy { $0 == 1 }
        guard input.type == .float32 || (input.type == .uint8 && isRaw) else {
            return "the input's type is \(input.type); it has to be float32, or uint8 without mean "
                + "and scale"
        }
        guard output.type == .float32 else {
            return "the output's type is \(output.type); it has to be float32"
        }
        let count = output.shape.reduce(1, *)
        guard labels.isEmpty || labels.count == count else {
            return "there are \(labels.count) labels for \(count) classes"
        }
        return nil
    }

    /// The longest side of an input.
    public static let sideMax = 8_192

    /// Width and height of an input of such a shape; nil if it is not one for these channels.
    public func size(of shape: [Int]) -> (width: Int, height: Int)? {
        guard shape.count == 4, shape[0] == 1 else { return nil }
        switch layout {
        case .nchw: return shape[1] == channels.count ? (shape[3], shape[2]) : nil
        case .nhwc: return shape[3] == channels.count ? (shape[2], shape[1]) : nil
        }
    }
}
