import NIOCore
import TesseraCore

/// Why a JSON array is not the values of a tensor.
enum TensorTextError: Error, Hashable, Sendable {
    /// The array is not JSON.
    case json(JSONError)
    /// It is not an array.
    case notAnArray
    /// It has too few or too many elements.
    case count(expected: Int, found: Int?)
    /// An element does not fit the type.
    case element(index: Int, type: ElementType)
    /// The list of numbers is not the one for the type; halves have none.
    case wrongList(name: String, type: ElementType)
    /// The values are not all finite, which JSON cannot say.
    case notFinite(index: Int)
}

extension TensorTextError: CustomStringConvertible {
    /// What is wrong, for the client.
    var description: String {
        switch self {
        case .json(let error): "the data are not valid JSON: \(error)"
        case .notAnArray: "the data are not an array"
        case .count(let expected, let found):
            "the data have \(found.map { "\($0)" } ?? "more") elements, and the shape says "
                + "\(expected)"
        case .element(let index, let type):
            "element \(index) of the data is not a value of \(type.protocolName)"
        case .wrongList(let name, let type):
            "values of \(type.protocolName) do not stand in \(name); send them as raw contents"
        case .notFinite(let index):
            "element \(index) is not finite, which JSON cannot carry; ask for binary data"
        }
    }
}

/// Turns the values of tensors from JSON into bytes and back.
///
/// Elements may be nested in any way, as the protocol allows, and stand in row order.
enum TensorText {
    /// The bytes of exactly `count` elements of a type.
    static func read(
        _ text: ArraySlice<UInt8>, type: ElementType, count: Int
    ) throws(TensorTextError) -> ByteBuffer {
        switch type {
        case .boolean: try Reader.read(text, type, count) { Reader.boolean($0) }
        case .int8: try Reader.read(text, type, count) { Reader.integer($0, Int8.self) }
        case .int16: try Reader.read(text, type, count) { Reader.integer($0, Int16.self) }
        case .int32: try Reader.read(text, type, count) { Reader.integer($0, Int32.self) }
        case .int64: try Reader.read(text, type, count) { Reader.integer($0, Int64.self) }
        case .uint8: try Reader.read(text, type, count) { Reader.integer($0, UInt8.self) }
        case .uint16: try Reader.read(text, type, count) { Reader.integer($0, UInt16.self) }
        case .uint32: try Reader.read(text, type, count) { Reader.integer($0, UInt32.self) }
        case .uint64: try Reader.read(text, type, count) { Reader.integer($0, UInt64.self) }
        case .float32: try Reader.read(text, type, count) { Reader.float($0)?.bitPattern }
        case .float64: try Reader.read(text, type, count) { Reader.double($0)?.bitPattern }
        case .float16: try Reader.read(text, type, count) { Reader.half($0)?.bitPattern }
        case .bfloat16: try Reader.read(text, type, count) { Reader.brainHalf($0) }
        }
    }

    /// The values of a tensor as a flat JSON array.
    static func write(_ tensor: InferenceTensor) throws(TensorTextError) -> [UInt8] {
        var bytes = tensor.bytes
        switch tensor.descriptor.type {
        case .boolean:
            return try write(&bytes, UInt8.self) { $0 == 0 ? "false" : "true" }
        case .int8: return try write(&bytes, Int8.self) { $0.description }
        case .int16: return try write(&bytes, Int16.self) { $0.description }
        case .int32: return try write(&bytes, Int32.self) { $0.description }
        case .int64: return try write(&bytes, Int64.self) { $0.description }
        case .uint8: return try write(&bytes, UInt8.self) { $0.description }
        case .uint16: return try write(&bytes, UInt16.self) { $0.description }
        case .uint32: return try write(&bytes, UInt32.self) { $0.description }
        case .uint64: return try write(&bytes, UInt64.self) { $0.description }
        case .float32:
            return try write(&bytes, UInt32.self) { pattern in
                let value = Float(bitPattern: pattern)
                return value.isFinite ? value.description : nil
            }
        case .float64:
            return try write(&bytes, UInt64.self) { pattern in
                let value = Double(bitPattern: pattern)
                return value.isFinite ? value.description : nil
            }
        case .float16:
            return try write(&bytes, UInt16.self) { pattern in
                let value = Float16(bitPattern: pattern)
                return value.isFinite ? value.description : nil
            }
        case .bfloat16:
            return try write(&bytes, UInt16.self) { pattern in
                let value = Float(bitPattern: UInt32(pattern) << 16)
                return value.isFinite ? value.description : nil
            }
        }
    }

    private static func write<Element: FixedWidthInteger>(
        _ bytes: inout ByteBuffer, _: Element.Type, _ text: (Element) -> String?
    ) throws(TensorTextError) -> [UInt8] {
        var result: [UInt8] = [UInt8(ascii: "[")]
        var index = 0
        while let element = bytes.readInteger(endianness: .little, as: Element.self) {
            guard let text = text(element) else { throw .notFinite(index: index) }
            if index > 0 { result.append(UInt8(ascii: ",")) }
            result += text.utf8
            index += 1
        }
        result.append(UInt8(ascii: "]"))
        return result
    }

