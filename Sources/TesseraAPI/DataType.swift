import TesseraCore

/// The names that the Open Inference Protocol has for element types.
extension ElementType {
    /// The type with this name; nil if there is none, or values of it are not supported (`BYTES`).
    init?(protocolName: String) {
        guard let type = Self.allCases.first(where: { $0.protocolName == protocolName }) else {
            return nil
        }
        self = type
    }

    /// The protocol's name.
    var protocolName: String {
        switch self {
        case .boolean: "BOOL"
        case .int8: "INT8"
        case .int16: "INT16"
        case .int32: "INT32"
        case .int64: "INT64"
        case .uint8: "UINT8"
        case .uint16: "UINT16"
        case .uint32: "UINT32"
        case .uint64: "UINT64"
        case .float16: "FP16"
        case .bfloat16: "BF16"
        case .float32: "FP32"
        case .float64: "FP64"
        }
    }
}
