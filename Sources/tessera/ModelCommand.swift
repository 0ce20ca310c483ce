import ArgumentParser
import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TesseraAPI

/// `tessera model`.
struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Add, list, show, set and remove the mesh's models.",
        subcommands: [
            ModelAddCommand.self, ModelListCommand.self, ModelShowCommand.self,
            ModelSetCommand.self, ModelExitsCommand.self, ModelRemoveCommand.self,
        ])
}

/// `tessera model list`.
struct ModelListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the mesh's models.")

    @OptionGroup var reading: ReadingOptions

    func run() async throws {
        try await reading.show(ModelsDocument.self, at: "/tessera/v1/models") { document in
            var table = Table("NAME", "MANIFEST", "STATE", ">NODES", ">COPIES", ">WEIGHTS")
            for model in document.models.sorted(by: { $0.name < $1.name }) {
                let state =
                    model.isReady ? "ready" : "not ready: " + (model.reason ?? "no reason is given")
                table.add(
                    model.name, String(model.manifest.prefix(8)), state, "\(model.nodes)",
                    "\(model.copies)", model.weightBytes.map(Figures.bytes) ?? "-")
            }
            table.show()
            if document.models.isEmpty {
                Console.message("the mesh has no models; add one with `tessera model add FILE`")
            }
        }
    }
}

/// `tessera model set`.
struct ModelSetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Change how a model is planned and answers early.",
        discussion: """
            Only what is given changes. The mesh decides a plan that follows, also if it is slower \
            than the one that runs; requests go on meanwhile.
            """)

    @Argument(help: "The name of the model.")
    var name: String

    @Flag(
        help: ArgumentHelp(
            """
            From now on send only what is the same bit for bit: what `model add --calibrate` allowed \
            is forgotten. To measure anew, add the model's file once more.
            """))
    var exact = false

    @OptionGroup(title: "Planning") var planning: PlanningOptions

    @OptionGroup(title: "Early exits") var exits: ExitOptions

    @OptionGroup(title: "Branches") var branches: DegradeOptions

    @OptionGroup var api: APIOptions

    func validate() throws {
        if planning.isEmpty, !exact, exits.isEmpty, branches.isEmpty {
            throw ValidationError("Say what to change; see --help.")
        }
    }

    func run() async throws {
        try await APIClient.with(api, token: try api.adminToken()) { client in
            let models = try await client.document(ModelsDocument.self, at: "/tessera/v1/models")
            guard let model = models.models.first(where: { $0.name == name }) else {
                throw CommandFailure(
                    "The mesh has no model \(name). `tessera model list` shows what it has.",
                    code: .failed)
            }
            var settings = planning.settings(changing: model.settings)
            if exact { settings.codecs = nil }
            exits.change(&settings)
            branches.change(&settings)
            let document = AddModelDocument(
                name: name, manifest: model.manifest, settings: settings)
            let answer = try await client.call(
                .POST, "/tessera/v1/models", headers: ["Content-Type": "application/json"],
                body: .bytes(ByteBuffer(bytes: try JSONText.bytes(document))))
            try APIClient.check(answer)
        }
        Console.message("\(name) is planned anew")
    }
}

/// `tessera model remove`.
struct ModelRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a model out of the mesh.")

    @Argument(help: "The name of the model.")
    var name: String

    @OptionGroup var api: APIOptions

    func run() async throws {
        try await APIClient.with(api, token: try api.adminToken()) { client in
            let path = "/tessera/v1/models/\(APIClient.component(name))"
            try APIClient.check(try await client.call(.DELETE, path))
        }
        Console.message("removed \(name)")
    }
}
