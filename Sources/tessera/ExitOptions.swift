import ArgumentParser
import TesseraAPI
import TesseraCore

/// The outputs by which a model's requests may be answered early, as options.
struct ExitOptions: ParsableArguments {
    @Option(
        name: .customLong("exit"),
        help: ArgumentHelp(
            """
            An output that may answer early, in place of the one that is no exit; repeat in the order \
            in which the model computes them. Measures of logits: max (largest probability), margin \
            (between the two largest), entropy (1 less the normalised entropy); of probabilities: \
            pmax, pmargin, pentropy. The threshold is from 0 to 1. Default: max, 0.9. See \
            Docs/Exits.md.
            """, valueName: "output[:measure[:threshold]]"), transform: exit(parsing:))
    var exits: [ModelSettingsDocument.ExitDocument] = []

    @Flag(help: "No output answers early any more.")
    var noExits = false

    /// Whether nothing is said.
    var isEmpty: Bool { exits.isEmpty && !noExits }

    func validate() throws {
        guard exits.isEmpty || !noExits else {
            throw ValidationError("--exit and --no-exits contradict each other.")
        }
    }

    /// Says it in settings.
    func change(_ settings: inout ModelSettingsDocument) {
        if noExits { settings.exits = nil }
        if !exits.isEmpty { settings.exits = exits }
    }

    /// Reads an exit from the right: names of outputs may have colons in them.
    static func exit(parsing text: String) throws -> ModelSettingsDocument.ExitDocument {
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)[...]
        var exit = ModelExit(output: "")
        if parts.count > 2, let measure = ExitMeasure(name: String(parts[parts.endIndex - 2])),
            let last = parts.last
        {
            guard let threshold = Double(last), threshold >= 0, threshold <= 1 else {
                throw ValidationError("'\(last)' is no threshold from 0 to 1.")
            }
            exit.measure = measure
            exit.threshold = Int((threshold * Double(ModelExit.unit)).rounded())
            parts = parts.dropLast(2)
        } else if parts.count > 1, let last = parts.last,
            let measure = ExitMeasure(name: String(last))
        {
            exit.measure = measure
            parts = parts.dropLast()
        }
        exit.output = parts.joined(separator: ":")
        guard !exit.output.isEmpty else { throw ValidationError("'\(text)' names no output.") }
        return ModelSettingsDocument.ExitDocument(exit)
    }
}
