import NIOCore
import TesseraCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The two sockets of an agent, bound to one port number: TCP for connections, UDP for datagrams.
struct ListeningSockets {
    /// Listens for connections; does not block.
    let stream: CInt
    /// Receives datagrams.
    let datagram: CInt
    /// The numeric address with the port that was taken.
    let address: Address
    /// Whether the sockets are IPv6 ones.
    let isIPv6: Bool

    /// A free TCP port's number may be taken for UDP; another one is tried so many times.
    private static let portAttempts = 16

    /// Binds both sockets.
    init(listen: Address) throws(TransportError) {
        let attempts = listen.port == 0 ? Self.portAttempts : 1
        for _ in 0..<attempts {
            let stream = try Self.bound(SOCK_STREAM, to: listen)
            var isHandedOver = false
            defer { if !isHandedOver { closeDescriptor(stream.descriptor) } }
            guard startListening(stream.descriptor, TransportLimits.listenBacklog) == 0 else {
                if errno == EADDRINUSE { throw .portInUse(listen) }
                throw Self.failure("listen")
            }
            let address = Address(host: listen.host, port: stream.port)
            let datagram: (descriptor: CInt, port: UInt16)
            do {
                datagram = try Self.bound(SOCK_DGRAM, to: address)
            } catch .portInUse where listen.port == 0 {
                continue
            }
            Self.enlargeBuffers(datagram.descriptor)
            isHandedOver = true
            self.stream = stream.descriptor
            self.datagram = datagram.descriptor
            self.address = address
            isIPv6 = listen.host.utf8.contains(0x3A)
            return
        }
        throw .noPortFree
    }

    private static func bound(
        _ kind: SocketKind, to address: Address
    ) throws(TransportError) -> (descriptor: CInt, port: UInt16) {
        let socketAddress: SocketAddress
        do {
            socketAddress = try SocketAddress(ipAddress: address.host, port: Int(address.port))
        } catch {
            throw .badAddress(address, reason: "it is not a numeric IP address")
        }
        let family = address.host.utf8.contains(0x3A) ? AF_INET6 : AF_INET
        let descriptor = makeSocket(family, kind)
        guard descriptor >= 0 else { throw failure("socket") }
        var on: CInt = 1
        var off: CInt = 0
        let size = socklen_t(MemoryLayout<CInt>.size)
        if kind == SOCK_STREAM {
            // A restarted agent takes its port back although old connections linger (TIME_WAIT).
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
        }
        if family == AF_INET6 { setsockopt(descriptor, ipv6Level, IPV6_V6ONLY, &off, size) }
        let result = socketAddress.withSockAddr { pointer, length in
            bind(descriptor, pointer, socklen_t(length))
        }
        guard result == 0 else {
            let number = errno
            closeDescriptor(descriptor)
            switch number {
            case EADDRINUSE: throw .portInUse(address)
            case EADDRNOTAVAIL, EACCES, EAFNOSUPPORT:
                throw .badAddress(address, reason: String(cString: strerror(number)))
            default:
                throw .system(
                    "bind", errorNumber: number, reason: String(cString: strerror(number)))
            }
        }
        return (descriptor, try port(of: descriptor))
    }

    private static func port(of descriptor: CInt) throws(TransportError) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        guard result == 0 else { throw failure("getsockname") }
        return withUnsafeBytes(of: storage) { bytes in
            // The port is at the same place for IPv4 and IPv6.
            UInt16(bigEndian: bytes.load(fromByteOffset: 2, as: UInt16.self))
        }
    }

    private static func enlargeBuffers(_ descriptor: CInt) {
        var bytes = TransportLimits.datagramBufferBytes
        let size = socklen_t(MemoryLayout<CInt>.size)
        // A refusal is right to ignore: the system's default works, with more loss in bursts.
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, size)
    }

    private static func failure(_ call: String) -> TransportError {
        let number = errno
        return .system(call, errorNumber: number, reason: String(cString: strerror(number)))
    }
}

#if canImport(Darwin)
private typealias SocketKind = CInt
private let ipv6Level = IPPROTO_IPV6
#else
private typealias SocketKind = __socket_type
private let ipv6Level = CInt(IPPROTO_IPV6)
#endif

private func makeSocket(_ family: CInt, _ kind: SocketKind) -> CInt {
    #if canImport(Darwin)
    let descriptor = socket(family, kind, 0)
    if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    #else
    let flags = CInt(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, CInt(kind.rawValue) | flags, 0)
    #endif
    guard descriptor >= 0 else { return descriptor }
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    return descriptor
}

/// Closes a descriptor; an error leaves nothing to do.
func closeDescriptor(_ descriptor: CInt) {
    _ = close(descriptor)
}

// The initialiser's parameter hides the C function's name.
private func startListening(_ descriptor: CInt, _ backlog: CInt) -> CInt {
    listen(descriptor, backlog)
}
