import Logging
import TesseraAPI
import TesseraNode

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Everything that an agent is told, checked.
struct AgentConfiguration: Sendable {
    /// What people call the agent.
    var name: String
    /// Where it listens for peers.
    var listen: HostPort
    /// Where it serves its API.
    var api: HostPort
    /// The port of the same host where it serves gRPC; nil serves none.
    var grpcPort: Int?
    /// Host names under which clients may reach the API.
    var apiHostNames: [String]
    /// The file with a token for the API.
    var apiTokenFile: String?
    /// The file with the API's certificate; nil serves it without TLS.
    var apiCertificateFile: String?
    /// The file with the key of that certificate.
    var apiKeyFile: String?
    /// What callers of the API may do without a token; nil if nothing.
    var anonymousRight: APIRight?
    /// Whether somebody said so.
    var isAnonymousRightChosen: Bool
    /// Where it keeps its identity, its models and its blobs.
    var dataFolder: String
    /// The mesh's name.
    var mesh: String
    /// The file with the mesh's secret.
    var secretFile: String
    /// How it looks for peers.
    var discovery: DiscoveryMode
    /// Where peers may be.
    var seeds: [SeedAddress]
    /// What fragments may take.
    var memoryBytes: Int
    /// What blobs may take.
    var diskBytes: Int
    /// Threads of the engine.
    var threads: Int
    /// What the device draws beyond idle while its engine works; nil if nobody says.
    var milliwatts: Int?
    /// What is logged.
    var logLevel: Logger.Level
    /// How lines of the log are written.
    var logFormat: LogFormat
    /// The file that spans of requests are written to.
    var traceFile: String?
    /// The file that every event of the agent is written to.
    var journalFile: String?

    /// Each setting's effective value and where it came from, for `--print-config`.
    private(set) var effective: [(setting: AgentSetting, texts: [String], AgentSettingOrigin)] = []

    /// The longest name of an agent or a mesh.
    private static let nameBytesMax = 63
    /// From the port of HTTP to that of gRPC: the peers' port is between them.
    private static let grpcPortOffset = 2
    /// Less than this holds no fragment of anything.
    private static let memoryBytesMin = 1 << 20
    /// More threads than any machine has.
    private static let threadsMax = 1_024

    /// Checks the settings and fills in what nobody said.
    init(_ settings: AgentSettings) throws {
        var reader = SettingReader(settings)
        let places: (listen: HostPort, api: HostPort)
        name = try reader.value(.name, usual: Environment.hostName, Self.name)
        places.listen = try reader.value(.listen, usual: "0.0.0.0:8701", Self.place)
        places.api = try reader.value(.api, usual: "127.0.0.1:8700", Self.place)
        (listen, api) = places
        let usualPort = Self.grpcPort(besides: places.api.port)
        let grpc = try reader.value(.grpcPort, usual: "\(usualPort)", GRPCPort.init)
        grpcPort = grpc.number
        apiHostNames = try reader.list(.apiHostName) { $0.isEmpty ? nil : $0 }
        apiTokenFile = try reader.optional(.apiTokenFile) { $0.isEmpty ? nil : $0 }
        apiCertificateFile = try reader.optional(.apiCertificate, Self.path)
        apiKeyFile = try reader.optional(.apiKey, Self.path)
        let isOpen = Self.isLocal(places.api) && apiTokenFile == nil
        isAnonymousRightChosen = settings.values[.apiAnonymous] != nil
        anonymousRight = try reader.value(
            .apiAnonymous, usual: isOpen ? "infer" : "none", Self.anonymousRight)
        dataFolder = try reader.value(.dataFolder, usual: Environment.defaultDataFolder, Self.path)
        mesh = try reader.value(.mesh, usual: "home", Self.name)
        let folder = dataFolder
        secretFile = try reader.value(.secretFile, usual: folder + "/mesh.secret", Self.path)
        discovery = try reader.value(.discovery, usual: "auto", DiscoveryMode.init(rawValue:))
        seeds = try reader.list(.seed) { text in
            do {
                return try SeedAddress(parsing: text)
            } catch {
                throw CommandFailure("\(error).", code: .usage)
            }
        }
        memoryBytes = try reader.value(.memory, usual: "\(Machine.memoryBytes / 2)") {
            Self.bytes($0).flatMap { $0 >= Self.memoryBytesMin ? $0 : nil }
        }
        let disk = Machine.freeDiskBytes(at: folder) / 2
        diskBytes = try reader.value(.disk, usual: "\(disk)", Self.bytes)
        threads = try reader.value(.threads, usual: "\(Machine.processors)") { text in
            Int(text).flatMap { (1...Self.threadsMax).contains($0) ? $0 : nil }
        }
        milliwatts = try reader.optional(.powerWatts, Self.milliwatts)
        logLevel = try reader.value(.logLevel, usual: "info", Logger.Level.init(rawValue:))
        logFormat = try reader.value(.logFormat, usual: "text", LogFormat.init(rawValue:))
        traceFile = try reader.optional(.traceFile, Self.path)
        journalFile = try reader.optional(.journal, Self.path)
        effective = reader.effective
    }

    /// Where clients on this machine reach the API.
    var apiURL: String {
        "\(apiCertificateFile == nil ? "http" : "https")://\(api.reachable)"
    }

    /// Whether only this machine reaches the API.
    var isAPILocal: Bool { Self.isLocal(api) }

    private static func isLocal(_ place: HostPort) -> Bool {
        place.host == "localhost" || place.host == "::1" || place.host.hasPrefix("127.")
    }

