#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Whether a place to listen at can be taken.
enum PortCheck {
    /// What would listen there.
    enum Kind: Sendable {
        /// TCP.
        case stream
        /// UDP.
        case datagram

        fileprivate var number: Int32 {
            #if canImport(Glibc)
            self == .stream ? Int32(SOCK_STREAM.rawValue) : Int32(SOCK_DGRAM.rawValue)
            #else
            self == .stream ? SOCK_STREAM : SOCK_DGRAM
            #endif
        }
    }

    /// Why it cannot be taken; nil if it can.
    static func errorNumber(binding place: HostPort, _ kind: Kind) -> Int32? {
        var hints = addrinfo()
        hints.ai_socktype = kind.number
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(place.host, "\(place.port)", &hints, &list) == 0, let first = list else {
            return EADDRNOTAVAIL
        }
        defer { freeaddrinfo(list) }
        let descriptor = socket(first.pointee.ai_family, kind.number, 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        // As an agent does: connections that have just ended do not hold the port.
        var yes: Int32 = 1
        if kind == .stream {
            setsockopt(
                descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        }
        guard bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
            return errno
        }
        if kind == .stream, listen(descriptor, 1) != 0 { return errno }
        return nil
    }
}

extension PortCheck {
    /// Connecting on one machine takes no time; a firewall that drops is silent.
    private static let connectMilliseconds: Int32 = 2_000

    /// Whether somebody accepts TCP connections at a place of this machine.
    static func accepts(_ place: HostPort) -> Bool {
        var hints = addrinfo()
        hints.ai_socktype = Kind.stream.number
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(place.host, "\(place.port)", &hints, &list) == 0, let first = list else {
            return false
        }
        defer { freeaddrinfo(list) }
        let descriptor = socket(first.pointee.ai_family, Kind.stream.number, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { return false }
        if connect(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 { return true }
        guard errno == EINPROGRESS else { return false }
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&waiting, 1, connectMilliseconds) == 1 else { return false }
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0
    }
}

/// Whether a multicast datagram on loopback comes back: what the beacon needs at least.
enum MulticastCheck {
    /// A group of the range for the use of one organisation (RFC 2365), not the beacon's.
    private static let group = "239.255.84.85"
    /// Loopback is faster than this by far.
    private static let timeoutMilliseconds: Int32 = 1_000

    /// Sends one and waits for it.
    static func run() -> DoctorFinding {
        let advice = "name peers with --seed HOST:PORT where multicast does not reach them"
        let descriptor = socket(AF_INET, PortCheck.Kind.datagram.number, 0)
        guard descriptor >= 0 else {
            return .failed("multicast", Files.systemReason(), next: advice)
        }
        defer { close(descriptor) }
        guard let port = join(descriptor) else {
            return .warning(
                "multicast", "the loopback interface takes no group: \(Files.systemReason())",
                next: advice)
        }
        let text: [UInt8] = Array("tessera doctor".utf8)
        let sent = send(text, to: port, over: descriptor)
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard sent == text.count, poll(&waiting, 1, timeoutMilliseconds) == 1 else {
            return .warning(
                "multicast", "a datagram on the loopback interface did not come back", next: advice)
        }
        return .good("multicast", "works on the loopback interface")
    }

    /// Sends a datagram to the group; the number of bytes that went out.
    private static func send(_ bytes: [UInt8], to port: String, over descriptor: Int32) -> Int {
        var hints = addrinfo()
        hints.ai_socktype = PortCheck.Kind.datagram.number
        hints.ai_flags = AI_NUMERICHOST
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(group, port, &hints, &list) == 0, let target = list?.pointee else {
            return -1
        }
        defer { freeaddrinfo(list) }
        return sendto(descriptor, bytes, bytes.count, 0, target.ai_addr, target.ai_addrlen)
    }

    /// Binds to a free port and joins the group on loopback; nil if that fails, else the port.
    private static func join(_ descriptor: Int32) -> String? {
        guard let port = bindAnywhere(descriptor) else { return nil }
        // As `ip_mreq` has them. Who else's headers bring that type in depends on the build, so it is
        // not named.
        var loopback = inet_addr("127.0.0.1")
        var request = [inet_addr(group), loopback]
        let level = Int32(IPPROTO_IP)
        guard
            setsockopt(
                descriptor, level, IP_ADD_MEMBERSHIP, &request,
                socklen_t(request.count * MemoryLayout<in_addr_t>.size)) == 0,
            setsockopt(
                descriptor, level, IP_MULTICAST_IF, &loopback,
                socklen_t(MemoryLayout<in_addr_t>.size)) == 0
        else { return nil }
        return port
    }

    /// Binds to a port that the system chooses, and says which.
    private static func bindAnywhere(_ descriptor: Int32) -> String? {
        var hints = addrinfo()
        hints.ai_family = AF_INET
        hints.ai_socktype = PortCheck.Kind.datagram.number
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(nil, "0", &hints, &list) == 0, let place = list?.pointee else {
            return nil
        }
        defer { freeaddrinfo(list) }
        var length = place.ai_addrlen
        // The list's own memory takes the address that the socket got.
        guard bind(descriptor, place.ai_addr, length) == 0,
            getsockname(descriptor, place.ai_addr, &length) == 0
        else { return nil }
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let status = getnameinfo(
            place.ai_addr, length, nil, 0, &service, socklen_t(service.count),
            NI_NUMERICSERV | NI_DGRAM)
        guard status == 0 else { return nil }
        return String(
            decoding: service.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
