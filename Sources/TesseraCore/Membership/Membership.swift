/// Who is in the mesh and alive: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips,
/// Currey 2018), as a value.
///
/// Of what is said of one node the greater (run, incarnation, status) wins everywhere, with
/// `alive < suspect < dead < left`; so tables that heard the same rumours are equal, in whatever
/// order they heard them. Deviations from the papers, and why:
///
/// - `dead(N)` loses against `alive(N + 1)`: a member that was declared dead wrongly, for instance by
///   the other side of a split, returns by raising its own number and by nothing else.
/// - Suspicion, death and their refutation also go to all connected members at once, over the
///   connections, and not only on the gossip tick: a death is known everywhere in milliseconds.
/// - A direct probe that is not answered also asks over the connection (an empty `sync`), so a network
///   that drops datagrams kills nobody.
/// - A suspicion that is heard of is checked at once by a probe of one's own: independent accusers
///   come quickly if the member is dead, and the member hears the charge quickly if it lives.
/// - That a member is dead is but a suspicion to a node that is connected to it and has no doubt of its
///   own: when a split heals, nobody loses those that stayed with it.
/// - A broken connection is an accusation; a refused redial right after it is evidence that the
///   process is gone, and shortens the suspicion to a fraction.
struct Membership {
    /// Something that the agent must act on.
    enum Change: Hashable, Sendable {
        /// A member is there, or is there again.
        case alive(NodeBoot, Address)
        /// A member is suspected.
        case suspected(NodeBoot)
        /// A suspected member showed that it lives.
        case recovered(NodeBoot)
        /// A member is dead.
        case dead(NodeBoot, reason: String)
        /// A member left in good order.
        case left(NodeBoot)
        /// The control connection to a member is up.
        case connected(NodeBoot)
        /// The control connection to a member is gone.
        case disconnected(NodeBoot)
        /// The control connection to a member was ended in good order: nobody needs it now.
        case parted(NodeBoot)
        /// A member that flapped was stable for long enough to be used again.
        case stable(NodeBoot)
        /// This node was cut off from most of the mesh, and is back.
        case returned
    }

    /// This node and its run.
    let me: NodeBoot
    let settings: MembershipSettings
    /// Where this node listens.
    let address: Address
    /// When `onWake` wants to be called.
    private(set) var nextWake = Timestamp.never

    var incarnation: UInt64 = 0
    var hasLeft = false
    /// Lifeguard's local health multiplier less one: 0 is healthy.
    var health = 0
    var generator: SeededGenerator
    /// Every other node that is remembered, ascending.
    var others: [Member] = []
    var changes: [Change] = []
    /// Members that were refused because of the limit.
    var refusedMembers = 0

    // Probing.
    var sequence: UInt64 = 0
    var order: [NodeID] = []
    var cursor = 0
    var probes: [Probe] = []
    var relays: [Relay] = []
    var nextProbeAt = Timestamp.never
    var nextSyncAt = Timestamp.never
    var nextDeadProbeAt = Timestamp.never
    var lastDeadProbed: NodeID?

    /// After a stall: others may have closed their connections with good reason.
    var blamesNobodyUntil = Timestamp.zero

    /// Who came back from dead in the same run a moment ago, and when.
    var returns: [(node: NodeID, at: Timestamp)] = []
    /// What this node's own absences cost it.
    var ownPast = Past()
    /// When this node last came back from being cut off.
    var ownReturnedAt: Timestamp?
    var startedAt = Timestamp.zero

    var sessions = SessionWishes()

    // Gossip.
    var gossip: [Gossip] = []

    // Discovery.
    var candidates: [Candidate] = []
    var nextCandidateAt = Timestamp.zero
    var ownAddresses: [Address]

    /// A probe of ours that waits for its answer.
    struct Probe {
        var target: NodeBoot
        var sequence: UInt64
        var startedAt: Timestamp
        /// When helpers are asked; `never` once they are.
        var directEnds: Timestamp
        /// When the target is suspected.
        var ends: Timestamp
        var nacksExpected = 0
        var nacks = 0
        var isIndirect: Bool { directEnds == .never }
    }

