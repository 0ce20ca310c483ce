import ArgumentParser
import TesseraAPI
import TesseraNode

/// `tessera token`.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Manage the tokens that an agent's API takes.",
        discussion: """
            On this machine nobody needs a token to read and to infer, and the agent's user changes \
            things with admin.token of the data folder, which the commands find by themselves. Other \
            callers get tokens of their own, which can be taken away one by one. A running agent \
            takes changes over within two seconds.
            """,
        subcommands: [TokenAdd.self, TokenList.self, TokenRemove.self, TokenRotate.self])
}

/// The file that the commands are about.
struct TokenOptions: ParsableArguments {
    @Option(
        name: .customLong("data-dir"),
        help: ArgumentHelp(
            "The agent's data folder (TESSERA_DATA_DIR). Default: "
                + "\(Environment.defaultDataFolder).", valueName: "folder"))
    var dataFolder = Environment.value("TESSERA_DATA_DIR") ?? Environment.defaultDataFolder

    /// The file.
    var file: TokenFile { TokenFile(dataFolder: dataFolder) }
}

/// `tessera token add`.
struct TokenAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Make a token and print it; only its hash is kept.",
        discussion: """
            Callers present it as "Authorization: Bearer TOKEN", over gRPC in the metadata \
            "authorization"; the commands read it from a file (--token-file).
            """)

    @OptionGroup var options: TokenOptions

    @Argument(help: "What to call it, such as the program that will use it.")
    var name: String

    @Option(
        help: ArgumentHelp(
            """
            What it allows: read (see the mesh, scrape /metrics), infer (and ask models), or admin \
            (and change anything).
            """, valueName: "read|infer|admin"))
    var right = "infer"

    @Option(
        help: ArgumentHelp(
            "Write a new file that only you may read, instead of printing.", valueName: "file"))
    var output: String?

    func run() throws {
        guard TokenFile.isName(name) else {
            throw CommandFailure(
                "'\(Figures.printable(name))' cannot be a token's name; it has 1 to 63 letters, "
                    + "digits, '-', '_' and '.'.", code: .usage)
        }
        guard let right = APIRight(rawValue: right) else {
            throw CommandFailure(
                "'\(Figures.printable(right))' is no right; there are read, infer and admin.",
                code: .usage)
        }
        let text = RandomToken.make()
        let entry = TokenFile.Entry(
            token: APIToken(name: name, right: right, text: text),
            made: WallClock.now)
        try options.file.change { entries in
            guard !entries.contains(where: { $0.token.name == name }) else {
                throw CommandFailure(
                    "there is a token \(name) already. Remove it first, or take another name.")
            }
            guard entries.count < TokenFile.tokensMax else {
                throw CommandFailure(
                    "there are \(entries.count) tokens, which are all that an agent takes. Remove "
                        + "one with `tessera token remove NAME`.")
            }
            // Before the agent knows it: a file that cannot be made leaves nothing behind.
            if let output {
                do {
                    try PrivateFile.create(output, Array((text + "\n").utf8))
                } catch {
                    throw CommandFailure("\(error)")
                }
            }
            entries.append(entry)
        }
        if let output {
            Console.message("wrote the token to \(output); only its hash is kept")
        } else {
            Console.line(text)
            Console.message("keep it: it is not shown again, only its hash is kept")
        }
    }
}

/// `tessera token list`.
struct TokenList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the tokens: name, right, and when each was made.")

    /// What `--json` prints.
    struct Document: Encodable {
        struct Token: Encodable {
            var name: String
            var right: String
            var made: String
        }
        var version = 1
        var tokens: [Token]
    }

    @OptionGroup var options: TokenOptions

    @Flag(name: .customLong("json"), help: "Print one JSON document with a version field.")
    var isJSON = false

    func run() throws {
        let entries = try options.file.read().sorted { $0.token.name < $1.token.name }
        if isJSON {
            let tokens = entries.map { entry in
                Document.Token(
                    name: entry.token.name, right: entry.token.right.rawValue, made: entry.made)
            }
            Console.line(try JSONText.pretty(Document(tokens: tokens)))
            return
        }
        var table = Table("NAME", "RIGHT", "MADE")
        for entry in entries {
            table.add(entry.token.name, entry.token.right.rawValue, entry.made)
        }
        table.show()
    }
}

/// `tessera token remove`.
struct TokenRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a token away: calls that present it are refused.")

    @OptionGroup var options: TokenOptions

    @Argument(help: "The token's name, as `tessera token list` shows it.")
    var name: String

    func run() throws {
        try options.file.change { entries in
            guard let index = entries.firstIndex(where: { $0.token.name == name }) else {
                throw CommandFailure(
                    "there is no token '\(Figures.printable(name))' in \(options.file.path). "
                        + "`tessera token list` shows those that are there.", code: .nothingMatched)
            }
            entries.remove(at: index)
        }
        Console.message("removed \(name); a running agent refuses it within two seconds")
    }
}

/// `tessera token rotate`.
struct TokenRotate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Exchange the agent's own admin token for a new one.",
        discussion: """
            For when somebody may have seen admin.token. A running agent takes the new one, and \
            refuses the one before, within two seconds; the commands find it as before.
            """)

    @OptionGroup var options: TokenOptions

    func run() throws {
        let path = AdminToken.path(in: options.dataFolder)
        guard FileStamp(path) != nil else {
            throw CommandFailure(
                "there is no \(path): an agent makes it at its first start. Name the agent's data "
                    + "folder with --data-dir.", code: .nothingMatched)
        }
        do {
            try AdminToken.write(RandomToken.make(), in: options.dataFolder)
        } catch {
            throw CommandFailure("\(error)")
        }
        Console.message("wrote a new token to \(path); a running agent takes it within two seconds")
    }
}
