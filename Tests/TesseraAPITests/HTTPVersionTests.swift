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

    /// A frame of HTTP/2 (RFC 9113, section 4.1).
    private static func frame(
        _ kind: UInt8, flags: UInt8 = 0, stream: UInt8 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] {
        [0, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF), kind, flags, 0, 0, 0, stream]
            + payload
    }

    /// A whole inference call on a stream: headers that are spelled out (RFC 7541, section 6.2.2),
    /// and the body.
    private static func call(_ model: String, stream: UInt8) -> [UInt8] {
        let body = Array(
            #"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}"#.utf8)
        let fields = [
            (":method", "POST"), (":scheme", "http"), (":authority", "localhost"),
            (":path", "/v2/models/\(model)/infer"), ("content-length", "\(body.count)"),
        ]
        var head: [UInt8] = []
        for (name, value) in fields {
            head += [0, UInt8(name.utf8.count)] + Array(name.utf8)
            head += [UInt8(value.utf8.count)] + Array(value.utf8)
        }
        // 4: the end of the headers; 1: the end of the stream.
        return frame(1, flags: 4, stream: stream, head) + frame(0, flags: 1, stream: stream, body)
    }

    @Test("of several requests on one connection of HTTP/2 the one that is reset is cancelled")
    func reset() async throws {
        try await APIHarness.run { (api: APIHarness) async throws in
            let connection = try #require(RawConnection(port: UInt16(api.client.port ?? 0)))
            defer { connection.end() }
            func cancelled() -> Int { api.backend.state.withLock { $0.cancelledCount } }
            // 3: a stream is reset, because it is not wanted any more (8).
            func reset(_ stream: UInt8) -> [UInt8] { Self.frame(3, stream: stream, [0, 0, 0, 8]) }
            var signals = api.backend.signals.makeAsyncIterator()
            connection.send(
                Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Self.frame(4)
                    + Self.call("slow", stream: 1) + Self.call("slow", stream: 3))
            #expect(await signals.next() == "infers")
            #expect(await signals.next() == "infers")
            connection.send(reset(1))
            #expect(await signals.next() == "cancelled")
            // The connection goes on, and so does the other request.
            connection.send(Self.call("slow", stream: 5))
            #expect(await signals.next() == "infers")
            #expect(cancelled() == 1)
            connection.send(reset(3) + reset(5))
            #expect(await signals.next() == "cancelled")
            #expect(await signals.next() == "cancelled")
            #expect(cancelled() == 3)
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
