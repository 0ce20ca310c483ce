import NIOCore

/// The answer to a probe.
public struct ProbeReply: Hashable, Sendable {
    /// The number of the probe.
    public var number: UInt64
    /// What the clock of the answering end shows, in microseconds since 1970; nil in versions 1 and 2.
    ///
    /// For people only: nothing is decided by it.
    public var timeOfDayMicroseconds: Int64?

    /// Makes an answer.
    public init(number: UInt64, timeOfDayMicroseconds: Int64? = nil) {
        self.number = number
        self.timeOfDayMicroseconds = timeOfDayMicroseconds
    }
}

/// The payload of `probeReply` since version 3.
struct TimedProbePayload: WireValue {
    var number: UInt64
    var timeOfDayMicroseconds: Int64

    /// A clock that shows what cannot be is told as far as it can be.
    init(_ reply: ProbeReply) {
        number = reply.number
        timeOfDayMicroseconds = min(
            max(0, reply.timeOfDayMicroseconds ?? 0), WireLimits.timeOfDayMicrosecondsMax)
    }

    /// The number (8 bytes), microseconds since 1970 (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(number)
        writer.write(timeOfDayMicroseconds)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        number = try reader.read("probe")
        timeOfDayMicroseconds = try reader.read("time of day")
        guard (0...WireLimits.timeOfDayMicrosecondsMax).contains(timeOfDayMicroseconds) else {
            throw .invalidValue(what: "time of day")
        }
    }
}

/// The payload of `probe`, and in versions 1 and 2 of `probeReply`.
struct ProbePayload: WireValue {
    var number: UInt64

    init(number: UInt64) {
        self.number = number
    }

    /// The number (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(number)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        number = try reader.read("probe")
    }
}

/// The payload of `transferred`.
struct TransferPayload: WireValue {
    var bytes: Int
    var microseconds: Int64

    init(bytes: Int, microseconds: Int64) {
        self.bytes = bytes
        self.microseconds = microseconds
    }

    /// Bytes (8 bytes), microseconds (8 bytes).
    package func encode(into writer: inout WireWriter) {
        writer.write(byteCount: bytes, "transferred bytes")
        writer.write(microseconds: microseconds, "transfer time")
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        bytes = try reader.readByteCount("transferred bytes")
        microseconds = try reader.readMicroseconds("transfer time")
    }
}

/// The payload of `trial`.
struct TrialPayload: WireValue {
    var left: Int
    var bytes: ByteBuffer

    init(left: Int, bytes: ByteBuffer) {
        self.left = left
        self.bytes = bytes
    }

    /// How many frames of the trial follow (4 bytes), then any bytes.
    package func encode(into writer: inout WireWriter) {
        writer.write(count: left, "trial frames", max: WireLimits.trialFramesMax)
        writer.buffer.writeImmutableBuffer(bytes)
    }

    /// Reads that layout.
    package init(from reader: inout WireReader) throws(WireError) {
        left = try reader.readCount("trial frames", max: WireLimits.trialFramesMax)
        bytes = reader.readRest()
    }
}
