import NIOCore
import TesseraCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Numeric addresses as the mesh writes them: an IPv4 peer of an IPv6 socket is an IPv4 peer.
enum Hosts {
    private static let mappedPrefix = "::ffff:"

    /// The numeric text of a socket's other end.
    static func numeric(_ storage: sockaddr_storage) -> String {
        withUnsafeBytes(of: storage) { bytes in
            CInt(storage.ss_family) == AF_INET6
                ? numeric(SocketAddress(bytes.load(as: sockaddr_in6.self)))
                : numeric(SocketAddress(bytes.load(as: sockaddr_in.self)))
        }
    }

    /// The numeric text of an address, without the IPv6 clothes of an IPv4 one.
    static func numeric(_ address: SocketAddress) -> String {
        guard let text = address.ipAddress else { return "unknown" }
        return text.hasPrefix(mappedPrefix) && text.contains(".")
            ? String(text.dropFirst(mappedPrefix.count)) : text
    }

    /// Where to send a datagram from a socket of this kind.
    static func destination(_ address: Address, isIPv6: Bool) throws -> SocketAddress {
        let needsMapping = isIPv6 && !address.host.utf8.contains(0x3A)
        return try SocketAddress(
            ipAddress: needsMapping ? mappedPrefix + address.host : address.host,
            port: Int(address.port))
    }
}
