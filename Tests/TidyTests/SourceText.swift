/// Swift source without its comments and without what its texts hold: what is left is code.
struct SourceText {
    /// The lines with comments and the insides of texts replaced by blanks.
    let code: [String]
    /// The lines as they are.
    let lines: [String]

    init(_ source: String) {
        var scanner = Scanner(Array(source.utf8))
        scanner.scanCode(until: nil)
        code = Self.lines(scanner.output)
        lines = Self.lines(scanner.input)
    }

    private static func lines(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// A function, initialiser or subscript with its body.
    struct Function: Equatable {
        var firstLine: Int
        var lineCount: Int
    }

    /// Every function that has a body; lines count from 1.
    var functions: [Function] {
        var result: [Function] = []
        for index in code.indices where Self.beginsFunction(code[index]) {
            guard let end = endOfBody(from: index) else { continue }
            result.append(Function(firstLine: index + 1, lineCount: end - index + 1))
        }
        return result
    }

    private static func beginsFunction(_ line: String) -> Bool {
        let words = line.split { !$0.isLetter && $0 != "_" && !$0.isNumber }
        guard let first = words.first else { return false }
        if words.contains("func") || words.contains("deinit") { return true }
        let modifiers: Set<Substring> = [
            "public", "package", "internal", "private", "fileprivate", "convenience", "required",
            "override", "nonisolated", "mutating", "static", "set",
        ]
        let word = words.first { !modifiers.contains($0) } ?? first
        let rest = line.drop { $0 == " " }
        return word == "init" && !rest.hasPrefix(".") && line.contains("init")
            && !line.contains("=") && !line.contains(".init") && !line.contains("self.init")
            && !line.contains("super.init")
    }

    /// The line on which the body that begins at or after a line ends; nil if there is none.
    private func endOfBody(from first: Int) -> Int? {
        var braces = 0
        var parentheses = 0
        for index in first..<code.count {
            for byte in code[index].utf8 {
                switch byte {
                case UInt8(ascii: "("), UInt8(ascii: "["): parentheses += 1
                case UInt8(ascii: ")"), UInt8(ascii: "]"): parentheses -= 1
                case UInt8(ascii: "{") where parentheses == 0 || braces > 0: braces += 1
                case UInt8(ascii: "}"):
                    // A requirement of a protocol: the braces around it end.
                    if braces == 0 && parentheses == 0 { return nil }
                    if braces > 0 { braces -= 1 }
                    if braces == 0 && parentheses == 0 { return index }
                default: break
                }
            }
            if braces == 0, index > first, parentheses == 0,
                Self.beginsFunction(code[index]) || code[index].contains("var ")
            {
                return nil
            }
        }
        return nil
    }

    private struct Scanner {
        let input: [UInt8]
        var output: [UInt8]
        var position = 0

        init(_ input: [UInt8]) {
            self.input = input
            output = input
        }

        private func byte(_ offset: Int) -> UInt8? {
            position + offset < input.count ? input[position + offset] : nil
        }

        private func has(_ text: StaticString) -> Bool {
            text.withUTF8Buffer { input[position...].starts(with: $0) }
        }

        private mutating func blank(_ count: Int) {
            for index in position..<min(position + count, input.count)
            where input[index] != UInt8(ascii: "\n") {
                output[index] = UInt8(ascii: " ")
            }
            position = min(position + count, input.count)
        }

        /// Scans code up to a closing parenthesis of its own, or to the end.
        mutating func scanCode(until end: UInt8?) {
            var depth = 0
            while let current = byte(0) {
                if has("//") {
                    while let next = byte(0), next != UInt8(ascii: "\n") { blank(1) }
                } else if has("/*") {
                    scanComment()
                } else if current == UInt8(ascii: "\"") || current == UInt8(ascii: "#") {
                    scanText()
                } else {
                    if current == UInt8(ascii: "(") { depth += 1 }
                    if current == UInt8(ascii: ")") {
                        if depth == 0, end == current { return }
                        depth -= 1
                    }
                    position += 1
                }
            }
        }

        private mutating func scanComment() {
            var depth = 0
            while byte(0) != nil {
                if has("/*") {
                    depth += 1
                    blank(2)
                } else if has("*/") {
                    depth -= 1
                    blank(2)
                    if depth == 0 { return }
                } else {
                    blank(1)
                }
            }
        }

        /// Scans a text with any number of `#` around it; a `#` without a text is code.
        private mutating func scanText() {
            var hashes = 0
            while byte(hashes) == UInt8(ascii: "#") { hashes += 1 }
            guard byte(hashes) == UInt8(ascii: "\"") else {
                position += max(hashes, 1)
                return
            }
            position += hashes
            let isLong = has("\"\"\"")
            position += isLong ? 3 : 1
            while let current = byte(0) {
                if current == UInt8(ascii: "\"") {
                    let quotes = isLong ? 3 : 1
                    let isEnd =
                        (0..<quotes).allSatisfy { byte($0) == UInt8(ascii: "\"") }
                        && (0..<hashes).allSatisfy { byte(quotes + $0) == UInt8(ascii: "#") }
                    if isEnd {
                        position += quotes + hashes
                        return
                    }
                    blank(1)
                } else if current == UInt8(ascii: "\\"),
                    (0..<hashes).allSatisfy({ byte(1 + $0) == UInt8(ascii: "#") })
                {
                    blank(1 + hashes)
                    if byte(0) == UInt8(ascii: "(") {
                        position += 1
                        scanCode(until: UInt8(ascii: ")"))
                        position += 1
                    } else {
                        blank(1)
                    }
                } else if current == UInt8(ascii: "\n"), !isLong {
                    return
                } else {
                    blank(1)
                }
            }
        }
    }
}
