import Hummingbird
import NIOCore
import ServiceLifecycle
import Synchronization

/// `GET /tessera/v1/stream`: the mesh live, as server-sent events.
///
/// The kinds are `overview`, an `OverviewDocument` each period, and `events`, a list of
/// `EventDocument` whenever something happened. The first overview has all the traffic that is kept,
/// and the first events those that are kept, as far as a reader has use for them. Every stream holds
/// one message at most: who does not read is cut off.
struct StreamHandler: Sendable {
    /// Seconds of traffic in a stream's first overview.
    static let firstTrafficSeconds = 300
    /// Of the events that are kept a stream begins with so many of the last.
    static let firstEventsMax = 200
    /// Beside them it begins with so many older decisions.
    static let firstDecisionsMax = 40
    /// More events at once than this are passed over: the newest tell more.
    static let eventsAtOnceMax = 200

    private let backend: any AgentBackend
    private let configuration: APIConfiguration
    private let cache: OverviewCache
    private let slots: StreamSlots

    init(backend: any AgentBackend, configuration: APIConfiguration, slots: StreamSlots) {
        self.backend = backend
        self.configuration = configuration
        cache = OverviewCache(backend: backend, lifetime: configuration.streamPeriod / 2)
        self.slots = slots
    }

    /// Begins a stream.
    func stream(_ request: Request, context: APIContext) throws(APIError) -> Response {
        let headers: HTTPFields = [
            .contentType: "text/event-stream", .cacheControl: "no-store",
            .xContentTypeOptions: "nosniff",
        ]
        guard request.method != .head else { return Response(status: .ok, headers: headers) }
        guard let slot = slots.take() else {
            throw APIError(
                status: .serviceUnavailable,
                message: "\(configuration.streamsMax) streams are open at this agent, which are "
                    + "all that it serves; close one or ask another agent",
                retryAfterSeconds: 10)
        }
        let channel = context.channel
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                // Held as long as the stream; also given back if it never begins.
                defer { withExtendedLifetime(slot) {} }
                let pace = StreamPace(stallMax: configuration.streamStallMax)
                let moved = MovedWriter(writer: writer)
                do {
                    try await ClientWatch.cancelling(on: channel) {
                        try await ClientWatch.cancelling(when: { await pace.stalls() }) {
                            try await cancelWhenGracefulShutdown {
                                var target = moved.writer
                                try await send(to: &target, pace)
                            }
                        }
                    }
                } catch is CancellationError {
                    // The client went away or the agent stops: so a stream ends.
                }
                if pace.isStalled {
                    // Nothing more can be written; the client sees a broken stream and may begin anew.
                    channel.close(promise: nil)
                    return
                }
                try await moved.writer.finish(nil)
            })
    }

    /// Sends until it is cancelled.
    private func send(to writer: inout any ResponseBodyWriter, _ pace: StreamPace) async throws {
        var events = await first()
        var message = OverviewCache.message(
            await backend.overview(trafficSeconds: Self.firstTrafficSeconds))
        var lastEvent: UInt64 = 0
        while true {
            if let last = events.last {
                lastEvent = last.number
                var more = StreamMessage.make("events", events)
                message.writeBuffer(&more)
            }
            pace.begins()
            try await writer.write(message)
            pace.ends()
            try await Task.sleep(for: configuration.streamPeriod)
            message = await cache.message()
            events = await read(after: lastEvent).suffix(Self.eventsAtOnceMax)
        }
    }

    private func read(after number: UInt64) async -> [EventDocument] {
        var events: [EventDocument] = []
        for await event in await backend.events(after: number, follow: false) {
            events.append(event)
        }
        return events
    }

    /// What a stream begins with: the last events, and the last decisions even if they are older.
    private func first() async -> [EventDocument] {
        let events = await read(after: 0)
        let recent = events.suffix(Self.firstEventsMax)
        let older = events.dropLast(recent.count).filter { $0.kind == "decided" }
        return older.suffix(Self.firstDecisionsMax) + recent
    }
}

/// How many streams are open.
final class StreamSlots: Sendable {
    private let limit: Int
    private let metrics: RequestMetrics
    private let count = Mutex(0)

    init(limit: Int, metrics: RequestMetrics) {
        self.limit = limit
        self.metrics = metrics
    }

    /// How many are open.
    var open: Int { count.withLock { $0 } }

    /// A place for one stream, as long as the place lives; nil if there is none.
    func take() -> StreamSlot? {
        let isFree = count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
        if !isFree { metrics.note(.streams) }
        return isFree ? StreamSlot(self) : nil
    }

    fileprivate func give() { count.withLock { $0 -= 1 } }
}

/// One stream's place.
final class StreamSlot: Sendable {
    private let slots: StreamSlots

    fileprivate init(_ slots: StreamSlots) { self.slots = slots }

    deinit { slots.give() }
}

/// Knows when a message of a stream has taken too long to be written.
private final class StreamPace: Sendable {
    private struct State {
        var writingSince: ContinuousClock.Instant?
        var isStalled = false
    }

    private let stallMax: Duration
    private let state = Mutex(State())

    init(stallMax: Duration) { self.stallMax = stallMax }

    /// Whether the reader was too slow.
    var isStalled: Bool { state.withLock { $0.isStalled } }

    /// A message begins to be written.
    func begins() { state.withLock { $0.writingSince = .now } }

    /// It is written.
    func ends() { state.withLock { $0.writingSince = nil } }

    /// Returns when a message takes too long, or the task is cancelled.
    func stalls() async {
        while true {
            do {
                try await Task.sleep(for: stallMax / 4)
            } catch {
                return
            }
            let isOver = state.withLock { state in
                guard let since = state.writingSince, ContinuousClock.now - since >= stallMax else {
                    return false
                }
                state.isStalled = true
                return true
            }
            if isOver { return }
        }
    }
}
