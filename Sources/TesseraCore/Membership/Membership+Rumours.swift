// What is said of members: merging, suspicion, death, and passing it on (SWIM §4, Lifeguard §IV-B).

extension Membership {
    // MARK: Merging

    /// Takes over what is new.
    mutating func apply(
        _ rumours: [Rumour], limit: Int, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        for rumour in rumours.prefix(limit)
        where rumour.incarnation < MembershipLimits.incarnation {
            if rumour.member.node == me.node {
                hearOfMyself(rumour, into: &directives)
            } else {
                apply(rumour, from: peer, now: now, into: &directives)
            }
        }
    }

    private mutating func hearOfMyself(_ rumour: Rumour, into directives: inout [Directive]) {
        guard rumour.member == me, !hasLeft else { return }
        if rumour.status == .alive {
            // Nobody else raises it; but should it ever be so, ours must not be the lower one.
            incarnation = max(incarnation, rumour.incarnation)
        } else if rumour.incarnation >= incarnation {
            // Lifeguard §IV-A: whoever must refute may be the slow one.
            health = min(health + 1, MembershipLimits.healthMax)
            raiseIncarnation(above: rumour.incarnation, into: &directives)
        }
    }

    /// Says with a higher number that this node is alive.
    mutating func raiseIncarnation(above other: UInt64, into directives: inout [Directive]) {
        incarnation = max(incarnation, other) + 1
        pass(on: me.node)
        broadcast([ownRumour], into: &directives)
    }

    private mutating func apply(
        _ rumour: Rumour, from peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        guard let index = index(of: rumour.member.node) else {
            learn(rumour, from: peer, now: now, into: &directives)
            return
        }
        let known = others[index]
        guard rumour.member.boot >= known.member.boot else { return }
        if rumour.member.boot > known.member.boot {
            replace(index, with: rumour, from: peer, now: now, into: &directives)
            return
        }
        let told = (rumour.incarnation, rumour.status)
        if told == (known.incarnation, known.status) {
            if rumour.status == .suspect, let accuser = rumour.accuser {
                accuse(known.member, by: accuser, now: now, into: &directives)
            }
            return
        }
        // One order for everything: (incarnation, status). Leaving is final for a run, and the dead
        // come back only with a number that is higher than the one they died with.
        guard told > (known.incarnation, known.status), known.status != .left else { return }
        // What a node that listens everywhere says of its own address is of no use to others.
        if !known.isConnected, !rumour.address.isWildcard {
            others[index].address = rumour.address
        }
        switch rumour.status {
        case .alive, .suspect:
            others[index].incarnation = rumour.incarnation
            revive(index, now: now)
            pass(on: rumour.member.node)
            if rumour.status == .suspect {
                accuse(
                    rumour.member, by: rumour.accuser ?? peer.node, now: now, into: &directives)
            }
        case .dead where mayContradict(known, now: now):
            others[index].incarnation = rumour.incarnation
            accuse(rumour.member, by: peer.node, now: now, into: &directives)
        case .dead:
            others[index].incarnation = rumour.incarnation
            die(index, reason: "\(peer.node) says so", now: now, into: &directives)
        case .left:
            others[index].incarnation = rumour.incarnation
            leave(index, now: now, into: &directives)
        }
    }

    /// Whether a member that is said to be dead is heard first: somebody lost it and we did not, since
    /// parts of the mesh meet again or a link is cut.
    ///
    /// Whoever lives contradicts within a round trip.
    private func mayContradict(_ known: Member, now: Timestamp) -> Bool {
        guard known.isConnected else { return false }
        guard let suspicion = known.suspicion else { return true }
        return !suspicion.accusers.contains(me.node)
            && now - suspicion.startedAt < settings.suspicionMin
    }

