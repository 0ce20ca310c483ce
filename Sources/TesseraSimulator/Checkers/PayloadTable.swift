import TesseraCore

/// A node's payloads: each is released exactly once, and an attempt never runs on another's slices.
struct PayloadTable {
    struct Entry {
        var value: UInt64
        /// The attempt that the bytes belong to; nil for a request's inputs, which serve each of its
        /// attempts.
        var attempt: AttemptID?
    }
    private var entries: [PayloadID: Entry] = [:]
    private var next: UInt64 = 1

    var count: Int { entries.count }

    mutating func insert(_ value: UInt64, of attempt: AttemptID?) -> PayloadID {
        defer { next += 1 }
        let id = PayloadID(number: next)
        entries[id] = Entry(value: value, attempt: attempt)
        return id
    }

    func read(_ id: PayloadID, at time: Timestamp) throws(Violation) -> Entry {
        guard let entry = entries[id] else {
            throw Violation(
                checker: "payloads are released exactly once", at: time,
                what: "payload \(id.number) is used after its release")
        }
        return entry
    }

    mutating func release(_ id: PayloadID, at time: Timestamp) throws(Violation) {
        guard entries.removeValue(forKey: id) != nil else {
            throw Violation(
                checker: "payloads are released exactly once", at: time,
                what: "payload \(id.number) is released a second time")
        }
    }
}
