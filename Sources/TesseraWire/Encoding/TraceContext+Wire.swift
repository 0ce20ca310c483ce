package import TesseraCore

extension TraceContext: WireValue {
    /// Trace (16 bytes), span (8 bytes), whether it is sampled (1 byte).
    package func encode(into writer: inout WireWriter) {
        writer.write(traceHigh)
        writer.write(traceLow)
        writer.write(span)
        writer.write(isSampled)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        let context = TraceContext(
            traceHigh: try reader.read("trace"), traceLow: try reader.read("trace"),
            span: try reader.read("span"), isSampled: try reader.readFlag("sampled"))
        guard let context else { throw .invalidValue(what: "trace") }
        self = context
    }
}
