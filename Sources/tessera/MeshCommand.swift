import ArgumentParser
import TesseraNode

/// `tessera mesh`.
struct MeshCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Bring a device into a mesh, and exchange the mesh's secret.",
        discussion: """
            Every device of a mesh has its secret. To exchange it in a running mesh, run on every \
            device `accept`, then on every device `use`, then on every device `drop`. Agents read \
            the file again by themselves; no request is lost.
            """,
        subcommands: [
            MeshSecretCommand.self, MeshJoinCommand.self, MeshAcceptCommand.self,
            MeshUseCommand.self, MeshDropCommand.self,
        ])
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

/// `tessera mesh join`.
struct MeshJoinCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Give this device the mesh's secret.",
        discussion: """
            Reads the secret from standard input, as the file of another device has it, and writes \
            it where this device's agent looks for it: `ssh FIRST sudo cat \
            /var/lib/tessera/mesh.secret | sudo tessera mesh join`. On the first device --new makes \
            a secret. An agent that waits for its secret joins at once.
            """)

    @OptionGroup var place: SecretFileOptions

    @Flag(help: "Make a new secret: this is the first device of a mesh.")
    var new = false

    func run() throws {
        let path = place.path
        let secrets = try new ? MeshSecrets(.generate()) : SecretInput.read()
        do {
            try secrets.write(newFile: path)
        } catch {
            throw CommandFailure(
                "\(error) If this device is in a mesh already and is to go to another one, remove "
                    + "the file first.")
        }
        Console.message("wrote the mesh's secret to \(path)")
        if new {
            Console.message(
                "Bring it to every other device: "
                    + "ssh THIS sudo cat \(path) | sudo tessera mesh join")
        }
    }
}

/// `tessera mesh accept`.
struct MeshAcceptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept",
        abstract: "Exchange the secret, step 1: accept a new one beside the old one.",
        discussion: """
            On the first device with --new; on every other one it reads standard input: `ssh FIRST \
            sudo cat /var/lib/tessera/mesh.secret | sudo tessera mesh accept`.
            """)

    @OptionGroup var place: SecretFileOptions

    @Flag(help: "Make the new secret.")
    var new = false

    func run() throws {
        let given = try new ? MeshSecrets(.generate()) : SecretInput.read()
        try place.change { secrets in try secrets.accepting(given) }
        Console.message(
            "this device accepts the new secret. When every device does, run `tessera mesh use` on "
                + "each")
    }
}

/// `tessera mesh use`.
struct MeshUseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "use",
        abstract: "Exchange the secret, step 2: use the new one, and still accept the old one.",
        discussion: "Run again it goes back to the old one.")

    @OptionGroup var place: SecretFileOptions

    func run() throws {
        try place.change { secrets in try secrets.switched() }
        Console.message(
            "this device uses the other secret. When every device does, run `tessera mesh drop` on "
                + "each; `tessera status` tells who was not heard under it yet")
    }
}

/// `tessera mesh drop`.
struct MeshDropCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop",
        abstract: "Exchange the secret, step 3: accept only the one that this device uses.",
        discussion: "Before step 2 it gives the exchange up.")

    @OptionGroup var place: SecretFileOptions

    func run() throws {
        try place.change { secrets in try secrets.dropped() }
        Console.message("this device accepts one secret only")
    }
}

/// Where the secret of this device is.
struct SecretFileOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            The file with the mesh's secret. Default: TESSERA_SECRET_FILE, or mesh.secret in the \
            data folder.
            """, valueName: "file"))
    var secretFile: String?

    /// The file, as the agent finds it.
    var path: String {
        if let path = secretFile ?? Environment.value("TESSERA_SECRET_FILE") { return path }
        let folder = Environment.value("TESSERA_DATA_DIR") ?? Environment.defaultDataFolder
        return folder + "/mesh.secret"
    }

    /// Changes the secrets in the file.
    func change(_ step: (MeshSecrets) throws -> MeshSecrets) throws {
        do {
            try step(MeshSecrets(file: path)).write(file: path)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure("\(error)")
        }
    }
}