    /// Hears of a node for the first time.
    private mutating func learn(
        _ rumour: Rumour, from peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        // The lower identity dials first; the other one waits a little for its call.
        let patience = me.node < rumour.member.node ? .zero : settings.dialPatience
        guard !rumour.address.isWildcard,
            let index = insert(
                Member(
                    member: rumour.member, address: rumour.address, status: .alive,
                    incarnation: rumour.incarnation, now: now, dialAt: now + patience,
                    dialPause: settings.dialPauseMin),
                into: &directives)
        else { return }
        settle(index, as: rumour, from: peer, now: now, into: &directives)
    }

    /// Hears of a newer run of a node: the older one is dead.
    private mutating func replace(
        _ index: Int, with rumour: Rumour, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        let address = rumour.address.isWildcard ? others[index].address : rumour.address
        startNewRun(
            index, rumour.member, address: address, incarnation: rumour.incarnation,
            reason: "\(peer.node) says that it runs anew", now: now, into: &directives)
        let patience = me.node < rumour.member.node ? .zero : settings.dialPatience
        others[index].dial.reset(at: now + patience, pause: settings.dialPauseMin)
        settle(index, as: rumour, from: peer, now: now, into: &directives)
    }

    /// Gives a new run its status; the dead and the gone of whom nobody knew are no news to anybody.
    private mutating func settle(
        _ index: Int, as rumour: Rumour, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        switch rumour.status {
        case .alive, .suspect:
            changes.append(.alive(rumour.member, rumour.address))
            pass(on: rumour.member.node)
            joinRound(rumour.member.node)
            if rumour.status == .suspect {
                accuse(
                    rumour.member, by: rumour.accuser ?? peer.node, now: now, into: &directives)
            }
        case .dead, .left:
            others[index].status = rumour.status
        }
    }

    /// Makes room and puts the member into its place; nil if there is no room.
    mutating func insert(_ member: Member, into directives: inout [Directive]) -> Int? {
        if others.count >= MembershipLimits.members {
            let absent = others.indices.filter { !others[$0].isPresent }
            guard let oldest = absent.min(by: { others[$0].since < others[$1].since }) else {
                refusedMembers += 1
                directives.append(.report(.limit("members", count: refusedMembers)))
                return nil
            }
            others.remove(at: oldest)
        }
        let place = insertionIndex(of: member.member.node)
        others.insert(member, at: place)
        // Not before it was chosen: else the first exchange would have a newcomer call everybody.
        if others.count >= settings.fullMeshMax { others[place].isWanted = false }
        sessions.isStale = true
        return place
    }

    /// The node runs anew: whatever the older run was, it is dead now.
    mutating func startNewRun(
        _ index: Int, _ member: NodeBoot, address: Address, incarnation: UInt64, reason: String,
        now: Timestamp, into directives: inout [Directive]
    ) {
        let old = others[index]
        invariant(old.member.boot < member.boot, "\(member) is not newer than \(old.member)")
        if old.isPresent { changes.append(.dead(old.member, reason: reason)) }
        if old.isConnected {
            changes.append(.disconnected(old.member))
            directives.append(.disconnect(old.member))
        }
        var new = Member(
            member: member, address: address, status: .alive, incarnation: incarnation, now: now,
            dialAt: now, dialPause: settings.dialPauseMin)
        new.past.flaps = old.past.flaps
        // Going in good order and coming back is no flapping.
        if old.status != .left {
            let end = old.isPresent ? now : old.since
            new.past.noteReturn(aliveFor: end - old.aliveSince, settings, now: now)
        }
        others[index] = new
        others[index].isWanted = old.isWanted
        others[index].wantedUntil = old.wantedUntil
        sessions.isStale = true
        probes.removeAll { $0.target == old.member }
        pass(on: member.node)
    }

    // MARK: Status changes

