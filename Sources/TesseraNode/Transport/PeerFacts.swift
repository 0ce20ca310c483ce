import NIOCore
public import TesseraCore
import TesseraWire

/// What a connected peer told of itself, for people: nothing is decided by it.
public struct PeerFacts: Hashable, Sendable {
    /// The peer's run.
    public var member: NodeBoot
    /// What its release calls itself; nil if it does not tell.
    public var release: String?
    /// The newest version of the protocol that it speaks.
    public var newestVersion: UInt16
    /// The version that is spoken with it.
    public var agreedVersion: UInt16
    /// What its clock shows beside this node's; nil if it does not tell.
    public var clock: ClockOffset?
}

/// How far a peer's clock is ahead of this node's.
public struct ClockOffset: Hashable, Sendable {
    /// Microseconds that the peer's clock is ahead; less than 0 if it is behind.
    public var microseconds: Int64
    /// The offset is right within so many microseconds, whatever the ways took.
    public var uncertaintyMicroseconds: Int64
}

/// Compares the clocks of two nodes by probes and their answers.
///
/// The answer was written at some moment between probe and receipt, so its time tells the offset
/// within half of the round trip (NTP, RFC 5905, section 8).
struct ClockComparison {
    /// Answers that are looked at: the quickest of some seconds is one that did not wait anywhere, and
    /// a clock that was set is seen soon.
    private static let samplesMax = 8

    private var samples: [ClockOffset] = []

    /// An answer that shows the peer's time came in at a moment of this node's clock.
    mutating func answered(
        peerMicroseconds: Int64, atMicroseconds now: Int64, roundTripNanoseconds: Int64
    ) {
        let half = max(1, roundTripNanoseconds / 2_000)
        if samples.count == Self.samplesMax { samples.removeFirst() }
        // Neither is negative, so the difference cannot overflow.
        samples.append(
            ClockOffset(
                microseconds: peerMicroseconds - (max(0, now) - half),
                uncertaintyMicroseconds: half))
    }

    /// The offset by the quickest answer; nil before the first one.
    var offset: ClockOffset? {
        samples.min { $0.uncertaintyMicroseconds < $1.uncertaintyMicroseconds }
    }
}

extension PeerTransport {
    /// What the connected peers told of themselves, ascending by member.
    public var peerFacts: [PeerFacts] {
        controlLoop.preconditionInEventLoop()
        return sessions.values.compactMap { session in
            guard let connection = session.active(own: member.node),
                let greeting = connection.peerGreeting, let version = connection.agreedVersion
            else { return nil }
            return PeerFacts(
                member: session.member, release: greeting.release,
                newestVersion: greeting.versions.maximum,
                agreedVersion: version, clock: session.clock.offset)
        }.sorted { $0.member < $1.member }
    }

    /// The answer to a peer's probe.
    func answer(toProbe number: UInt64) -> ProbeReply {
        ProbeReply(
            number: number, timeOfDayMicroseconds: configuration.timeOfDayMicroseconds())
    }

    /// A probe was answered.
    func probeAnswered(_ reply: ProbeReply, of member: NodeBoot) {
        let now = NIODeadline.now().uptimeNanoseconds
        let roundTrip = Int64(now - min(reply.number, now))
        roundTripMeasured(nanoseconds: roundTrip, of: member)
        guard let time = reply.timeOfDayMicroseconds, let session = session(member) else { return }
        session.clock.answered(
            peerMicroseconds: time, atMicroseconds: configuration.timeOfDayMicroseconds(),
            roundTripNanoseconds: roundTrip)
    }
}
