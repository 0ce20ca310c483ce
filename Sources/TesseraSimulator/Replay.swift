public import NIOCore
public import TesseraCore
import TesseraWire

/// Feeds an agent's journal to the same core again.
///
/// The core is pure, so it must ask for exactly what it asked for in the agent: the first event after
/// which it does not is told.
public struct Replay {
    /// What differs.
    public struct Difference: Hashable, Sendable {
        /// The event, counted from 1; 0 is the agent's start.
        public var event: Int
        /// Its time on the agent's clock.
        public var at: Timestamp
        /// The event in words.
        public var what: String
        /// How many directives the agent's core gave.
        public var expectedCount: Int
        /// What this core gives, in words.
        public var directives: [String]
    }

    /// What was fed.
    public struct Outcome: Sendable {
        /// The version of the agent that wrote the journal.
        public var release: String
        /// The agent.
        public var node: NodeBoot
        /// Its name.
        public var name: String
        /// Events handled.
        public var events = 0
        /// Directives given.
        public var directives = 0
        /// Events whose directives the journal knows, and which were equal.
        public var compared = 0
        /// From the agent's start to its last event.
        public var span = TimeSpan.zero
        /// The first difference.
        public var difference: Difference?
        /// Whether the journal ends within a record, as after a crash.
        public var isCut = false
    }

    /// Sees every report, with the time since the agent's start.
    public var observer: ((_ at: TimeSpan, _ report: Report) -> Void)?

    private var reader = JournalReader()
    private var agent: Agent?
    private var state: Outcome?
    private var startedAt: Timestamp?
    private var last: (event: Event?, at: Timestamp)?
    private var directives: [Directive] = []

    /// Waits for the first bytes.
    public init() {}

    /// What came of it so far; nil before the header.
    public var outcome: Outcome? {
        var outcome = state
        outcome?.isCut = reader.leftByteCount > 0
        return outcome
    }

    /// Goes on with these bytes, up to the first difference.
    public mutating func feed(_ bytes: ByteBuffer) throws(ReplayError) {
        reader.append(bytes)
        while state?.difference == nil {
            do throws(JournalError) {
                guard let record = try reader.next() else { return }
                try handle(record)
            } catch {
                throw ReplayError(reason: error.description)
            }
        }
    }

    private mutating func handle(_ record: JournalRecord) throws(JournalError) {
        switch record {
        case .header(let header):
            guard agent == nil else { throw misplaced("a second header") }
            agent = Agent(header.settings)
            state = Outcome(release: header.release, node: header.me, name: header.name)
        case .start(let time):
            guard agent != nil, startedAt == nil else { throw misplaced("a start") }
            startedAt = time
            directives = []
            agent?.start(at: time, into: &directives)
            note(nil, at: time)
        case .event(let event, let time):
            guard startedAt != nil else { throw misplaced("an event before the start") }
            directives.removeAll(keepingCapacity: true)
            agent?.handle(event, at: time, into: &directives)
            state?.events += 1
            note(event, at: time)
        case .directives(let expected):
            guard last != nil else { throw misplaced("directives without an event") }
            compare(expected)
        }
    }

    private func misplaced(_ what: String) -> JournalError {
        .damaged(record: reader.count, .unexpectedFrame(what))
    }

    private mutating func note(_ event: Event?, at time: Timestamp) {
        last = (event, time)
        let since = time - (startedAt ?? time)
        state?.span = since
        state?.directives += directives.count
        guard let observer else { return }
        for case .report(let report) in directives { observer(since, report) }
    }

    private mutating func compare(_ expected: DirectiveFingerprint) {
        let own = DirectiveFingerprint(directives)
        defer { last = nil }
        guard own != expected, let last else {
            state?.compared += 1
            return
        }
        let events = state?.events ?? 0
        state?.difference = Difference(
            event: events, at: last.at,
            what: last.event.map { "\($0)" } ?? "the start", expectedCount: expected.count,
            directives: directives.map { "\($0)" })
    }
}

/// Why a journal cannot be replayed.
public struct ReplayError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and what to do.
    public var reason: String
    /// The reason.
    public var description: String { reason }
}
