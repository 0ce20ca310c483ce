public import TesseraCore
public import Tracing

/// The span that new spans belong to.
enum TraceKey: InstrumentationContextKey {
    typealias Value = TraceContext
    static var nameOverride: String? { "tessera-trace" }
}

/// The identity that a new span has to take: somebody else knows it already.
enum OwnSpanKey: InstrumentationContextKey {
    typealias Value = UInt64
    static var nameOverride: String? { "tessera-own-span" }
}

extension InstrumentationContext {
    /// Where new spans belong; of a span's own context, the span itself.
    public var trace: TraceContext? {
        get { self[TraceKey.self] }
        set { self[TraceKey.self] = newValue }
    }

    /// The identity that the next span takes instead of one drawn at random.
    var ownSpan: UInt64? {
        get { self[OwnSpanKey.self] }
        set { self[OwnSpanKey.self] = newValue }
    }
}