    /// The member raised its incarnation: no suspicion and no death of before counts.
    private mutating func revive(_ index: Int, now: Timestamp) {
        let member = others[index].member
        switch others[index].status {
        case .alive:
            break
        case .suspect:
            changes.append(.recovered(member))
        case .dead, .left:
            let aliveFor = others[index].since - others[index].aliveSince
            others[index].past.noteReturn(aliveFor: aliveFor, settings, now: now)
            others[index].aliveSince = now
            others[index].disconnectAt = .never
            others[index].learned = now
            others[index].dial.reset(at: now, pause: settings.dialPauseMin)
            changes.append(.alive(member, others[index].address))
            // Over a connection that held: what was not told to the dead is told now.
            if others[index].isConnected { changes.append(.connected(member)) }
            joinRound(member.node)
        }
        let hasReturned = others[index].status >= .dead
        if hasReturned { sessions.isStale = true }
        if others[index].status != .alive { others[index].since = now }
        others[index].status = .alive
        others[index].suspicion = nil
        if hasReturned { noteReturn(of: member.node, now: now) }
    }

    /// Tells who was away if parts of the mesh had lost each other: the others, or this node and all
    /// that it still saw.
    ///
    /// The smaller part was; of equal ones, that without the lowest identity. Both sides come to the
    /// same answer by themselves, and agree on who is not used for a while.
    private mutating func noteReturn(of node: NodeID, now: Timestamp) {
        if let last = ownReturnedAt, now - last < settings.returnWindow {
            // Still the same return of ours.
            if let index = index(of: node) { others[index].past.forgiveReturn() }
            return
        }
        returns.removeAll { $0.node == node || now - $0.at >= settings.returnWindow }
        returns.append((node, now))
        let returned = returns.map(\.node).sorted()
        let stayed = others.indices.filter { index in
            others[index].isPresent && !returned.contains(others[index].member.node)
        }
        let part = stayed.map { others[$0].member.node } + [me.node]
        guard (returned.count, part.min() ?? node) > (part.count, returned[0]) else { return }
        noteOwnReturn(stayed, now: now)
    }

    /// This node and those that stayed with it were away, and not those that came back.
    private mutating func noteOwnReturn(_ stayed: [Int], now: Timestamp) {
        ownPast.noteReturn(aliveFor: now - (ownReturnedAt ?? startedAt), settings, now: now)
        ownReturnedAt = now
        for index in stayed where others[index].past.isStable {
            let aliveFor = now - others[index].aliveSince
            others[index].past.noteReturn(aliveFor: aliveFor, settings, now: now)
        }
        for item in returns {
            if let index = index(of: item.node) { others[index].past.forgiveReturn() }
        }
        returns = []
        changes.append(.returned)
    }

    /// Members whose time of probation is over may be used again.
    mutating func noteStable(now: Timestamp) {
        for index in others.indices
        where others[index].isPresent && !others[index].past.isStable
            && now >= others[index].past.stableAt
        {
            others[index].past.stableAt = .zero
            changes.append(.stable(others[index].member))
        }
        if !ownPast.isStable, now >= ownPast.stableAt {
            ownPast.stableAt = .zero
            changes.append(.stable(me))
        }
    }

    /// Somebody, perhaps this node, gets no answer from the member.
    mutating func accuse(
        _ member: NodeBoot, by accuser: NodeID, now: Timestamp, into directives: inout [Directive]
    ) {
        guard accuser != member.node, let index = index(of: member.node),
            others[index].member == member, others[index].isPresent
        else { return }
        var suspicion =
            others[index].suspicion
            ?? Suspicion(startedAt: now, accusers: [], deadline: .never)
        guard !suspicion.accusers.contains(accuser),
            suspicion.accusers.count < MembershipLimits.accusers
        else { return }
        suspicion.accusers.append(accuser)
        let patience = patience(with: suspicion.accusers.count)
        suspicion.deadline = min(
            suspicion.deadline, suspicion.startedAt + stretched(patience, for: others[index]))
        others[index].suspicion = suspicion
        if others[index].status == .alive {
            others[index].status = .suspect
            others[index].since = now
            changes.append(.suspected(member))
        }
        pass(on: member.node)
        let rumour = rumour(of: others[index], accuser: accuser)
        if accuser == me.node {
            broadcast([rumour], into: &directives)
            return
        }
        // The accused hears the charge at once, and we look for ourselves.
        if others[index].isConnected { tell([rumour], to: member, into: &directives) }
        if presentCount <= MembershipLimits.directlyTold, others[index].wasConnected {
            probe(member.node, now: now, into: &directives)
        }
    }

