import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct AccessTests {
    private func status(
        _ api: APIHarness, host: String, origin: String? = nil, token: String? = nil
    ) async throws -> Int {
        var headers: HTTPFields = [:]
        if let origin { headers[.origin] = origin }
        if let token { headers[.authorization] = token }
        let port = try #require(api.client.port)
        let request = TestClient.Request("/v2", method: .get, authority: host, headers: headers)
        return try await TestClient.withClient(host: "127.0.0.1", port: port) { client in
            try await client.execute(request).status.code
        }
    }

    @Test("only loopback and configured names are accepted as Host")
    func hosts() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for host in [
                "localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8700", "[::1]", "[::1]:8700",
                "box.local:8700", "Box.Local",
            ] {
                #expect(try await status(api, host: host) == 200, "\(host)")
            }
            for host in [
                "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "::1", "[::1",
                "127.0.0.2", "localhost:", "localhost:80x", "localhost@evil.example", "0.0.0.0",
            ] where host != "localhost:" {
                #expect(try await status(api, host: host) == 403, "\(host)")
            }
            let missing = await api.raw("GET /v2 HTTP/1.0\r\n\r\n")
            #expect(missing.hasPrefix("HTTP/1.1 403") || missing.hasPrefix("HTTP/1.0 403"))
        }
    }

    @Test("a page of another origin is refused")
    func origins() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            #expect(try await status(api, host: "localhost:1", origin: "http://localhost:1") == 200)
            for origin in [
                "http://evil.example", "null", "http://localhost", "http://localhost:2",
                "http://localhost:1.evil.example", "file://",
            ] {
                #expect(
                    try await status(api, host: "localhost:1", origin: origin) == 403, "\(origin)")
            }
            let preflight = try await api.send(
                .options, "/v2/models/identity/infer", headers: [.origin: "http://evil.example"])
            #expect(preflight.status == .forbidden)
            #expect(
                preflight.headers.contains { $0.name.rawName.hasPrefix("Access-Control") } == false)
        }
    }

    @Test("without an anonymous right every call needs a token that is known")
    func unknownTokens() async throws {
        var configuration = APIHarness.configuration()
        configuration.anonymousRight = nil
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            for token in [
                nil, "Bearer shut", "Basic open", "Bearer", "Bearer ", "open", "Bearer open open",
                "Bearer ope", "Bearer openn", "Bearer OPEN",
            ] {
                #expect(try await status(api, host: "localhost", token: token) == 401, "\(token)")
            }
            for token in ["Bearer open", "bearer  open", "Bearer look", "Bearer admin-token"] {
                #expect(try await status(api, host: "localhost", token: token) == 200, "\(token)")
            }
            let metrics = try await api.send(
                .get, "/metrics", headers: [.authorization: "Bearer look"])
            #expect(
                metrics.text.contains("tessera_api_calls_refused_total{reason=\"token\"} 10\n"))
        }
    }

    /// Calls by the right that each needs.
    private static let calls: [(APIRight, HTTPRequest.Method, String)] = {
        let hash = String(repeating: "a", count: 64)
        let admin: [(HTTPRequest.Method, String)] = [
            (.post, "/tessera/v1/models"), (.delete, "/tessera/v1/models/m"),
            (.put, "/tessera/v1/blobs/\(hash)"), (.put, "/tessera/v1/manifests/\(hash)"),
            (.post, "/tessera/v1/drain"), (.post, "/v2/repository/models/m/load"),
            (.post, "/v2/repository/models/m/unload"),
        ]
        let infer: [(HTTPRequest.Method, String)] = [
            (.post, "/v2/models/m/infer"), (.post, "/v2/models/m/versions/1/infer"),
            (.post, "/tessera/v1/models/m/classify"),
        ]
        let read: [(HTTPRequest.Method, String)] = [
            (.get, "/v2"), (.get, "/v2/health/ready"), (.get, "/v2/models/m"),
            (.post, "/v2/repository/index"), (.get, "/tessera/v1/status"),
            (.get, "/tessera/v1/members"), (.get, "/tessera/v1/events"), (.get, "/metrics"),
            (.head, "/tessera/v1/stream"), (.get, "/tessera/v1/models/m/plan"),
            (.get, "/nothing"),
        ]
        return admin.map { (.admin, $0.0, $0.1) } + infer.map { (.infer, $0.0, $0.1) }
            + read.map { (.read, $0.0, $0.1) }
    }()

    @Test("a call is let in by its right or a higher one, with and without a token")
    func rights() async throws {
        let tokens: [APIRight: String] = [
            .read: APIHarness.readToken, .infer: APIHarness.inferToken,
        ]
        for anonymous in [nil, APIRight.read, .infer] {
            var configuration = APIHarness.configuration()
            configuration.anonymousRight = anonymous
            try await APIHarness.run(configuration) { (api: APIHarness) async throws in
                for held in [nil, APIRight.read, .infer] {
                    for (needed, method, path) in Self.calls {
                        var headers: HTTPFields = [:]
                        headers[.authorization] = held.flatMap { tokens[$0] }.map { "Bearer \($0)" }
                        let response = try await api.send(
                            method, path, method == .get || method == .head ? nil : "{}",
                            headers: headers)
                        let isLetIn =
                            (anonymous.map { $0 >= needed } ?? false)
                            || (held.map { $0 >= needed } ?? false)
                        let refusal: HTTPResponse.Status = held == nil ? .unauthorized : .forbidden
                        let what: Comment = "\(held) of \(anonymous): \(method) \(path)"
                        if isLetIn {
                            #expect(![.unauthorized, .forbidden].contains(response.status), what)
                        } else {
                            #expect(response.status == refusal, what)
                            #expect(
                                response.headers[.wwwAuthenticate] == (held == nil ? "Bearer" : nil)
                            )
                        }
                    }
                }
                #expect(api.backend.state.withLock { $0.blobs.isEmpty && $0.manifests.isEmpty })
                #expect(api.backend.state.withLock { $0.isReady })
            }
        }
    }

    @Test("tokens that are exchanged while the API serves hold from the next call on")
    func exchanged() async throws {
        var configuration = APIHarness.configuration()
        configuration.anonymousRight = nil
        let tokens = configuration.tokens
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            #expect(try await status(api, host: "localhost", token: "Bearer open") == 200)
            tokens.replace([APIToken(name: "new", right: .read, text: "another")])
            #expect(try await status(api, host: "localhost", token: "Bearer open") == 401)
            #expect(try await status(api, host: "localhost", token: "Bearer another") == 200)
        }
    }

    @Test("hashes of tokens are compared whole")
    func hashes() {
        #expect(APITokens.isEqual([1, 2, 3], [1, 2, 3]))
        #expect(!APITokens.isEqual([1, 2, 3], [1, 2, 4]))
        #expect(!APITokens.isEqual([0, 2, 3], [1, 2, 3]))
        #expect(!APITokens.isEqual([1, 2], [1, 2, 3]))
        for place in 0..<32 {
            for bit in 0..<8 {
                var other = [UInt8](repeating: 0xA5, count: 32)
                other[place] ^= 1 << bit
                #expect(!APITokens.isEqual([UInt8](repeating: 0xA5, count: 32), other))
            }
        }
        // As `printf open | sha256sum` has it.
        let digest = APIToken(name: "a", right: .read, text: "open").digest
        #expect(digest.prefix(4) == [0x23, 0x48, 0xf9, 0x98])
    }
}
