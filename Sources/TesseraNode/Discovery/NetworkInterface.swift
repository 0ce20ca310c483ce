import Glibc

/// An IPv4 address of one of this machine's interfaces that are up.
struct NetworkInterface: Hashable, Sendable {
    /// The kernel's number for it.
    var index: UInt32
    /// Its name.
    var name: String
    /// Its address, in network order.
    var address: UInt32
    /// Whether it reaches this machine only.
    var isLoopback: Bool
    /// Whether it carries multicast; loopback does, although it does not say so.
    var isMulticast: Bool

    /// Lists all, in the kernel's order; empty if the kernel refuses.
    static func list() -> [NetworkInterface] {
        var head: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&head) == 0 else { return [] }
        defer { freeifaddrs(head) }
        var result: [NetworkInterface] = []
        var next = head
        while let entry = next?.pointee {
            next = entry.ifa_next
            let flags = entry.ifa_flags
            guard let raw = entry.ifa_addr, Int32(raw.pointee.sa_family) == AF_INET,
                let rawName = entry.ifa_name, flags & UInt32(IFF_UP) != 0
            else { continue }
            let address = raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                $0.pointee.sin_addr.s_addr
            }
            let isLoopback = flags & UInt32(IFF_LOOPBACK) != 0
            result.append(
                NetworkInterface(
                    index: if_nametoindex(rawName), name: String(cString: rawName),
                    address: address, isLoopback: isLoopback,
                    isMulticast: isLoopback || flags & UInt32(IFF_MULTICAST) != 0))
        }
        return result.filter { $0.index != 0 }
    }
}

/// The text of an IPv4 address in network order.
func numericHost(ofIPv4 address: UInt32) -> String {
    let bytes = UInt32(bigEndian: address)
    return "\(bytes >> 24).\(bytes >> 16 & 255).\(bytes >> 8 & 255).\(bytes & 255)"
}

/// The text of an IPv6 address of 16 bytes; nil for another count.
func numericHost(ofIPv6 bytes: [UInt8]) -> String? {
    guard bytes.count == 16 else { return nil }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
        guard let start = text.baseAddress,
            inet_ntop(AF_INET6, bytes, start, socklen_t(text.count)) != nil
        else { return nil }
        return String(cString: start)
    }
}

/// The text of the last error of a system call.
func systemErrorText(_ code: Int32 = errno) -> String {
    String(cString: strerror(code))
}
