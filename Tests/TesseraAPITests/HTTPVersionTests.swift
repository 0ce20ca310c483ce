import Foundation
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import TesseraAPI

@Suite struct HTTPVersionTests {
    private static let curl = "/usr/bin/curl"
    private static let infer = """
        POST /v2/models/identity/infer HTTP/1.1\r\nHost: localhost\r\n\
        Content-Length: 74\r\n\r\n\
        {"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}
        """

    @Test("one connection of HTTP/1.1 carries many requests, also at once")
    func keepAlive() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let answer = await api.raw(
                Self.infer + Self.infer + "PUT /none HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    + "GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                halfClose: false)
            #expect(answer.components(separatedBy: "HTTP/1.1 200 OK").count == 4, "\(answer)")
            #expect(answer.components(separatedBy: "HTTP/1.1 404").count == 2)
        }
    }

    @Test(
        "a client of HTTP/2 that goes away cancels its request",
        .enabled(if: FileManager.default.isExecutableFile(atPath: curl)))
    func cancellation() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Self.curl)
            process.arguments = [
                "--silent", "--http2-prior-knowledge", "--max-time", "60", "--data",
                #"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}"#,
                "http://127.0.0.1:\(api.client.port ?? 0)/v2/models/slow/infer",
            ]
            try process.run()
            var signals = api.backend.signals.makeAsyncIterator()
            #expect(await signals.next() == "infers")
            kill(process.processIdentifier, SIGKILL)
            #expect(await signals.next() == "cancelled")
        }
    }

    @Test("HTTP/2 with prior knowledge is spoken on the same port")
    func preface() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            // An empty SETTINGS frame of the client; the server's own begins with its length.
            let answer = await api.raw(
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u{0}\u{0}\u{0}\u{4}\u{0}\u{0}\u{0}\u{0}\u{0}",
                halfClose: true)
            #expect(!answer.contains("HTTP/1.1"))
            #expect(answer.utf8.dropFirst(3).first == 4)
            for text in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", "PRI", "P", ""] {
                let other = await api.raw(text)
                #expect(other.isEmpty || other.hasPrefix("HTTP/1.1 400"), "\(text): \(other)")
            }
            #expect(try await api.send(.get, "/v2").status == .ok)
        }
    }
}
