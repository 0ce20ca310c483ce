import NIOCore

/// A JSON value, read or to be written.
///
/// Own code rather than a general coder: tensors come as JSON arrays of a million numbers, which
/// must neither be boxed one by one nor be trusted in size, depth or form.
enum JSONValue: Hashable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])
    /// The text of a value, passed on as it is: the elements of a tensor.
    case text(ArraySlice<UInt8>)

    /// The value of a member; nil if this is no object or has no such member.
    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The text of a string; nil if this is none.
    var stringValue: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// The value of a boolean; nil if this is none.
    var booleanValue: Bool? {
        guard case .boolean(let value) = self else { return nil }
        return value
    }

    /// The value of a whole number; nil if this is none.
    var integerValue: Int64? {
        switch self {
        case .integer(let value): value
        case .unsigned(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// The elements of an array; nil if this is none.
    var arrayValue: [JSONValue]? {
        guard case .array(let values) = self else { return nil }
        return values
    }

    /// A string, or null.
    static func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    /// A whole number, or null.
    static func optional(_ number: Int64?) -> JSONValue { number.map(JSONValue.integer) ?? .null }
    /// A whole number.
    static func integer(_ number: Int) -> JSONValue { .integer(Int64(number)) }
}

extension JSONValue: ExpressibleByDictionaryLiteral {
    /// An object with these members, in this order.
    init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { JSONMember(name: $0.0, value: $0.1) })
    }
}

/// A member of a JSON object.
struct JSONMember: Hashable, Sendable {
    /// Its name.
    var name: String
    /// Its value.
    var value: JSONValue
}

extension ByteBuffer {
    /// Appends a value as JSON without spaces.
    mutating func writeJSON(_ value: JSONValue) {
        switch value {
        case .null: writeStaticString("null")
        case .boolean(let value): writeString(value ? "true" : "false")
        case .integer(let value): writeString(value.description)
        case .unsigned(let value): writeString(value.description)
        case .number(let value): writeString(value.isFinite ? value.description : "null")
        case .string(let value): writeJSONString(value)
        case .text(let bytes): writeBytes(bytes)
        case .array(let values):
            writeStaticString("[")
            for (index, element) in values.enumerated() {
                if index > 0 { writeStaticString(",") }
                writeJSON(element)
            }
            writeStaticString("]")
        case .object(let members):
            writeStaticString("{")
            for (index, member) in members.enumerated() {
                if index > 0 { writeStaticString(",") }
                writeJSONString(member.name)
                writeStaticString(":")
                writeJSON(member.value)
            }
            writeStaticString("}")
        }
    }

    private mutating func writeJSONString(_ text: String) {
        let hexadecimal = Array("0123456789abcdef".utf8)
        writeStaticString("\"")
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): writeStaticString("\\\"")
            case UInt8(ascii: "\\"): writeStaticString("\\\\")
            case 0x0A: writeStaticString("\\n")
            case 0x0D: writeStaticString("\\r")
            case 0x09: writeStaticString("\\t")
            case 0..<0x20, 0x7F:
                writeStaticString("\\u00")
                writeInteger(hexadecimal[Int(byte >> 4)])
                writeInteger(hexadecimal[Int(byte & 15)])
            default: writeInteger(byte)
            }
        }
        writeStaticString("\"")
    }
}
