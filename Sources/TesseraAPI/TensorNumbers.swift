import NIOCore
import TesseraCore

/// The values of a tensor as a list of numbers of the few types that gRPC has lists for.
enum TensorNumbers: Sendable {
    case booleans([Bool])
    case signed([Int32])
    case signed64([Int64])
    case unsigned([UInt32])
    case unsigned64([UInt64])
    case floats([Float])
    case doubles([Double])

    /// The name of the list in the protocol.
    private var name: String {
        switch self {
        case .booleans: "bool_contents"
        case .signed: "int_contents"
        case .signed64: "int64_contents"
        case .unsigned: "uint_contents"
        case .unsigned64: "uint64_contents"
        case .floats: "fp32_contents"
        case .doubles: "fp64_contents"
        }
    }

    /// The bytes of exactly `count` elements of a type.
    func bytes(of type: ElementType, count: Int) throws(TensorTextError) -> ByteBuffer {
        switch (self, type) {
        case (.booleans(let values), .boolean):
            try Self.write(values, type, count) { $0 ? UInt8(1) : 0 }
        case (.signed(let values), .int8): try Self.write(values, type, count, Int8.init(exactly:))
        case (.signed(let values), .int16):
            try Self.write(values, type, count, Int16.init(exactly:))
        case (.signed(let values), .int32): try Self.write(values, type, count) { $0 }
        case (.signed64(let values), .int64): try Self.write(values, type, count) { $0 }
        case (.unsigned(let values), .uint8):
            try Self.write(values, type, count, UInt8.init(exactly:))
        case (.unsigned(let values), .uint16):
            try Self.write(values, type, count, UInt16.init(exactly:))
        case (.unsigned(let values), .uint32): try Self.write(values, type, count) { $0 }
        case (.unsigned64(let values), .uint64): try Self.write(values, type, count) { $0 }
        case (.floats(let values), .float32):
            try Self.write(values, type, count) { $0.bitPattern }
        case (.doubles(let values), .float64):
            try Self.write(values, type, count) { $0.bitPattern }
        default: throw .wrongList(name: name, type: type)
        }
    }

    private static func write<Value, Element: FixedWidthInteger>(
        _ values: [Value], _ type: ElementType, _ count: Int, _ element: (Value) -> Element?
    ) throws(TensorTextError) -> ByteBuffer {
        guard values.count == count else {
            throw .count(expected: count, found: values.count)
        }
        var buffer = ByteBufferAllocator().buffer(capacity: count * type.byteCount)
        for (index, value) in values.enumerated() {
            guard let element = element(value) else { throw .element(index: index, type: type) }
            buffer.writeInteger(element, endianness: .little)
        }
        return buffer
    }
}
