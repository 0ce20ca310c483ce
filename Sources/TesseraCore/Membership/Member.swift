/// What this node knows of another one.
///
/// Only the newest run of a node is remembered: every older run is dead by definition.
struct Member: Hashable, Sendable {
    /// The node and its newest known run.
    var member: NodeBoot
    /// Where it was reached, or is said to listen.
    var address: Address
    /// How it is seen.
    var status: MemberStatus
    /// The number that only the member raises.
    var incarnation: UInt64
    /// When the status began.
    var since: Timestamp
    /// Whether there is a control connection to this run.
    var isConnected = false

    /// When this run was first heard of.
    var learned: Timestamp
    /// Whether this run was ever connected: before that its datagrams are not read.
    var wasConnected = false
    /// Whether its datagrams are heard though it was never connected: members vouch for it.
    var isHeard = false
    /// Whether a session with it is wanted.
    var isWanted = true
    /// A session with it is wanted until then, whatever else is: somebody uses it.
    var wantedUntil = Timestamp.zero
    /// When it was asked to end the session, if it was.
    var partAskedAt: Timestamp?
    /// When it last became alive.
    var aliveSince: Timestamp
    /// What its absences cost it.
    var past = Past()
    /// Who suspects it, while it is suspect.
    var suspicion: Suspicion?
    /// When the connection broke, if it is broken.
    var disconnectedAt: Timestamp?
    /// When the connection to this dead member is closed.
    var disconnectAt = Timestamp.never
    /// The attempts to connect.
    var dial: Dial
    /// The recent round trips.
    var roundTrips = RoundTrips()

    init(
        member: NodeBoot, address: Address, status: MemberStatus, incarnation: UInt64,
        now: Timestamp, dialAt: Timestamp, dialPause: TimeSpan
    ) {
        self.member = member
        self.address = address
        self.status = status
        self.incarnation = incarnation
        since = now
        learned = now
        aliveSince = now
        dial = Dial(at: dialAt, pause: dialPause)
    }

    /// Alive or suspect: takes part.
    var isPresent: Bool { status < .dead }
}

/// How often a node was gone and came back, and until when that keeps it from being used.
struct Past: Hashable, Sendable {
    /// How often the node came back from dead or in a new run.
    var flaps = 0
    /// Not used before this time; zero if it may be used.
    var stableAt = Timestamp.zero

    /// Whether the node may be used.
    var isStable: Bool { stableAt == .zero }

    /// Notes a return: the node is not used for 10 s, doubled for every earlier return.
    mutating func noteReturn(
        aliveFor span: TimeSpan, _ settings: MembershipSettings, now: Timestamp
    ) {
        if span >= settings.flapForgiven { flaps = 0 }
        let doublings = min(flaps, MembershipLimits.flapDoublings)
        flaps += 1
        stableAt = now + settings.flapPause * (1 << Int64(doublings))
    }

    /// Takes the last return back: it was another node that had been away.
    mutating func forgiveReturn() {
        flaps = max(0, flaps - 1)
        stableAt = .zero
    }
}

/// A suspicion and what shortens it.
struct Suspicion: Hashable, Sendable {
    /// When this node began to suspect.
    var startedAt: Timestamp
    /// Who suspects independently, first accuser first.
    var accusers: [NodeID]
    /// When the member is declared dead.
    var deadline: Timestamp
    /// Whether a refused redial showed that the process is gone.
    var isProven = false
}

/// The attempts to connect to one address.
struct Dial: Hashable, Sendable {
    /// When to try next; `never` while an attempt is open.
    var at: Timestamp
    /// The pause after the next failure.
    var pause: TimeSpan
    /// When the open attempt counts as failed; nil if none is open.
    var patienceEnds: Timestamp?

    init(at: Timestamp, pause: TimeSpan) {
        self.at = at
        self.pause = pause
    }

    /// Notes that an attempt began.
    mutating func begin(now: Timestamp) {
        at = .never
        patienceEnds = now + MembershipLimits.dialPatience
    }

    /// Notes that the open attempt failed.
    mutating func fail(now: Timestamp, pauseMax: TimeSpan) {
        patienceEnds = nil
        at = now + pause
        pause = min(pause * 2, pauseMax)
    }

    /// Starts over at this time with the shortest pause.
    mutating func reset(at time: Timestamp, pause: TimeSpan) {
        patienceEnds = nil
        at = time
        self.pause = pause
    }
}

/// The last round trips to one member.
struct RoundTrips: Hashable, Sendable {
    private var samples: [TimeSpan] = []
    private var next = 0

    /// The slowest one: of so few samples it stands for the 99th percentile.
    var slowest: TimeSpan? { samples.max() }

    /// The middle one.
    var median: TimeSpan? { samples.isEmpty ? nil : samples.sorted()[samples.count / 2] }

    /// Notes one.
    mutating func insert(_ span: TimeSpan) {
        if samples.count < MembershipLimits.roundTrips {
            samples.append(span)
        } else {
            samples[next] = span
            next = (next + 1) % MembershipLimits.roundTrips
        }
    }
}
