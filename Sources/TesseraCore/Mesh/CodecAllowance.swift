/// What packing may change of a model's answers, and what it was measured to change; part of the
/// model's settings.
///
/// Without one, only what is bit for bit the same afterwards is used.
public struct CodecAllowance: Hashable, Sendable {
    /// How answers were compared.
    public enum Measure: UInt8, CaseIterable, Sendable {
        /// The outputs are scores of classes: the part of the items whose highest score is another
        /// class than without packing.
        case topClass = 1
        /// The greatest difference of a value of an output over the range of that output's values
        /// without packing, the mean over the items.
        case relativeError
    }

    /// What was measured of one tensor.
    public struct Tensor: Hashable, Sendable {
        /// Index into `ModelOutline.tensors`.
        public var tensor: Int
        /// What lossless packing leaves of its bytes, in thousandths.
        public var losslessPerMille: Int
        /// The lossy codecs that were measured, ascending.
        public var tried: [Trial]

        /// Makes the result.
        public init(tensor: Int, losslessPerMille: Int, tried: [Trial]) {
            self.tensor = tensor
            self.losslessPerMille = losslessPerMille
            self.tried = tried
        }
    }

    /// What one lossy codec does to the answers at one tensor.
    public struct Trial: Hashable, Sendable {
        /// The codec.
        public var codec: Codec
        /// What the answers lose when this tensor alone is packed so, in millionths.
        public var dropPerMillion: Int
        /// Whether it may be used.
        public var isAllowed: Bool

        /// Makes the result.
        public init(codec: Codec, dropPerMillion: Int, isAllowed: Bool) {
            self.codec = codec
            self.dropPerMillion = dropPerMillion
            self.isAllowed = isAllowed
        }
    }

    /// Tensors that are measured at most: a plan with more cuts than that does not pay.
    public static let tensorsMax = 128
    /// All of an answer, in millionths.
    public static let whole = 1_000_000

    /// How answers were compared.
    public var measure: Measure
    /// What the operator allows them to lose, in millionths.
    public var maxDropPerMillion: Int
    /// What they lose with the worst allowed codec at every tensor at once, in millionths.
    public var dropPerMillion: Int
    /// How many items were measured.
    public var itemCount: Int
    /// What was measured, ascending by tensor.
    public var tensors: [Tensor]

    /// Makes an allowance.
    public init(
        measure: Measure, maxDropPerMillion: Int, dropPerMillion: Int, itemCount: Int,
        tensors: [Tensor]
    ) {
        self.measure = measure
        self.maxDropPerMillion = maxDropPerMillion
        self.dropPerMillion = dropPerMillion
        self.itemCount = itemCount
        self.tensors = tensors
    }

    /// What was measured of a tensor.
    public func measured(_ tensor: Int) -> Tensor? {
        tensors.first { $0.tensor == tensor }
    }

    /// The lossy codecs that a tensor may be packed by, from what changes the answers least.
    public func allowed(_ tensor: Int) -> [Codec] {
        (measured(tensor)?.tried ?? []).filter(\.isAllowed)
            .sorted { ($0.dropPerMillion, $0.codec) < ($1.dropPerMillion, $1.codec) }
            .map(\.codec)
    }
}

extension CodecAllowance.Measure: CustomStringConvertible {
    /// The name in settings.
    public var description: String {
        switch self {
        case .topClass: "top-class"
        case .relativeError: "relative-error"
        }
    }
}
