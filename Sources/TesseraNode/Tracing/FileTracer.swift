import TesseraCore
public import Tracing

/// Makes spans that end in a file.
public struct FileTracer: Tracer {
    private let file: TraceFile

    /// A tracer that writes to a file.
    public init(_ file: TraceFile) { self.file = file }

    /// Begins a span.
    ///
    /// Without a trace in its context it begins one. A trace that whoever began it does not record
    /// is not recorded here either.
    public func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> InstrumentationContext,
        ofKind kind: SpanKind, at instant: @autoclosure () -> Instant, function: String,
        file fileID: String, line: UInt
    ) -> FileSpan {
        var context = context()
        let parent = context.trace
        var generator = SystemRandomNumberGenerator()
        let drawn = UInt64.random(in: 1 ... .max, using: &generator)
        let trace = parent?.with(span: context.ownSpan ?? drawn) ?? Self.begin(drawn)
        context.ownSpan = nil
        context.trace = trace
        return FileSpan(
            name: operationName, context: context, trace: trace, parentSpan: parent?.span,
            kind: kind, began: instant().nanosecondsSinceEpoch, file: file)
    }

    private static func begin(_ span: UInt64) -> TraceContext {
        var generator = SystemRandomNumberGenerator()
        let high = UInt64.random(in: 1 ... .max, using: &generator)
        let trace = TraceContext(
            traceHigh: high, traceLow: generator.next(), span: span, isSampled: true)
        guard let trace else { fatalError("a trace with identities that are not 0 is refused") }
        return trace
    }

    /// Writes what waits.
    public func forceFlush() { file.flush() }

    /// Reads a `traceparent`.
    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout InstrumentationContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let text = extractor.extract(key: "traceparent", from: carrier) else { return }
        context.trace = TraceContext(traceparent: text)
    }

    /// Writes a `traceparent`.
    public func inject<Carrier, Inject: Injector>(
        _ context: InstrumentationContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.trace else { return }
        let flags = trace.isSampled ? "01" : "00"
        injector.inject(
            "00-\(trace.traceID)-\(trace.spanID)-\(flags)", forKey: "traceparent", into: &carrier)
    }
}
