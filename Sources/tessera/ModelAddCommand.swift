import ArgumentParser
import TesseraAPI
import TesseraCore
import TesseraModel

/// `tessera model add`.
struct ModelAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Import a model file and give it to the mesh.",
        discussion: """
            Takes ONNX (with external weights beside it), OpenVINO IR, TFLite and Paddle files. The \
            import runs in this process. Then the weights go to the agent, and from there to the \
            others; the command ends when they are on enough nodes and a plan serves the model.
            """)

    @Argument(help: "The model file.")
    var file: String

    @Option(help: "The name that clients will use. Default: the file's name.")
    var name: String?

    @Option(
        name: .customLong("shape"),
        help: ArgumentHelp(
            "The fixed shape of an input; repeat for each input that has none.",
            valueName: "input=1,3,224,224"))
    var shapes: [String] = []

    @Option(
        help: ArgumentHelp(
            "On how many nodes the weights are to be, if there are as many.", valueName: "count"))
    var copies = 2

    @Option(
        name: .customLong("wait"),
        help: ArgumentHelp(
            "How long to wait for the copies and for a plan; 0 does not wait.",
            valueName: "seconds"))
    var waitSeconds = 120

    @OptionGroup(title: "Planning") var planning: PlanningOptions

    @OptionGroup(title: "Packing for slow links") var calibration: CalibrationOptions
    @OptionGroup(title: "Early exits") var exits: ExitOptions
    @OptionGroup(title: "Branches") var branches: DegradeOptions

    @OptionGroup(title: "Images") var image: ImageOptions

    @OptionGroup var api: APIOptions

    func validate() throws {
        guard (1...64).contains(copies) else { throw ValidationError("--copies is from 1 to 64.") }
        guard (0...86_400).contains(waitSeconds) else {
            throw ValidationError("--wait is from 0 to 86400 seconds.")
        }
        _ = try parsedShapes()
    }

    func run() async throws {
        let token = try api.adminToken()
        let shapes = try parsedShapes()
        let name = name ?? Self.name(of: file)
        try await APIClient.with(api, token: token) { client in
            // Before minutes of importing: is there an agent at all?
            _ = try await client.document(StatusDocument.self, at: "/tessera/v1/status")
            try await Files.withTemporaryFolder { folder in
                let imported = try await ModelFile(
                    path: file, shapes: shapes, preprocessing: try image.builtIn()
                ).imported(into: folder)
                let model = try describing(imported)
                let codecs = try await calibration.measured(model)
                let upload = ModelUpload(client: client, model: model)
                try await upload.send()
                var settings = settings ?? codecs.map { _ in planning.settings() }
                settings?.codecs = codecs.map(CodecsDocument.init)
                try await upload.addToCatalogue(name: name, settings: settings)
                if waitSeconds > 0 {
                    try await ModelWait(
                        client: client, name: name, manifest: model.manifest.id.hexadecimal,
                        copies: copies, limit: .seconds(waitSeconds)
                    ).run()
                }
            }
        }
    }

    /// What the options say of planning, exits and branches; nil if nothing.
    private var settings: ModelSettingsDocument? {
        guard !planning.isEmpty || !exits.isEmpty || !branches.isEmpty else { return nil }
        var settings = planning.settings()
        exits.change(&settings)
        branches.change(&settings)
        return settings
    }

    /// The model with what the options say of images, if it fits.
    private func describing(_ model: ModelImport) throws -> ModelImport {
        guard image.channels != nil else { return model }
        let outline = try ModelCutter(model.manifest).outline
        func descriptors(_ tensors: [Int]) -> [TensorDescriptor] {
            tensors.map { outline.tensors[$0].descriptor }
        }
        let inputs = descriptors(outline.inputs)
        guard let input = try image.input(shape: inputs.first?.shape ?? []) else { return model }
        if let fault = input.fault(inputs: inputs, outputs: descriptors(outline.outputs)) {
            throw CommandFailure("\(file) does not take such images: \(fault).", code: .usage)
        }
        return try model.describing(input)
    }

    private func parsedShapes() throws -> [ModelFile.Shape] {
        try shapes.map(ModelFile.Shape.init(parsing:))
    }

    /// The last component of a path without its ending.
    static func name(of path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        guard let dot = last.lastIndex(of: "."), dot != last.startIndex else { return last }
        return String(last[..<dot])
    }
}
