/// How the bytes of a slice are packed for their way over a link.
///
/// The frame that begins a slice names it, so a sender may choose anew for each slice.
public enum Codec: UInt8, CaseIterable, Sendable {
    /// As the engine wrote them.
    case none = 0
    /// Compressed, bit for bit the same afterwards: the bytes of the elements plane by plane, then
    /// zstd.
    case lossless
    /// 32-bit floats as 16-bit ones of IEEE 754: 11 significant bits, up to 65504.
    case float16
    /// 32-bit floats as their upper halves: 8 significant bits.
    case bfloat16
    /// 32-bit floats as codes of 8 bits, with a scale for each channel.
    case int8

    /// Whether values may come out changed.
    public var isLossy: Bool { self >= .float16 }

    /// Whether it can pack elements of this type.
    public func takes(_ type: ElementType) -> Bool { !isLossy || type == .float32 }

    /// The part of the bytes that is left, in thousandths, where the codec alone decides it.
    public var fixedPerMille: Int? {
        switch self {
        case .none: 1_000
        case .lossless: nil
        case .float16, .bfloat16: 500
        // A code of 8 bits for 32, and what the scales of groups of 64 values and more add.
        case .int8: 270
        }
    }
}

extension Codec: Comparable {
    /// From what changes nothing to what changes most.
    public static func < (left: Codec, right: Codec) -> Bool { left.rawValue < right.rawValue }
}

extension Codec: CustomStringConvertible {
    /// The name in settings, plans and metrics.
    public var description: String {
        switch self {
        case .none: "none"
        case .lossless: "lossless"
        case .float16: "f16"
        case .bfloat16: "bf16"
        case .int8: "int8"
        }
    }

    /// The codec of a name.
    public init?(name: some StringProtocol) {
        guard let codec = Codec.allCases.first(where: { $0.description == name }) else {
            return nil
        }
        self = codec
    }
}

/// How quickly a node packs and unpacks, in unpacked bytes.
public struct CodecSpeed: Hashable, Sendable {
    /// The codec.
    public var codec: Codec
    /// Bytes that are packed in a microsecond.
    public var packedPerMicrosecond: UInt64
    /// Bytes that are unpacked in a microsecond.
    public var unpackedPerMicrosecond: UInt64

    /// Makes figures.
    public init(codec: Codec, packedPerMicrosecond: UInt64, unpackedPerMicrosecond: UInt64) {
        self.codec = codec
        self.packedPerMicrosecond = packedPerMicrosecond
        self.unpackedPerMicrosecond = unpackedPerMicrosecond
    }
}
