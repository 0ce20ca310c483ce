/// The rules of Docs/Style.md that a machine can check.
enum HouseRules {
    /// A function that does not fit on a page is two functions.
    static let functionLinesMax = 70
    /// A file has one main type.
    static let fileLinesMax = 500

    /// What the core must not name, and what to take instead.
    static let bannedInCore = [
        ("Date(", "take the time as an argument"), (".now", "take the time as an argument"),
        ("Task {", "return a directive"), ("import Foundation", "the core depends on nothing"),
        ("print(", "report with a directive"), ("DispatchQueue", "the core has no threads"),
        ("Mutex", "the core has no locks"), ("SystemRandomNumberGenerator", "use SeededGenerator"),
    ]

    /// Lines of the core that decide by something else than their arguments.
    static func impurities(_ source: SourceText) -> [String] {
        source.code.enumerated().flatMap { index, line in
            var found = bannedInCore.filter { line.contains($0.0) }.map { "\($0.0): \($0.1)" }
            let draws = [".random(in:", ".shuffled()", ".randomElement()", ".shuffle()"]
            for draw in draws where line.contains(draw) && !line.contains("using:") {
                found.append("\(draw) without using: a SeededGenerator")
            }
            return found.map { "\(index + 1): \($0)" }
        }
    }

    /// Functions that are too long.
    static func longFunctions(_ source: SourceText) -> [String] {
        source.functions.filter { $0.lineCount > functionLinesMax }.map { function in
            "\(function.firstLine): a function of \(function.lineCount) lines; "
                + "at most \(functionLinesMax)"
        }
    }

    /// Escapes from the compiler's checks that no comment explains.
    static func unexplained(_ source: SourceText) -> [String] {
        let escapes = ["try?", "@unchecked Sendable", "nonisolated(unsafe)", "try!", "catch {}"]
        return source.code.enumerated().flatMap { index, line in
            escapes.filter { holds(line, $0) && !isExplained(index, source) }
                .map { "\(index + 1): \($0) without a comment that says why" }
        }
    }

    /// Whether a line has a word that does not only end so, as "Entry?" does.
    private static func holds(_ line: String, _ word: String) -> Bool {
        line.ranges(of: word).contains { range in
            line[..<range.lowerBound].last.map { !$0.isLetter } ?? true
        }
    }

    /// Whether a comment stands on the line, right above it, or above the statement or the
    /// attributes that it belongs to.
    private static func isExplained(_ index: Int, _ source: SourceText) -> Bool {
        func hasComment(_ index: Int) -> Bool {
            source.lines[index].contains("//") && !source.code[index].contains("//")
        }
        if hasComment(index) { return true }
        // A reason in a catch or a guard may follow on the next line.
        if index + 1 < source.lines.count,
            source.lines[index + 1].drop(while: { $0 == " " }).hasPrefix("//")
        {
            return true
        }
        // Up to the comment, over the beginning of the same statement and its neighbours that the
        // same comment explains.
        var above = index - 1
        let reach = max(0, index - 6)
        while above >= reach {
            let text = source.lines[above].drop { $0 == " " }
            if text.hasPrefix("//") { return true }
            if text.isEmpty || text.hasPrefix("}") || text.hasPrefix("func ") { return false }
            above -= 1
        }
        return false
    }

    /// Notes for later that nobody keeps track of.
    static func looseEnds(_ text: String) -> [String] {
        let words = ["TODO", "FIXME", "XXX"]
        return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .flatMap { index, line in
                words.filter { word in
                    // mkstemp's pattern is a run of the same letter.
                    guard let range = line.firstRange(of: word) else { return false }
                    return !line[range.upperBound...].hasPrefix("(#")
                        && !line[range.upperBound...].hasPrefix("X")
                }.map { "\(index + 1): \($0) without the number of an issue, as in \($0)(#12)" }
            }
    }

    /// Paths that mean something on one machine only.
    static func machinePaths(_ text: String) -> [String] {
        // Written in two parts, so that this file does not break its own rule.
        let paths = [
            "/" + "work/", "/" + "tmp/h/", "/" + "tmp/tessera/", "/" + "root/", "/" + "home/",
        ]
        return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .flatMap { index, line in
                paths.filter { line.contains($0) }.map { "\(index + 1): the machine's path \($0)" }
            }
    }

    /// The first heading of a page is its only one of the first order.
    static func headings(_ text: String) -> [String] {
        var isCode = false
        var titles: [Int] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.hasPrefix("```") { isCode.toggle() }
            if !isCode, line.hasPrefix("# ") { titles.append(index + 1) }
        }
        if titles.isEmpty { return ["1: a page begins with a title (# ...)"] }
        return titles.dropFirst().map { "\($0): a second title; a page has one" }
    }

    /// The targets of a page's links, without those into the web.
    static func links(_ text: String) -> [(line: Int, target: String)] {
        var result: [(Int, String)] = []
        var isCode = false
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.hasPrefix("```") { isCode.toggle() }
            guard !isCode else { continue }
            for part in line.components(after: "](") {
                guard let end = part.firstIndex(of: ")") else { continue }
                let target = part[..<end].prefix { $0 != " " }
                if !target.contains("://"), !target.hasPrefix("mailto:") {
                    result.append((index + 1, String(target)))
                }
            }
        }
        return result
    }

    /// The anchor of a heading, as GitHub makes it.
    static func anchor(_ heading: some StringProtocol) -> String {
        heading.drop { $0 == "#" }.drop { $0 == " " }.lowercased().compactMap { character in
            if character == " " { return "-" }
            return character.isLetter || character.isNumber || character == "-" || character == "_"
                ? String(character) : nil
        }.joined()
    }
}

extension Substring {
    /// What follows each occurrence of a text.
    fileprivate func components(after separator: String) -> [Substring] {
        var result: [Substring] = []
        var rest = self
        while let range = rest.firstRange(of: separator) {
            rest = rest[range.upperBound...]
            result.append(rest)
        }
        return result
    }
}
