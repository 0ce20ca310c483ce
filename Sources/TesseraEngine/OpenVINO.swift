import COpenVINO
import TesseraCore

/// OpenVINO's conventions in one place: statuses, texts and properties.
enum OpenVINO {
    /// Bytes of an error text that are worth keeping: a whole message, but no dump.
    private static let reasonBytesMax = 2_000

    /// Runs one call; a failing one gives the reason, in the engine's own words.
    ///
    /// OpenVINO keeps one last message per process, not per thread. When calls fail on two threads at
    /// the same moment, the text (never the status) may be the other one's.
    @inline(__always)
    static func reason(ofFailure call: () -> ov_status_e) -> String? {
        let status = call()
        guard status.rawValue != 0 else { return nil }
        return reason(of: status)
    }

    private static func reason(of status: ov_status_e) -> String {
        let title = ov_get_error_info(status).map { String(cString: $0) } ?? "unknown status"
        guard let message = ov_get_last_err_msg() else { return "\(title) (\(status.rawValue))" }
        defer { ov_free(message) }
        // Lines that only name places in the engine's source code help nobody here.
        let lines = String(cString: message).split(separator: "\n").filter {
            !$0.hasPrefix("Exception from src") && !$0.allSatisfy(\.isWhitespace)
        }
        let text = lines.joined(separator: " ").prefix(reasonBytesMax)
        return "\(text) [\(title), \(status.rawValue)]"
    }

    /// Takes over a text that OpenVINO has allocated.
    static func text(taking pointer: UnsafeMutablePointer<CChar>?) -> String? {
        guard let pointer else { return nil }
        defer { ov_free(pointer) }
        return String(cString: pointer)
    }

    /// Lends `settings` as OpenVINO's array of keys and values.
    static func withProperties<Result>(
        _ settings: [(key: String, value: String)],
        _ body: (UnsafeMutableBufferPointer<ov_property_t>) -> Result
    ) -> Result {
        // One allocation of all texts; the properties point into it.
        var bytes: [CChar] = []
        var starts: [Int] = []
        for setting in settings {
            for text in [setting.key, setting.value] {
                starts.append(bytes.count)
                bytes.append(contentsOf: text.utf8CString)
            }
        }
        return bytes.withUnsafeBufferPointer { storage in
            var properties = settings.indices.map { index in
                ov_property_t(
                    key: storage.baseAddress?.advanced(by: starts[2 * index]),
                    value: storage.baseAddress?.advanced(by: starts[2 * index + 1]))
            }
            return properties.withUnsafeMutableBufferPointer { body($0) }
        }
    }
}

extension ElementType {
    /// The type that OpenVINO gives this number; nil for types that Tessera does not carry.
    init?(openVINO type: ov_element_type_e) {
        guard let match = Self.allCases.first(where: { $0.openVINO == type }) else { return nil }
        self = match
    }

    /// OpenVINO's number for the type.
    ///
    /// A boolean is one byte, 0 or 1.
    var openVINO: ov_element_type_e {
        switch self {
        // The name BOOLEAN does not come through to Swift.
        case .boolean: ov_element_type_e(1)
        case .int8: I8
        case .int16: I16
        case .int32: I32
        case .int64: I64
        case .uint8: U8
        case .uint16: U16
        case .uint32: U32
        case .uint64: U64
        case .float16: F16
        case .bfloat16: BF16
        case .float32: F32
        case .float64: F64
        }
    }
}
