public import TesseraCore

/// The element type of a port: the types that tensors between nodes may have, and the narrow ones
/// that only weights have.
public enum Precision: UInt8, CaseIterable, Sendable {
    case boolean = 1
    case int8
    case int16
    case int32
    case int64
    case uint8
    case uint16
    case uint32
    case uint64
    case float16
    case bfloat16
    case float32
    case float64
    case uint1 = 32
    case int4
    case uint4
    case normalFloat4
    case float4
    case float8E4M3
    case float8E5M2
    case float8E8M0

    /// The type for tensors between nodes; nil for the types that only weights have.
    public var elementType: ElementType? { ElementType(rawValue: rawValue) }

    /// The bits of one element.
    public var bitCount: Int {
        switch self {
        case .uint1: 1
        case .int4, .uint4, .normalFloat4, .float4: 4
        case .boolean, .int8, .uint8, .float8E4M3, .float8E5M2, .float8E8M0: 8
        case .int16, .uint16, .float16, .bfloat16: 16
        case .int32, .uint32, .float32: 32
        case .int64, .uint64, .float64: 64
        }
    }

    /// How IR spells the type in an `element_type` attribute.
    public var attributeName: String {
        switch self {
        case .boolean: "boolean"
        case .int8: "i8"
        case .int16: "i16"
        case .int32: "i32"
        case .int64: "i64"
        case .uint8: "u8"
        case .uint16: "u16"
        case .uint32: "u32"
        case .uint64: "u64"
        case .float16: "f16"
        case .bfloat16: "bf16"
        case .float32: "f32"
        case .float64: "f64"
        case .uint1: "u1"
        case .int4: "i4"
        case .uint4: "u4"
        case .normalFloat4: "nf4"
        case .float4: "f4e2m1"
        case .float8E4M3: "f8e4m3"
        case .float8E5M2: "f8e5m2"
        case .float8E8M0: "f8e8m0"
        }
    }

    /// How IR spells the type at a port.
    public var portName: String {
        switch self {
        case .boolean: "BOOL"
        case .float16: "FP16"
        case .float32: "FP32"
        case .float64: "FP64"
        case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64, .bfloat16, .uint1,
            .int4, .uint4, .normalFloat4, .float4, .float8E4M3, .float8E5M2, .float8E8M0:
            attributeName.uppercased()
        }
    }

    /// The type that IR spells so at a port; nil if unknown.
    public init?(portName: String) {
        guard let found = Self.allCases.first(where: { $0.portName == portName }) else {
            return nil
        }
        self = found
    }

    /// The type that IR spells so in an attribute; nil if unknown.
    public init?(attributeName: String) {
        guard let found = Self.allCases.first(where: { $0.attributeName == attributeName }) else {
            return nil
        }
        self = found
    }
}
