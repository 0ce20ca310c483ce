import Logging
import Synchronization
import TesseraAPI
import TesseraNode

/// The tokens that a running agent takes: its admin token, the one that its settings name, and those
/// of `tessera token`, which may change meanwhile.
final class AgentTokens: Sendable {
    /// The shortest token that the settings may name: one that cannot be guessed.
    private static let lengthMin = 16

    /// What the API compares with.
    let tokens: APITokens
    /// The files that are followed.
    let paths: [String]
    private let fixed: [APIToken]
    private let dataFolder: String
    /// An admin token that is not in its file yet.
    private let unwritten: String?
    /// All tokens, as they were read last.
    private let known: Mutex<[APIToken]>

    /// Reads the files, and throws if the agent must not start with what is in them.
    init(_ configuration: AgentConfiguration, _ logger: Logger) throws {
        dataFolder = configuration.dataFolder
        let adminToken: String
        do {
            adminToken = try AdminToken.read(in: dataFolder)
            unwritten = nil
        } catch {
            // Nothing is lost with it, and an agent without one could not be changed.
            if FileStamp(AdminToken.path(in: dataFolder)) != nil {
                logger.warning("the agent makes a new admin token: \(Self.reason(error))")
            }
            adminToken = RandomToken.make()
            unwritten = adminToken
        }
        var fixed: [APIToken] = []
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
        paths = [AdminToken.path(in: dataFolder), file.path]
        self.fixed = fixed
        let all = [Self.admin(adminToken)] + fixed + entries.map(\.token)
        known = Mutex(all)
        tokens = APITokens(all)
    }

    /// Writes a new admin token down; the agent must have its data folder for itself.
    func writeAdminToken() throws {
        if let unwritten { try AdminToken.write(unwritten, in: dataFolder) }
    }

    /// Reads the file again; what is wrong with it changes nothing.
    func reload(_ logger: Logger) {
        do {
            let entries = try TokenFile(dataFolder: dataFolder).read()
            let admin = Self.admin(try AdminToken.read(in: dataFolder))
            let all = [admin] + fixed + entries.map(\.token)
            let isChanged = known.withLock { known in
                defer { known = all }
                return known != all
            }
            guard isChanged else { return }
            tokens.replace(all)
            let count = entries.count
            logger.info("the tokens of the API were changed", metadata: ["count": "\(count)"])
        } catch {
            logger.error("the tokens of the API stay as they were: \(Self.reason(error))")
        }
    }

    private static func admin(_ text: String) -> APIToken {
        APIToken(name: "admin.token", right: .admin, text: text)
    }

    private static func reason(_ error: any Error) -> String {
        (error as? CommandFailure)?.message ?? "\(error)"
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
