import TesseraCore

/// Why a file is not an array that the command line takes.
enum NpyError: Error, Equatable, CustomStringConvertible {
    /// It does not begin as NumPy's files do.
    case notNpy
    /// It ends too early.
    case cutOff(expectedBytes: Int, foundBytes: Int)
    /// A form that came later than this program.
    case unknownVersion(UInt8)
    /// The description of the array is not as NumPy writes it.
    case badHeader(String)
    /// The elements have a type that no model takes.
    case unsupportedType(String)
    /// The elements stand in column order.
    case columnOrder
    /// An extent or the whole is beyond a limit.
    case tooLarge(String)
    /// Bytes follow the array.
    case trailingBytes(Int)

    /// What is wrong and what to do.
    var description: String {
        switch self {
        case .notNpy: "it is no .npy file; write it with numpy.save"
        case .cutOff(let expected, let found):
            "it is cut off: \(expected) bytes are announced and \(found) are there; write it again"
        case .unknownVersion(let version):
            "its format has version \(version); versions 1, 2 and 3 are read"
        case .badHeader(let reason): "its header is not as NumPy writes it: \(reason)"
        case .unsupportedType(let type):
            "its elements have the type \(type); take booleans, or integers or floats of at most "
                + "64 bits with the least significant byte first, as numpy.astype('<f4') makes"
        case .columnOrder:
            "its elements stand in column order; save numpy.ascontiguousarray(array)"
        case .tooLarge(let what): "it has \(what), which is more than is read"
        case .trailingBytes(let count): "\(count) bytes follow the array; write it again"
        }
    }
}

/// An array in NumPy's file format (NEP 1), in row order, least significant byte first.
struct NpyArray: Equatable, Sendable {
    /// The type of an element.
    var type: ElementType
    /// The extent of each axis; empty for a scalar.
    var shape: [Int]
    /// The elements, row by row.
    var bytes: ArraySlice<UInt8>

    /// NumPy's own limit of axes is 64; no model comes near.
    static let rankMax = 64
    /// A header describes a few dozen numbers; longer ones are not NumPy's.
    static let headerBytesMax = 64 << 10
    /// The most elements: their count and the count of their bytes stay far from overflow.
    static let elementsMax = 1 << 40

    private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// The elements begin at a multiple of this, so that files can be mapped.
    private static let alignmentBytes = 64

    /// Makes an array; `bytes` are exactly its elements.
    init(type: ElementType, shape: [Int], bytes: ArraySlice<UInt8>) {
        self.type = type
        self.shape = shape
        self.bytes = bytes
    }

    /// Reads a file.
    init(file: [UInt8]) throws(NpyError) {
        guard file.count >= Self.magic.count, file.starts(with: Self.magic) else { throw .notNpy }
        guard file.count >= 10 else { throw .cutOff(expectedBytes: 10, foundBytes: file.count) }
        let version = file[6]
        guard (1...3).contains(version) else { throw .unknownVersion(version) }
        let lengthBytes = version == 1 ? 2 : 4
        let headerStart = 8 + lengthBytes
        guard file.count >= headerStart else {
            throw .cutOff(expectedBytes: headerStart, foundBytes: file.count)
        }
        let length = file[8..<headerStart].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.headerBytesMax else {
            throw .tooLarge("a header of \(length) bytes")
        }
        let start = headerStart + length
        guard file.count >= start else {
            throw .cutOff(expectedBytes: start, foundBytes: file.count)
        }
        let header = try NpyHeader(text: file[headerStart..<start])
        guard !header.isColumnOrder || header.shape.count < 2 else { throw .columnOrder }
        guard let type = Self.type(named: header.type) else {
            throw .unsupportedType(header.type)
        }
        let byteCount = try Self.byteCount(type, header.shape)
        guard file.count - start >= byteCount else {
            throw .cutOff(expectedBytes: start + byteCount, foundBytes: file.count)
        }
        guard file.count - start == byteCount else {
            throw .trailingBytes(file.count - start - byteCount)
        }
        self.init(type: type, shape: header.shape, bytes: file[start...])
    }

    /// The file's bytes.
    var file: [UInt8] {
        var shape = shape.map(String.init).joined(separator: ", ")
        if self.shape.count == 1 { shape += "," }
        var header = Array(
            "{'descr': '\(Self.name(of: type))', 'fortran_order': False, 'shape': (\(shape)), }"
                .utf8)
        // A rank within the limit always fits the two length bytes of version 1.
        let unpadded = Self.magic.count + 4 + header.count + 1
        let end = (unpadded + Self.alignmentBytes - 1) / Self.alignmentBytes * Self.alignmentBytes
        header += [UInt8](repeating: UInt8(ascii: " "), count: end - unpadded)
        header.append(UInt8(ascii: "\n"))
        let length = UInt16(header.count)
        return Self.magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + header + bytes
    }

