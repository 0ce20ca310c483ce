/// A place where an agent may listen, as a person wrote it.
public struct SeedAddress: Hashable, Sendable {
    /// A numeric address or a name.
    public var host: String
    /// The port.
    public var port: UInt16

    /// Makes a seed.
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port` or `[IPv6 address]:port`.
    public init(parsing text: String) throws(SeedAddressError) {
        guard let colon = text.lastIndex(of: ":") else { throw .noPort(text) }
        let digits = text[text.index(after: colon)...]
        guard let port = UInt16(digits), port > 0 else { throw .badPort(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw .bareIPv6(text)
        }
        guard !host.isEmpty, host.utf8.count <= Self.hostBytesMax,
            host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && !Self.brackets.contains($0) })
        else { throw .badHost(text) }
        self.init(host: String(host), port: port)
    }

    /// The longest name that the domain name system knows.
    private static let hostBytesMax = 253
    /// What stands around an IPv6 address, and in no host.
    private static let brackets = "[]".utf8
}

extension SeedAddress: CustomStringConvertible {
    /// `host:port`, with brackets around an IPv6 host.
    public var description: String {
        host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// Why a text is not a seed.
public enum SeedAddressError: Error, Hashable, CustomStringConvertible {
    /// There is no port.
    case noPort(String)
    /// The port is not a number from 1 to 65535.
    case badPort(String)
    /// The host is empty, too long, or has blanks or more brackets in it.
    case badHost(String)
    /// An IPv6 address without brackets: where it ends cannot be told.
    case bareIPv6(String)

    /// What is wrong and what to write.
    public var description: String {
        switch self {
        case .noPort(let text): "the seed \"\(text)\" has no port; write HOST:PORT"
        case .badPort(let text):
            "the seed \"\(text)\" has no valid port; write HOST:PORT with a port from 1 to 65535"
        case .badHost(let text):
            "the seed \"\(text)\" has no valid host; write a name or a numeric address before the "
                + "port"
        case .bareIPv6(let text):
            "the seed \"\(text)\" has an IPv6 address without brackets; write [ADDRESS]:PORT"
        }
    }
}
