package import NIOCore

/// A value with one canonical encoding.
///
/// Equal values have equal bytes, and bytes that are accepted are the encoding of the value that
/// they give: `encode(into:)` after `init(from:)` gives the same bytes again. Identities by hash
/// and signatures rest on that.
package protocol WireValue {
    /// Writes the canonical encoding.
    func encode(into writer: inout WireWriter)
    /// Reads a canonical encoding; throws for anything else.
    init(from reader: inout WireReader) throws(WireError)
}

extension WireValue {
    /// The canonical encoding; throws if the value breaks a limit that a reader would refuse.
    package func encodedBytes(capacity: Int = 256) throws(WireError) -> ByteBuffer {
        var writer = WireWriter(capacity: capacity)
        encode(into: &writer)
        return try writer.finish()
    }

    /// Reads a value that the bytes hold exactly.
    package init(decodingBytes bytes: ByteBuffer) throws(WireError) {
        var reader = WireReader(bytes)
        try self.init(from: &reader)
        try reader.finish()
    }
}

/// The order that lists must have, checked where they are written and where they are read.
enum WireOrder {
    /// Throws unless the keys ascend strictly.
    static func requireAscending<Value, Key: Comparable>(
        _ list: [Value], _ what: String, by key: (Value) -> Key
    ) throws(WireError) {
        guard isAscending(list, by: key) else { throw .notAscending(what: what) }
    }

    /// Throws if a key repeats.
    static func requireDistinct<Value, Key: Hashable & Comparable>(
        _ list: [Value], _ what: String, by key: (Value) -> Key
    ) throws(WireError) {
        // Most lists ascend, and then a look at neighbours is enough.
        if isAscending(list, by: key) { return }
        var seen = Set<Key>(minimumCapacity: list.count)
        for value in list where !seen.insert(key(value)).inserted {
            throw .duplicate(what: what)
        }
    }

    private static func isAscending<Value, Key: Comparable>(
        _ list: [Value], by key: (Value) -> Key
    ) -> Bool {
        guard var last = list.first.map(key) else { return true }
        for value in list.dropFirst() {
            let next = key(value)
            guard last < next else { return false }
            last = next
        }
        return true
    }
}
