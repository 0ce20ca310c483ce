import ArgumentParser
import TesseraAPI
import TesseraCore

/// Limits and wishes as people write them on the command line.
enum PlanQuantities {
    /// Longer than any plan takes.
    private static let secondsMax = 1_000.0
    /// More energy than any item takes.
    private static let joulesMax = 1e6

    /// Nanoseconds of a time such as `80ms`.
    static func nanoseconds(_ text: String) throws -> Int {
        let units = [("ms", 1e6), ("us", 1e3), ("µs", 1e3), ("ns", 1.0), ("s", 1e9)]
        let example = "a time above 0 and up to 1000 s, such as 80ms, 1.5s or 250us"
        return try quantity(text, units: units, most: secondsMax * 1e9, example)
    }

    /// Nanojoules of an energy such as `300mJ`.
    static func nanojoules(_ text: String) throws -> Int {
        let units = [("mJ", 1e6), ("uJ", 1e3), ("µJ", 1e3), ("J", 1e9)]
        let example = "an energy above 0 and up to 1000000 J, such as 2.5J or 300mJ"
        return try quantity(text, units: units, most: joulesMax * 1e9, example)
    }

    /// A percentage such as `20%` or `20`.
    static func percent(_ text: String) throws -> Int {
        let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
        let most = ModelSettingsDocument.headroomMax
        guard let value = Int(digits), (0...most).contains(value) else {
            throw ValidationError("'\(text)' is not a percentage from 0% to \(most)%.")
        }
        return value
    }

    /// An objective.
    static func objective(_ text: String) throws -> PlanGoal.Objective {
        guard let value = PlanGoal.Objective(rawValue: text) else {
            let known = PlanGoal.Objective.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is no objective; known are \(known).")
        }
        return value
    }

    /// A baseline, or `best` for none.
    static func choice(_ text: String) throws -> PlanChoice {
        if text == "best" { return .best }
        guard let value = PlanBaseline(rawValue: text) else {
            let known = PlanBaseline.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is no baseline; known are \(known), and best.")
        }
        return .baseline(value)
    }

    /// A share of all such as 97% or 99.5%, in millionths.
    static func share(_ text: String) throws -> Int {
        let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
        guard let value = Double(digits), value >= 0, value <= 100,
            digits.utf8.allSatisfy({ "0123456789.".utf8.contains($0) })
        else { throw ValidationError("'\(text)' is not a percentage from 0% to 100%.") }
        return Int((value * 10_000).rounded())
    }

    /// A number of operators.
    static func operators(_ text: String) throws -> Int {
        guard let value = Int(text), (0...ModelSettings.keepInputLocalMax).contains(value) else {
            throw ValidationError(
                "'\(text)' is not a number of operators from 0 to "
                    + "\(ModelSettings.keepInputLocalMax).")
        }
        return value
    }

    /// Stage modes, with commas between them.
    static func modes(_ text: String) throws -> ModeSet {
        var result: ModeSet = .single
        for name in text.split(separator: ",", omittingEmptySubsequences: false) {
            switch name {
            case "single": break
            case "replicas": result.insert(.replicas)
            case "rows": result.insert(.rows)
            case "branches": result.insert(.branches)
            default:
                throw ValidationError(
                    "'\(name)' is no stage mode; known are single, replicas, rows, branches.")
            }
        }
        return result
    }

    private static func quantity(
        _ text: String, units: [(name: String, size: Double)], most: Double, _ example: String
    ) throws -> Int {
        let unit = units.first { text.hasSuffix($0.name) }
        let digits = text.dropLast(unit?.name.count ?? 0)
        guard let unit, let number = Double(digits),
            digits.utf8.allSatisfy({ "0123456789.".utf8.contains($0) }), number > 0,
            number * unit.size <= most, number * unit.size >= 1
        else { throw ValidationError("'\(text)' is not \(example).") }
        return Int((number * unit.size).rounded())
    }
}
