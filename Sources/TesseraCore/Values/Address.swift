/// Where an agent listens: a numeric IP address, and the one port number that it uses for both UDP
/// (membership) and TCP (control and tensors).
public struct Address: Hashable, Comparable, Sendable {
    /// A numeric IPv4 or IPv6 address.
    public var host: String
    /// The port.
    public var port: UInt16

    /// Makes an address.
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Whether the host stands for every address of its machine, and so names no machine to others.
    public var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    /// By host text, then by port.
    public static func < (left: Address, right: Address) -> Bool {
        (left.host, left.port) < (right.host, right.port)
    }
}

extension Address: CustomStringConvertible {
    /// `host:port`, with brackets around an IPv6 host.
    public var description: String {
        host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