    /// The walk over a nested array.
    private enum Reader {
        static func read<Element: FixedWidthInteger>(
            _ text: ArraySlice<UInt8>, _ type: ElementType, _ count: Int,
            _ element: (ArraySlice<UInt8>) -> Element?
        ) throws(TensorTextError) -> ByteBuffer {
            var buffer = ByteBuffer()
            // A short text cannot have so many elements, whatever the shape says.
            buffer.reserveCapacity(min(count, text.count) * type.byteCount)
            var found = 0
            var depth = 0
            var offset = text.startIndex
            // Whether a value may stand here, and whether a comma or a bracket may.
            var wantsValue = true
            var mayClose = false
            while offset < text.endIndex {
                let byte = text[offset]
                if JSONText.isSpace(byte) {
                    offset += 1
                } else if byte == UInt8(ascii: "["), wantsValue {
                    depth += 1
                    guard depth <= JSONReader.depthMax else { throw .json(.tooDeep(at: offset)) }
                    mayClose = true
                    offset += 1
                } else if byte == UInt8(ascii: "]"), depth > 0, !wantsValue || mayClose {
                    depth -= 1
                    wantsValue = false
                    mayClose = false
                    offset += 1
                    if depth == 0 { break }
                } else if byte == UInt8(ascii: ","), !wantsValue, depth > 0 {
                    wantsValue = true
                    offset += 1
                } else {
                    guard depth > 0 else { throw .notAnArray }
                    guard wantsValue else {
                        throw .json(.unexpected(at: offset, expected: "\",\" or \"]\""))
                    }
                    let end = try endOfElement(in: text, at: offset)
                    guard found < count else { throw .count(expected: count, found: nil) }
                    guard let value = element(text[offset..<end]) else {
                        throw .element(index: found, type: type)
                    }
                    buffer.writeInteger(value, endianness: .little)
                    found += 1
                    offset = end
                    wantsValue = false
                    mayClose = false
                }
            }
            guard depth == 0, !wantsValue else { throw .json(.truncated) }
            guard text[offset...].allSatisfy(JSONText.isSpace) else {
                throw .json(.unexpected(at: offset, expected: "the end of the array"))
            }
            guard found == count else { throw .count(expected: count, found: found) }
            return buffer
        }

        private static func endOfElement(
            in text: ArraySlice<UInt8>, at start: Int
        ) throws(TensorTextError) -> Int {
            if text[start] == UInt8(ascii: "t") || text[start] == UInt8(ascii: "f") {
                for word in ["true", "false"] where text[start...].starts(with: word.utf8) {
                    return start + word.utf8.count
                }
            }
            do {
                return try JSONText.number(in: text, at: start).end
            } catch {
                throw .json(error)
            }
        }

        static func boolean(_ text: ArraySlice<UInt8>) -> UInt8? {
            switch text.count {
            case 1: text.first == 0x31 ? 1 : text.first == 0x30 ? 0 : nil
            case 4: text.first == UInt8(ascii: "t") ? 1 : nil
            case 5: text.first == UInt8(ascii: "f") ? 0 : nil
            default: nil
            }
        }

        static func integer<Element: FixedWidthInteger>(
            _ text: ArraySlice<UInt8>, _: Element.Type
        ) -> Element? {
            let isNegative = text.first == UInt8(ascii: "-")
            var value: Element = 0
            for byte in isNegative ? text.dropFirst() : text {
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
                let digit = Element(byte - 0x30)
                let (sum, isOver) =
                    isNegative
                    ? product.subtractingReportingOverflow(digit)
                    : product.addingReportingOverflow(digit)
                if isTooLarge || isOver { return nil }
                value = sum
            }
            return value
        }

        static func double(_ text: ArraySlice<UInt8>) -> Double? {
            guard let first = text.first, first < 0x40 else { return nil }
            let value = JSONText.double(text)
            return value.isFinite ? value : nil
        }

        static func half(_ text: ArraySlice<UInt8>) -> Float16? {
            guard let value = double(text) else { return nil }
            let narrowed = Float16(value)
            return narrowed.isFinite ? narrowed : nil
        }

        /// The upper half of a 32-bit float, rounded to nearest, ties to even.
        static func brainHalf(_ text: ArraySlice<UInt8>) -> UInt16? {
            guard let value = double(text) else { return nil }
            // Rounding twice would err near ties: the step between rounds to odd.
            var pattern = Float(value, towardZeroOrOdd: ()).bitPattern
            pattern += 0x7FFF + (pattern >> 16 & 1)
            let half = UInt16(pattern >> 16)
            return Float(bitPattern: UInt32(half) << 16).isFinite ? half : nil
        }

        static func float(_ text: ArraySlice<UInt8>) -> Float? {
            guard let value = double(text) else { return nil }
            let narrowed = Float(value)
            return narrowed.isFinite ? narrowed : nil
        }
    }
}

extension Float {
    /// The value cut to 32 bits, with the last bit set if something was cut off: rounding this once
    /// more, to fewer bits, gives what rounding the value at once gives.
    fileprivate init(_ value: Double, towardZeroOrOdd _: Void) {
        var cut = Float(value)
        // A finite value beyond the largest float is cut to that one.
        if cut.isInfinite { cut = value < 0 ? -.greatestFiniteMagnitude : .greatestFiniteMagnitude }
        if Double(cut) != value {
            if Double(cut).magnitude > value.magnitude {
                cut = Float(bitPattern: cut.bitPattern - 1)
            }
            cut = Float(bitPattern: cut.bitPattern | 1)
        }
        self = cut
    }
}
