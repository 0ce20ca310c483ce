import TesseraCore

extension TraceContext {
    /// The name of the field, in HTTP's headers and gRPC's metadata.
    static let fieldName = "traceparent"

    /// The context of a call with these fields of the name; nil unless there is exactly one and it is
    /// right (Trace Context, 3.2.1).
    init?(fields: some Collection<String>) {
        guard fields.count == 1, let text = fields.first else { return nil }
        self.init(traceparent: text)
    }
}
