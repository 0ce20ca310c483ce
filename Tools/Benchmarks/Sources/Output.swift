import Foundation

/// What a benchmark process says: one JSON document a line, each sent at once.
enum Output {
    /// Writes a line.
    static func line(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var line = try encoder.encode(value)
        line.append(UInt8(ascii: "\n"))
        try FileHandle.standardOutput.write(contentsOf: line)
    }
}

/// A process that cannot do its part.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// What the script asks for, one command a line: a word and whole numbers.
struct Command {
    let word: String
    let numbers: [Int]

    /// The next command; nil at the end of standard input.
    static func next() throws -> Command? {
        guard let line = readLine() else { return nil }
        let parts = line.split(separator: " ")
        let numbers = parts.dropFirst().map { Int($0) ?? -1 }
        guard let word = parts.first, numbers.allSatisfy({ $0 >= 0 }) else {
            throw BenchmarkError("\"\(line)\" is not a word with whole numbers behind it")
        }
        return Command(word: String(word), numbers: numbers)
    }

    /// A number, which must be there.
    func number(_ index: Int) throws -> Int {
        guard numbers.indices.contains(index) else {
            throw BenchmarkError("\"\(word)\" needs \(index + 1) numbers")
        }
        return numbers[index]
    }
}

/// Time since the process began, by the clock that every process of this machine shares.
enum Stopwatch {
    /// Nanoseconds, monotonic.
    static var nanoseconds: UInt64 { DispatchTime.now().uptimeNanoseconds }
}
