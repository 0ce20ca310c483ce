import Yams

/// What can be set of an agent: by a flag, by an environment variable or in a file, in this order of
/// precedence.
enum AgentSetting: String, CaseIterable, Sendable {
    case name
    case listen
    case api
    case grpcPort = "grpc-port"
    case apiHostName = "api-host-name"
    case apiTokenFile = "api-token-file"
    case apiAnonymous = "api-anonymous"
    case apiCertificate = "api-certificate"
    case apiKey = "api-key"
    case dataFolder = "data-dir"
    case mesh
    case secretFile = "secret-file"
    case discovery
    case seed
    case memory
    case disk
    case threads
    case powerWatts = "power-watts"
    case logLevel = "log-level"
    case logFormat = "log-format"
    case traceFile = "trace-file"
    case journal

    /// The variable: `TESSERA_` and the name in capitals.
    var variable: String {
        "TESSERA_" + rawValue.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Whether it may have several values: in a variable with commas between them.
    var isList: Bool { self == .seed || self == .apiHostName }
}

/// Where a value came from.
enum AgentSettingOrigin: String, Sendable {
    case flag
    case environment
    case file
    case usual = "default"
}

/// The values that were given, each with its origin; all are still text.
struct AgentSettings: Sendable {
    /// A value, or several of a list.
    struct Value: Equatable, Sendable {
        var texts: [String]
        var origin: AgentSettingOrigin
    }

    /// The longest configuration file: a dozen lines and their comments.
    private static let fileBytesMax = 1 << 20

    private(set) var values: [AgentSetting: Value] = [:]

    /// Lays the sources over each other.
    init(
        flags: [AgentSetting: [String]], environment: (String) -> String?, file: String?
    ) throws {
        if let file {
            let bytes = try Files.read(
                file, bytesMax: Self.fileBytesMax, what: "the configuration file")
            let text = String(decoding: bytes, as: UTF8.self)
            for (setting, texts) in try Self.read(yaml: text, path: file) {
                values[setting] = Value(texts: texts, origin: .file)
            }
        }
        for setting in AgentSetting.allCases {
            if let text = environment(setting.variable), !text.isEmpty {
                let texts = setting.isList ? text.split(separator: ",").map(String.init) : [text]
                values[setting] = Value(texts: texts, origin: .environment)
            }
            if let texts = flags[setting], !texts.isEmpty {
                values[setting] = Value(texts: texts, origin: .flag)
            }
        }
    }

    /// Reads a file: one mapping from the settings' names to texts, numbers or lists of them.
    static func read(yaml: String, path: String) throws -> [AgentSetting: [String]] {
        func failure(_ reason: String) -> CommandFailure {
            CommandFailure("the configuration file \(path) cannot be used: \(reason)", code: .usage)
        }
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw failure("\(error)")
        }
        guard let root else { return [:] }
        guard case .mapping(let mapping) = root else {
            throw failure("it is not a list of NAME: VALUE lines.")
        }
        var result: [AgentSetting: [String]] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            guard let setting = AgentSetting(rawValue: name) else {
                let names = AgentSetting.allCases.map(\.rawValue).joined(separator: ", ")
                throw failure("it has the unknown setting '\(name)'; known are \(names).")
            }
            switch value {
            case .scalar(let scalar): result[setting] = [scalar.string]
            case .sequence(let sequence) where setting.isList:
                result[setting] = try sequence.map { element in
                    guard let text = element.scalar?.string else {
                        throw failure("'\(name)' is not a list of texts.")
                    }
                    return text
                }
            default: throw failure("'\(name)' is not a single value.")
            }
        }
        return result
    }
}