    /// A probe for another member that waits for its answer.
    struct Relay {
        var requester: NodeBoot
        var requesterSequence: UInt64
        var target: NodeBoot
        var sequence: UInt64
        /// When the requester is told that there is no answer yet; `never` once it was.
        var nackAt: Timestamp
        var ends: Timestamp
    }

    /// A rumour that still has to be passed on: what is said is looked up when it is sent.
    struct Gossip {
        var node: NodeID
        var sent: Int
        /// Protocol periods since it was new.
        var periods = 0
    }

    /// A discovered address.
    struct Candidate {
        var address: Address
        var dial: Dial
        var attempts = 0
    }

    /// Makes the membership of a node that is alone.
    init(
        me: NodeBoot, address: Address, settings: MembershipSettings, generator: SeededGenerator
    ) {
        self.me = me
        self.address = address
        self.settings = settings
        self.generator = generator.derived(name: "membership")
        ownAddresses = [address]
    }

    // MARK: Handlers

    /// The node began to run.
    mutating func onStart(now: Timestamp, into directives: inout [Directive]) {
        startedAt = now
        nextProbeAt = now + generator.next(below: settings.probePeriod)
        nextSyncAt = now + generator.next(below: settings.syncPeriod)
        nextDeadProbeAt = now + generator.next(below: settings.deadProbePeriod)
        end(now: now)
    }

    /// The time `nextWake` has come.
    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        guard !hasLeft else { return }
        endProbes(now: now, into: &directives)
        endRelays(now: now, into: &directives)
        endSuspicions(now: now, into: &directives)
        noteStable(now: now)
        chooseSessions(now: now, into: &directives)
        dialMembers(now: now, into: &directives)
        dialCandidates(now: now, into: &directives)
        probeOnTick(now: now, into: &directives)
        syncOnTick(now: now, into: &directives)
        partOnTick(now: now, into: &directives)
        probeDeadOnTick(now: now, into: &directives)
    }

    /// The node goes: tells everybody, and does nothing by itself any more.
    mutating func onLeave(now: Timestamp, into directives: inout [Directive]) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        guard !hasLeft else { return }
        hasLeft = true
        incarnation += 1
        probes = []
        relays = []
        candidates = []
        broadcast([ownRumour], into: &directives)
    }

    /// The node's loop stood still: what did not arrive in that time says nothing about others, but
    /// they have reason to doubt this node.
    mutating func onStalled(
        for span: TimeSpan, now: Timestamp, into directives: inout [Directive]
    ) {
        defer { end(now: now) }
        guard !hasLeft else { return }
        probes = []
        relays = []
        blamesNobodyUntil = now + settings.suspicionMax
        health = min(health + 1, MembershipLimits.healthMax)
        for index in others.indices {
            guard var suspicion = others[index].suspicion else { continue }
            suspicion.isProven = false
            suspicion.deadline = max(suspicion.deadline, now + settings.suspicionMax)
            others[index].suspicion = suspicion
        }
        nextProbeAt = min(nextProbeAt, now)
        guard others.contains(where: \.isPresent) else { return }
        raiseIncarnation(above: incarnation, into: &directives)
    }

    /// Hands the changes over, in their order.
    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    // MARK: Frame of every handler

    mutating func begin(now: Timestamp, into directives: inout [Directive]) {
        guard nextWake != .never, now - nextWake > settings.stallMin else { return }
        onStalled(for: now - nextWake, now: now, into: &directives)
    }

    mutating func end(now: Timestamp) {
        guard !hasLeft else {
            nextWake = .never
            return
        }
        var wake = Timestamp.never
        // In place: this runs after every event, and a copy of each member costs more than the look.
        for index in others.indices {
            if others[index].isPresent {
                if others[index].status == .suspect {
                    wake = min(wake, others[index].suspicion?.deadline ?? .never)
                }
                if !others[index].isConnected, others[index].isWanted {
                    wake = min(
                        wake, others[index].dial.patienceEnds ?? others[index].dial.at)
                }
                // Probes, syncs and probes of the dead go on as long as there is anybody.
                wake = min(wake, min(nextProbeAt, nextSyncAt))
                if !others[index].past.isStable { wake = min(wake, others[index].past.stableAt) }
            } else {
                wake = min(wake, min(others[index].disconnectAt, nextDeadProbeAt))
            }
        }
        if !ownPast.isStable { wake = min(wake, ownPast.stableAt) }
        if sessions.isStale, !others.isEmpty { wake = min(wake, sessions.nextChoiceAt) }
        for probe in probes { wake = min(wake, min(probe.directEnds, probe.ends)) }
        for relay in relays { wake = min(wake, min(relay.nackAt, relay.ends)) }
        for candidate in candidates {
            wake = min(wake, candidate.dial.patienceEnds ?? max(candidate.dial.at, nextCandidateAt))
        }
        // A tick that is overdue because nobody was there is due now, and no sign of a stall.
        nextWake = max(wake, now)
    }
}

