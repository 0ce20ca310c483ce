/// A place to listen at, as a person wrote it: a host and a port, 0 for any free one.
struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// A name or a numeric address, without brackets.
    var host: String
    /// The port; 0 takes a free one.
    var port: Int

    /// The longest name that the domain name system knows.
    private static let hostBytesMax = 253

    /// Makes a place.
    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT` or `[IPv6 address]:PORT`; nil for anything else.
    init?(_ text: String) {
        var rest = text[...]
        // TESSERA_API serves the agent and its clients, and clients write a URL.
        for scheme in ["http://", "https://"] where rest.hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
            break
        }
        if rest.last == "/" { rest.removeLast() }
        guard let colon = rest.lastIndex(of: ":"),
            let port = UInt16(rest[rest.index(after: colon)...])
        else { return nil }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.count <= Self.hostBytesMax,
            host.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") })
        else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    /// `host:port`, with brackets around an IPv6 host.
    var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Where a client on this machine reaches what listens here.
    var reachable: HostPort {
        switch host {
        case "0.0.0.0": HostPort(host: "127.0.0.1", port: port)
        case "::": HostPort(host: "::1", port: port)
        default: self
        }
    }
}
