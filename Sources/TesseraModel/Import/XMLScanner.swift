/// Reads the subset of XML that OpenVINO's serialiser writes: elements, attributes, text, the five
/// named entities and character references.
///
/// Everything else (document types, entities, CDATA, comments, processing instructions, other
/// encodings) is refused, so that there is nothing to expand, fetch or misread. Names are not
/// resolved; the reader compares them.
struct XMLScanner {
    /// What stands next in the text.
    enum Token: Equatable {
        /// An element begins; an empty element gives `end` right after.
        case start(name: String, attributes: [(name: String, value: String)])
        /// The element that began last ends.
        case end(name: String)
        /// Text that is not only white space.
        case text(String)
        /// The document is over and complete.
        case done

        static func == (left: Token, right: Token) -> Bool {
            switch (left, right) {
            case (.start(let name, let values), .start(let otherName, let otherValues)):
                name == otherName && values.elementsEqual(otherValues, by: ==)
            case (.end(let name), .end(let other)): name == other
            case (.text(let text), .text(let other)): text == other
            case (.done, .done): true
            default: false
            }
        }
    }

    /// The line of the place that was read last, from 1.
    private(set) var line = 1
    private let bytes: [UInt8]
    private var position = 0
    private var open: [String] = []
    private var pendingEnd = false
    private var sawRoot = false

    /// Checks size and encoding and skips the XML declaration.
    init(_ bytes: [UInt8]) throws(ModelError) {
        try ModelLimits.check(bytes.count, ModelLimits.xmlBytesMax, "bytes of XML")
        self.bytes = bytes
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw fail("the text is not UTF-8")
        }
        if starts(with: "\u{FEFF}") { position = 3 }
        if starts(with: "<?xml") { try skipDeclaration() }
    }

    /// The next token.
    mutating func next() throws(ModelError) -> Token {
        if pendingEnd {
            pendingEnd = false
            return .end(name: open.removeLast())
        }
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "<") { return try markup() }
            if let text = try text() { return .text(text) }
        }
        guard open.isEmpty, sawRoot else { throw fail("the text ends before its elements do") }
        return .done
    }

    /// The error for what stands at the current place.
    func fail(_ reason: String) -> ModelError { .malformed(reason: reason, line: line) }

    private func starts(with prefix: String) -> Bool {
        bytes[position...].starts(with: prefix.utf8)
    }

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count {
            if bytes[position] == UInt8(ascii: "\n") { line += 1 }
            position += 1
        }
    }

    private mutating func skipSpace() {
        while position < bytes.count, Self.isSpace(bytes[position]) { advance() }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// The declaration may name version 1.0 and UTF-8, nothing else.
    private mutating func skipDeclaration() throws(ModelError) {
        advance(5)
        while true {
            skipSpace()
            if starts(with: "?>") {
                advance(2)
                return
            }
            let (name, value) = try attribute()
            switch (name, value.lowercased()) {
            case ("version", "1.0"), ("encoding", "utf-8"), ("standalone", "yes"): continue
            default: throw fail("the XML declaration has \(name)=\"\(value.prefix(40))\"")
            }
        }
    }

    private mutating func markup() throws(ModelError) -> Token {
        if starts(with: "</") { return try endTag() }
        if starts(with: "<!") || starts(with: "<?") {
            throw fail("document types, entities, comments and instructions are refused")
        }
        guard !(open.isEmpty && sawRoot) else { throw fail("there is a second root element") }
        advance()
        let elementName = try name()
        var attributes: [(name: String, value: String)] = []
        while true {
            let before = position
            skipSpace()
            guard position < bytes.count else { throw fail("an element is not closed") }
            if starts(with: "/>") || bytes[position] == UInt8(ascii: ">") { break }
            guard position > before else { throw fail("there is no space before an attribute") }
            let found = try attribute()
            guard !attributes.contains(where: { $0.name == found.name }) else {
                throw fail("attribute '\(found.name)' is given twice")
            }
            attributes.append(found)
            try ModelLimits.check(
                attributes.count, ModelLimits.xmlAttributesMax, "attributes of an element")
        }
        pendingEnd = bytes[position] == UInt8(ascii: "/")
        advance(pendingEnd ? 2 : 1)
        open.append(elementName)
        sawRoot = true
        try ModelLimits.check(open.count, ModelLimits.xmlDepthMax, "nested elements")
        return .start(name: elementName, attributes: attributes)
    }

    private mutating func endTag() throws(ModelError) -> Token {
        advance(2)
        let elementName = try name()
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: ">"),
            open.last == elementName
        else { throw fail("'</\(elementName.prefix(40))>' closes no open element") }
        advance()
        return .end(name: open.removeLast())
    }

    /// Text up to the next markup; nil if it is only white space.
    private mutating func text() throws(ModelError) -> String? {
        let value = try characters(until: { $0 == UInt8(ascii: "<") })
        guard value.utf8.contains(where: { !Self.isSpace($0) }) else { return nil }
        guard !open.isEmpty else { throw fail("there is text outside the root element") }
        return value
    }

    private mutating func name() throws(ModelError) -> String {
        let start = position
        while position < bytes.count, Self.isNameByte(bytes[position]) { position += 1 }
        guard position > start, position - start <= 100 else { throw fail("a name is expected") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"): true
        default: false
        }
    }

    private mutating func attribute() throws(ModelError) -> (name: String, value: String) {
        let attributeName = try name()
        skipSpace()
        guard starts(with: "=") else { throw fail("attribute '\(attributeName)' has no value") }
        advance()
        skipSpace()
        guard position < bytes.count,
            bytes[position] == UInt8(ascii: "\"") || bytes[position] == UInt8(ascii: "'")
        else { throw fail("the value of '\(attributeName)' is not quoted") }
        let quote = bytes[position]
        advance()
        let value = try characters(until: { $0 == quote })
        guard position < bytes.count, !value.utf8.contains(0) else {
            throw fail("the value of '\(attributeName)' is not closed")
        }
        advance()
        return (attributeName, value)
    }

    /// Characters with their references resolved, up to a byte that ends them or to the end.
    private mutating func characters(
        until isEnd: (UInt8) -> Bool
    ) throws(ModelError) -> String {
        var result: [UInt8] = []
        while position < bytes.count, !isEnd(bytes[position]) {
            let byte = bytes[position]
            if byte == UInt8(ascii: "&") {
                result.append(contentsOf: try reference())
            } else {
                guard byte != UInt8(ascii: "<"), byte >= 0x20 || Self.isSpace(byte) else {
                    throw fail("a byte is not allowed here")
                }
                result.append(byte)
                advance()
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private mutating func reference() throws(ModelError) -> [UInt8] {
        // The longest reference is "&#x10FFFF;".
        let window = bytes[position..<min(position + 12, bytes.count)]
        guard let end = window.firstIndex(of: UInt8(ascii: ";")) else {
            throw fail("'&' begins no character reference")
        }
        let body = String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
        advance(end + 1 - position)
        switch body {
        case "lt": return Array("<".utf8)
        case "gt": return Array(">".utf8)
        case "amp": return Array("&".utf8)
        case "quot": return Array("\"".utf8)
        case "apos": return Array("'".utf8)
        default: break
        }
        let number: UInt32? =
            body.hasPrefix("#x")
            ? UInt32(body.dropFirst(2), radix: 16)
            : body.hasPrefix("#") ? UInt32(body.dropFirst()) : nil
        guard let number, number != 0, let scalar = Unicode.Scalar(number) else {
            throw fail("'&\(body);' is not a character that XML knows without declarations")
        }
        return Array(String(scalar).utf8)
    }
}
