import ArgumentParser
import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TesseraAPI
import TesseraCore

/// `tessera model exits`.
struct ModelExitsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exits", abstract: "Measure what thresholds for a model's early exits do.",
        discussion: """
            Sends items whose answers are known, with early exits off, and says for each threshold \
            how accurate the answers would be and which share of requests each exit would answer. \
            With --min-accuracy the lowest threshold that is accurate enough becomes that of all \
            exits, and plans count with its shares.
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
        help: ArgumentHelp(
            "The right class of each item, as whole numbers.", valueName: "file.npy"))
    var labels: String

    @Option(
        help: ArgumentHelp(
            "The least share of right answers, such as 97%: sets the exits' thresholds.",
            valueName: "percent"), transform: PlanQuantities.share)
    var minAccuracy: Int?

    @Option(
        help: ArgumentHelp(
            "Where the table is written, for `tessera plan --exits`.", valueName: "file"))
    var table: String?

    @Option(help: ArgumentHelp("How many requests are open at once.", valueName: "count"))
    var concurrency = 4

    @OptionGroup var api: APIOptions

    func validate() throws {
        guard (1...64).contains(concurrency) else {
            throw ValidationError("--concurrency is from 1 to 64.")
        }
        guard !inputs.isEmpty else {
            throw ValidationError("at least one --input NAME=FILE.npy is needed.")
        }
    }

    func run() async throws {
        let arguments = try inputs.map(InferCommand.argument(parsing:))
        let labels = try Self.numbers(in: self.labels)
        // Without --min-accuracy nothing is changed, and reading needs no right to change.
        let token = minAccuracy == nil ? nil : try api.adminToken()
        try await APIClient.with(api, token: token, connections: concurrency) { client in
            let models = try await client.document(ModelsDocument.self, at: "/tessera/v1/models")
            guard let found = models.models.first(where: { $0.name == model }) else {
                throw CommandFailure("The mesh has no model \(model).", code: .failed)
            }
            let settings = found.settings
            let exits = try settings.map { try $0.settings().exits } ?? []
            guard !exits.isEmpty else {
                throw CommandFailure(
                    "\(model) has no exits: `tessera model set \(model) --exit OUTPUT` names one.")
            }
            let answers = try await answers(client, arguments, count: labels.count)
            var calibration = ExitCalibration(exits)
            for (answer, label) in zip(answers, labels) {
                try calibration.note(answer, label: label)
            }
            show(calibration)
            if let table {
                try Files.write(table, JSONText.bytes(ExitTableDocument(calibration)))
                Console.line("wrote \(table)")
            }
            if let minAccuracy { try await set(client, found, calibration, minAccuracy) }
        }
    }

    private func answers(
        _ client: APIClient, _ arguments: [(name: String, path: String)], count: Int
    ) async throws -> [[KServe.Output]] {
        let path = "/v2/models/\(APIClient.component(model))"
        let metadata = try await client.document(KServe.ModelMetadata.self, at: path)
        let inputs = try InferInputs(arguments: arguments, model: metadata)
        guard inputs.itemCount == count else {
            throw CommandFailure(
                "there are \(inputs.itemCount) items and \(count) labels.", code: .usage)
        }
        let outcome = try await InferRun(
            client: client, path: path + "/infer", inputs: inputs, repeats: 1,
            concurrency: concurrency, exits: .none
        ).run()
        let answers = outcome.answers.compactMap { $0 }
        guard answers.count == count else {
            throw CommandFailure(
                "\(count - answers.count) of \(count) items were not answered: "
                    + (outcome.errors.keys.sorted().first ?? "no reason is given"))
        }
        return answers
    }

    private static func numbers(in path: String) throws -> [Int] {
        let array = try InferInputs.array(in: path)
        let types: [ElementType] = [
            .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64,
        ]
        guard types.contains(array.type), array.shape.count == 1 else {
            throw CommandFailure(
                "\(path) does not hold one whole number for each item.", code: .usage)
        }
        let size = array.type.byteCount
        return stride(from: 0, to: array.bytes.count, by: size).map { offset in
            let start = array.bytes.startIndex + offset
            var value: UInt64 = 0
            for (place, byte) in array.bytes[start..<(start + size)].enumerated() {
                value |= UInt64(byte) << UInt64(8 * place)
            }
            return Int(truncatingIfNeeded: value)
        }
    }

    private func show(_ calibration: ExitCalibration) {
        let names = calibration.exits.map { ">" + Figures.printable($0.output).uppercased() }
        var table = Table([">THRESHOLD", ">ACCURACY"] + names + [">END"])
        func percent(_ millionths: Int) -> String {
            Figures.decimal(Double(millionths) / 10_000, places: 1) + " %"
        }
        for policy in calibration.policies {
            let end = ModelExit.unit - policy.shares.reduce(0, +)
            table.add(
                [
                    Figures.decimal(
                        Double(policy.threshold) / Double(ModelExit.unit), places: 2),
                    percent(policy.accuracy),
                ] + policy.shares.map(percent) + [percent(end)])
        }
        table.show()
    }

    private func set(
        _ client: APIClient, _ found: ModelDocument, _ calibration: ExitCalibration,
        _ accuracyMin: Int
    ) async throws {
        guard let policy = calibration.lowest(accuracyMin: accuracyMin) else {
            throw CommandFailure("no threshold is that accurate; nothing is changed.")
        }
        var settings = found.settings ?? ModelSettingsDocument(ModelSettings())
        settings.exits = zip(calibration.exits, policy.shares).map { exit, share in
            var exit = exit
            exit.threshold = policy.threshold
            exit.share = share
            return ModelSettingsDocument.ExitDocument(exit)
        }
        let document = AddModelDocument(
            name: model, manifest: found.manifest, settings: settings)
        let answer = try await client.call(
            .POST, "/tessera/v1/models", headers: ["Content-Type": "application/json"],
            body: .bytes(ByteBuffer(bytes: try JSONText.bytes(document))))
        try APIClient.check(answer)
        let threshold = Double(policy.threshold) / Double(ModelExit.unit)
        Console.message(
            "the exits of \(model) answer from \(Figures.decimal(threshold, places: 2)) on")
    }
}
