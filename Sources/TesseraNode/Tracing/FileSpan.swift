import Synchronization
import TesseraCore
public import Tracing

/// A span that is written to a file when it ends.
public final class FileSpan: Span {
    private struct State {
        var name: String
        var attributes = SpanAttributes()
        var status: SpanStatus?
        var events: [SpanEvent] = []
        var links: [SpanLink] = []
        var hasEnded = false
    }

    /// Events and links that one span keeps; further ones are dropped.
    private static let partsMax = 32

    /// The context of spans that belong to this one.
    public let context: InstrumentationContext
    private let trace: TraceContext
    private let parentSpan: UInt64?
    private let kind: SpanKind
    private let began: UInt64
    private let file: TraceFile
    private let state: Mutex<State>

    init(
        name: String, context: InstrumentationContext, trace: TraceContext, parentSpan: UInt64?,
        kind: SpanKind, began: UInt64, file: TraceFile
    ) {
        self.context = context
        self.trace = trace
        self.parentSpan = parentSpan
        self.kind = kind
        self.began = began
        self.file = file
        state = Mutex(State(name: name))
    }

    /// What it is a span of.
    public var operationName: String {
        get { state.withLock { $0.name } }
        set { change { $0.name = newValue } }
    }

    /// What is known of it.
    public var attributes: SpanAttributes {
        get { state.withLock { $0.attributes } }
        set { change { $0.attributes = newValue } }
    }

    /// Whether it will be written.
    public var isRecording: Bool { trace.isSampled && !state.withLock { $0.hasEnded } }

    /// How it went.
    public func setStatus(_ status: SpanStatus) { change { $0.status = status } }

    /// Notes something that happened meanwhile.
    public func addEvent(_ event: SpanEvent) {
        change { if $0.events.count < Self.partsMax { $0.events.append(event) } }
    }

    /// Notes another span that it has to do with.
    public func addLink(_ link: SpanLink) {
        change { if $0.links.count < Self.partsMax { $0.links.append(link) } }
    }

    /// Notes an error.
    public func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        var attributes = attributes
        attributes["exception.message"] = "\(error)"
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
    }

    /// Ends it; only once.
    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let ended = instant().nanosecondsSinceEpoch
        let text = state.withLock { state -> String? in
            guard !state.hasEnded else { return nil }
            state.hasEnded = true
            guard trace.isSampled else { return nil }
            return self.text(state, ended: max(began, ended))
        }
        if let text { file.append(text) }
    }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { if !$0.hasEnded { body(&$0) } }
    }

    /// The span as OTLP's JSON has it (opentelemetry-proto, `Span`).
    private func text(_ state: State, ended: UInt64) -> String {
        var parts = [
            "\"traceId\":\"\(trace.traceID)\"", "\"spanId\":\"\(trace.spanID)\"",
        ]
        if let parentSpan {
            parts.append("\"parentSpanId\":\"\(TraceContext.hexadecimal(parentSpan))\"")
        }
        parts += [
            "\"name\":" + TraceText.quoted(state.name), "\"kind\":\(kindNumber)",
            "\"startTimeUnixNano\":\"\(began)\"", "\"endTimeUnixNano\":\"\(ended)\"",
            "\"attributes\":" + TraceText.list(state.attributes),
        ]
        if !state.events.isEmpty {
            let events = state.events.map { event in
                "{\"timeUnixNano\":\"\(event.nanosecondsSinceEpoch)\",\"name\":"
                    + TraceText.quoted(event.name) + ",\"attributes\":"
                    + TraceText.list(event.attributes) + "}"
            }
            parts.append("\"events\":[" + events.joined(separator: ",") + "]")
        }
        let links = state.links.compactMap { link in
            link.context.trace.map { trace in
                "{\"traceId\":\"\(trace.traceID)\",\"spanId\":\"\(trace.spanID)\"}"
            }
        }
        if !links.isEmpty { parts.append("\"links\":[" + links.joined(separator: ",") + "]") }
        if let status = state.status {
            let message = status.message.map { ",\"message\":" + TraceText.quoted($0) } ?? ""
            parts.append("\"status\":{\"code\":\(status.code == .ok ? 1 : 2)\(message)}")
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    private var kindNumber: Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }
}
