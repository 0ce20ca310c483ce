/// Why a text is not JSON that is accepted here.
enum JSONError: Error, Hashable, Sendable {
    /// Something else stands where `expected` should.
    case unexpected(at: Int, expected: String)
    /// The text ends within a value.
    case truncated
    /// Arrays and objects are nested deeper than the limit.
    case tooDeep(at: Int)
    /// There are more values than the limit.
    case tooMany(at: Int)
    /// A string is not UTF-8, or has a wrong escape.
    case badString(at: Int)
    /// A name stands twice in one object.
    case doubled(name: String)
    /// `NaN` or `Infinity`, which are not JSON.
    case notFinite(at: Int)
    /// A number that no 64-bit floating point number comes near.
    case beyondRange(at: Int)
}

extension JSONError: CustomStringConvertible {
    /// What is wrong, for the client.
    var description: String {
        switch self {
        case .unexpected(let offset, let expected): "expected \(expected) at byte \(offset)"
        case .truncated: "the text ends within a value"
        case .tooDeep(let offset):
            "more than \(JSONReader.depthMax) nested values at byte \(offset)"
        case .tooMany(let offset): "more than \(JSONReader.valuesMax) values at byte \(offset)"
        case .badString(let offset):
            "the string at byte \(offset) is not UTF-8 or has a wrong escape"
        case .doubled(let name): "the name \"\(name.prefix(100))\" stands twice in one object"
        case .notFinite(let offset):
            "NaN and Infinity are not JSON (byte \(offset)); send such values as binary data"
        case .beyondRange(let offset):
            "the number at byte \(offset) is beyond the range of 64-bit floating point"
        }
    }
}

/// Reads JSON strictly as RFC 8259 says, with limits on depth and count.
struct JSONReader {
    /// Deeper nesting has no use here and would only grow the stack.
    static let depthMax = 32
    /// More values than this (elements of tensors do not count) have no use here.
    static let valuesMax = 100_000

    private let bytes: [UInt8]
    private let textMember: String?
    private var offset = 0
    private var valueCount = 0

    private init(_ bytes: [UInt8], textMember: String?) {
        self.bytes = bytes
        self.textMember = textMember
    }

    /// Reads one value that is the whole text.
    ///
    /// Members named `textMember` are given as their text, whose end is found but whose form is
    /// not checked: `TensorText` reads it.
    static func read(
        _ bytes: [UInt8], textMember: String? = nil
    ) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes, textMember: textMember)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.offset == bytes.count else {
            throw .unexpected(at: reader.offset, expected: "the end of the text")
        }
        return value
    }

    private mutating func skipSpace() {
        while offset < bytes.count, JSONText.isSpace(bytes[offset]) { offset += 1 }
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        guard offset < bytes.count else { throw .truncated }
        guard depth <= Self.depthMax else { throw .tooDeep(at: offset) }
        valueCount += 1
        guard valueCount <= Self.valuesMax else { throw .tooMany(at: offset) }
        switch bytes[offset] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "N"), UInt8(ascii: "I"): throw .notFinite(at: offset)
        default: return try number()
        }
    }

    private mutating func word(_ text: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[offset...].starts(with: text.utf8) else {
            throw .unexpected(at: offset, expected: text)
        }
        offset += text.utf8.count
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let token = try JSONText.number(in: bytes[...], at: offset)
        let start = offset
        let text = bytes[start..<token.end]
        offset = token.end
        if token.isInteger {
            if let value = Int64(String(decoding: text, as: UTF8.self)) { return .integer(value) }
            if let value = UInt64(String(decoding: text, as: UTF8.self)) { return .unsigned(value) }
        }
        let value = JSONText.double(text)
        guard value.isFinite else { throw .beyondRange(at: start) }
        return .number(value)
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var values: [JSONValue] = []
        skipSpace()
        if try takes(UInt8(ascii: "]")) { return .array(values) }
        while true {
            values.append(try value(depth: depth + 1))
            skipSpace()
            if try takes(UInt8(ascii: "]")) { return .array(values) }
            guard try takes(UInt8(ascii: ",")) else {
                throw .unexpected(at: offset, expected: "\",\" or \"]\"")
            }
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var members: [JSONMember] = []
        // Names seen; only looked up, never walked.
        var names: Set<String> = []
        skipSpace()
        if try takes(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard offset < bytes.count else { throw .truncated }
            guard bytes[offset] == UInt8(ascii: "\"") else {
                throw .unexpected(at: offset, expected: "a name")
            }
            let name = try string()
            guard names.insert(name).inserted else { throw .doubled(name: name) }
            skipSpace()
            guard try takes(UInt8(ascii: ":")) else {
                throw .unexpected(at: offset, expected: "\":\"")
            }
            let member = name == textMember ? try text() : try value(depth: depth + 1)
            members.append(JSONMember(name: name, value: member))
            skipSpace()
            if try takes(UInt8(ascii: "}")) { return .object(members) }
            guard try takes(UInt8(ascii: ",")) else {
                throw .unexpected(at: offset, expected: "\",\" or \"}\"")
            }
        }
    }

    /// Whether the next byte is this one; if so it is taken.
    private mutating func takes(_ byte: UInt8) throws(JSONError) -> Bool {
        guard offset < bytes.count else { throw .truncated }
        guard bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    /// The text of the next value, found by its brackets.
    private mutating func text() throws(JSONError) -> JSONValue {
        skipSpace()
        let start = offset
        var depth = 0
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                // A bracket of the object around it ends a value without brackets of its own.
                if depth == 0 { return .text(bytes[start..<offset]) }
                depth -= 1
                if depth == 0 {
                    offset += 1
                    return .text(bytes[start..<offset])
                }
            case UInt8(ascii: ","):
                if depth == 0 { return .text(bytes[start..<offset]) }
            case UInt8(ascii: "\""):
                _ = try string()
                continue
            default: break
            }
            offset += 1
        }
        throw .truncated
    }

    private mutating func string() throws(JSONError) -> String {
        let start = offset
        offset += 1
        var plainStart = offset
        var collected: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                collected += bytes[plainStart..<offset]
                offset += 1
                guard let text = String(validating: collected, as: UTF8.self) else {
                    throw .badString(at: start)
                }
                return text
            }
            guard byte >= 0x20 else { throw .badString(at: start) }
            if byte == UInt8(ascii: "\\") {
                collected += bytes[plainStart..<offset]
                collected += Array(String(try escape(from: start)).utf8)
                plainStart = offset
            } else {
                offset += 1
            }
        }
        throw .truncated
    }

    private mutating func escape(from start: Int) throws(JSONError) -> Unicode.Scalar {
        guard offset + 1 < bytes.count else { throw .truncated }
        let kind = bytes[offset + 1]
        offset += 2
        switch kind {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw .badString(at: start)
        }
        let first = try unit(from: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        // A surrogate: the other half must follow.
        guard (0xD800..<0xDC00).contains(first), offset + 1 < bytes.count,
            bytes[offset] == UInt8(ascii: "\\"), bytes[offset + 1] == UInt8(ascii: "u")
        else { throw .badString(at: start) }
        offset += 2
        let second = try unit(from: start)
        guard (0xDC00..<0xE000).contains(second) else { throw .badString(at: start) }
        let code = 0x10000 + (UInt32(first) - 0xD800) << 10 + UInt32(second) - 0xDC00
        guard let scalar = Unicode.Scalar(code) else { throw .badString(at: start) }
        return scalar
    }

    private mutating func unit(from start: Int) throws(JSONError) -> UInt16 {
        guard offset + 4 <= bytes.count else { throw .truncated }
        var value: UInt16 = 0
        for byte in bytes[offset..<(offset + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw .badString(at: start)
            }
            value = value << 4 | UInt16(digit)
        }
        offset += 4
        return value
    }
}

