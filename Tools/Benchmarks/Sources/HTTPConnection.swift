import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A kept connection that sends one request again and again, over a blocking socket.
///
/// As little as a client can be: one write for a request, and as many reads as its answer takes.
/// Used by one thread at a time.
final class HTTPConnection: @unchecked Sendable {
    // `@unchecked Sendable`: a connection belongs to one thread at a time.
    private let socket: Int32
    private let request: [UInt8]
    private var received = [UInt8](repeating: 0, count: 1 << 20)
    private var bodyRange = 0..<0
    private var jsonLength = 0

    /// Connects to a numeric IPv4 address.
    init(to agent: String, request: [UInt8]) throws {
        self.request = request
        let parts = agent.split(separator: ":")
        var address = sockaddr_in()
        guard parts.count == 2, let port = UInt16(parts[1]),
            inet_pton(AF_INET, String(parts[0]), &address.sin_addr) == 1
        else { throw BenchmarkError("\(agent) is not an IPv4 address with a port") }
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        #if canImport(Glibc)
        let kind = Int32(SOCK_STREAM.rawValue)
        #else
        let kind = SOCK_STREAM
        #endif
        socket = Self.made(AF_INET, kind)
        guard socket >= 0 else { throw Self.failure("socket") }
        var one: Int32 = 1
        setsockopt(
            socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Self.failure("connect to \(agent)") }
    }

    deinit { close(socket) }

    // `socket` is the name of a property too.
    private static func made(_ domain: Int32, _ kind: Int32) -> Int32 {
        #if canImport(Glibc)
        Glibc.socket(domain, kind, 0)
        #elseif canImport(Musl)
        Musl.socket(domain, kind, 0)
        #else
        Darwin.socket(domain, kind, 0)
        #endif
    }

    private static func failure(_ what: String) -> BenchmarkError {
        BenchmarkError("\(what): \(String(cString: strerror(errno)))")
    }

    /// Sends the request and takes the whole answer; throws if it is none of status 200.
    func call() throws {
        try sendRequest()
        var count = 0
        var headEnd: Int?
        var needed = Int.max
        while count < needed {
            if count == received.count { received += [UInt8](repeating: 0, count: count) }
            let got = received.withUnsafeMutableBytes { memory in
                recv(socket, memory.baseAddress.map { $0 + count }, memory.count - count, 0)
            }
            guard got > 0 else { throw Self.failure("answer broken off") }
            count += got
            if headEnd == nil, let end = findHeadEnd(count) {
                headEnd = end
                needed = end + (try readHead(end))
            }
        }
        bodyRange = (headEnd ?? 0)..<needed
    }

    /// What the last answer has behind its JSON.
    var binaryOutput: Data { Data(received[bodyRange].dropFirst(jsonLength)) }

    private func sendRequest() throws {
        var sent = 0
        while sent < request.count {
            let put = request.withUnsafeBytes { memory in
                send(socket, memory.baseAddress.map { $0 + sent }, memory.count - sent, 0)
            }
            guard put > 0 else { throw Self.failure("request broken off") }
            sent += put
        }
    }

    private func findHeadEnd(_ count: Int) -> Int? {
        guard count >= 4 else { return nil }
        for index in 0...(count - 4)
        where received[index] == 13 && received[index + 1] == 10 && received[index + 2] == 13
            && received[index + 3] == 10
        {
            return index + 4
        }
        return nil
    }

    /// The length of the body.
    private func readHead(_ end: Int) throws -> Int {
        let head = String(decoding: received[..<end], as: UTF8.self)
        guard head.hasPrefix("HTTP/1.1 200") else {
            throw BenchmarkError("the agent answered \(head.prefix { $0 != "\r\n" })")
        }
        var length: Int?
        for line in head.split(separator: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let value = Int(parts[1].trimmingCharacters(in: .whitespaces))
            switch parts[0].lowercased() {
            case "content-length": length = value
            case "inference-header-content-length": jsonLength = value ?? 0
            default: break
            }
        }
        guard let length else { throw BenchmarkError("an answer without Content-Length") }
        return length
    }
}
