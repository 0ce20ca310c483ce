import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TesseraAPI

/// What clients that are slow, many or rude get, over real sockets.
@Suite struct LimitTests {
    private static func quick() -> APIConfiguration {
        var configuration = APIHarness.configuration()
        configuration.headTimeout = .seconds(1)
        configuration.bodyWindow = .seconds(1)
        configuration.bodyBytesPerWindowMin = 1_000
        return configuration
    }

    /// The metrics, over a new connection: the harness's may be too slow for these limits.
    private func metrics(_ api: APIHarness) async -> String {
        await api.raw("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    }

    private func count(_ limit: String, _ api: APIHarness) async -> String {
        let metrics = await metrics(api)
        let name = "tessera_api_limit_reached_total{limit=\"\(limit)\"} "
        let line = metrics.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
        return line.map { String($0.dropFirst(name.count)) } ?? "none"
    }

    @Test("a head that does not come whole in time ends its connection, an idle one does not")
    func slowHead() async throws {
        try await APIHarness.run(Self.quick()) { (api: APIHarness) async throws in
            let idle = try #require(RawConnection(port: UInt16(api.client.port ?? 0)))
            defer { idle.end() }
            let request = "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let first = await idle.exchange(request, until: "\r\n\r\n")
            #expect(first.hasPrefix("HTTP/1.1 200"), "\(first)")
            for begin in ["GET /v2 HTTP/1.1\r\nHost: local", "G", "", "PRI * HTTP/2.0\r\n\r\nSM"] {
                let answer = await api.raw(begin, halfClose: false)
                #expect(answer.hasPrefix("HTTP/1.1 408") || begin == "", "\(begin): \(answer)")
            }
            // The harness's own connection says nothing either.
            #expect(["4", "5"].contains(await count("head_time", api)))
            // It was silent for longer than a head may take.
            let second = await idle.exchange(request, until: "\r\n\r\n")
            #expect(second.hasPrefix("HTTP/1.1 200"), "\(second)")
        }
    }

    @Test("a body that comes too slowly ends its request")
    func slowBody() async throws {
        try await APIHarness.run(Self.quick()) { (api: APIHarness) async throws in
            let head =
                "POST /v2/models/identity/infer HTTP/1.1\r\nHost: localhost\r\n"
                + "Content-Length: 100000\r\n\r\n"
            let answer = await api.raw(head + "{\"inputs\"", halfClose: false)
            #expect(answer.hasPrefix("HTTP/1.1 408"), "\(answer)")
            let chunked = await api.raw(
                head.replacing("Content-Length: 100000", with: "Transfer-Encoding: chunked")
                    + "1\r\na\r\n", halfClose: false)
            #expect(chunked.hasPrefix("HTTP/1.1 408"), "\(chunked)")
            #expect(await count("body_time", api) == "2")
            #expect(await metrics(api).contains("tessera_api_held_body_bytes 0\n"))
        }
    }

    @Test("a client that asks first is told to send its body, or why not")
    func expectation() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let body =
                #"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}"#
            func head(_ fields: String, _ path: String = "/v2/models/identity/infer") -> String {
                "POST \(path) HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\(fields)\r\n"
            }
            let length = "Content-Length: \(body.utf8.count)\r\n"
            let connection = try #require(RawConnection(port: UInt16(api.client.port ?? 0)))
            defer { connection.end() }
            for _ in 0..<2 {
                let word = await connection.exchange(head(length), until: "\r\n\r\n")
                #expect(word == "HTTP/1.1 100 Continue\r\n\r\n", "\(word)")
                let answer = await connection.exchange(body, until: "\r\n\r\n{")
                #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
            }
            // Who is refused for the head alone need not send anything, and nothing can follow.
            for (fields, path, status) in [
                (length, "/tessera/v1/models", "401"), (length, "/nothing", "404"),
                ("Content-Length: 900000000\r\n", "/v2/models/identity/infer", "413"),
                (length, "/v2/models/none/infer", "404"),
            ] {
                let answer = await api.raw(head(fields, path), halfClose: false)
                #expect(answer.hasPrefix("HTTP/1.1 \(status)"), "\(path): \(answer)")
                #expect(answer.lowercased().contains("connection: close"), "\(answer)")
                #expect(!answer.contains("100 Continue"))
            }
            let unknown = await api.raw(
                head(length).replacing("100-continue", with: "200-ok") + body)
            #expect(unknown.hasPrefix("HTTP/1.1 417"), "\(unknown)")
            // Who does not wait for the word is served too.
            let hasty = await api.raw(head(length) + body)
            #expect(hasty.contains("HTTP/1.1 200"), "\(hasty)")
        }
    }

    @Test("beyond the most connections further ones are closed, and places come back")
    func connections() async throws {
        var configuration = APIHarness.configuration()
        configuration.connectionsMax = 2
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            // The harness has one connection.
            #expect(try await api.send(.get, "/v2").status == .ok)
            let request = "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let second = try #require(RawConnection(port: UInt16(api.client.port ?? 0)))
            #expect(await second.exchange(request, until: "\r\n\r\n").contains(" 200 "))
            #expect(await api.raw(request, halfClose: false) == "")
            let metrics = try await api.send(.get, "/metrics").text
            #expect(metrics.contains("reached_total{limit=\"connections\"} 1\n"))
            second.end()
            var answer = ""
            while answer == "" { answer = await api.raw(request) }
            #expect(answer.contains(" 200 "))
        }
    }

    @Test("connections from one address, or one network of IPv6, are counted together")
    func addresses() throws {
        var configuration = APIHarness.configuration()
        configuration.connectionsMax = 5
        configuration.connectionsPerAddressMax = 2
        let metrics = RequestMetrics()
        let limiter = ConnectionLimiter(configuration: configuration, metrics: metrics)
        func caller(_ text: String) throws -> [UInt8]? {
            ConnectionLimiter.caller(try SocketAddress(ipAddress: text, port: 1))
        }
        let far = try caller("192.0.2.7")
        #expect(limiter.admit(far))
        #expect(limiter.admit(try caller("::ffff:192.0.2.7")))
        #expect(!limiter.admit(far))
        #expect(metrics.count(.addressConnections) == 1)
        limiter.leave(far)
        #expect(limiter.admit(far))
        #expect(try caller("2001:db8:1:2::1") == caller("2001:db8:1:2:ffff::9"))
        #expect(try caller("2001:db8:1:2::1") != caller("2001:db8:1:3::1"))
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            #expect(try caller(text) == nil)
            #expect(limiter.admit(nil))
        }
        #expect(limiter.open == 5)
        #expect(!limiter.admit(nil))
        #expect(metrics.count(.connections) == 1)
    }

    @Test("heads that are too long are counted, and so is what is refused, in the status too")
    func counters() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let field = String(repeating: "a", count: 20_000)
            _ = await api.raw(
                "GET /v2 HTTP/1.1\r\nHost: localhost\r\nX-A: \(field)\r\n\r\n", halfClose: false)
            #expect(await count("head_bytes", api) == "1")
            _ = try await api.send(.post, "/tessera/v1/drain")
            let status = try await api.send(.get, "/tessera/v1/status").json
            #expect(status["counters"]?["apiLimit:head_bytes"]?.integerValue == 1)
            #expect(status["counters"]?["apiRefused:token"]?.integerValue == 1)
            #expect(await metrics(api).contains("tessera_api_connections "))
        }
    }
}
