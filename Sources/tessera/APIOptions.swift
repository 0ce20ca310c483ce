import ArgumentParser

/// Which agent a command talks to.
struct APIOptions: ParsableArguments {
    /// Where an agent serves its API if nobody says.
    static let usual = "http://127.0.0.1:8700"

    @Option(
        name: .customLong("api"),
        help: ArgumentHelp("The agent's API (TESSERA_API).", valueName: "url"))
    var address = Environment.value("TESSERA_API") ?? APIOptions.usual

    @Option(
        name: .customLong("token-file"),
        help: ArgumentHelp(
            """
            The file with the agent's token (TESSERA_TOKEN_FILE); only changes need one, and an \
            agent that serves beyond loopback. Default: admin.token in the agent's data folder.
            """, valueName: "file"))
    var tokenFileFlag: String?

    /// The file with the token, if it was named.
    private var tokenFile: String? { tokenFileFlag ?? Environment.value("TESSERA_TOKEN_FILE") }

    /// A token is a line; anything longer is another file.
    private static let tokenBytesMax = 4_096

    /// The token that changes need.
    func adminToken() throws -> String {
        let folder = Environment.value("TESSERA_DATA_DIR") ?? Environment.defaultDataFolder
        let path = tokenFile ?? "\(folder)/admin.token"
        do {
            return try Self.token(in: path)
        } catch let failure as CommandFailure {
            throw CommandFailure(
                """
                \(failure.message)
                Changing the mesh needs the token that the agent wrote into its data folder. Run \
                this as the user who runs the agent, or name the file with --token-file.
                """)
        }
    }

    /// The token for reading, if one was named.
    func readingToken() throws -> String? {
        try tokenFile.map(Self.token(in:))
    }

    private static func token(in path: String) throws -> String {
        let bytes = try Files.read(path, bytesMax: tokenBytesMax, what: "the token file")
        let text = String(decoding: bytes, as: UTF8.self)
        let token = text.filter { !$0.isWhitespace }
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw CommandFailure("the token file \(path) holds no token.")
        }
        return token
    }
}

/// What every command that reads can do.
struct ReadingOptions: ParsableArguments {
    @OptionGroup var api: APIOptions

    @Flag(name: .customLong("json"), help: "Print one JSON document with a version field.")
    var isJSON = false

    /// Gets a document; prints it if it was asked for as JSON, else shows it.
    func show<Document: Codable & Sendable>(
        _ type: Document.Type, at path: String, _ body: (Document) throws -> Void
    ) async throws {
        let document = try await APIClient.with(api) { client in
            try await client.document(type, at: path)
        }
        if isJSON {
            Console.line(try JSONText.pretty(document))
        } else {
            try body(document)
        }
    }
}
