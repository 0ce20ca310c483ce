import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct DashboardTests {
    /// A configuration whose streams go fast.
    private static func quick(
        streams: Int = 32, stallMax: Duration = .seconds(30)
    ) -> APIConfiguration {
        var configuration = APIHarness.configuration()
        configuration.streamsMax = streams
        configuration.streamPeriod = .milliseconds(20)
        configuration.streamStallMax = stallMax
        return configuration
    }

    private static let get = "GET /tessera/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

    /// The documents of the messages of a kind, without one that is not whole.
    private func messages(_ kind: String, in text: String) -> [JSONValue] {
        let lines = text.replacing("\r\n", with: "\n").split(separator: "\n")
        return lines.indices.dropLast().filter { lines[$0] == "event: \(kind)" }.compactMap {
            guard lines[$0 + 1].hasPrefix("data: ") else { return nil }
            // What was read may end within a message.
            return try? JSONReader.read(Array(lines[$0 + 1].dropFirst(6).utf8))
        }
    }

    @Test("the page and its files come with their types, and with a policy against foreign code")
    func files() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let page = try await api.send(.get, "/")
            #expect(page.status == .ok)
            #expect(page.headers[.contentType] == "text/html; charset=utf-8")
            #expect(page.headers[.xContentTypeOptions] == "nosniff")
            let policy = try #require(page.headers[.contentSecurityPolicy])
            #expect(policy.contains("default-src 'none'; script-src 'self'; style-src 'self'"))
            #expect(policy.contains("frame-ancestors 'none'"))
            #expect(!policy.contains("unsafe"))
            // Nothing in the page itself is script or style, and nothing comes from elsewhere.
            #expect(!page.text.contains("<style") && !page.text.contains("style="))
            #expect(!page.text.contains("://") && !page.text.contains("onclick"))
            let paths = page.text.split(separator: "\"").filter { $0.hasPrefix("/dashboard/") }
            #expect(paths.count >= 3)
            let scripts = ["main", "stream", "figures", "graph", "charts", "tables", "classify"]
            for path in paths.map(String.init) + scripts.map({ "/dashboard/\($0).js" }) {
                let file = try await api.send(.get, path)
                #expect(file.status == .ok && file.body.readableBytes > 100, "\(path)")
                #expect(file.headers[.xContentTypeOptions] == "nosniff")
                let tag = try #require(file.headers[.eTag])
                let again = try await api.send(.get, path, headers: [.ifNoneMatch: tag])
                #expect(again.status == .notModified && again.body.readableBytes == 0)
                let head = try await api.send(.head, path)
                #expect(head.status == .ok && head.body.readableBytes == 0)
                #expect(try await api.send(.post, path).status == .methodNotAllowed)
            }
            for path in ["dashboard", "dashboard/", "dashboard/..", "dashboard/x.js", "index.html"]
            {
                #expect(try await api.send(.get, "/" + path).status == .notFound, "\(path)")
            }
        }
    }

    @Test("the page needs no token, but a Host of the agent; what it shows needs the token")
    func access() async throws {
        var configuration = Self.quick()
        configuration.anonymousRight = nil
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            #expect(try await api.send(.get, "/").status == .ok)
            #expect(try await api.send(.get, "/dashboard/main.js").status == .ok)
            #expect(try await api.send(.head, "/tessera/v1/stream").status == .unauthorized)
            let head = try await api.send(
                .head, "/tessera/v1/stream", headers: [.authorization: "Bearer open"])
            #expect(head.status == .ok)
            #expect(head.headers[.contentType] == "text/event-stream")
            let foreign = await api.raw("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            #expect(foreign.hasPrefix("HTTP/1.1 403"), "\(foreign)")
        }
    }

    @Test("what a browser sends for another page is refused, also without an origin")
    func sites() async throws {
        try await APIHarness.run(Self.quick()) { (api: APIHarness) async throws in
            for site in ["cross-site", "same-site"] {
                for path in ["/tessera/v1/stream", "/tessera/v1/status", "/v2"] {
                    let response = try await api.send(
                        .get, path, headers: [.secFetchSite: site])
                    #expect(response.status == .forbidden, "\(site) \(path)")
                }
                // A link to the dashboard may stand anywhere.
                #expect(try await api.send(.get, "/", headers: [.secFetchSite: site]).status == .ok)
            }
            for site in ["same-origin", "none"] {
                let response = try await api.send(.get, "/v2", headers: [.secFetchSite: site])
                #expect(response.status == .ok)
            }
        }
    }

    @Test("a stream begins with the mesh and its events, and goes on")
    func stream() async throws {
        try await APIHarness.run(Self.quick()) { (api: APIHarness) async throws in
            // The events of the third message: two are there whole.
            let text = await api.raw(Self.get, halfClose: false, until: "\"number\":5")
            #expect(text.contains("text/event-stream") && text.contains("no-store"))
            let overviews = messages("overview", in: text)
            #expect(overviews.count >= 2)
            let first = try #require(overviews.first)
            #expect(first["version"] == .integer(Int64(1)))
            #expect(first["status"]?["name"] == .string("here"))
            #expect(first["members"]?.arrayValue?.count == 2)
            #expect(first["members"]?.arrayValue?.last?["name"] == .string("there \"q\""))
            // All the traffic that is kept at first, then the last of it.
            func seconds(_ overview: JSONValue) -> JSONValue? {
                overview["traffic"]?.arrayValue?.first?["second"]
            }
            #expect(seconds(first) == .integer(Int64(StreamHandler.firstTrafficSeconds)))
            #expect(
                overviews.dropFirst().first.flatMap(seconds)
                    == .integer(Int64(OverviewCache.trafficSeconds)))
            let events = messages("events", in: text).first?.arrayValue ?? []
            #expect(events.map { $0["number"] } == [1, 2, 3].map { .integer(Int64($0)) })
        }
    }

    @Test("streams share their overviews")
    func sharing() async throws {
        let backend = TestBackend()
        let cache = OverviewCache(backend: backend, lifetime: .seconds(3_600))
        await withTaskGroup(of: ByteBuffer.self) { group in
            for _ in 0..<20 { group.addTask { await cache.message() } }
            var messages: Set<ByteBuffer> = []
            for await message in group { messages.insert(message) }
            #expect(messages.count == 1)
        }
        #expect(backend.state.withLock { $0.overviewCount } == 1)
    }

    @Test("there are no more streams than allowed, and one that ends makes room")
    func limit() async throws {
        try await APIHarness.run(Self.quick(streams: 1)) { (api: APIHarness) async throws in
            let port = UInt16(try #require(api.client.port))
            let open = try #require(RawConnection(port: port))
            defer { open.end() }
            #expect(await open.exchange(Self.get, until: "event: overview") != "")
            let refused = await api.raw(Self.get, halfClose: false, until: "}")
            #expect(refused.hasPrefix("HTTP/1.1 503"), "\(refused)")
            #expect(refused.lowercased().contains("retry-after: 10"))
            #expect(refused.contains("1 streams are open"))
            #expect(try await api.send(.head, "/tessera/v1/stream").status == .ok)
            open.end()
            await untilAccepted(api)
        }
    }

    /// Asks for a stream until there is room for one; the test's limit of time ends it otherwise.
    private func untilAccepted(_ api: APIHarness) async {
        var text = ""
        while !text.contains("text/event-stream"), !Task.isCancelled {
            text = await api.raw(Self.get, halfClose: false, until: "\r\n\r\n")
        }
    }

    @Test("who does not read is cut off", .timeLimit(.minutes(2)))
    func slowReader() async throws {
        let configuration = Self.quick(streams: 1, stallMax: .milliseconds(200))
        try await APIHarness.run(configuration) { (api: APIHarness) async throws in
            // Fills every buffer on the way within a few messages.
            api.backend.state.withLock { $0.overviewBytes = 4 << 20 }
            let port = UInt16(try #require(api.client.port))
            let silent = try #require(RawConnection(port: port))
            defer { silent.end() }
            #expect(await silent.exchange(Self.get, until: "event: overview") != "")
            // Its place is free again, although it never left,
            await untilAccepted(api)
            // and what it reads now has no end.
            #expect(await silent.exchange("", until: nil).hasSuffix("0\r\n\r\n") == false)
        }
    }

    @Test("streams end in order when the agent stops", .timeLimit(.minutes(2)))
    func shutdown() async throws {
        let connections = Mutex<[RawConnection]>([])
        // The harness stops the server while the stream is open, and waits for its end.
        try await APIHarness.run(Self.quick()) { (api: APIHarness) async throws in
            let port = UInt16(try #require(api.client.port))
            let open = try #require(RawConnection(port: port))
            #expect(await open.exchange(Self.get, until: "event: overview") != "")
            connections.withLock { $0.append(open) }
        }
        let open = try #require(connections.withLock { $0.first })
        defer { open.end() }
        #expect(await open.exchange("", until: nil).hasSuffix("0\r\n\r\n"))
    }
}
