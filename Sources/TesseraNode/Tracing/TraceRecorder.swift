public import TesseraCore
import Tracing

/// Makes the spans of one agent from what its core asks for: of requests that came in here, their
/// attempts, the runs of fragments here, and the slices that came here.
///
/// Used on the control loop only.
final class TraceRecorder {
    private struct Run: Hashable {
        var attempt: AttemptID
        var fragment: Int
    }

    /// Spans of a kind that are open at once: more than requests can be.
    ///
    /// Further ones are not made.
    private static let openMax = 8_192

    private let tracer: any Tracer
    private let node: String
    // Only looked up, never walked.
    private var requests: [ClientID: any Span] = [:]
    private var attempts: [AttemptID: any Span] = [:]
    private var runs: [Run: any Span] = [:]

    init(tracer: any Tracer, node: String) {
        self.tracer = tracer
        self.node = node
    }

    // MARK: The entry

    /// A request came in; gives the context that goes with it.
    func requestBegan(
        _ client: ClientID, manifest: ManifestID, model: String?, parent: TraceContext?
    ) -> TraceContext? {
        guard requests.count < Self.openMax else { return parent }
        var context = InstrumentationContext.topLevel
        context.trace = parent
        let span = tracer.startSpan("request", context: context, ofKind: .server)
        span.updateAttributes { attributes in
            attributes["tessera.node"] = node
            attributes["tessera.model"] = model ?? manifest.short
        }
        requests[client] = span
        return span.context.trace
    }

    /// The request got the name that it has everywhere.
    func requestNamed(_ client: ClientID, _ name: String) {
        requests[client]?.updateAttributes { $0["tessera.request"] = name }
    }

    /// The request was answered.
    func requestAnswered(_ client: ClientID, _ detail: AnswerDetail) {
        guard let span = requests.removeValue(forKey: client) else { return }
        span.updateAttributes { attributes in
            attributes["tessera.request"] = detail.attempt.request.text
            attributes["tessera.plan"] = detail.attempt.plan.short
            attributes["tessera.attempts"] = detail.attempts
        }
        span.setStatus(SpanStatus(code: .ok))
        span.end()
    }

    /// The request ended without an answer.
    func requestFailed(_ client: ClientID, reason: String) {
        guard let span = requests.removeValue(forKey: client) else { return }
        span.setStatus(SpanStatus(code: .error, message: reason))
        span.end()
    }

    /// An attempt of this entry began or ended.
    func note(_ attempt: AttemptTrace) {
        switch attempt {
        case .began(let id, let trace):
            guard attempts.count < Self.openMax else { return }
            let span = start(
                "attempt", .internal, parent: trace.attempt(id.number), own: trace.span)
            span.updateAttributes { attributes in
                attributes["tessera.request"] = id.request.text
                attributes["tessera.attempt"] = Int(id.number)
                attributes["tessera.plan"] = id.plan.short
            }
            attempts[id] = span
        case .ended(let id, let isAnswered):
            guard let span = attempts.removeValue(forKey: id) else { return }
            span.setStatus(
                isAnswered
                    ? SpanStatus(code: .ok)
                    : SpanStatus(code: .error, message: "it ended without an answer"))
            span.end()
        }
    }

    // MARK: Hosts

    /// The engine was given a run.
    func runBegan(
        _ attempt: AttemptID, fragment: Int, key: FragmentKey, trace: TraceContext
    ) {
        guard runs.count < Self.openMax else { return }
        let span = start("run", .internal, parent: trace, own: nil)
        span.updateAttributes { attributes in
            attributes["tessera.request"] = attempt.request.text
            attributes["tessera.attempt"] = Int(attempt.number)
            attributes["tessera.fragment"] = fragment
            attributes["tessera.operators"] =
                "\(key.operators.lowerBound)-\(key.operators.upperBound - 1)"
        }
        runs[Run(attempt: attempt, fragment: fragment)] = span
    }

    /// The run ended.
    func runEnded(_ attempt: AttemptID, fragment: Int, failure: String?) {
        let run = Run(attempt: attempt, fragment: fragment)
        guard let span = runs.removeValue(forKey: run) else { return }
        span.setStatus(
            failure.map { SpanStatus(code: .error, message: $0) } ?? SpanStatus(code: .ok))
        span.end()
    }

    /// A slice came whole; its first bytes were here so long ago.
    func transferred(_ header: SliceHeader, from peer: NodeID, nanoseconds: Int64) {
        guard let trace = header.trace else { return }
        let end = DefaultTracerClock.now
        let span = tracer.startSpan(
            "transfer", context: context(parent: trace, own: nil), ofKind: .consumer,
            at: DefaultTracerClock.Timestamp(
                nanosecondsSinceEpoch: end.nanosecondsSinceEpoch - UInt64(max(0, nanoseconds))))
        span.updateAttributes { attributes in
            attributes["tessera.node"] = node
            attributes["tessera.request"] = header.attempt.request.text
            attributes["tessera.attempt"] = Int(header.attempt.number)
            attributes["tessera.route"] = header.route
            attributes["tessera.bytes"] = header.byteCount
            attributes["tessera.from"] = peer.short
        }
        span.end(at: end)
    }

    private func start(
        _ name: String, _ kind: SpanKind, parent: TraceContext, own: UInt64?
    ) -> any Span {
        let span = tracer.startSpan(name, context: context(parent: parent, own: own), ofKind: kind)
        span.updateAttributes { $0["tessera.node"] = node }
        return span
    }

    private func context(parent: TraceContext, own: UInt64?) -> InstrumentationContext {
        var context = InstrumentationContext.topLevel
        context.trace = parent
        context.ownSpan = own
        return context
    }
}

extension RequestID {
    /// The request's name in logs and traces: entry, its run, and the number there.
    public var text: String { "\(entry.node.short)-\(entry.boot.counter)-\(counter)" }
}
