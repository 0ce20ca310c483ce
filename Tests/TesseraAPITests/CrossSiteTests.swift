import GRPCCore
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TesseraAPI

/// What a browser can be made to send by a page of somebody else, over HTTP/1.1 and byte for byte.
@Suite struct CrossSiteTests {
    /// The status line's number; 0 if there is none.
    private func status(_ answer: String) -> Int {
        Int(answer.split(separator: " ").dropFirst().first ?? "") ?? 0
    }

    private static let paths = [
        "GET /tessera/v1/stream", "GET /tessera/v1/events?follow=1", "GET /tessera/v1/status",
        "GET /metrics", "GET /v2", "POST /v2/models/identity/infer",
        "POST /tessera/v1/models/identity/classify", "POST /v2/repository/models/identity/unload",
        "POST /tessera/v1/drain", "DELETE /tessera/v1/models/identity",
    ]

    @Test("a name that somebody else lets point here is refused everywhere, also for the stream")
    func rebinding() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for path in Self.paths + ["GET /", "GET /dashboard/main.js", "GET /nothing"] {
                // What a page at evil.example sends after its name was made to mean 127.0.0.1: for
                // the browser it asks its own origin.
                let answer = await api.raw(
                    "\(path) HTTP/1.1\r\nHost: evil.example:8700\r\n"
                        + "Origin: http://evil.example:8700\r\nSec-Fetch-Site: same-origin\r\n"
                        + "Authorization: Bearer \(APIHarness.adminToken)\r\n"
                        + "Content-Length: 2\r\n\r\n{}")
                #expect(status(answer) == 403, "\(path): \(answer)")
            }
            #expect(api.backend.state.withLock { $0.isReady && $0.requests.isEmpty })
        }
    }

    @Test("two hosts are none, whichever of them is ours")
    func twoHosts() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for (first, second) in [("localhost", "evil.example"), ("evil.example", "localhost")] {
                let answer = await api.raw(
                    "GET /v2 HTTP/1.1\r\nHost: \(first)\r\nHost: \(second)\r\n\r\n")
                #expect(status(answer) == 400, "\(first), \(second): \(answer)")
            }
            // As to a proxy: what counts is the header, which a browser always sends.
            let absolute = await api.raw(
                "GET http://localhost/v2 HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            #expect(status(absolute) == 403, "\(absolute)")
        }
    }

    @Test("forms and scripts of other pages change nothing and ask nothing")
    func simpleRequests() async throws {
        // These a browser sends without asking first (the Fetch standard's CORS-safelisted types).
        let types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
        try await APIHarness.run { (api: APIHarness) async throws in
            for path in Self.paths {
                for type in types {
                    for origin in ["Origin: http://evil.example", "Origin: null"] {
                        let answer = await api.raw(
                            "\(path) HTTP/1.1\r\nHost: localhost\r\n\(origin)\r\n"
                                + "Content-Type: \(type)\r\nContent-Length: 2\r\n\r\n{}")
                        #expect(status(answer) == 403, "\(path) \(type) \(origin)")
                    }
                }
                // An image or a script of another page has no origin, but the browser says whose.
                for site in ["cross-site", "same-site"] {
                    let answer = await api.raw(
                        "\(path) HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: \(site)\r\n"
                            + "Content-Length: 2\r\n\r\n{}")
                    #expect(status(answer) == 403, "\(path) \(site)")
                }
            }
            #expect(api.backend.state.withLock { $0.isReady && $0.requests.isEmpty })
            let metrics = try await api.send(.get, "/metrics")
            let count = "tessera_api_calls_refused_total{reason=\"origin\"} "
            #expect(metrics.text.contains(count) && !metrics.text.contains(count + "0\n"))
        }
    }

    @Test("no answer lets another page read it")
    func noSharing() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            for headers: HTTPFields in [
                [.origin: "http://evil.example"], [.secFetchSite: "cross-site"], [:],
            ] {
                for path in ["/", "/tessera/v1/status", "/v2"] {
                    let response = try await api.send(.get, path, headers: headers)
                    let names = response.headers.map { $0.name.rawName.lowercased() }
                    #expect(!names.contains { $0.hasPrefix("access-control") })
                }
            }
        }
    }

    @Test("what begins like gRPC for browsers is refused on the port of HTTP and on that of gRPC")
    func webKinds() async throws {
        let kinds = [
            "application/grpc-web", "application/grpc-web-text", "application/grpc-web+proto",
            "text/plain",
        ]
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            for kind in kinds {
                let path = "POST /inference.GRPCInferenceService/RepositoryModelUnload HTTP/1.1"
                let head = "Host: localhost\r\nContent-Type: \(kind)\r\nContent-Length: 0\r\n\r\n"
                for port in [api.ports.http, api.ports.grpc ?? 0] {
                    let answer = await APIHarness.raw("\(path)\r\n\(head)", port: UInt16(port))
                    #expect([0, 401, 404].contains(status(answer)), "\(kind): \(answer)")
                }
            }
            #expect(api.backend.state.withLock { $0.requests.isEmpty && $0.isReady })
        }
    }

    @Test(
        "calls of gRPC that come from a page of another origin are refused",
        arguments: [
            ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"),
            ("origin", "http://evil.example"), ("origin", "null"),
        ])
    func grpc(field: String, value: String) async throws {
        try await GRPCHarness.run { (api: GRPCHarness) async throws in
            var metadata: Metadata = ["authorization": "Bearer \(APIHarness.adminToken)"]
            metadata.addString(value, forKey: field)
            let error = await api.error {
                try await api.infer(GRPCHarness.request(), metadata: metadata)
            }
            #expect(error?.code == .permissionDenied)
            #expect(api.backend.state.withLock { $0.requests.isEmpty })
        }
    }
}
