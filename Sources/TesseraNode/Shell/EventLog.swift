import Synchronization
public import TesseraCore

/// One entry of the event log.
public struct LoggedEvent: Sendable {
    /// Counts the agent's events from 1.
    public var number: UInt64
    /// When, since the agent started.
    public var at: TimeSpan
    /// What happened.
    public var report: Report
}

/// The last events of the agent, and those who follow them.
public final class EventLog: Sendable {
    private struct State {
        var events: [LoggedEvent] = []
        var tally = EventTally()
        var nextNumber: UInt64 = 1
        var followers: [UInt64: AsyncStream<LoggedEvent>.Continuation] = [:]
        var nextFollower: UInt64 = 1

        mutating func append(_ report: Report, at time: TimeSpan) {
            let event = LoggedEvent(number: nextNumber, at: time, report: report)
            nextNumber += 1
            events.append(event)
            tally.note(report)
            if events.count > 2 * EventLog.eventsMax {
                events.removeFirst(events.count - EventLog.eventsMax)
            }
            for follower in followers.values { follower.yield(event) }
        }
    }

    /// Events kept for those who ask later.
    private static let eventsMax = 4_096
    /// Events that a slow follower may be behind before it misses some.
    private static let followerBacklogMax = 1_024
    /// Followers at once.
    static let followersMax = 64

    private let started = MonotonicClock.now
    private let state = Mutex(State())

    /// An empty one; times count from now.
    init() {}

    func append(_ report: Report) {
        let time = MonotonicClock.now - started
        state.withLock { $0.append(report, at: time) }
    }

    /// What all events since the start add up to.
    public var tally: EventTally { state.withLock { $0.tally } }

    /// The events after `number` that are still kept.
    public func events(after number: UInt64) -> [LoggedEvent] {
        state.withLock { state in state.events.filter { $0.number > number } }
    }

    /// The events after `number`, and then each as it happens.
    ///
    /// A follower that falls far behind misses the oldest; numbers show it. One too many gets what
    /// there is, the last of it that there are too many, and then the end.
    public func follow(after number: UInt64) -> AsyncStream<LoggedEvent> {
        AsyncStream(bufferingPolicy: .bufferingNewest(Self.eventsMax + Self.followerBacklogMax)) {
            continuation in
            state.withLock { state in
                let hasRoom = state.followers.count < Self.followersMax
                if !hasRoom {
                    state.append(
                        .limit("followers of events", count: Self.followersMax),
                        at: MonotonicClock.now - started)
                }
                for event in state.events where event.number > number { continuation.yield(event) }
                guard hasRoom else { return continuation.finish() }
                let key = state.nextFollower
                state.nextFollower += 1
                state.followers[key] = continuation
                continuation.onTermination = { [weak self] _ in
                    self?.state.withLock { _ = $0.followers.removeValue(forKey: key) }
                }
            }
        }
    }

    /// Ends every follower: the agent stops.
    func close() {
        let followers = state.withLock { state in
            defer { state.followers = [:] }
            return Array(state.followers.values)
        }
        for follower in followers { follower.finish() }
    }
}
