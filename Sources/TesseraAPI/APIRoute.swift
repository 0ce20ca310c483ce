/// What a path stands for.
enum APIRoute: Hashable, Sendable {
    // The Open Inference Protocol.
    case server
    case live
    case ready
    case repositoryIndex
    case repositoryLoad(String)
    case repositoryUnload(String)
    case model(String)
    case modelReady(String)
    case modelConfiguration(String)
    case infer(String)

    // The dashboard.
    case dashboard(DashboardFile)

    // The control API.
    case status
    case members
    case models
    case catalogueModel(String)
    case plan(String)
    case classify(String)
    case blob(String)
    case manifest(String)
    case events
    case stream
    case drain
    case metrics

    /// The route of a path; nil if there is none.
    init?(path: String) {
        guard path.hasPrefix("/") else { return nil }
        if path == "/" {
            guard let page = DashboardFile(named: DashboardFile.page) else { return nil }
            self = .dashboard(page)
            return
        }
        var parts: [String] = []
        for part in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let text = Self.percentDecoded(part) else { return nil }
            parts.append(text)
        }
        if parts.count > 1, parts.last == "" { parts.removeLast() }
        guard !parts.contains("") else { return nil }
        if parts.first == "v2" {
            self.init(inference: Array(parts.dropFirst()))
        } else if parts.prefix(2) == ["tessera", "v1"] {
            self.init(control: Array(parts.dropFirst(2)))
        } else if parts == ["metrics"] {
            self = .metrics
        } else if parts.count == 2, parts[0] == "dashboard" {
            guard let file = DashboardFile(named: parts[1]) else { return nil }
            self = .dashboard(file)
        } else {
            return nil
        }
    }

    private init?(inference parts: [String]) {
        switch parts {
        case []: self = .server
        case ["health", "live"]: self = .live
        case ["health", "ready"]: self = .ready
        case ["repository", "index"]: self = .repositoryIndex
        default:
            if parts.count == 4, parts[0] == "repository", parts[1] == "models" {
                switch parts[3] {
                case "load": self = .repositoryLoad(parts[2])
                case "unload": self = .repositoryUnload(parts[2])
                default: return nil
                }
                return
            }
            guard parts.count >= 2, parts[0] == "models" else { return nil }
            var rest = Array(parts.dropFirst(2))
            if rest.count >= 2, rest[0] == "versions" {
                guard rest[1] == ModelVersion.only else { return nil }
                rest.removeFirst(2)
            }
            switch rest {
            case []: self = .model(parts[1])
            case ["ready"]: self = .modelReady(parts[1])
            case ["config"]: self = .modelConfiguration(parts[1])
            case ["infer"]: self = .infer(parts[1])
            default: return nil
            }
        }
    }

    private init?(control parts: [String]) {
        switch parts.count {
        case 1:
            switch parts[0] {
            case "status": self = .status
            case "members": self = .members
            case "models": self = .models
            case "events": self = .events
            case "stream": self = .stream
            case "drain": self = .drain
            default: return nil
            }
        case 2:
            switch parts[0] {
            case "models": self = .catalogueModel(parts[1])
            case "blobs": self = .blob(parts[1])
            case "manifests": self = .manifest(parts[1])
            default: return nil
            }
        case 3 where parts[0] == "models":
            switch parts[2] {
            case "plan": self = .plan(parts[1])
            case "classify": self = .classify(parts[1])
            default: return nil
            }
        default: return nil
        }
    }

    /// Text with its `%XX` resolved; nil if one is malformed or the result is not UTF-8.
    static func percentDecoded(_ text: Substring) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst(), let low = rest.popFirst(), high < 0x80, low < 0x80,
                let left = Character(Unicode.Scalar(high)).hexDigitValue,
                let right = Character(Unicode.Scalar(low)).hexDigitValue
            else { return nil }
            bytes.append(UInt8(left << 4 | right))
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
