package import NIOCore
package import TesseraCore

/// Reads canonical encodings strictly: whatever the bytes are, it gives a legal value or throws.
package struct WireReader {
    private var buffer: ByteBuffer
    /// The version of the protocol that is read: of most values it changes nothing.
    package var version = Version.wireProtocol

    /// Reads the readable bytes of the buffer.
    package init(_ buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// Bytes that are not read yet.
    package var remainingBytes: Int { buffer.readableBytes }

    /// Throws unless every byte was read.
    package func finish() throws(WireError) {
        if buffer.readableBytes > 0 { throw .trailingBytes(count: buffer.readableBytes) }
    }

    // MARK: Numbers

    /// A fixed-width integer, big-endian.
    @inline(__always)
    package mutating func read<Number: FixedWidthInteger>(
        _ what: String, as type: Number.Type = Number.self
    ) throws(WireError) -> Number {
        guard let number = buffer.readInteger(as: type) else { throw .truncated(what: what) }
        return number
    }

    /// Four words in one step.
    @inline(__always)
    mutating func readWords(
        _ what: String
    ) throws(WireError) -> (UInt64, UInt64, UInt64, UInt64) {
        let type = (UInt64, UInt64, UInt64, UInt64).self
        guard let words = buffer.readMultipleIntegers(as: type) else {
            throw .truncated(what: what)
        }
        return words
    }

    /// One byte, 0 or 1.
    package mutating func readFlag(_ what: String) throws(WireError) -> Bool {
        switch try read(what, as: UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw .invalidValue(what: what)
        }
    }

    /// One byte that is the raw value of a choice.
    package mutating func readChoice<Choice: RawRepresentable>(
        _ what: String, as type: Choice.Type = Choice.self
    ) throws(WireError) -> Choice where Choice.RawValue == UInt8 {
        guard let choice = Choice(rawValue: try read(what)) else {
            throw .invalidValue(what: what)
        }
        return choice
    }

    /// A count or index of 4 bytes.
    package mutating func readCount(_ what: String, max: Int) throws(WireError) -> Int {
        let count = Int(try read(what, as: UInt32.self))
        guard count <= max else { throw .limitExceeded(what: what, max: max) }
        return count
    }

    /// A number of bytes, 8 bytes.
    package mutating func readByteCount(
        _ what: String, max: Int = WireLimits.byteCountMax
    ) throws(WireError) -> Int {
        let count = try read(what, as: Int64.self)
        guard count >= 0 else { throw .invalidValue(what: what) }
        guard count <= max else { throw .limitExceeded(what: what, max: max) }
        return Int(count)
    }

    /// A number that the core raises by one, 8 bytes.
    package mutating func readCounter(_ what: String) throws(WireError) -> UInt64 {
        try readBounded(what, max: WireLimits.counterMax)
    }

    /// A rate per microsecond, 8 bytes.
    package mutating func readRate(_ what: String) throws(WireError) -> UInt64 {
        try readBounded(what, max: WireLimits.rateMax)
    }

    /// Bytes per second of a link, 8 bytes.
    package mutating func readLinkRate() throws(WireError) -> UInt64 {
        try readBounded("link rate", max: WireLimits.linkRateMax)
    }

    /// Measured or predicted microseconds, 8 bytes.
    package mutating func readMicroseconds(_ what: String) throws(WireError) -> Int64 {
        Int64(try readByteCount(what, max: Int(WireLimits.microsecondsMax)))
    }

    /// A remaining time in whole microseconds, 8 bytes.
    package mutating func readRemaining(_ what: String) throws(WireError) -> TimeSpan {
        let max = Int(WireLimits.remainingMicrosecondsMax)
        return .microseconds(Int64(try readByteCount(what, max: max)))
    }

    /// A range that is not empty: both bounds as 4 bytes.
    package mutating func readRange(_ what: String, max: Int) throws(WireError) -> Range<Int> {
        let lower = try readCount(what, max: max)
        let upper = try readCount(what, max: max)
        guard lower < upper else { throw .invalidValue(what: what) }
        return lower..<upper
    }

    private mutating func readBounded(
        _ what: String, max: UInt64
    ) throws(WireError) -> UInt64 {
        let number = try read(what, as: UInt64.self)
        guard number <= max else { throw .limitExceeded(what: what, max: Int(max)) }
        return number
    }

    // MARK: Texts and bytes

    /// A length of 2 bytes, then so many bytes of UTF-8.
    package mutating func readText(_ what: String, max: Int) throws(WireError) -> String {
        var slice = try readSlice(what, max: max)
        let text = slice.readWithUnsafeReadableBytes { bytes in
            (bytes.count, String(validating: bytes, as: UTF8.self))
        }
        guard let text else { throw .invalidValue(what: what) }
        return text
    }

    /// A text for people.
    package mutating func readReason() throws(WireError) -> String {
        try readText("reason", max: WireLimits.reasonBytesMax)
    }

    /// A length of 2 bytes, then so many bytes.
    package mutating func readBytes(_ what: String, max: Int) throws(WireError) -> [UInt8] {
        Array(try readSlice(what, max: max).readableBytesView)
    }

    /// All bytes that are left, without a copy.
    package mutating func readRest() -> ByteBuffer {
        let rest = buffer
        buffer.moveReaderIndex(to: buffer.writerIndex)
        return rest
    }

    private mutating func readSlice(_ what: String, max: Int) throws(WireError) -> ByteBuffer {
        let count = Int(try read(what, as: UInt16.self))
        guard count <= max else { throw .limitExceeded(what: what, max: max) }
        guard let slice = buffer.readSlice(length: count) else { throw .truncated(what: what) }
        return slice
    }

    // MARK: Values

    /// The value's encoding.
    @inline(__always)
    package mutating func read<Value: WireValue>(
        _ type: Value.Type = Value.self
    ) throws(WireError) -> Value {
        try Value(from: &self)
    }

    /// One byte that says whether there is a value, then the value.
    package mutating func readOptional<Value: WireValue>(
        _ what: String, _ type: Value.Type = Value.self
    ) throws(WireError) -> Value? {
        try readFlag(what) ? try Value(from: &self) : nil
    }

    /// A value and the very bytes that it was read from.
    package mutating func readWithBytes<Value: WireValue>(
        _ type: Value.Type
    ) throws(WireError) -> (value: Value, bytes: ByteBuffer) {
        let before = buffer
        let value = try Value(from: &self)
        let count = before.readableBytes - buffer.readableBytes
        guard let bytes = before.getSlice(at: before.readerIndex, length: count) else {
            throw .truncated(what: "value")
        }
        return (value, bytes)
    }

    /// A count of 4 bytes, then so many elements.
    package mutating func readList<Value: WireValue>(
        _ what: String, max: Int, of type: Value.Type = Value.self
    ) throws(WireError) -> [Value] {
        let count = try readCount(what, max: max)
        // Every element takes a byte or more: a count alone never makes the reader allocate.
        guard count <= buffer.readableBytes else { throw .truncated(what: what) }
        var list: [Value] = []
        list.reserveCapacity(min(count, 256))
        for _ in 0..<count { list.append(try Value(from: &self)) }
        return list
    }

    /// A list whose keys must ascend strictly.
    package mutating func readAscending<Value: WireValue, Key: Comparable>(
        _ what: String, max: Int, by key: (Value) -> Key
    ) throws(WireError) -> [Value] {
        let list = try readList(what, max: max, of: Value.self)
        try WireOrder.requireAscending(list, what, by: key)
        return list
    }

    /// A list whose keys must not repeat.
    package mutating func readDistinct<Value: WireValue, Key: Hashable & Comparable>(
        _ what: String, max: Int, by key: (Value) -> Key
    ) throws(WireError) -> [Value] {
        let list = try readList(what, max: max, of: Value.self)
        try WireOrder.requireDistinct(list, what, by: key)
        return list
    }
}
