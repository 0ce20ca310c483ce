import NIOCore

/// Makes each overview once, however many streams want it.
actor OverviewCache {
    /// Seconds of traffic in each overview: a stream that misses some overviews misses no second.
    static let trafficSeconds = 30

    private let backend: any AgentBackend
    private let lifetime: Duration
    private var kept: (at: ContinuousClock.Instant, bytes: ByteBuffer)?
    private var waiting: [CheckedContinuation<ByteBuffer, Never>] = []
    private var isMaking = false

    /// A cache whose overviews are given for as long as `lifetime`.
    init(backend: any AgentBackend, lifetime: Duration) {
        self.backend = backend
        self.lifetime = lifetime
    }

    /// An overview that is not older than the lifetime, as a message of a stream.
    func message() async -> ByteBuffer {
        if let kept, ContinuousClock.now - kept.at < lifetime { return kept.bytes }
        if isMaking { return await withCheckedContinuation { waiting.append($0) } }
        isMaking = true
        let bytes = Self.message(await backend.overview(trafficSeconds: Self.trafficSeconds))
        kept = (.now, bytes)
        isMaking = false
        let waiters = waiting
        waiting = []
        for waiter in waiters { waiter.resume(returning: bytes) }
        return bytes
    }

    /// An overview as a message of a stream.
    static func message(_ overview: OverviewDocument) -> ByteBuffer {
        StreamMessage.make("overview", overview)
    }
}

/// A message as server-sent events have them.
enum StreamMessage {
    /// A message of a kind with a document, which is one line.
    static func make(_ kind: String, _ document: some Encodable) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString("event: \(kind)\ndata: ")
        do {
            buffer.writeBytes(try ControlJSON.bytes(of: document))
        } catch {
            // Only a number that is none, which no document has, cannot be written.
            fatalError("a document of the control API is no JSON: \(error)")
        }
        buffer.writeStaticString("\n\n")
        return buffer
    }
}