/// The pieces of JSON that `JSONReader` and `TensorText` share.
enum JSONText {
    /// Whether JSON allows the byte between values.
    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// The end of the number at an offset, and whether it has neither fraction nor exponent.
    static func number(
        in bytes: ArraySlice<UInt8>, at start: Int
    ) throws(JSONError) -> (end: Int, isInteger: Bool) {
        var offset = start
        var isInteger = true
        func digits() -> Int {
            var count = 0
            while offset < bytes.endIndex, bytes[offset] >= 0x30, bytes[offset] <= 0x39 {
                offset += 1
                count += 1
            }
            return count
        }
        func next(_ byte: UInt8) -> Bool { offset < bytes.endIndex && bytes[offset] == byte }
        if next(UInt8(ascii: "-")) { offset += 1 }
        if next(UInt8(ascii: "I")) || next(UInt8(ascii: "N")) { throw .notFinite(at: start) }
        let startsWithZero = next(0x30)
        let whole = digits()
        guard whole > 0, !(startsWithZero && whole > 1) else {
            throw .unexpected(at: start, expected: "a value")
        }
        if next(UInt8(ascii: ".")) {
            offset += 1
            isInteger = false
            guard digits() > 0 else { throw .unexpected(at: offset, expected: "a digit") }
        }
        if next(UInt8(ascii: "e")) || next(UInt8(ascii: "E")) {
            offset += 1
            isInteger = false
            if next(UInt8(ascii: "+")) || next(UInt8(ascii: "-")) { offset += 1 }
            guard digits() > 0 else { throw .unexpected(at: offset, expected: "a digit") }
        }
        return (offset, isInteger)
    }

    /// The nearest double to a number's text; infinite if it is too large for one.
    ///
    /// Up to 15 digits with a small exponent give it exactly by one division or multiplication of
    /// exact doubles (Clinger's fast path); the rest goes the long way.
    static func double(_ text: ArraySlice<UInt8>) -> Double {
        var mantissa: UInt64 = 0
        var digitCount = 0
        var fractionCount = 0
        var isFraction = false
        var isNegative = false
        for byte in text {
            switch byte {
            case 0x30...0x39:
                guard digitCount < 15 else { return slowDouble(text) }
                mantissa = mantissa * 10 + UInt64(byte - 0x30)
                if mantissa > 0 { digitCount += 1 }
                if isFraction { fractionCount += 1 }
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "-"): isNegative = true
            default: return slowDouble(text)
            }
        }
        guard fractionCount < powers.count else { return slowDouble(text) }
        let value = Double(mantissa) / powers[fractionCount]
        return isNegative ? -value : value
    }

    private static func slowDouble(_ text: ArraySlice<UInt8>) -> Double {
        // The grammar was checked, so the text is a number; too large a one is infinite.
        Double(String(decoding: text, as: UTF8.self)) ?? .infinity
    }

    /// Powers of ten that a double holds exactly.
    private static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}
