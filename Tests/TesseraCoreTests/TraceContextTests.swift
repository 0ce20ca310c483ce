import Testing

@testable import TesseraCore

@Suite("Trace contexts")
struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    @Test(
        "a traceparent is read as the standard says",
        arguments: [
            ("00-\(trace)-\(span)-01", true), ("00-\(trace)-\(span)-00", false),
            // Only the lowest bit has a meaning.
            ("00-\(trace)-\(span)-ff", true), ("00-\(trace)-\(span)-fe", false),
            // What comes later may say more.
            ("01-\(trace)-\(span)-01", true), ("cc-\(trace)-\(span)-01-what-comes-later", true),
            ("fe-\(trace)-\(span)-00-", false),
        ])
    func valid(text: String, isSampled: Bool) throws {
        let context = try #require(TraceContext(traceparent: text))
        #expect(context.traceID == Self.trace)
        #expect(context.spanID == Self.span)
        #expect(context.isSampled == isSampled)
    }

    @Test(
        "what is no traceparent is none",
        arguments: [
            "", "00", "00-\(trace)-\(span)", "00-\(trace)-\(span)-", "00-\(trace)-\(span)-1",
            "00-\(trace)-\(span)-011", "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-more",
            "01-\(trace)-\(span)-01more", "ff-\(trace)-\(span)-01", "FE-\(trace)-\(span)-01",
            "0-\(trace)-\(span)-01", "00-\(trace.uppercased())-\(span)-01",
            "00-\(trace)-\(span.uppercased())-01", "00-\(trace)-\(span)-0G",
            "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
            "00_\(trace)-\(span)-01", "00-\(trace)_\(span)-01", "00-\(trace)-\(span)_01",
            " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01 ", "00-\(trace)-\(span)-é",
            "00-\(trace)-\(span)-\u{661}1",
        ])
    func invalid(text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test("a byte that differs makes another trace or none, and is never read past")
    func everyByte() throws {
        let text = Array("00-\(Self.trace)-\(Self.span)-01".utf8)
        let right = try #require(
            TraceContext(traceparent: String(decoding: text, as: UTF8.self)))
        for index in text.indices {
            for byte in UInt8(0)...127 where byte != text[index] {
                var other = text
                other[index] = byte
                let context = TraceContext(traceparent: String(decoding: other, as: UTF8.self))
                if let context, index > 2, index < 52 { #expect(context != right) }
            }
            #expect(
                TraceContext(traceparent: String(decoding: text[..<index], as: UTF8.self)) == nil)
        }
    }

    @Test("each attempt has a span of its own, which leads back to the request's")
    func attempts() throws {
        let request = try #require(
            TraceContext(traceHigh: 0, traceLow: 1, span: 1, isSampled: true))
        var spans: Set<UInt64> = [request.span]
        for number in UInt8(1)...200 {
            let attempt = request.attempt(number)
            #expect(attempt.traceID == request.traceID && attempt.isSampled)
            #expect(attempt.attempt(number) == request)
            #expect(spans.insert(attempt.span).inserted)
        }
    }

    @Test("a span is never 0")
    func notZero() throws {
        let one = try #require(TraceContext(traceHigh: 1, traceLow: 0, span: 1, isSampled: false))
        let mask = one.attempt(9).span ^ one.span
        let unlucky = try #require(
            TraceContext(traceHigh: 1, traceLow: 0, span: mask, isSampled: false))
        #expect(unlucky.attempt(9).span == mask)
        #expect(TraceContext(traceHigh: 0, traceLow: 0, span: 1, isSampled: true) == nil)
        #expect(TraceContext(traceHigh: 1, traceLow: 1, span: 0, isSampled: true) == nil)
    }

    @Test("a traced request tells of its attempts, and its slices and runs carry the trace")
    func core() throws {
        let me = RequestsFixture.member(1)
        let manifest = RequestsFixture.manifest
        let plan = RequestsFixture.plan(hosts: [1], cuts: [])
        let trace = try #require(
            TraceContext(traceHigh: 1, traceLow: 2, span: 3, isSampled: true))
        var agent = Agent(
            Agent.Settings(
                me: me, name: "one", address: Address(host: "10.0.0.1", port: 1),
                executionSlots: 1, seed: 1))
        var directives: [Directive] = []
        agent.start(at: .zero, into: &directives)
        func handle(_ event: Event) -> [Directive] {
            var directives: [Directive] = []
            agent.handle(event, at: .zero, into: &directives)
            return directives
        }
        let entry = CatalogueEntry(name: "toy", manifest: manifest, version: 1, author: me.node)
        _ = handle(.catalogueRestored([entry]))
        _ = handle(.capabilityMeasured(PlannerInstances.node(1).capability))
        _ = handle(.manifestStored(RequestsFixture.outline, blobs: [0, 1, 2, 3]))
        _ = handle(
            .received(
                .agreement(
                    .decided(
                        manifest: manifest, ballot: plan.plan.ballot,
                        bundle: PlanBundle(primary: plan, alternates: []), isFresh: true)),
                from: RequestsFixture.member(2)))
        let key = FragmentKey(manifest: manifest, operators: 0..<4)
        _ = handle(.compiled(key, memoryBytes: 1))
        let client = ClientID(number: 5)
        let begun = handle(
            .submitted(
                client: client, manifest: manifest, inputs: [RequestsFixture.payload(1)],
                deadline: .seconds(10), trace: trace))
        let request = try #require(agent.request(of: client))
        let attempt = AttemptID(request: request, number: 1, plan: plan.id)
        #expect(begun.contains(.trace(.began(attempt, trace.attempt(1)))))
        let runs = begun.compactMap { directive in
            if case .execute(_, _, _, _, let trace) = directive { trace } else { nil }
        }
        #expect(runs == [trace.attempt(1)])
        let ended = handle(.abandoned(client))
        #expect(ended.contains(.trace(.ended(attempt, isAnswered: false))))
        #expect(agent.request(of: client) == nil)
    }
}
