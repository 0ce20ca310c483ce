/// Where a request stands in a trace: what the `traceparent` of W3C's Trace Context says.
///
/// It travels with a request's slices. It decides nothing.
public struct TraceContext: Hashable, Sendable {
    /// The first 8 bytes of the trace's identity.
    public let traceHigh: UInt64
    /// The last 8 bytes of it.
    public let traceLow: UInt64
    /// The span that what comes next belongs to; never 0.
    public private(set) var span: UInt64
    /// Whether whoever began the trace records it.
    public let isSampled: Bool

    /// Makes a context; nil if one of the identities is 0, which the standard has for none.
    public init?(traceHigh: UInt64, traceLow: UInt64, span: UInt64, isSampled: Bool) {
        guard traceHigh | traceLow != 0, span != 0 else { return nil }
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.span = span
        self.isSampled = isSampled
    }

    /// Reads a `traceparent` (Trace Context, 3.2); nil if it is not one: then it is ignored and a
    /// trace of one's own is begun.
    ///
    /// Of a version that came later than 00 what is known of 00 is read, as the standard asks.
    public init?(traceparent text: some StringProtocol) {
        let bytes = Array(text.utf8.prefix(Self.traceparentBytesRead))
        let dash = UInt8(ascii: "-")
        guard bytes.count >= Self.traceparentBytes,
            bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Self.number(bytes[..<2]), version != 0xFF,
            let high = Self.number(bytes[3..<19]), let low = Self.number(bytes[19..<35]),
            let span = Self.number(bytes[36..<52]), let flags = Self.number(bytes[53..<55])
        else { return nil }
        if bytes.count > Self.traceparentBytes {
            guard version != 0, bytes[Self.traceparentBytes] == dash else { return nil }
        }
        self.init(traceHigh: high, traceLow: low, span: span, isSampled: flags & 1 == 1)
    }

    /// The length of a `traceparent` of version 00.
    private static let traceparentBytes = 55
    /// One byte more shows whether there is more.
    private static let traceparentBytesRead = 56

    /// A number in lower-case hexadecimal digits.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }

    /// The trace's identity: 32 hexadecimal digits.
    public var traceID: String { Self.hexadecimal(traceHigh) + Self.hexadecimal(traceLow) }

    /// The span's identity: 16 hexadecimal digits.
    public var spanID: String { Self.hexadecimal(span) }

    /// 16 hexadecimal digits.
    public static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The same trace with another span, which is not 0.
    public func with(span: UInt64) -> TraceContext {
        var result = self
        if span != 0 { result.span = span }
        return result
    }

    /// The context of an attempt of the request that this is the context of, and the other way
    /// round: nobody has to remember which span an attempt's belongs to.
    ///
    /// The number is spread over all bits (the finaliser of SplitMix64), so that the spans of
    /// attempts and those drawn at random do not meet.
    public func attempt(_ number: UInt8) -> TraceContext {
        var mask = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
        mask = (mask ^ mask >> 30) &* 0xBF58_476D_1CE4_E5B9
        mask = (mask ^ mask >> 27) &* 0x94D0_49BB_1331_11EB
        return with(span: span ^ mask ^ mask >> 31)
    }
}

/// What an entry tells of an attempt whose request is traced.
public enum AttemptTrace: Hashable, Sendable {
    /// It began; the context's span is its own.
    case began(AttemptID, TraceContext)
    /// It ended, with the request's answer or without.
    case ended(AttemptID, isAnswered: Bool)
}