// MARK: - Queries

extension Membership {
    /// How a member is seen: nil if its run is not known, dead if a newer run of the node is.
    func status(of member: NodeBoot) -> MemberStatus? {
        if member == me { return hasLeft ? .left : .alive }
        guard let index = index(of: member.node) else { return nil }
        let known = others[index]
        if known.member.boot == member.boot { return known.status }
        return member.boot < known.member.boot ? .dead : nil
    }

    /// Discovered addresses that were dialled, and where nobody has answered so far.
    var unanswered: [Address] {
        candidates.filter { $0.attempts > ($0.dial.patienceEnds == nil ? 0 : 1) }.map(\.address)
    }

    /// This node and every other one that is remembered, ascending.
    var members: [Member] {
        var own = Member(
            member: me, address: address, status: hasLeft ? .left : .alive,
            incarnation: incarnation, now: .zero, dialAt: .never, dialPause: .zero)
        own.isConnected = true
        var all = others
        all.insert(own, at: others.firstIndex { $0.member.node > me.node } ?? others.count)
        return all
    }

    /// Members that work may be given to, this node included: alive or suspect, connected, and not
    /// flapping.
    ///
    /// Ascending.
    var usable: [NodeBoot] {
        var all = others.filter { isReachable($0) && $0.past.isStable }.map(\.member)
        if ownPast.isStable { all.insert(me, at: all.firstIndex { $0 > me } ?? all.count) }
        return all
    }

    /// Nodes that are there, this one included, whether connected or not, ascending.
    var presentMembers: [NodeBoot] {
        var all = others.indices.filter { others[$0].isPresent }.map { others[$0].member }
        all.insert(me, at: all.firstIndex { $0 > me } ?? all.count)
        return all
    }

    /// Whether a run is there, connected or not.
    func isPresent(_ member: NodeBoot) -> Bool {
        guard let index = index(of: member.node) else { return member == me }
        return others[index].member == member && others[index].isPresent
    }

    /// Whether there is a control connection to this run.
    func isConnected(_ member: NodeBoot) -> Bool {
        member == me || known(member)?.isConnected ?? false
    }

    /// Whether there is a control connection to this run, and it is neither dead nor gone.
    func isReachable(_ member: NodeBoot) -> Bool {
        if member == me { return true }
        guard let known = known(member) else { return false }
        return isReachable(known)
    }

    /// The median of the last round trips; nil if none was measured.
    func roundTrip(of member: NodeBoot) -> TimeSpan? {
        member == me ? .zero : known(member)?.roundTrips.median
    }

    private func isReachable(_ member: Member) -> Bool { member.isConnected && member.isPresent }

    /// What is known of exactly this run.
    func known(_ member: NodeBoot) -> Member? {
        guard let index = index(of: member.node), others[index].member == member else { return nil }
        return others[index]
    }

    /// Where the node stands in `others`.
    func index(of node: NodeID) -> Int? {
        let place = insertionIndex(of: node)
        return place < others.count && others[place].member.node == node ? place : nil
    }

    /// Where the node stands, or would stand, in `others`.
    func insertionIndex(of node: NodeID) -> Int {
        var low = 0
        var high = others.count
        while low < high {
            let middle = (low + high) / 2
            if others[middle].member.node < node { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// How many nodes take part, this one included.
    var presentCount: Int {
        others.indices.reduce(1) { $0 + (others[$1].isPresent ? 1 : 0) }
    }
}
