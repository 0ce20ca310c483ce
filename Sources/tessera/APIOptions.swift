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
            The file with a token for the agent's API (TESSERA_TOKEN_FILE). Default, for an agent of \
            this machine: admin.token in its data folder, if you may read it.
            """, valueName: "file"))
    var tokenFileFlag: String?

    @Option(
        name: .customLong("ca-file"),
        help: ArgumentHelp(
            """
            The certificates that an agent's certificate is to be signed by (TESSERA_CA_FILE), for \
            https:// addresses; may be a self-signed certificate itself. Default: the system's.
            """, valueName: "file"))
    var certificateFlag: String?

    /// The file with the certificates to trust.
    var certificateFile: String? { certificateFlag ?? Environment.value("TESSERA_CA_FILE") }

    /// The file with the token, if it was named.
    private var tokenFile: String? { tokenFileFlag ?? Environment.value("TESSERA_TOKEN_FILE") }

    /// A token is a line; anything longer is another file.
    private static let tokenBytesMax = 4_096

    /// The agent's own token, if the agent is one of this machine: no other gets to see it.
    private var ownTokenFile: String? {
        let host = HostPort(address).map(\.host) ?? ""
        guard Machine.isOwn(host: host) else { return nil }
        let folder = Environment.value("TESSERA_DATA_DIR") ?? Environment.defaultDataFolder
        return "\(folder)/admin.token"
    }

    /// The token that changes need.
    func adminToken() throws -> String {
        guard let path = tokenFile ?? ownTokenFile else {
            throw CommandFailure(
                """
                Changing the mesh through \(Figures.printable(address)), an agent of another machine, \
                needs a token that it knows, with the right to admin. Make one there with `tessera \
                token add NAME --right admin`, and name its file with --token-file.
                """)
        }
        do {
            return try Self.token(in: path)
        } catch let failure as CommandFailure {
            throw CommandFailure(
                """
                \(failure.message)
                Changing the mesh needs the token that the agent wrote into its data folder, or one \
                with the right to admin. Run this as the user who runs the agent, or name the file \
                with --token-file.
                """)
        }
    }

    /// The token for reading: the one that was named, else the agent's own if this user may have it.
    func readingToken() throws -> String? {
        if let tokenFile { return try Self.token(in: tokenFile) }
        guard let ownTokenFile, Files.isReadable(ownTokenFile) else { return nil }
        return try Self.token(in: ownTokenFile)
    }

    private static func token(in path: String) throws -> String {
        let bytes = try Files.read(path, bytesMax: tokenBytesMax, what: "the token file")
        let text = String(decoding: bytes, as: UTF8.self)
        let token = text.filter { !$0.isWhitespace }
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw CommandFailure(
                "the token file \(path) holds no token; copy the admin.token of the agent's data "
                    + "folder there, or make one with `tessera token add NAME`.")
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
