import ArgumentParser
import TesseraNode

/// `tessera mesh`.
struct MeshCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh", abstract: "Make what a mesh needs.",
        subcommands: [MeshSecretCommand.self])
}

/// `tessera mesh secret`.
struct MeshSecretCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret",
        abstract: "Make a new mesh secret: every device that has it may join, read and alter.",
        discussion: """
            Give the same secret to every agent of the mesh, in a file that only its owner may \
            read. `tessera mesh secret --output FILE` makes such a file.
            """)

    @Option(
        help: ArgumentHelp(
            "Write a new file that only you may read, instead of printing.", valueName: "file"))
    var output: String?

    func run() throws {
        let secret = MeshSecret.generate()
        guard let output else {
            Console.line(secret.text)
            return
        }
        do {
            try secret.write(newFile: output)
        } catch {
            throw CommandFailure("\(error)")
        }
        Console.message("wrote a new mesh secret to \(output)")
    }
}
