import ArgumentParser
import NIOCore
import TesseraAPI
import TesseraCore

/// What `infer --json` prints.
struct InferDocument: Codable {
    /// Milliseconds from sending a request to having its whole answer.
    struct Latency: Codable {
        var mean: Double
        var p50: Double
        var p90: Double
        var p99: Double
        var max: Double
    }

    /// The version of this form.
    var version = controlVersion
    /// The model.
    var model: String
    /// Requests sent.
    var requests: Int
    /// Requests answered.
    var answered: Int
    /// What went wrong, with how often.
    var errors: [String: Int]
    /// Answers to a repeated item that differ from the first one.
    var differing: Int
    /// Seconds from the first request to the last answer.
    var seconds: Double
    /// Answers per second.
    var perSecond: Double
    /// Of the answered ones; nil if none was.
    var latencyMilliseconds: Latency?
    /// How many each exit answered, and the output for which they stand; nil if none was looked at.
    var exits: [String: Int]?
    /// How many answers did without branches, by which; nil if all are those of the whole model.
    var leftOut: [String: Int]?
    /// The files written.
    var files: [String]
}

/// `tessera infer`.
struct InferCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "infer",
        abstract: "Send arrays to a model and store its answers, or ask what is in an image.",
        discussion: """
            With --image the model says what it sees in PNG or JPEG files; it has to have been added \
            with --image. All else is for arrays.

            Each input is a .npy file of the model's type and shape. A file with more items along \
            its first axis is sent item by item, in order; the answers are stacked in the same \
            order. An input with one item serves all items of the others.
            """)

    @Argument(help: "The name of the model.")
    var model: String

    @Option(
        name: .customLong("input"),
        help: ArgumentHelp(
            "An input of the model and the file with its values; repeat for each input.",
            valueName: "name=file.npy"))
    var inputs: [String] = []

    @Option(
        name: .customLong("output-dir"),
        help: ArgumentHelp("Where one .npy file per output is written.", valueName: "folder"))
    var outputFolder: String?

    @Option(
        name: .customLong("image"),
        help: ArgumentHelp("A PNG or JPEG file; repeat for more.", valueName: "file"))
    var images: [String] = []

    @Option(help: ArgumentHelp("How many classes are shown for an image.", valueName: "count"))
    var top = 5

    @Option(
        name: .customLong("repeat"),
        help: ArgumentHelp("How often all items are sent.", valueName: "count"))
    var repeats = 1

    @Option(help: ArgumentHelp("How many requests are open at once.", valueName: "count"))
    var concurrency = 1

    @Option(
        help: ArgumentHelp(
            """
            A threshold from 0 to 1 for every early exit of the model instead of its own, or off for \
            the whole model's answers.
            """, valueName: "threshold"), transform: wish)
    var exits = ExitWish.usual

    @OptionGroup var reading: ReadingOptions

    /// More connections than an agent takes would only wait.
    private static let concurrencyMax = 1_000

    func validate() throws {
        guard (1...10_000_000).contains(repeats) else {
            throw ValidationError("--repeat is from 1 to 10000000.")
        }
        guard (1...Self.concurrencyMax).contains(concurrency) else {
            throw ValidationError("--concurrency is from 1 to \(Self.concurrencyMax).")
        }
        guard (1...100).contains(top) else { throw ValidationError("--top is from 1 to 100.") }
        guard images.isEmpty else {
            guard inputs.isEmpty, outputFolder == nil else {
                throw ValidationError("--image does not go with --input and --output-dir.")
            }
            return
        }
        guard outputFolder != nil else {
            throw ValidationError("Missing expected argument '--output-dir <folder>'")
        }
        let names = try arguments().map(\.name)
        guard Set(names).count == names.count else {
            throw ValidationError("an input is given twice.")
        }
    }

    func run() async throws {
        guard let outputFolder else { return try await ask() }
        let arguments = try arguments()
        try Files.makeFolder(outputFolder)
        let outcome = try await APIClient.with(
            reading.api, connections: concurrency
        ) { client in
            let path = "/v2/models/\(APIClient.component(model))"
            let metadata = try await client.document(KServe.ModelMetadata.self, at: path)
            let inputs = try InferInputs(arguments: arguments, model: metadata)
            return try await InferRun(
                client: client, path: path + "/infer", inputs: inputs, repeats: repeats,
                concurrency: concurrency, exits: exits
            ).run()
        }
        let files = try InferOutputs(outcome.answers).write(to: outputFolder)
        let document = outcome.document(model: model, files: files)
        if reading.isJSON {
            Console.line(try JSONText.pretty(document))
        } else {
            show(document)
        }
        guard document.answered == document.requests else {
            throw CommandFailure(
                "\(document.requests - document.answered) of \(document.requests) requests were "
                    + "not answered." + (outcome.isUnreachable ? " Is the agent still there?" : ""),
                code: outcome.isUnreachable ? .unreachable : .failed)
        }
    }

    /// Asks what is in each image, one after the other.
    private func ask() async throws {
        let documents = try await APIClient.with(reading.api) { client in
            var documents: [ClassificationDocument] = []
            for image in images {
                let document = try await ImageQuestion(client: client, model: model)
                    .ask(file: image, top: top)
                documents.append(document)
                guard !reading.isJSON else { continue }
                if images.count > 1 { Console.line(Figures.printable(image) + ":") }
                ImageQuestion.table(document).show()
                if let leftOut = document.leftOut {
                    Console.line(
                        Style.warning(
                            "the answer does without the branches "
                                + leftOut.joined(separator: ", ")))
                }
            }
            return documents
        }
        if reading.isJSON { Console.line(try JSONText.pretty(documents)) }
    }

    /// What is said of early exits.
    private static func wish(_ text: String) throws -> ExitWish {
        if text == "off" { return .none }
        guard let value = Double(text), value >= 0, value <= 1 else {
            throw ValidationError("'\(text)' is neither off nor a threshold from 0 to 1.")
        }
        return .threshold(Int((value * Double(ModelExit.unit)).rounded()))
    }

    private func arguments() throws -> [(name: String, path: String)] {
        guard !inputs.isEmpty else {
            throw ValidationError("at least one --input NAME=FILE.npy is needed.")
        }
        return try inputs.map(Self.argument(parsing:))
    }

    /// An input's name and its file.
    static func argument(parsing text: String) throws -> (name: String, path: String) {
        // A name may have the sign in it; a path after the last one may not.
        guard let sign = text.lastIndex(of: "="), sign != text.startIndex,
            text.index(after: sign) != text.endIndex
        else { throw ValidationError("'\(text)' is not NAME=FILE.npy.") }
        return (String(text[..<sign]), String(text[text.index(after: sign)...]))
    }

    private func show(_ document: InferDocument) {
        Console.line(
            "\(document.answered) of \(document.requests) answered in "
                + "\(Figures.decimal(document.seconds, places: 2)) s, "
                + "\(Figures.decimal(document.perSecond, places: 1)) per second")
        if let latency = document.latencyMilliseconds {
            var table = Table("LATENCY", ">MEAN", ">P50", ">P90", ">P99", ">MAX")
            let text = [latency.mean, latency.p50, latency.p90, latency.p99, latency.max]
                .map(Figures.milliseconds)
            table.add("ms", text[0], text[1], text[2], text[3], text[4])
            table.show()
        }
        if let exits = document.exits {
            var table = Table("ANSWERED BY", ">REQUESTS", ">SHARE")
            for (name, count) in exits.sorted(by: { $0.key < $1.key }) {
                let percent = Double(count) * 100 / Double(max(document.answered, 1))
                table.add(name, "\(count)", Figures.decimal(percent, places: 1) + " %")
            }
            table.show()
        }
        for (branches, count) in (document.leftOut ?? [:]).sorted(by: { $0.key < $1.key }) {
            Console.line(Style.warning("\(count) answers do without the branches \(branches)"))
        }
        for (error, count) in document.errors.sorted(by: { $0.key < $1.key }) {
            Console.line(Style.bad("\(count) ×") + " " + error)
        }
        if document.differing > 0 {
            Console.line(
                Style.warning("\(document.differing) answers differ from the first to their item"))
        }
        for file in document.files { Console.line("wrote \(file)") }
    }
}