    /// How long so many independent accusers must wait (Lifeguard §IV-B, with K = 3): from the
    /// maximum down to the minimum by log(confirmations + 1) / log(K + 1), in thousandths.
    private func patience(with accusers: Int) -> TimeSpan {
        let shares: [Int64] = [0, 500, 792, 1_000]
        let share = shares[min(accusers, shares.count) - 1]
        let range = settings.suspicionMax - settings.suspicionMin
        let base = settings.suspicionMax - range * share / 1_000
        // Rumours take longer in large meshes: one more step for every six doublings.
        return base * Int64(1 + Self.logarithm(presentCount) / 7)
    }

    /// A time of a suspicion, longer for a member that is known to answer slowly.
    func stretched(_ span: TimeSpan, for member: Member) -> TimeSpan {
        let timeout = timeout(of: member)
        guard timeout > settings.steadyTimeout else { return span }
        return TimeSpan(
            nanoseconds: span.nanoseconds / 1_000
                * (timeout.nanoseconds * 1_000
                    / settings.steadyTimeout.nanoseconds))
    }

    /// Declares the members dead that did not refute in time.
    mutating func endSuspicions(now: Timestamp, into directives: inout [Directive]) {
        for index in others.indices {
            guard let suspicion = others[index].suspicion, now >= suspicion.deadline else {
                continue
            }
            let reason =
                suspicion.isProven
                ? "connection broke and was refused"
                : "no answer to \(suspicion.accusers.count) members"
            die(index, reason: reason, now: now, into: &directives)
        }
        for index in others.indices where now >= others[index].disconnectAt {
            others[index].disconnectAt = .never
            guard others[index].isConnected, !others[index].isPresent else { continue }
            others[index].isConnected = false
            changes.append(.disconnected(others[index].member))
            directives.append(.disconnect(others[index].member))
        }
    }

    private mutating func die(
        _ index: Int, reason: String, now: Timestamp, into directives: inout [Directive]
    ) {
        let isOwnJudgement = others[index].suspicion?.accusers.contains(me.node) ?? false
        let wasPresent = others[index].isPresent
        others[index].status = .dead
        others[index].suspicion = nil
        others[index].since = now
        sessions.isStale = true
        let member = others[index]
        if wasPresent { changes.append(.dead(member.member, reason: reason)) }
        probes.removeAll { $0.target == member.member }
        pass(on: member.member.node)
        let rumour = rumour(of: member)
        if isOwnJudgement { broadcast([rumour], into: &directives) }
        if member.isConnected {
            // If it lives after all, it hears of its death here and refutes.
            others[index].disconnectAt = now + settings.deadConnectionGrace
            tell([rumour], to: member.member, into: &directives)
        }
    }

    private mutating func leave(
        _ index: Int, now: Timestamp, into directives: inout [Directive]
    ) {
        others[index].status = .left
        others[index].suspicion = nil
        others[index].since = now
        sessions.isStale = true
        let member = others[index]
        changes.append(.left(member.member))
        probes.removeAll { $0.target == member.member }
        pass(on: member.member.node)
        guard member.isConnected else { return }
        others[index].isConnected = false
        changes.append(.disconnected(member.member))
        directives.append(.disconnect(member.member))
    }

    // MARK: Passing on

    /// The rumour of a node is new: it rides on the next datagrams.
    mutating func pass(on node: NodeID) {
        gossip.removeAll { $0.node == node }
        gossip.append(Gossip(node: node, sent: 0))
    }

