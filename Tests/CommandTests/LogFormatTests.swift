import Foundation
import Logging
import Synchronization
import Testing

@testable import tessera

@Suite("Lines of the log")
struct LogFormatTests {
    @Test("a line is one JSON object with its fields")
    func line() throws {
        let text = JSONLogHandler.line(
            time: "t", level: .info, label: "tessera", message: "a \"b\"\n\u{1}",
            fields: ["request": "r-1", "list": ["x", ["y": "z"]]])
        #expect(!text.contains("\n"))
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        #expect(object?["message"] as? String == "a \"b\"\n\u{1}")
        #expect(object?["level"] as? String == "info")
        let fields = object?["fields"] as? [String: Any]
        #expect(fields?["request"] as? String == "r-1")
        #expect((fields?["list"] as? [Any])?.count == 2)
    }

    @Test("a logger's own metadata are fields, below those of the line")
    func metadata() throws {
        let lines = LineStore()
        var logger = Logger(label: "tessera") { label in
            JSONLogHandler(label: label, level: .info) { lines.add($0) }
        }
        logger[metadataKey: "request"] = "outer"
        logger[metadataKey: "node"] = "a"
        logger.debug("not said")
        logger.info("said", metadata: ["request": "inner"])
        let text = try #require(lines.all.first)
        #expect(lines.all.count == 1)
        #expect(text.contains("\"fields\":{\"node\":\"a\",\"request\":\"inner\"}"))
    }

    @Test("times are those of RFC 3339 in UTC")
    func times() {
        #expect(
            WallClock.text(secondsSince1970: 951_826_009.25)
                == "2000-02-29T12:06:49.250Z")
    }
}

/// Lines that a logger wrote.
private final class LineStore: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func add(_ line: String) { lines.withLock { $0.append(line) } }
}
