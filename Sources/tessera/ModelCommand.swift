import ArgumentParser
import NIOHTTP1
import TesseraAPI

/// `tessera model`.
struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Add, list and remove the mesh's models.",
        subcommands: [ModelAddCommand.self, ModelListCommand.self, ModelRemoveCommand.self])
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
