/// Operators that an engine does at about the same rate.
///
/// The numbers are part of the protocol.
public enum OperatorFamily: UInt8, CaseIterable, Hashable, Comparable, Sendable {
    /// Convolutions over all channels.
    case convolution = 1
    /// Convolutions of each group of channels by itself.
    case groupConvolution = 2
    /// Products of matrices, attention among them.
    case product = 3
    /// Pooling.
    case pooling = 4
    /// What is done to each element by itself, and all that fits nowhere else.
    case elementwise = 5

    /// The family of an operator by its kind, as `ModelOutline.Operator` has it.
    public init(kind: String) {
        switch kind {
        case "Convolution", "ConvolutionBackpropData", "DeformableConvolution",
            "BinaryConvolution":
            self = .convolution
        case "GroupConvolution", "GroupConvolutionBackpropData": self = .groupConvolution
        case "MatMul", "ScaledDotProductAttention", "LSTMSequence", "GRUSequence",
            "RNNSequence", "LSTMCell", "GRUCell", "RNNCell":
            self = .product
        case "MaxPool", "AvgPool", "ReduceMean", "ReduceMax", "ReduceSum": self = .pooling
        default: self = .elementwise
        }
    }

    /// By number.
    public static func < (left: OperatorFamily, right: OperatorFamily) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// How quickly a node does the operators of one family.
public struct OperatorRate: Hashable, Sendable {
    /// The family.
    public var family: OperatorFamily
    /// Arithmetic operations per microsecond.
    public var operationsPerMicrosecond: UInt64

    /// Makes a rate.
    public init(family: OperatorFamily, operationsPerMicrosecond: UInt64) {
        self.family = family
        self.operationsPerMicrosecond = operationsPerMicrosecond
    }
}

/// What a node itself spends on handing tensors over, beside the engine's work: reading and writing
/// sockets, encryption, and passing on from thread to thread.
public struct HandoverCost: Hashable, Sendable {
    /// Time for each slice, whatever its size.
    public var nanosecondsPerSlice: UInt64
    /// Time for each byte, in thousandths of a nanosecond.
    public var picosecondsPerByte: UInt64

    /// Makes a cost.
    public init(nanosecondsPerSlice: UInt64, picosecondsPerByte: UInt64) {
        self.nanosecondsPerSlice = nanosecondsPerSlice
        self.picosecondsPerByte = picosecondsPerByte
    }
}
