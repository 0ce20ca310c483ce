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

    @Test("with an access token every call needs it, or the admin token")
    func accessToken() async throws {
        var configuration = APIHarness.configuration()
        configuration.accessToken = "open"
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            #expect(try await status(api, host: "localhost") == 401)
            #expect(try await status(api, host: "localhost", token: "Bearer shut") == 401)
            #expect(try await status(api, host: "localhost", token: "Basic open") == 401)
            #expect(try await status(api, host: "localhost", token: "Bearer open") == 200)
            #expect(try await status(api, host: "localhost", token: "bearer  open") == 200)
            #expect(try await status(api, host: "localhost", token: "Bearer admin-token") == 200)
        }
    }

    @Test("calls that change the mesh need the admin token")
    func adminToken() async throws {
        var configuration = APIHarness.configuration()
        configuration.accessToken = "open"
        let hash = String(repeating: "a", count: 64)
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            let calls: [(HTTPRequest.Method, String)] = [
                (.post, "/tessera/v1/models"), (.delete, "/tessera/v1/models/m"),
                (.put, "/tessera/v1/blobs/\(hash)"), (.put, "/tessera/v1/manifests/\(hash)"),
                (.post, "/tessera/v1/drain"),
            ]
            for (method, path) in calls {
                for token in [nil, "Bearer open", "Bearer admin-toke", "Bearer admin-tokenn"] {
                    var headers: HTTPFields = [:]
                    headers[.authorization] = token
                    let response = try await api.send(method, path, "{}", headers: headers)
                    #expect(response.status == .unauthorized, "\(method) \(path)")
                    #expect(response.headers[.wwwAuthenticate] == "Bearer")
                }
            }
            #expect(api.backend.state.withLock { $0.blobs.isEmpty && $0.manifests.isEmpty })
            #expect(api.backend.state.withLock { $0.isReady })
        }
    }

    @Test("tokens are compared whole")
    func tokens() {
        func isEqual(_ left: String, _ right: String) -> Bool {
            AccessControl.isEqual(Array(left.utf8), Array(right.utf8))
        }
        #expect(isEqual("abc", "abc"))
        #expect(!isEqual("abcabc", "abc"))
        #expect(!isEqual("ab", "abc"))
        #expect(!isEqual("", "abc"))
        #expect(!isEqual("abd", "abc"))
        #expect(!isEqual("", ""))
    }
}
