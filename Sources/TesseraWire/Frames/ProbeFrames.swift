import NIOCore

/// The payload of `probe` and `probeReply`.
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
