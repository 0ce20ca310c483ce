import Foundation

/// Writes ONNX files by hand, so that random networks take the way of a user's model: through the
/// importer, and to ONNX Runtime as the very same file.
///
/// ONNX is protocol buffers; the numbers of the fields are those of `onnx.proto`.
struct ONNXWriter {
    /// A tensor by name, with its shape.
    struct Tensor: Hashable {
        var name: String
        var shape: [Int]
    }

    /// The value of an attribute.
    enum Value {
        case float(Float)
        case integer(Int)
        case integers([Int])
        case text(String)
    }

    private var nodes: [UInt8] = []
    private var constants: [UInt8] = []
    private var inputs: [UInt8] = []
    private var outputs: [UInt8] = []
    private var count = 0

    private static let operatorSet = 17

    /// Appends an input of 32-bit floats.
    mutating func input(_ name: String, _ shape: [Int]) -> Tensor {
        inputs += Self.field(11, Self.description(name, shape))
        return Tensor(name: name, shape: shape)
    }

    /// Makes a tensor an output.
    mutating func output(_ tensor: Tensor) {
        outputs += Self.field(12, Self.description(tensor.name, tensor.shape))
    }

    /// Appends a constant of 32-bit floats.
    mutating func constant(_ shape: [Int], _ values: [Float]) -> Tensor {
        constant(shape, type: 1, values.withUnsafeBytes { Array($0) })
    }

    /// Appends a constant of 64-bit integers.
    mutating func integers(_ values: [Int]) -> Tensor {
        constant([values.count], type: 7, values.map(Int64.init).withUnsafeBytes { Array($0) })
    }

    private mutating func constant(_ shape: [Int], type: Int, _ bytes: [UInt8]) -> Tensor {
        count += 1
        let name = "c\(count)"
        var tensor: [UInt8] = []
        for extent in shape { tensor += Self.field(1, extent) }
        tensor += Self.field(2, type) + Self.field(8, Array(name.utf8)) + Self.field(9, bytes)
        constants += Self.field(5, tensor)
        return Tensor(name: name, shape: shape)
    }

    /// Appends an operator with one output.
    mutating func node(
        _ type: String, _ inputs: [Tensor?], _ attributes: [(String, Value)] = [], shape: [Int]
    ) -> Tensor {
        nodes(type, inputs, attributes, shapes: [shape])[0]
    }

    /// Appends an operator with several outputs.
    mutating func nodes(
        _ type: String, _ inputs: [Tensor?], _ attributes: [(String, Value)] = [], shapes: [[Int]]
    ) -> [Tensor] {
        count += 1
        let made = shapes.indices.map {
            Tensor(name: "t\(count)_\($0)", shape: shapes[$0])
        }
        var node: [UInt8] = []
        for input in inputs { node += Self.field(1, Array((input?.name ?? "").utf8)) }
        for output in made { node += Self.field(2, Array(output.name.utf8)) }
        node += Self.field(3, Array("\(type)\(count)".utf8)) + Self.field(4, Array(type.utf8))
        for (name, value) in attributes { node += Self.field(5, Self.attribute(name, value)) }
        nodes += Self.field(1, node)
        return made
    }

    /// The file.
    func file() -> Data {
        let graph =
            nodes + Self.field(2, Array("random".utf8)) + constants + inputs + outputs
        let operators = Self.field(2, Self.operatorSet)
        return Data(Self.field(1, 8) + Self.field(7, graph) + Self.field(8, operators))
    }

    // MARK: Encoding

    private static func attribute(_ name: String, _ value: Value) -> [UInt8] {
        let start = field(1, Array(name.utf8))
        switch value {
        case .float(let value):
            let bits = value.bitPattern.littleEndian
            return start + [2 << 3 | 5] + withUnsafeBytes(of: bits) { Array($0) } + field(20, 1)
        case .integer(let value): return start + field(3, value) + field(20, 2)
        case .text(let value): return start + field(4, Array(value.utf8)) + field(20, 3)
        case .integers(let values):
            return start + values.flatMap { field(8, $0) } + field(20, 7)
        }
    }

    private static func description(_ name: String, _ shape: [Int]) -> [UInt8] {
        let extents = shape.flatMap { field(1, field(1, $0)) }
        let tensor = field(1, 1) + field(2, extents)
        return field(1, Array(name.utf8)) + field(2, field(1, tensor))
    }

    private static func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
        varint(UInt64(number << 3 | 2)) + varint(UInt64(bytes.count)) + bytes
    }

    private static func field(_ number: Int, _ value: Int) -> [UInt8] {
        varint(UInt64(number << 3)) + varint(UInt64(bitPattern: Int64(value)))
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            let low = UInt8(rest & 0x7F)
            rest >>= 7
            bytes.append(rest == 0 ? low : low | 0x80)
        } while rest != 0
        return bytes
    }
}
