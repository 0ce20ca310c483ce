import NIOCore
import TesseraCore

/// All connections to one run of a peer; lives on the control loop.
final class PeerSession {
    /// The peer's run.
    let member: NodeBoot
    /// Where it listens.
    let address: Address
    /// When the session began.
    let began = NIODeadline.now()
    /// The tags of the secrets that the peer has shown to know, by a certificate or a datagram.
    var shownTags: Set<String> = []
    /// Its control connections, oldest first; more than one only while dials crossed.
    var connections: [ControlConnection] = []
    /// Its data connections, oldest first.
    var data: [DataConnection] = []
    /// Whether slices to the peer may be packed; known with the first data connection.
    var hasCodecs = false
    /// Slices that wait for the first data connection.
    var waitingSlices: [OutgoingSlice] = []
    /// Fetches that wait for the first data connection.
    var waitingFetches: [BlobFetch] = []
    /// What was measured of the link.
    var link = LinkEstimator()
    /// What the peer's clock shows beside this node's.
    var clock = ClockComparison()
    /// Trials of the link so far, and when the last one began.
    var trials = 0
    var lastTrial: NIODeadline?
    /// When a transfer to the peer was last measured.
    var lastTransfer: NIODeadline?
    /// When the dial of a data connection began; nil if none was, or it succeeded.
    var dataDialled: NIODeadline?

    /// Makes a session without connections.
    init(member: NodeBoot, address: Address) {
        self.member = member
        self.address = address
    }

    /// Whether the link should be tried: at first a few times, then if nothing large went over it.
    func isTrialDue(at now: NIODeadline) -> Bool {
        guard !data.isEmpty else { return false }
        guard let lastTrial else { return true }
        let wanted =
            link.hasBusyRate ? TransportLimits.firstTrials : TransportLimits.trialsUntilKnown
        if trials < wanted {
            return now - lastTrial >= TransportLimits.firstTrialInterval
        }
        let last = max(lastTrial, lastTransfer ?? lastTrial)
        return now - last >= TransportLimits.trialInterval
    }

    /// The connection that messages go over: the oldest that this node dialled and the newest that
    /// the peer dialled are the ones that the peer surely reads; of both kinds, the kept one.
    func active(own: NodeID) -> ControlConnection? {
        let isOwnKept = own < member.node
        let dialled = connections.first(where: \.isDialled)
        let accepted = connections.last(where: { !$0.isDialled })
        return isOwnKept ? dialled ?? accepted : accepted ?? dialled
    }
}
