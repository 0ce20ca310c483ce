import Logging
import TesseraAPI

/// The tokens that a running agent takes: its admin token, the one that its settings name, and those
/// of `tessera token`, which may change meanwhile.
struct AgentTokens: Sendable {
    /// The shortest token that the settings may name: one that cannot be guessed.
    private static let lengthMin = 16

    /// What the API compares with.
    let tokens: APITokens
    /// The file that is followed.
    let path: String
    private let fixed: [APIToken]
    private let dataFolder: String

    /// Reads the files, and throws if the agent must not start with what is in them.
    init(_ configuration: AgentConfiguration, adminToken: String) throws {
        var fixed = [APIToken(name: "admin.token", right: .admin, text: adminToken)]
        if let path = configuration.apiTokenFile {
            fixed.append(
                APIToken(name: "api-token-file", right: .infer, text: try Self.token(in: path)))
        }
        let file = TokenFile(dataFolder: configuration.dataFolder)
        let entries = try file.read()
        let isOfUse =
            configuration.isAPILocal || configuration.isAnonymousRightChosen
            || configuration.apiTokenFile != nil || !entries.isEmpty
        guard isOfUse else { throw Self.nobodyMayCall(configuration) }
        path = file.path
        dataFolder = configuration.dataFolder
        self.fixed = fixed
        tokens = APITokens(fixed + entries.map(\.token))
    }

    /// Reads the file again; what is wrong with it changes nothing.
    func reload(_ logger: Logger) {
        do {
            let entries = try TokenFile(dataFolder: dataFolder).read()
            tokens.replace(fixed + entries.map(\.token))
            let count = entries.count
            logger.info("the tokens of the API were changed", metadata: ["count": "\(count)"])
        } catch {
            let reason = (error as? CommandFailure)?.message ?? "\(error)"
            logger.error("the tokens of the API stay as they were: \(reason)")
        }
    }

    private static func token(in path: String) throws -> String {
        let bytes = try Files.read(path, bytesMax: 4_096, what: "API token")
        let token = String(decoding: bytes, as: UTF8.self)
            .trimmingPrefix { $0.isWhitespace }.prefix { !$0.isWhitespace }
        guard token.utf8.count >= lengthMin else {
            throw CommandFailure(
                "The API token in \(path) is shorter than \(lengthMin) characters. Write a longer "
                    + "one.", code: .usage)
        }
        return String(token)
    }

    private static func nobodyMayCall(_ configuration: AgentConfiguration) -> CommandFailure {
        CommandFailure(
            """
            The API would listen on \(configuration.api.host), beyond this machine, and there is no \
            token that a caller could present. Make one with `tessera token add NAME --right infer \
            --data-dir \(configuration.dataFolder)`, or listen on 127.0.0.1. If everybody who \
            reaches that address may see the mesh and ask its models, say so with --api-anonymous \
            infer.
            """, code: .usage)
    }
}
