package import NIOCore
package import TesseraCore

/// Writes canonical encodings: fixed-width big-endian integers, counts and lengths before what they
/// count.
///
/// A value that breaks a limit is written all the same and noted; `finish()` then throws. So no
/// field needs a `try`, and nothing that a reader would refuse ever leaves.
package struct WireWriter {
    /// What was written.
    package internal(set) var buffer: ByteBuffer
    /// The version of the protocol that is written: of most values it changes nothing.
    package var version = Version.wireProtocol
    /// The first limit that a value broke.
    package private(set) var violation: WireError?

    /// Begins with an empty buffer of this capacity.
    package init(capacity: Int = 256) {
        buffer = ByteBufferAllocator().buffer(capacity: capacity)
    }

    /// Goes on after what the buffer holds.
    package init(appendingTo buffer: consuming ByteBuffer) {
        self.buffer = buffer
    }

    /// The bytes, or the first limit that was broken.
    package consuming func finish() throws(WireError) -> ByteBuffer {
        if let violation { throw violation }
        return buffer
    }

    /// Gives the buffer away, whether or not a limit was broken.
    mutating func takeBuffer() -> ByteBuffer {
        let taken = buffer
        buffer = ByteBuffer()
        return taken
    }

    /// Notes the first broken limit.
    package mutating func note(_ error: WireError) {
        if violation == nil { violation = error }
    }

    /// Notes what the check throws.
    package mutating func check(_ body: () throws(WireError) -> Void) {
        do { try body() } catch { note(error) }
    }

    // MARK: Numbers

    /// A fixed-width integer, big-endian.
    @inline(__always)
    package mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        buffer.writeInteger(number)
    }

    /// Four words: the most frequent value by far, so written in one step.
    @inline(__always)
    mutating func write(words: (UInt64, UInt64, UInt64, UInt64)) {
        buffer.writeMultipleIntegers(words.0, words.1, words.2, words.3)
    }

    /// One byte, 0 or 1.
    package mutating func write(_ flag: Bool) {
        buffer.writeInteger(flag ? 1 : 0, as: UInt8.self)
    }

    /// The raw value as one byte.
    package mutating func write<Choice: RawRepresentable>(_ choice: Choice)
    where Choice.RawValue == UInt8 {
        buffer.writeInteger(choice.rawValue)
    }

    /// A count or index as 4 bytes.
    package mutating func write(count: Int, _ what: String, max: Int) {
        check(count, what, in: 0...max)
        buffer.writeInteger(UInt32(truncatingIfNeeded: count))
    }

    /// A number of bytes as 8 bytes.
    package mutating func write(
        byteCount: Int, _ what: String, max: Int = WireLimits.byteCountMax
    ) {
        check(byteCount, what, in: 0...max)
        buffer.writeInteger(Int64(byteCount))
    }

    /// A number that a reader raises by one, as 8 bytes.
    package mutating func write(counter: UInt64, _ what: String) {
        if counter > WireLimits.counterMax {
            note(.limitExceeded(what: what, max: Int(WireLimits.counterMax)))
        }
        buffer.writeInteger(counter)
    }

    /// A rate per microsecond, as 8 bytes.
    package mutating func write(rate: UInt64, _ what: String) {
        if rate > WireLimits.rateMax {
            note(.limitExceeded(what: what, max: Int(WireLimits.rateMax)))
        }
        buffer.writeInteger(rate)
    }

    /// Bytes per second of a link, as 8 bytes.
    package mutating func write(linkRate rate: UInt64) {
        if rate > WireLimits.linkRateMax {
            note(.limitExceeded(what: "link rate", max: Int(WireLimits.linkRateMax)))
        }
        buffer.writeInteger(rate)
    }

    /// Measured or predicted microseconds, as 8 bytes.
    package mutating func write(microseconds: Int64, _ what: String) {
        check(Int(microseconds), what, in: 0...Int(WireLimits.microsecondsMax))
        buffer.writeInteger(microseconds)
    }

    /// A remaining time in whole microseconds as 8 bytes, cut to zero and one day.
    package mutating func write(remaining: TimeSpan) {
        buffer.writeInteger(
            min(max(remaining.microseconds, 0), WireLimits.remainingMicrosecondsMax))
    }

    /// A range that is not empty: both bounds as 4 bytes.
    package mutating func write(range: Range<Int>, _ what: String, max: Int) {
        if range.isEmpty { note(.invalidValue(what: what)) }
        write(count: range.lowerBound, what, max: max)
        write(count: range.upperBound, what, max: max)
    }

    private mutating func check(_ number: Int, _ what: String, in range: ClosedRange<Int>) {
        if number < range.lowerBound {
            note(.invalidValue(what: what))
        } else if number > range.upperBound {
            note(.limitExceeded(what: what, max: range.upperBound))
        }
    }

    // MARK: Texts and bytes

    /// The length of the UTF-8 bytes as 2 bytes, then the bytes.
    package mutating func write(text: String, _ what: String, max: Int) {
        let count = text.utf8.count
        if count > max { note(.limitExceeded(what: what, max: max)) }
        buffer.writeInteger(UInt16(truncatingIfNeeded: count))
        buffer.writeString(text)
    }

    /// A text for people, cut at a character if it is too long.
    package mutating func write(reason: String) {
        let max = WireLimits.reasonBytesMax
        guard reason.utf8.count > max else { return write(text: reason, "reason", max: max) }
        var end = reason.utf8.index(reason.utf8.startIndex, offsetBy: max)
        // A byte 10xxxxxx goes on with a character that began before.
        while reason.utf8[end] & 0xC0 == 0x80 { end = reason.utf8.index(before: end) }
        write(text: String(reason[..<end]), "reason", max: max)
    }

    /// The length as 2 bytes, then the bytes.
    package mutating func write(bytes: [UInt8], _ what: String, max: Int) {
        if bytes.count > max { note(.limitExceeded(what: what, max: max)) }
        buffer.writeInteger(UInt16(truncatingIfNeeded: bytes.count))
        buffer.writeBytes(bytes)
    }

    /// The bytes and nothing else.
    package mutating func write(raw bytes: some Sequence<UInt8>) {
        buffer.writeBytes(bytes)
    }

    // MARK: Values

    /// The value's encoding.
    @inline(__always)
    package mutating func write<Value: WireValue>(_ value: Value) {
        value.encode(into: &self)
    }

    /// One byte that says whether there is a value, then the value.
    package mutating func write<Value: WireValue>(_ value: Value?) {
        write(value != nil)
        if let value { value.encode(into: &self) }
    }

    /// The count as 4 bytes, then each element.
    package mutating func write<Value: WireValue>(list: [Value], _ what: String, max: Int) {
        write(count: list.count, what, max: max)
        for value in list { value.encode(into: &self) }
    }

    /// A list whose keys must ascend strictly.
    package mutating func write<Value: WireValue, Key: Comparable>(
        ascending list: [Value], _ what: String, max: Int, by key: (Value) -> Key
    ) {
        check { () throws(WireError) in try WireOrder.requireAscending(list, what, by: key) }
        write(list: list, what, max: max)
    }

    /// A list whose keys must not repeat.
    package mutating func write<Value: WireValue, Key: Hashable & Comparable>(
        distinct list: [Value], _ what: String, max: Int, by key: (Value) -> Key
    ) {
        check { () throws(WireError) in try WireOrder.requireDistinct(list, what, by: key) }
        write(list: list, what, max: max)
    }
}
