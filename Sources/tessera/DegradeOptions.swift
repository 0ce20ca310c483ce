import ArgumentParser
import TesseraAPI
import TesseraCore

/// Whether answers may leave branches out, as an option.
struct DegradeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Answers may leave out branches that are late or lost, and say so: at most so many of one \
            join (1). In their place come zeros where the join is a weighted sum (Concat before \
            MatMul or Convolution), or the mean of the others where it adds them up or averages them. \
            off ends it. Goes with --allow single,branches; see Docs/Branches.md.
            """, valueName: "zeros|mean[:branches]"), transform: choice(parsing:))
    var degrade: Choice?

    /// What is said.
    enum Choice: Equatable {
        /// Branches may be left out.
        case allowed(BranchDegrade)
        /// None may.
        case off
    }

    /// Whether nothing is said.
    var isEmpty: Bool { degrade == nil }

    /// Says it in settings.
    func change(_ settings: inout ModelSettingsDocument) {
        switch degrade {
        case .allowed(let degrade):
            settings.degrade = ModelSettingsDocument.DegradeDocument(degrade)
        case .off: settings.degrade = nil
        case nil: break
        }
    }

    /// Reads `off`, or what stands for a branch and how many may be left out.
    static func choice(parsing text: String) throws -> Choice {
        if text == "off" { return .off }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let fill = BranchFill(name: String(parts[0])), parts.count <= 2 else {
            throw ValidationError(
                "'\(text)' is neither off nor "
                    + BranchFill.allCases.map(\.name).joined(separator: " or ") + ".")
        }
        let most = parts.count == 2 ? Int(parts[1]) ?? 0 : 1
        guard (1...BranchDegrade.mostMax).contains(most) else {
            throw ValidationError(
                "'\(parts[1])' is no number of branches from 1 to \(BranchDegrade.mostMax).")
        }
        return .allowed(BranchDegrade(fill: fill, most: most))
    }
}