    /// The right that a text names: none is a right too, all is none that nobody needs a token for.
    private static func anonymousRight(_ text: String) -> APIRight?? {
        if text == "none" { return .some(nil) }
        let right = APIRight(rawValue: text)
        return right == .admin ? nil : right.map { .some($0) }
    }

    /// The port of gRPC if nobody says.
    private static func grpcPort(besides port: Int) -> Int {
        port == 0 || port + grpcPortOffset > Int(UInt16.max) ? 0 : port + grpcPortOffset
    }

    private static func name(_ text: String) -> String? {
        let isFine =
            !text.isEmpty && text.utf8.count <= nameBytesMax
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "-_.".utf8.contains(byte)
                }
            }
        return isFine ? text : nil
    }

    /// Reads watts such as `6.4`, to the milliwatt.
    static func milliwatts(_ text: String) -> Int? {
        guard let watts = Double(text), text.utf8.allSatisfy({ "0123456789.".utf8.contains($0) }),
            watts <= Topology.wattsMax
        else { return nil }
        return Topology.milliwatts(watts)
    }

    private static func place(_ text: String) -> HostPort? { HostPort(text) }

    private static func path(_ text: String) -> String? {
        guard text.hasPrefix("~/"), let home = Environment.value("HOME") else {
            return text.isEmpty ? nil : text
        }
        return home + text.dropFirst()
    }

    /// Reads a count of bytes such as `1500000`, `512M` or `2G`; the units are powers of 1024.
    static func bytes(_ text: String) -> Int? {
        var digits = text.uppercased()[...]
        for ending in ["IB", "B"] where digits.hasSuffix(ending) {
            digits = digits.dropLast(ending.count)
            break
        }
        var factor = 1
        if let unit = digits.last, let index = "KMGT".firstIndex(of: unit) {
            factor = 1 << (10 * ("KMGT".distance(from: "KMGT".startIndex, to: index) + 1))
            digits.removeLast()
        }
        guard let count = Int(digits), count >= 0 else { return nil }
        let (bytes, isTooLarge) = count.multipliedReportingOverflow(by: factor)
        return isTooLarge ? nil : bytes
    }

    /// The effective configuration as a file that gives the same agent.
    var yaml: String {
        effective.map { setting, texts, origin in
            let value =
                setting.isList
                ? "[" + texts.map(Self.quoted).joined(separator: ", ") + "]"
                : texts.map(Self.quoted).first ?? "\"\""
            return "\(setting.rawValue): \(value)  # \(origin.rawValue)"
        }.joined(separator: "\n")
    }

    private static func quoted(_ text: String) -> String {
        if Int(text) != nil { return text }
        var result = "\""
        for character in text {
            if character == "\"" || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result + "\""
    }
}

/// The port of gRPC, as a person wrote it.
private struct GRPCPort {
    /// The port; nil serves no gRPC.
    var number: Int?

    init?(_ text: String) {
        if text == "off" { return }
        guard let port = UInt16(text) else { return nil }
        number = Int(port)
    }
}

/// Takes settings one by one, and notes what became of each.
private struct SettingReader {
    private let settings: AgentSettings
    private(set) var effective: [(setting: AgentSetting, texts: [String], AgentSettingOrigin)] = []

    init(_ settings: AgentSettings) { self.settings = settings }

    mutating func value<Value>(
        _ setting: AgentSetting, usual: String, _ read: (String) throws -> Value?
    ) throws -> Value {
        let given = settings.values[setting]
        let text = given?.texts.last ?? usual
        guard let value = try read(text) else { throw failure(setting, text, given) }
        effective.append((setting, [text], given?.origin ?? .usual))
        return value
    }

    mutating func optional<Value>(
        _ setting: AgentSetting, _ read: (String) throws -> Value?
    ) throws -> Value? {
        guard let given = settings.values[setting], let text = given.texts.last else { return nil }
        guard let value = try read(text) else { throw failure(setting, text, given) }
        effective.append((setting, [text], given.origin))
        return value
    }

    mutating func list<Value>(
        _ setting: AgentSetting, _ read: (String) throws -> Value?
    ) throws -> [Value] {
        let given = settings.values[setting]
        let values = try (given?.texts ?? []).map { text in
            guard let value = try read(text) else { throw failure(setting, text, given) }
            return value
        }
        effective.append((setting, given?.texts ?? [], given?.origin ?? .usual))
        return values
    }

    private func failure(
        _ setting: AgentSetting, _ text: String, _ given: AgentSettings.Value?
    ) -> CommandFailure {
        let source =
            switch given?.origin {
            case .environment: "the variable \(setting.variable)"
            case .file: "'\(setting.rawValue)' in the configuration file"
            default: "--\(setting.rawValue)"
            }
        let form =
            switch setting {
            case .name, .mesh: "1 to 63 letters, digits, '-', '_' and '.'"
            case .listen, .api: "HOST:PORT, with brackets around an IPv6 address"
            case .grpcPort: "a port from 0 to 65535, or off"
            case .discovery: DiscoveryMode.allCases.map(\.rawValue).joined(separator: ", ")
            case .memory, .disk: "a number of bytes such as 1500000, 512M or 2G"
            case .threads: "a number from 1 to 1024"
            case .powerWatts: "watts from 0 to 1000000, such as 6.4"
            case .logLevel: Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            case .seed: "HOST:PORT"
            case .apiAnonymous: "none, read or infer"
            case .logFormat: LogFormat.allCases.map(\.rawValue).joined(separator: " or ")
            case .apiHostName, .apiTokenFile, .dataFolder, .secretFile, .traceFile, .journal,
                .apiCertificate, .apiKey:
                "a text"
            }
        return CommandFailure(
            "\(source) is '\(Figures.printable(text))'; it has to be \(form).", code: .usage)
    }
}
