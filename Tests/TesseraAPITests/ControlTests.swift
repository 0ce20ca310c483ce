import Hummingbird
import HummingbirdTesting
import NIOCore
import TesseraCore
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct ControlTests {
    static let admin: HTTPFields = [.authorization: "Bearer \(APIHarness.adminToken)"]
    static let version = JSONValue.integer(Int64(1))

    @Test("status, members, models and plan are versioned JSON")
    func reading() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let status = try await api.send(.get, "/tessera/v1/status").json
            #expect(status["version"] == Self.version)
            #expect(status["name"] == .string("here"))
            #expect(status["openRequests"] == .integer(Int64(2)))
            #expect(status["health"] == .array([.string("the disk is nearly full")]))

            let members = try await api.send(.get, "/tessera/v1/members").json
            #expect(members["version"] == Self.version)
            let list = members["members"]?.arrayValue ?? []
            #expect(list.count == 2)
            #expect(list.first?["isSelf"] == .boolean(true))
            #expect(list.first?["address"] == .string("[::1]:8701"))
            #expect(list.last?["name"] == .string("there \"q\""))
            #expect(list.last?["status"] == .string("dead"))
            #expect(list.last?["threads"] == .integer(Int64(2)))

            let models = try await api.send(.get, "/tessera/v1/models").json
            #expect(models["version"] == Self.version)
            #expect(models["models"]?.arrayValue?.last?["reason"] == .string("3 blobs are missing"))
            let model = try await api.send(.get, "/tessera/v1/models/identity").json
            #expect(
                model["models"]?.arrayValue?.first?["manifest"]
                    == .string(TestBackend.manifest.hexadecimal))

            let plan = try await api.send(.get, "/tessera/v1/models/identity/plan").json
            #expect(plan["version"] == Self.version)
            let stage = plan["stages"]?.arrayValue?.first
            #expect(stage?["mode"] == .string("single"))
            #expect(stage?["last"] == .integer(Int64(4)))
            #expect(stage?["measuredMicroseconds"] == nil)
            #expect(plan["boundMicroseconds"] == .integer(Int64(9)))
            let waiting = try await api.send(.get, "/tessera/v1/models/waiting/plan")
            #expect(waiting.status == .serviceUnavailable)
            #expect(waiting.error == "3 blobs are missing")
            for path in ["none", "none/plan"] {
                let response = try await api.send(.get, "/tessera/v1/models/\(path)")
                #expect(response.status == .notFound)
            }
        }
    }

    @Test("blobs and manifests are asked for and stored by their hash")
    func storing() async throws {
        let hash = String(repeating: "0a", count: 32)
        try await APIHarness.run { (api: APIHarness) async throws in
            for kind in ["blobs", "manifests"] {
                let path = "/tessera/v1/\(kind)/\(hash)"
                #expect(try await api.send(.head, path).status == .notFound)
                let stored = try await api.send(.put, path, "hello", headers: Self.admin)
                #expect(stored.status == .created, "\(stored.text)")
                #expect(stored.json["version"] == Self.version)
                #expect(try await api.send(.head, path).status == .ok)
                let wrong = try await api.send(
                    .put, "/tessera/v1/\(kind)/xyz", "hello", headers: Self.admin)
                #expect(wrong.status == .badRequest)
            }
            #expect(api.backend.state.withLock { $0.blobs.values.first } == 5)
            #expect(api.backend.state.withLock { $0.manifests.values.first } == 5)
            let full = try await api.send(
                .put, "/tessera/v1/blobs/\(hash)", "thirteen byte", headers: Self.admin)
            #expect(full.status.code == 507)
            #expect(full.error == "13 bytes are too many")
            let chunked = await api.raw(
                "PUT /tessera/v1/blobs/\(hash) HTTP/1.1\r\nHost: localhost\r\n"
                    + "Authorization: Bearer \(APIHarness.adminToken)\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", halfClose: false,
                until: "\"}")
            #expect(chunked.hasPrefix("HTTP/1.1 411"), "\(chunked)")
        }
    }

    @Test("a blob upload that breaks off is not stored")
    func brokenUpload() async throws {
        let hash = String(repeating: "0b", count: 32)
        try await APIHarness.run { (api: APIHarness) async throws in
            _ = await api.raw(
                "PUT /tessera/v1/blobs/\(hash) HTTP/1.1\r\nHost: localhost\r\n"
                    + "Authorization: Bearer \(APIHarness.adminToken)\r\n"
                    + "Content-Length: 100\r\n\r\nonly this")
            #expect(try await api.send(.head, "/tessera/v1/blobs/\(hash)").status == .notFound)
        }
    }

    private func add(_ api: APIHarness, _ body: String) async throws -> TestResponse {
        try await api.send(.post, "/tessera/v1/models", body, headers: Self.admin)
    }

    @Test("a model is named and removed, and wrong names and manifests are refused")
    func naming() async throws {
        let manifest = TestBackend.manifest.hexadecimal
        let other = String(repeating: "f", count: 64)
        try await APIHarness.run { (api: APIHarness) async throws in
            let added = try await add(api, #"{"name":"identity","manifest":"\#(manifest)"}"#)
            #expect(added.status == .created, "\(added.text)")
            #expect(added.json["name"] == .string("identity"))
            for name in [
                "", "a/b", "a b", "..", ".hidden", "ü", String(repeating: "a", count: 129),
            ] {
                let response = try await add(api, #"{"name":"\#(name)","manifest":"\#(manifest)"}"#)
                #expect(response.status == .badRequest, "\(name)")
            }
            #expect(try await add(api, "{}").status == .badRequest)
            #expect(try await add(api, "nonsense").status == .badRequest)
            #expect(try await add(api, #"{"name":"m","manifest":"12"}"#).status == .badRequest)
            let missing = try await add(api, #"{"name":"m","manifest":"\#(other)"}"#)
            #expect(missing.error == "2 blobs are missing")
            #expect(
                try await add(api, String(repeating: " ", count: 100_000)).status
                    == .contentTooLarge)
            let path = "/tessera/v1/models/identity"
            #expect(try await api.send(.delete, path, headers: Self.admin).status == .ok)
            #expect(try await api.send(.delete, path, headers: Self.admin).status == .notFound)
        }
    }

    @Test("an agent that is asked to leave says so, and takes no more requests")
    func draining() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let path = "/tessera/v1/drain"
            #expect(try await api.send(.get, path).status == .methodNotAllowed)
            #expect(try await api.send(.get, "/v2/health/ready").status == .ok)
            let accepted = try await api.send(.post, path, headers: Self.admin)
            #expect(accepted.status == .accepted, "\(accepted.text)")
            #expect(accepted.json["version"] == Self.version)
            #expect(accepted.json["leaving"] == .boolean(true))
            let ready = try await api.send(.get, "/v2/health/ready")
            #expect(ready.status == .serviceUnavailable)
        }
    }

    @Test("events come as lines, after the one given, and follow until the client leaves")
    func events() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let kept = try await api.send(.get, "/tessera/v1/events?since=1")
            let lines = kept.text.split(separator: "\n")
            #expect(lines.count == 2)
            let first = try JSONReader.read(Array((lines.first ?? "").utf8))
            #expect(first["version"] == Self.version)
            #expect(first["number"] == .integer(Int64(2)))
            #expect(first["text"] == .string("a plan"))
            #expect(
                try await api.send(.get, "/tessera/v1/events?since=x").status == .badRequest)

            var signals = api.backend.signals.makeAsyncIterator()
            #expect(await signals.next() == "events ended")
            let followed = await api.raw(
                "GET /tessera/v1/events?since=2&follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                halfClose: false, until: "\"number\":3")
            #expect(followed.contains("application/x-ndjson"))
            // The client has closed its connection, which ends the stream.
            #expect(await signals.next() == "events ended")
        }
    }
}
