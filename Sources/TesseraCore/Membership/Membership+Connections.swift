// Connections: whom to dial and when, and what a broken or refused connection says.

extension Membership {
    /// Discovery proposes an address.
    ///
    /// It is dialled at a limited rate; nothing else follows from it.
    mutating func onDiscovered(
        _ address: Address, now: Timestamp, into directives: inout [Directive]
    ) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        guard !hasLeft, !ownAddresses.contains(address),
            !candidates.contains(where: { $0.address == address }), !isKnown(address)
        else { return }
        guard candidates.count < MembershipLimits.candidates else {
            directives.append(.report(.limit("discovered addresses", count: candidates.count)))
            return
        }
        candidates.append(
            Candidate(address: address, dial: Dial(at: now, pause: settings.deadProbePeriod)))
        dialCandidates(now: now, into: &directives)
    }

    /// The control connection to a run is up, and the run is authenticated.
    mutating func onConnected(
        _ peer: NodeBoot, address: Address, now: Timestamp, into directives: inout [Directive]
    ) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        candidates.removeAll { $0.address == address }
        if peer.node == me.node {
            // Our own address by another name, or a copy of our data folder: never again.
            if ownAddresses.count < MembershipLimits.ownAddresses { ownAddresses.append(address) }
            return
        }
        endDials(to: address, butOf: peer.node, now: now)
        guard let index = meet(peer, address: address, now: now, into: &directives) else {
            directives.append(.disconnect(peer))
            return
        }
        let wasConnected = others[index].isConnected
        others[index].isConnected = true
        others[index].wasConnected = true
        others[index].address = address
        others[index].disconnectedAt = nil
        others[index].partAskedAt = nil
        others[index].dial.reset(at: .never, pause: settings.dialPauseMin)
        if !others[index].isPresent {
            others[index].disconnectAt = now + settings.deadConnectionGrace
        }
        if !wasConnected { changes.append(.connected(peer)) }
        // Whoever takes a call lives: datagrams may be what does not pass.
        endProbe(now: now, into: &directives) { $0.target == peer && $0.isIndirect }
        // Both ends do this, so no answer is needed. It tells a suspect or dead member so.
        let rumours = comparesFolds ? [ownRumour, rumour(of: others[index])] : allRumours
        directives.append(.send(.membership(.sync(rumours: rumours, isReply: true)), to: peer))
        if comparesFolds { compare(with: peer, isReply: false, into: &directives) }
    }

    /// Finds the member's place, or makes one; nil if the run is an old one or there is no room.
    private mutating func meet(
        _ peer: NodeBoot, address: Address, now: Timestamp, into directives: inout [Directive]
    ) -> Int? {
        guard let index = index(of: peer.node) else {
            let member = Member(
                member: peer, address: address, status: .alive, incarnation: 0, now: now,
                dialAt: .never, dialPause: settings.dialPauseMin)
            guard let index = insert(member, into: &directives) else { return nil }
            changes.append(.alive(peer, address))
            pass(on: peer.node)
            joinRound(peer.node)
            return index
        }
        let known = others[index].member
        if peer.boot == known.boot { return index }
        guard peer.boot > known.boot else { return nil }
        startNewRun(
            index, peer, address: address, incarnation: 0, reason: "it runs anew", now: now,
            into: &directives)
        changes.append(.alive(peer, address))
        joinRound(peer.node)
        broadcast([rumour(of: others[index])], into: &directives)
        return index
    }

    /// A connection to a run broke or timed out: an accusation, and a redial at once.
    mutating func onDisconnected(
        _ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        guard let index = index(of: peer.node), others[index].member == peer,
            others[index].isConnected
        else { return }
        if hasAskedToPart(others[index], now: now) { return part(index) }
        others[index].isConnected = false
        others[index].disconnectedAt = now
        others[index].disconnectAt = .never
        changes.append(.disconnected(peer))
        guard others[index].isPresent, !hasLeft else { return }
        others[index].dial.reset(at: now, pause: settings.dialPauseMin)
        dial(index, now: now, into: &directives)
        if now >= blamesNobodyUntil {
            accuse(peer, by: me.node, now: now, into: &directives)
        }
        probe(peer.node, now: now, into: &directives)
    }

    /// Nobody answers at the address.
    mutating func onUnreachable(
        _ address: Address, now: Timestamp, into directives: inout [Directive]
    ) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        failCandidates(now: now) { $0.address == address }
        for index in others.indices
        where others[index].address == address && others[index].dial.patienceEnds != nil {
            others[index].dial.fail(now: now, pauseMax: settings.dialPauseMax)
            noteRefusal(index, now: now)
        }
    }

    /// A refused redial right after the connection broke: the process is gone.
    private mutating func noteRefusal(_ index: Int, now: Timestamp) {
        guard let broke = others[index].disconnectedAt, now - broke <= settings.refusedWindow,
            var suspicion = others[index].suspicion, !suspicion.isProven
        else { return }
        suspicion.isProven = true
        suspicion.deadline = min(suspicion.deadline, now + settings.refusedSuspicion)
        others[index].suspicion = suspicion
        // The probe that began when the connection broke asks others at once: if one of them gets
        // an answer, the proof is void.
        for place in probes.indices
        where probes[place].target == others[index].member && !probes[place].isIndirect {
            probes[place].directEnds = now
        }
    }

    /// Another node says that it cannot reach a member: one more accuser, no more.
    mutating func onTold(
        unreachable member: NodeBoot, by accuser: NodeID, now: Timestamp,
        into directives: inout [Directive]
    ) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        // That nobody can reach us from there is no reason to raise our number: the suspicion that
        // follows from it is.
        guard member != me else { return }
        accuse(member, by: accuser, now: now, into: &directives)
    }

    // MARK: Dialling

    /// Every member that takes part should have a connection; in a large mesh, every one that is
    /// wanted.
    mutating func dialMembers(now: Timestamp, into directives: inout [Directive]) {
        for index in others.indices
        where others[index].isPresent && !others[index].isConnected && others[index].isWanted {
            if let end = others[index].dial.patienceEnds, now >= end {
                others[index].dial.fail(now: now, pauseMax: settings.dialPauseMax)
            }
            if now >= others[index].dial.at { dial(index, now: now, into: &directives) }
        }
    }

    private mutating func dial(
        _ index: Int, now: Timestamp, into directives: inout [Directive]
    ) {
        others[index].dial.begin(now: now)
        directives.append(.connect(others[index].address))
    }

    /// Another node answered at the address: attempts to find somebody else there are over.
    private mutating func endDials(to address: Address, butOf node: NodeID, now: Timestamp) {
        for index in others.indices
        where others[index].address == address && others[index].member.node != node
            && others[index].dial.patienceEnds != nil
        {
            others[index].dial.fail(now: now, pauseMax: settings.dialPauseMax)
            noteRefusal(index, now: now)
        }
    }

    /// Dials one discovered address if it is time for one.
    mutating func dialCandidates(now: Timestamp, into directives: inout [Directive]) {
        failCandidates(now: now) { $0.dial.patienceEnds.map { now >= $0 } ?? false }
        guard now >= nextCandidateAt, !candidates.isEmpty else { return }
        if sessions.isLarge {
            // A few nodes of a large mesh tell of all the others.
            let known = Set(
                others.indices.filter { others[$0].isPresent }.map { others[$0].address })
            candidates.removeAll { $0.attempts == 0 && known.contains($0.address) }
        }
        guard
            let place = candidates.firstIndex(where: { now >= $0.dial.at })
        else { return }
        nextCandidateAt = now + settings.discoveryDialPeriod
        candidates[place].dial.begin(now: now)
        candidates[place].attempts += 1
        directives.append(.connect(candidates[place].address))
    }

    private func isKnown(_ address: Address) -> Bool {
        others.indices.contains { others[$0].isPresent && others[$0].address == address }
    }

    private mutating func failCandidates(now: Timestamp, where matches: (Candidate) -> Bool) {
        for place in candidates.indices
        where candidates[place].dial.patienceEnds != nil && matches(candidates[place]) {
            candidates[place].dial.fail(now: now, pauseMax: settings.dialPauseMax * 8)
        }
        candidates.removeAll {
            $0.dial.patienceEnds == nil && $0.attempts >= MembershipLimits.candidateAttempts
        }
    }
}