    /// The rumours for one datagram: what the receiver must know of itself, then what was passed on
    /// least often.
    mutating func pack(for receiver: NodeBoot, limit: Int) -> [Rumour] {
        var rumours: [Rumour] = []
        // Lifeguard §IV-C, buddy: whoever is suspected hears it with the very next probe.
        if let known = known(receiver), known.status != .alive {
            rumours.append(rumour(of: known))
        }
        guard !gossip.isEmpty else { return rumours }
        let budget = retransmissions
        let chosen = gossip.indices.sorted {
            (gossip[$0].sent, $0) < (gossip[$1].sent, $1)
        }
        for place in chosen where rumours.count < limit {
            let node = gossip[place].node
            gossip[place].sent += 1
            guard node != receiver.node else { continue }
            if node == me.node {
                rumours.append(ownRumour)
            } else if let index = index(of: node) {
                let accusers = others[index].suspicion?.accusers ?? []
                let accuser =
                    accusers.isEmpty ? nil : accusers[gossip[place].sent % accusers.count]
                rumours.append(rumour(of: others[index], accuser: accuser))
            } else {
                gossip[place].sent = budget
            }
        }
        gossip.removeAll { $0.sent >= budget }
        return rumours
    }

    /// How often a rumour is passed on.
    private var retransmissions: Int {
        MembershipLimits.retransmitFactor * Self.logarithm(presentCount + 1)
    }

    /// Rumours that had their time are passed on no more, though they were sent less often.
    ///
    /// In as many protocol periods a rumour is everywhere (SWIM §4.1). When hundreds of nodes come at
    /// once there are more rumours than datagrams have room for, and those that wait would fill every
    /// datagram for minutes after everybody knows; whoever missed one finds out by comparing.
    mutating func ageRumours() {
        guard !gossip.isEmpty else { return }
        let budget = retransmissions
        for place in gossip.indices { gossip[place].periods += 1 }
        gossip.removeAll { $0.periods > budget }
    }

    /// The least number of bits that hold `count`: log2, rounded up for all but powers of two.
    static func logarithm(_ count: Int) -> Int { Int.bitWidth - count.leadingZeroBitCount }

    /// What this node says of itself.
    var ownRumour: Rumour {
        Rumour(
            member: me, address: address, status: hasLeft ? .left : .alive,
            incarnation: incarnation)
    }

    /// All that this node knows.
    var allRumours: [Rumour] { [ownRumour] + others.map { rumour(of: $0) } }

    func rumour(of member: Member, accuser: NodeID? = nil) -> Rumour {
        Rumour(
            member: member.member, address: member.address, status: member.status,
            incarnation: member.incarnation,
            accuser: member.status == .suspect
                ? accuser ?? member.suspicion?.accusers.first : nil)
    }

    /// Tells all connected members over their connections.
    mutating func broadcast(_ rumours: [Rumour], into directives: inout [Directive]) {
        // The dead too, while they are connected: a healed split refutes from both sides.
        var receivers = others.filter(\.isConnected).map(\.member)
        if receivers.count > MembershipLimits.directlyTold {
            generator.shuffle(&receivers)
            receivers.removeLast(receivers.count - MembershipLimits.directlyTold)
        }
        for receiver in receivers { tell(rumours, to: receiver, into: &directives) }
    }

    private func tell(
        _ rumours: [Rumour], to receiver: NodeBoot, into directives: inout [Directive]
    ) {
        directives.append(.send(.membership(.sync(rumours: rumours, isReply: true)), to: receiver))
    }

    /// Sends a datagram with as many rumours as fit, to where the receiver is known to listen.
    mutating func sendDatagram(
        to receiver: NodeBoot, about subject: NodeBoot? = nil, into directives: inout [Directive],
        _ make: ([Rumour]) -> MembershipMessage
    ) {
        guard let known = known(receiver) else { return }
        let rumours = pack(for: receiver, limit: MembershipLimits.rumoursPerDatagram)
        directives.append(.sendDatagram(make(rumours), to: receiver, at: known.address))
    }
}
