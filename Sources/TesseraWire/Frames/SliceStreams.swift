/// Keeps count of the slices that are arriving on one connection: which streams are open, and where
/// the next bytes of each belong.
public struct SliceStreams: Sendable {
    /// Where bytes belong.
    public struct Progress: Hashable, Sendable {
        /// The bytes of the slice that came before.
        public var offset: Int
        /// Whether the slice is complete with these bytes.
        public var isComplete: Bool
    }

    private struct Open {
        var received: Int
        var total: Int
    }

    private var open: [UInt32: Open] = [:]

    /// Begins with no stream.
    public init() {}

    /// How many slices are open.
    public var count: Int { open.count }

    /// A slice begins.
    ///
    /// One of zero bytes is complete at once and takes no stream.
    public mutating func begin(_ begin: SliceBegin) throws(WireError) -> Progress {
        guard open[begin.stream] == nil else { throw .duplicate(what: "stream") }
        guard begin.totalBytes > 0 else { return Progress(offset: 0, isComplete: true) }
        guard open.count < WireLimits.openStreamsMax else {
            throw .limitExceeded(what: "open streams", max: WireLimits.openStreamsMax)
        }
        open[begin.stream] = Open(received: 0, total: begin.totalBytes)
        return Progress(offset: 0, isComplete: false)
    }

    /// Bytes of a slice arrived.
    public mutating func take(
        stream: UInt32, byteCount: Int
    ) throws(WireError) -> Progress {
        guard var slice = open[stream] else { throw .unknownStream(stream) }
        let offset = slice.received
        guard byteCount <= slice.total - offset else {
            throw .limitExceeded(what: "slice bytes", max: slice.total)
        }
        slice.received += byteCount
        let isComplete = slice.received == slice.total
        open[stream] = isComplete ? nil : slice
        return Progress(offset: offset, isComplete: isComplete)
    }

    /// The sender gave the slice up.
    public mutating func abort(stream: UInt32) throws(WireError) {
        guard open.removeValue(forKey: stream) != nil else { throw .unknownStream(stream) }
    }
}
