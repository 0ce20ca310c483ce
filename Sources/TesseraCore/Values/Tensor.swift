/// The type of one element of a tensor.
public enum ElementType: UInt8, CaseIterable, Sendable {
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

    /// The bytes of one element.
    public var byteCount: Int {
        switch self {
        case .boolean, .int8, .uint8: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }
}

/// Name, type and shape of a tensor; the values are elsewhere.
public struct TensorDescriptor: Hashable, Sendable {
    /// The name, unique within its model.
    public var name: String
    /// The type of an element.
    public var type: ElementType
    /// The extent of each axis; empty for a scalar.
    public var shape: [Int]

    /// Makes a descriptor.
    public init(name: String, type: ElementType, shape: [Int]) {
        self.name = name
        self.type = type
        self.shape = shape
    }

    /// How many elements: the product of the extents.
    public var elementCount: Int { shape.reduce(1, *) }
    /// How many bytes the values take, row by row without gaps.
    public var byteCount: Int { elementCount * type.byteCount }
}

/// A node's own handle on the bytes of a tensor.
///
/// It means nothing to another node.
///
/// The shell makes payloads (a slice arrived, a fragment ran, a request came in) and the core gives
/// each back exactly once with `Directive.release`.
public struct PayloadID: Hashable, Comparable, Sendable {
    /// Counts the payloads of one run.
    public var number: UInt64

    /// Makes the handle.
    public init(number: UInt64) { self.number = number }

    /// By number.
    public static func < (left: PayloadID, right: PayloadID) -> Bool { left.number < right.number }
}

/// A payload with its size: all that the core ever sees of tensor bytes.
public struct Payload: Hashable, Sendable {
    /// The handle.
    public var id: PayloadID
    /// The bytes that the shell holds for it.
    public var byteCount: Int

    /// Makes the pair.
    public init(id: PayloadID, byteCount: Int) {
        self.id = id
        self.byteCount = byteCount
    }
}
