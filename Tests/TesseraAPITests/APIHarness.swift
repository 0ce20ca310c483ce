import Dispatch
import Glibc
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Synchronization
import TesseraCore

@testable import TesseraAPI

/// A live server over the test backend, and ways to talk to it.
struct APIHarness: Sendable {
    static let adminToken = "admin-token"
    static let inferToken = "open"
    static let readToken = "look"
    static let headerLength = HTTPFields.Element.Name("Inference-Header-Content-Length")

    let backend: TestBackend
    let client: any TestClientProtocol

    static func configuration() -> APIConfiguration {
        var configuration = APIConfiguration(
            host: "127.0.0.1", port: 0, hostNames: ["box.local"],
            tokens: APITokens([
                APIToken(name: "admin", right: .admin, text: adminToken),
                APIToken(name: "infer", right: .infer, text: inferToken),
                APIToken(name: "read", right: .read, text: readToken),
            ]), anonymousRight: .infer)
        // A test may use a connection long after it was made.
        configuration.headTimeout = configuration.idleTimeout
        return configuration
    }

    static func run(
        _ configuration: APIConfiguration = configuration(),
        _ operation: @escaping @Sendable (APIHarness) async throws -> Void
    ) async throws {
        let backend = TestBackend()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let application = APIApplication.make(
            backend: backend, configuration: configuration, logger: logger)
        try await application.test(.live) { client in
            try await operation(APIHarness(backend: backend, client: client))
        }
    }

    /// One request with a text body; gives status, body and headers.
    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil,
        headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await client.execute(
            uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
    }

    /// An inference request as JSON.
    func infer(
        _ body: String, model: String = "identity", headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await send(.post, "/v2/models/\(model)/infer", body, headers: headers)
    }

    /// An inference request with binary data behind its JSON.
    func infer(
        _ json: String, binary: [UInt8], model: String = "identity", headerLength: Int? = nil
    ) async throws -> TestResponse {
        var headers: HTTPFields = [:]
        if let name = Self.headerLength { headers[name] = "\(headerLength ?? json.utf8.count)" }
        var body = ByteBuffer(string: json)
        body.writeBytes(binary)
        return try await client.execute(
            uri: "/v2/models/\(model)/infer", method: .post, headers: headers, body: body)
    }

    /// Sends bytes over a new connection and reads until the server closes it or `until` is there.
    ///
    /// On a thread of its own, because it blocks. With `halfClose` the sending half is closed after
    /// the bytes.
    func raw(_ text: String, halfClose: Bool = true, until: String? = nil) async -> String {
        await Self.raw(
            text, port: UInt16(client.port ?? 0), halfClose: halfClose, until: until)
    }

    static func raw(
        _ text: String, port: UInt16, halfClose: Bool = true, until: String? = nil
    ) async -> String {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    returning: exchange(
                        Array(text.utf8), port: port, halfClose: halfClose, until: until))
            }
        }
    }

    private static func exchange(
        _ bytes: [UInt8], port: UInt16, halfClose: Bool, until: String?
    ) -> String {
        guard let connection = RawConnection(port: port) else { return "not connected" }
        defer { connection.end() }
        return connection.exchangeNow(bytes, halfClose: halfClose, until: until)
    }
}

/// A connection that sends what it is told, and reads only when it is told.
final class RawConnection: Sendable {
    private let handle: Int32
    private let isOpen = Mutex(true)

    /// Connects; nil if nobody listens.
    init?(port: UInt16) {
        handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard handle >= 0 else { return nil }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(
            handle, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let handle = handle
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if connected != 0 {
            close(handle)
            return nil
        }
    }

    /// Closes the connection, once.
    func end() {
        isOpen.withLock { isOpen in
            if isOpen { close(handle) }
            isOpen = false
        }
    }

    /// Sends a text and reads until a text is there, or the connection's end.
    ///
    /// On a thread of its own, because it blocks.
    func exchange(_ text: String, until: String?) async -> String {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    returning: self.exchangeNow(
                        Array(text.utf8), halfClose: false, until: until))
            }
        }
    }

    /// Sends bytes; few enough that the system takes them at once.
    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(handle, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { break }
            sent += count
        }
    }

    /// Sends and reads on this thread; with `halfClose` the sending half is closed after the bytes.
    func exchangeNow(_ bytes: [UInt8], halfClose: Bool, until: String?) -> String {
        send(bytes)
        if halfClose { shutdown(handle, Int32(SHUT_WR)) }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(handle, &chunk, chunk.count, 0)
            if count <= 0 { break }
            received += chunk[..<count]
            if let until, String(decoding: received, as: UTF8.self).contains(until) { break }
        }
        return String(decoding: received, as: UTF8.self)
    }
}

extension TestResponse {
    /// The body as text.
    var text: String { String(buffer: body) }

    /// The body as JSON; null if it is none.
    var json: JSONValue {
        // A body that is no JSON fails the expectation that looks into it.
        (try? JSONReader.read(Array(body.readableBytesView))) ?? .null
    }

    /// The message of an error.
    var error: String { json["error"]?.stringValue ?? "no error in: \(text)" }
}
