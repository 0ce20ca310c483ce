import Foundation
import TesseraCore
import Testing
import Tracing

@testable import TesseraNode

@Suite("Tracing")
struct TracingTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path() + "traces-\(UUID())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        // What is left of a test's folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func file(_ path: String, bytesMax: Int = 1 << 20) throws -> TraceFile {
        try TraceFile(
            path: path, node: "a \"b\"", mesh: "home", release: "1", bytesMax: bytesMax)
    }

    private struct Span: Decodable {
        var traceId: String
        var spanId: String
        var parentSpanId: String?
        var name: String
        var kind: Int
        var startTimeUnixNano: String
        var endTimeUnixNano: String
    }

    /// Only what the tests look at of OTLP's form.
    private struct Export: Decodable {
        struct Resource: Decodable { var scopeSpans: [Scope] }
        struct Scope: Decodable { var spans: [Span] }
        var resourceSpans: [Resource]
    }

    private func spans(_ path: String) throws -> [Span] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.isEmpty || text.hasSuffix("\n"))
        return try text.split(separator: "\n").flatMap { line in
            let export = try JSONDecoder().decode(Export.self, from: Data(line.utf8))
            return export.resourceSpans.flatMap { $0.scopeSpans.flatMap(\.spans) }
        }
    }

    @Test("spans are lines of OTLP's JSON, and children name their parents")
    func tree() throws {
        try withFolder { folder in
            let path = folder + "/spans"
            let file = try file(path)
            let tracer = FileTracer(file)
            let outer = tracer.startSpan("outer \"\n", ofKind: .server)
            let inner = tracer.startSpan("inner", context: outer.context)
            inner.attributes["text"] = "a\u{1}\\"
            inner.attributes["number"] = 5
            inner.addEvent("happened")
            inner.recordError(TraceFileError(path: "p", reason: "r"))
            inner.setStatus(SpanStatus(code: .error, message: "no"))
            inner.end()
            inner.end()
            outer.end()
            file.flush()
            let found = try spans(path)
            #expect(found.map(\.name) == ["inner", "outer \"\n"])
            #expect(found[0].parentSpanId == found[1].spanId)
            #expect(found[0].traceId == found[1].traceId)
            #expect(found[1].parentSpanId == nil && found[1].kind == 2)
            #expect(found.allSatisfy { $0.traceId.count == 32 && $0.spanId.count == 16 })
            #expect(file.counts == TraceFile.Counts(written: 2, dropped: 0))
        }
    }

    @Test("a trace that its beginner does not record is not recorded")
    func notSampled() throws {
        try withFolder { folder in
            let file = try file(folder + "/spans")
            var context = InstrumentationContext.topLevel
            context.trace = TraceContext(traceHigh: 1, traceLow: 1, span: 1, isSampled: false)
            let span = FileTracer(file).startSpan("quiet", context: context)
            #expect(!span.isRecording)
            span.end()
            file.flush()
            #expect(file.counts == TraceFile.Counts())
        }
    }

    @Test("a full file is set aside once, so that two bound what is on disk")
    func rotation() throws {
        try withFolder { folder in
            let path = folder + "/spans"
            let file = try file(path, bytesMax: 4_096)
            let tracer = FileTracer(file)
            for number in 0..<200 { tracer.startSpan("span \(number)").end() }
            file.flush()
            #expect(file.counts == TraceFile.Counts(written: 200, dropped: 0))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
            let kept = try spans(path + ".1") + spans(path)
            #expect(kept.last?.name == "span 199")
            for name in [path, path + ".1"] {
                let size = try FileManager.default.attributesOfItem(atPath: name)[.size] as? Int
                #expect((size ?? .max) <= 4_096)
            }
        }
    }

    @Test("what a full disk does not take is dropped and counted, and nobody waits")
    func fullDisk() throws {
        let file = try file("/dev/full")
        let tracer = FileTracer(file)
        for _ in 0..<10 { tracer.startSpan("lost").end() }
        file.flush()
        #expect(file.counts == TraceFile.Counts(written: 0, dropped: 10))
    }

    @Test("what the disk cannot keep up with is dropped and counted")
    func bound() throws {
        try withFolder { folder in
            let file = try file(folder + "/spans", bytesMax: 64 << 20)
            let count = 3 * TraceFile.waitingMax
            for _ in 0..<count { file.append("{}") }
            file.flush()
            #expect(file.counts.written + file.counts.dropped == count)
        }
    }

    @Test("a file that cannot be written is an error at the start")
    func unwritable() {
        #expect(throws: TraceFileError.self) { try file("/no/such/folder/spans") }
    }

    @Test("a tracer reads and writes traceparents")
    func carriers() throws {
        struct Fields: Extractor, Injector {
            func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
            func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
                carrier[key] = value
            }
        }
        let tracer = FileTracer(try file("/dev/null"))
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        var context = InstrumentationContext.topLevel
        tracer.extract(["traceparent": text], into: &context, using: Fields())
        var carrier: [String: String] = [:]
        tracer.inject(context, into: &carrier, using: Fields())
        #expect(carrier == ["traceparent": text])
        tracer.extract(["traceparent": "00-bad"], into: &context, using: Fields())
        #expect(context.trace == nil)
    }

    @Test("an entry's spans: the request, and each attempt below it, with the span that travels")
    func recorder() throws {
        try withFolder { folder in
            let path = folder + "/spans"
            let file = try file(path)
            let recorder = TraceRecorder(tracer: FileTracer(file), node: "a")
            let client = ClientID(number: 1)
            let member = NodeBoot(node: NodeID(1, 0, 0, 0), boot: Boot(counter: 1, random: 1))
            let attempt = AttemptID(
                request: RequestID(entry: member, counter: 1), number: 1, plan: PlanID(1, 1, 1, 1))
            let parent = TraceContext(traceHigh: 9, traceLow: 9, span: 9, isSampled: true)
            let trace = try #require(
                recorder.requestBegan(
                    client, manifest: ManifestID(1, 1, 1, 1), model: "m", parent: parent))
            recorder.note(.began(attempt, trace.attempt(1)))
            let key = FragmentKey(manifest: ManifestID(1, 1, 1, 1), operators: 0..<2)
            recorder.runBegan(attempt, fragment: 0, key: key, trace: trace.attempt(1))
            recorder.runEnded(attempt, fragment: 0, failure: "broken")
            recorder.note(.ended(attempt, isAnswered: false))
            recorder.requestFailed(client, reason: "broken")
            // What is over has no second end.
            recorder.requestFailed(client, reason: "broken")
            recorder.runEnded(attempt, fragment: 0, failure: nil)
            file.flush()
            let found = try spans(path)
            #expect(found.map(\.name) == ["run", "attempt", "request"])
            #expect(found[2].parentSpanId == "0000000000000009")
            #expect(found[1].parentSpanId == found[2].spanId)
            #expect(found[0].parentSpanId == found[1].spanId)
            #expect(found[1].spanId == trace.attempt(1).spanID)
            #expect(found.allSatisfy { $0.traceId == trace.traceID })
        }
    }
}
