import ArgumentParser
import TesseraAPI
import TesseraCore

/// `tessera model show`.
struct ModelShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a model's settings, and what packing does to it.")

    @Argument(help: "The name of the model.")
    var name: String

    @OptionGroup var reading: ReadingOptions

    func run() async throws {
        var document = try await APIClient.with(reading.api) { client in
            try await client.document(ModelsDocument.self, at: "/tessera/v1/models")
        }
        document.models.removeAll { $0.name != name }
        guard let model = document.models.first else {
            throw CommandFailure(
                "The mesh has no model \(name). `tessera model list` shows what it has.",
                code: .failed)
        }
        if reading.isJSON { return Console.line(try JSONText.pretty(document)) }
        Self.show(model)
    }

    private static func show(_ model: ModelDocument) {
        Console.line("\(model.name), manifest \(model.manifest.prefix(8))")
        guard let settings = model.settings else { return }
        Console.line("  objective  \(settings.objective)")
        Console.line("  modes      \(settings.modes.joined(separator: ", "))")
        if let baseline = settings.baseline { Console.line("  mode       \(baseline)") }
        if let degrade = settings.degrade {
            Console.line(
                "  degrade    up to \(degrade.most) branches of a join may be left out "
                    + "(\(degrade.branches) in their place)")
        }
        guard let codecs = settings.codecs else {
            return Console.line("  packing    lossless only; nothing was measured")
        }
        Console.line("  packing    \(summary(codecs))")
        Console.line("")
        show(codecs)
    }

    private static func summary(_ codecs: CodecsDocument) -> String {
        "answers lose \(CalibrationOptions.percent(codecs.dropPerMillion)) of "
            + "\(CalibrationOptions.percent(codecs.maxDropPerMillion)) allowed (\(codecs.measure), "
            + "\(codecs.items) items)"
    }

    private static func show(_ codecs: CodecsDocument) {
        var table = Table(">TENSOR", ">LOSSLESS LEAVES", ">F16 LOSES", ">BF16 LOSES", ">INT8 LOSES")
        for tensor in codecs.tensors {
            let losses = ["f16", "bf16", "int8"].map { codec -> String in
                guard let trial = tensor.tried.first(where: { $0.codec == codec }) else {
                    return "-"
                }
                let percent = CalibrationOptions.percent(trial.dropPerMillion)
                return trial.isAllowed ? percent : "(\(percent))"
            }
            table.add(
                "\(tensor.tensor)", CalibrationOptions.percent(tensor.losslessPerMille * 1_000),
                losses[0], losses[1], losses[2])
        }
        table.show()
        Console.message("what stands in brackets is not allowed")
    }
}