    private static func byteCount(_ type: ElementType, _ shape: [Int]) throws(NpyError) -> Int {
        guard shape.count <= rankMax else { throw .tooLarge("\(shape.count) axes") }
        if shape.contains(0) { return 0 }
        var count = 1
        for extent in shape {
            guard extent <= elementsMax / count else {
                throw .tooLarge("over \(elementsMax) elements")
            }
            count *= extent
        }
        return count * type.byteCount
    }

    /// NumPy's name of a type.
    ///
    /// It has none for bfloat16, whose bits it takes as integers.
    static func name(of type: ElementType) -> String {
        switch type {
        case .boolean: "|b1"
        case .int8: "|i1"
        case .int16: "<i2"
        case .int32: "<i4"
        case .int64: "<i8"
        case .uint8: "|u1"
        case .uint16, .bfloat16: "<u2"
        case .uint32: "<u4"
        case .uint64: "<u8"
        case .float16: "<f2"
        case .float32: "<f4"
        case .float64: "<f8"
        }
    }

    private static func type(named name: String) -> ElementType? {
        ElementType.allCases.first { type in
            // Of single bytes the order says nothing.
            type != .bfloat16
                && (self.name(of: type) == name
                    || type.byteCount == 1 && self.name(of: type).dropFirst() == name.dropFirst()
                        && "<>=|".contains(name.prefix(1)))
        }
    }
}

/// The description in front of the elements: a Python dictionary with three members.
private struct NpyHeader {
    var type: String
    var isColumnOrder: Bool
    var shape: [Int]

    init(text: ArraySlice<UInt8>) throws(NpyError) {
        var scanner = Scanner(text: text)
        var type: String?
        var isColumnOrder: Bool?
        var shape: [Int]?
        try scanner.expect("{")
        while !scanner.take("}") {
            let key = try scanner.string()
            try scanner.expect(":")
            switch key {
            case "descr" where type == nil: type = try scanner.string()
            case "fortran_order" where isColumnOrder == nil:
                isColumnOrder = try scanner.boolean()
            case "shape" where shape == nil: shape = try scanner.tuple()
            default: throw .badHeader("it has an unknown or second member '\(key.prefix(40))'")
            }
            guard !scanner.take(",") else { continue }
            try scanner.expect("}")
            break
        }
        guard scanner.isAtEnd else { throw .badHeader("text follows its end") }
        guard let type, let isColumnOrder, let shape else {
            throw .badHeader("it lacks descr, fortran_order or shape")
        }
        self.type = type
        self.isColumnOrder = isColumnOrder
        self.shape = shape
    }

    private struct Scanner {
        var text: ArraySlice<UInt8>

        var isAtEnd: Bool {
            mutating get {
                skipBlanks()
                return text.isEmpty
            }
        }

        mutating func skipBlanks() {
            text = text.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        }

        mutating func take(_ word: StaticString) -> Bool {
            skipBlanks()
            return word.withUTF8Buffer { word in
                guard text.starts(with: word) else { return false }
                text = text.dropFirst(word.count)
                return true
            }
        }

        mutating func expect(_ word: StaticString) throws(NpyError) {
            guard take(word) else { throw .badHeader("'\(word)' is missing") }
        }

        mutating func string() throws(NpyError) -> String {
            skipBlanks()
            guard let quote = text.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"")
            else { throw .badHeader("a text is missing; arrays with named fields are not read") }
            let rest = text.dropFirst()
            guard let end = rest.firstIndex(of: quote) else {
                throw .badHeader("a text has no end")
            }
            let bytes = rest[..<end]
            guard bytes.allSatisfy({ (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\\") })
            else { throw .badHeader("a text has a character that does not belong there") }
            text = rest[(end + 1)...]
            return String(decoding: bytes, as: UTF8.self)
        }

        mutating func boolean() throws(NpyError) -> Bool {
            if take("True") { return true }
            try expect("False")
            return false
        }

        mutating func tuple() throws(NpyError) -> [Int] {
            var result: [Int] = []
            try expect("(")
            while !take(")") {
                guard result.count <= NpyArray.rankMax else {
                    throw .tooLarge("over \(NpyArray.rankMax) axes")
                }
                result.append(try number())
                guard !take(",") else { continue }
                guard result.count != 1 else { throw .badHeader("the shape is no tuple") }
                try expect(")")
                break
            }
            return result
        }

        mutating func number() throws(NpyError) -> Int {
            skipBlanks()
            var value = 0
            var digits = 0
            while let byte = text.first, (0x30...0x39).contains(byte) {
                value = value * 10 + Int(byte - 0x30)
                digits += 1
                text = text.dropFirst()
                guard value <= NpyArray.elementsMax else {
                    throw .tooLarge("over \(NpyArray.elementsMax) elements")
                }
            }
            guard digits > 0 else { throw .badHeader("a number is missing in the shape") }
            return value
        }
    }
}
