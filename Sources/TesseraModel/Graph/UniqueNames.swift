/// Hands out names that nobody has yet.
struct UniqueNames {
    private var taken: Set<String> = []
    /// The number to try next behind a name, so that a thousand equal names take a thousand steps.
    private var nextNumber: [String: Int] = [:]

    /// Takes the name; false if somebody has it.
    mutating func claim(_ name: String) -> Bool { taken.insert(name).inserted }

    /// The name, or the name with the lowest free number behind it.
    mutating func unique(_ name: String) -> String {
        if claim(name) { return name }
        var number = nextNumber[name] ?? 2
        while !claim("\(name)#\(number)") { number += 1 }
        nextNumber[name] = number + 1
        return "\(name)#\(number)"
    }

    /// The name, cut so that a number behind it still fits the limit.
    static func shortened(_ name: String) -> String {
        var result = name
        while result.utf8.count > ModelLimits.nameBytesMax - 16 { result.removeLast() }
        return result
    }
}
