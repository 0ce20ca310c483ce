import Glibc

/// The beacon's socket on one interface: hears the group there only, and sends there only.
///
/// Every agent of a machine has such a socket; the kernel gives each of them every datagram.
struct BeaconSocket {
    /// The interface it was made for, with its address at that time.
    let interface: NetworkInterface
    /// The socket; to be closed with `close`.
    let descriptor: Int32

    /// The multicast group.
    ///
    /// It lies in the part of the multicast space that every network may use as it likes (RFC 2365,
    /// section 6.1: IPv4 local scope, 239.255.0.0/16); 84.83 spells `TS` in ASCII. No router
    /// forwards it by default, and a hop limit of 1 keeps it in the local network in any case.
    static let group = "239.255.84.83"
    /// The port: 8785, beside the API's 8700; not one that IANA's list reserves for multicast use.
    static let port: UInt16 = 8785

    /// Opens, binds and joins.
    static func open(
        on interface: NetworkInterface
    ) throws(BeaconSocketError) -> BeaconSocket {
        let type =
            Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0 else { throw BeaconSocketError("socket", interface) }
        let result = BeaconSocket(interface: interface, descriptor: descriptor)
        do {
            try result.prepare()
            return result
        } catch {
            result.close()
            throw error
        }
    }

    private func prepare() throws(BeaconSocketError) {
        // Both, so that agents of different users and other programs can share the port.
        try set(SOL_SOCKET, SO_REUSEADDR, Int32(1), "reuse the address")
        try set(SOL_SOCKET, SO_REUSEPORT, Int32(1), "reuse the port")
        // Else it would hear the group on every interface that any program has joined on.
        try set(ipLevel, IP_MULTICAST_ALL, Int32(0), "limit to the interface")
        try set(ipLevel, IP_MULTICAST_TTL, Int32(1), "limit the hops")
        try set(ipLevel, IP_MULTICAST_LOOP, Int32(1), "reach this machine")
        // By index: it works without a route. With the address: else loopback sends from 0.0.0.0.
        let membership = ip_mreqn(
            imr_multiaddr: Self.groupAddress, imr_address: in_addr(s_addr: interface.address),
            imr_ifindex: Int32(bitPattern: interface.index))
        try set(ipLevel, IP_MULTICAST_IF, membership, "choose the interface")
        try set(ipLevel, IP_ADD_MEMBERSHIP, membership, "join the group")
        let bound = Self.withGroup { bind(descriptor, $0, $1) }
        guard bound == 0 else { throw BeaconSocketError("bind", interface) }
    }

    private func set<Value: BitwiseCopyable>(
        _ level: Int32, _ option: Int32, _ value: Value, _ what: String
    ) throws(BeaconSocketError) {
        let code = withUnsafeBytes(of: value) {
            setsockopt(descriptor, level, option, $0.baseAddress, socklen_t($0.count))
        }
        guard code == 0 else { throw BeaconSocketError(what, interface) }
    }

    /// Gives the socket back to the system.
    func close() {
        _ = Glibc.close(descriptor)
    }

    /// Sends one datagram to the group; false if it was not taken.
    func send(_ bytes: [UInt8]) -> Bool {
        let count = Self.withGroup { address, length in
            sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length)
        }
        return count == bytes.count
    }

    /// Takes one datagram and its source host; nil if none waits.
    ///
    /// A datagram that does not fit the buffer comes out empty.
    func receive(
        into buffer: inout [UInt8]
    ) -> (bytes: ArraySlice<UInt8>, host: String)? {
        var source = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let capacity = buffer.count
        let count = withUnsafeMutablePointer(to: &source) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                recvfrom(
                    descriptor, &buffer, capacity, Int32(MSG_TRUNC), address, &length)
            }
        }
        guard count >= 0 else { return nil }
        let host = numericHost(ofIPv4: source.sin_addr.s_addr)
        return (count <= capacity ? buffer[..<count] : [], host)
    }

    private var ipLevel: Int32 { Int32(IPPROTO_IP) }

    private static let groupAddress: in_addr = {
        var address = in_addr()
        inet_pton(AF_INET, group, &address)
        return address
    }()

    private static func withGroup<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr = groupAddress
        return withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// Why a beacon's socket cannot be opened.
struct BeaconSocketError: Error, Hashable, CustomStringConvertible {
    /// What failed, where and why.
    let description: String

    /// Takes the reason from the last system call.
    fileprivate init(_ what: String, _ interface: NetworkInterface) {
        description = "cannot \(what) on \(interface.name): \(systemErrorText())"
    }
}
