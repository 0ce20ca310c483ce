// Probes of our own, probes for others, and the probes of the dead (SWIM §3, Lifeguard §IV-A).

extension Membership {
    // MARK: Messages

    /// A member said something.
    ///
    /// Datagrams and messages over the connection come here alike.
    mutating func onReceived(
        _ message: MembershipMessage, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        begin(now: now, into: &directives)
        defer { end(now: now) }
        // A run that is not known has not connected yet, and an older one is dead: neither is heard.
        guard known(peer) != nil else { return }
        switch message {
        case .ping(let sequence, let rumours):
            apply(
                rumours, limit: MembershipLimits.rumoursPerShortSync, from: peer, now: now,
                into: &directives)
            sendDatagram(to: peer, into: &directives) { .ack(sequence: sequence, rumours: $0) }
        case .pingRequest(let sequence, let target, let address, let rumours):
            apply(
                rumours, limit: MembershipLimits.rumoursPerShortSync, from: peer, now: now,
                into: &directives)
            relay(
                sequence, of: peer, to: target, at: address, now: now, into: &directives)
        case .ack(let sequence, let rumours):
            apply(
                rumours, limit: MembershipLimits.rumoursPerShortSync, from: peer, now: now,
                into: &directives)
            onAck(sequence, from: peer, now: now, into: &directives)
        case .nack(let sequence):
            if let index = probes.firstIndex(where: { $0.sequence == sequence }) {
                probes[index].nacks += 1
            }
        case .part:
            onPart(peer, now: now, into: &directives)
        case .compare(let folds, let isReply):
            onCompare(folds, isReply: isReply, from: peer, into: &directives)
        case .sync(let rumours, let isReply):
            apply(
                rumours, limit: MembershipLimits.rumoursPerSync, from: peer, now: now,
                into: &directives)
            if isReply {
                // Whoever answers over the connection lives: that is as good as an `ack`.
                endProbe(now: now, into: &directives) { $0.target == peer && $0.isIndirect }
            } else {
                answerSync(of: rumours.count, to: peer, into: &directives)
            }
        }
    }

    private mutating func onAck(
        _ sequence: UInt64, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        if let probe = probes.first(where: { $0.sequence == sequence }), probe.target == peer,
            let index = index(of: peer.node)
        {
            others[index].roundTrips.insert(now - probe.startedAt)
        }
        endProbe(now: now, into: &directives) { $0.sequence == sequence }
        if let index = relays.firstIndex(where: { $0.sequence == sequence && $0.target == peer }) {
            let relay = relays.remove(at: index)
            sendDatagram(to: relay.requester, into: &directives) {
                .ack(sequence: relay.requesterSequence, rumours: $0)
            }
        }
    }

    private mutating func answerSync(
        of count: Int, to peer: NodeBoot, into directives: inout [Directive]
    ) {
        // An empty sync only asks whether we are here: its answer is short.
        let rumours =
            count > 1
            ? allRumours
            : [ownRumour] + pack(for: peer, limit: MembershipLimits.rumoursPerShortSync)
        directives.append(.send(.membership(.sync(rumours: rumours, isReply: true)), to: peer))
    }

    // MARK: Own probes

    mutating func probeOnTick(now: Timestamp, into directives: inout [Directive]) {
        guard now >= nextProbeAt else { return }
        nextProbeAt = now + scaled(settings.probePeriod)
        ageRumours()
        guard let target = nextTarget(now: now) else { return }
        probe(target, now: now, into: &directives)
    }

    /// Starts a probe of a member now, unless one is open already.
    mutating func probe(_ node: NodeID, now: Timestamp, into directives: inout [Directive]) {
        guard let index = index(of: node), others[index].isPresent, !hasLeft,
            probes.count < MembershipLimits.probes,
            !probes.contains(where: { $0.target.node == node })
        else { return }
        let target = others[index]
        let timeout = timeout(of: target)
        sequence += 1
        probes.append(
            Probe(
                target: target.member, sequence: sequence, startedAt: now,
                directEnds: now + scaled(timeout),
                ends: now + scaled(max(settings.probePeriod, timeout * 2))))
        let number = sequence
        sendDatagram(to: target.member, into: &directives) {
            .ping(sequence: number, rumours: $0)
        }
    }

    /// How long a direct probe of a member is given by a node that hears well.
    func timeout(of member: Member) -> TimeSpan {
        let worst = (member.roundTrips.slowest ?? .zero) * settings.roundTripFactor
        return min(max(worst, settings.probeTimeoutMin), settings.probeTimeoutMax)
    }

    /// The next member in the shuffled round (SWIM §4.3: bounded time to detection).
    private mutating func nextTarget(now: Timestamp) -> NodeID? {
        for _ in 0..<2 {
            while cursor < order.count {
                let node = order[cursor]
                cursor += 1
                if let index = index(of: node), isProbed(others[index], now: now) { return node }
            }
            order = others.filter { isProbed($0, now: now) }.map(\.member.node)
            generator.shuffle(&order)
            cursor = 0
        }
        return nil
    }

    private func isProbed(_ member: Member, now: Timestamp) -> Bool {
        member.isPresent
            && (member.wasConnected || now - member.learned >= settings.hearsayGrace)
    }

    /// Puts a new member at a random place of what is left of the round (SWIM §4.3).
    mutating func joinRound(_ node: NodeID) {
        guard !order[min(cursor, order.count)...].contains(node) else { return }
        order.insert(node, at: cursor + generator.next(below: order.count - cursor + 1))
    }

    /// Asks helpers where the direct time is over, and suspects where all time is over.
    mutating func endProbes(now: Timestamp, into directives: inout [Directive]) {
        for index in probes.indices where now >= probes[index].directEnds {
            probes[index].directEnds = .never
            // A wake that comes late must not cost the helpers their time.
            probes[index].ends = max(
                probes[index].ends, now + scaled(settings.probeTimeoutMin))
            let probe = probes[index]
            probes[index].nacksExpected = askHelpers(for: probe, into: &directives)
            if isConnected(probe.target) {
                directives.append(
                    .send(.membership(.sync(rumours: [], isReply: false)), to: probe.target))
            } else if sessions.isLarge, let target = known(probe.target) {
                directives.append(.connect(target.address))
            }
        }
        let failed = probes.filter { now >= $0.ends }
        probes.removeAll { now >= $0.ends }
        for probe in failed {
            // Missing nacks mean that we hear badly (Lifeguard §IV-A).
            let missing = max(0, probe.nacksExpected - probe.nacks)
            let penalty = probe.nacksExpected == 0 ? 1 : missing
            health = min(health + penalty, MembershipLimits.healthMax)
            accuse(probe.target, by: me.node, now: now, into: &directives)
        }
    }

    /// Asks up to three members to probe the target; returns how many were asked.
    private mutating func askHelpers(
        for probe: Probe, into directives: inout [Directive]
    ) -> Int {
        guard let target = known(probe.target) else { return 0 }
        var helpers = others.filter {
            $0.status == .alive && $0.isConnected && $0.member != probe.target
        }
        generator.shuffle(&helpers)
        for helper in helpers.prefix(settings.indirectProbes) {
            sendDatagram(to: helper.member, about: target.member, into: &directives) {
                .pingRequest(
                    sequence: probe.sequence, target: target.member, address: target.address,
                    rumours: $0)
            }
        }
        return min(helpers.count, settings.indirectProbes)
    }

    /// The probe was answered: the member lives, whatever else is said of it.
    mutating func endProbe(
        now: Timestamp, into directives: inout [Directive], where matches: (Probe) -> Bool
    ) {
        guard let place = probes.firstIndex(where: matches) else { return }
        let probe = probes.remove(at: place)
        health = max(health - 1, 0)
        guard let index = index(of: probe.target.node), others[index].member == probe.target,
            var suspicion = others[index].suspicion
        else { return }
        // Only the member itself ends a suspicion, but who just answered is given the time to.
        suspicion.isProven = false
        suspicion.deadline = max(
            suspicion.deadline, now + stretched(settings.suspicionMin, for: others[index]))
        others[index].suspicion = suspicion
    }

    /// A time that grows while this node hears badly (Lifeguard §IV-A).
    private func scaled(_ span: TimeSpan) -> TimeSpan { span * Int64(health + 1) }

    // MARK: Probes for others

    private mutating func relay(
        _ requesterSequence: UInt64, of requester: NodeBoot, to target: NodeBoot,
        at address: Address, now: Timestamp, into directives: inout [Directive]
    ) {
        if target == me {
            sendDatagram(to: requester, into: &directives) {
                .ack(sequence: requesterSequence, rumours: $0)
            }
            return
        }
        guard relays.count < MembershipLimits.relays else { return }
        sequence += 1
        let number = sequence
        relays.append(
            Relay(
                requester: requester, requesterSequence: requesterSequence, target: target,
                sequence: number, nackAt: now + settings.probeTimeoutMin * 4 / 5,
                ends: now + settings.probeTimeoutMax))
        let rumours = pack(for: target, limit: MembershipLimits.rumoursPerDatagram)
        directives.append(
            .sendDatagram(
                .ping(sequence: number, rumours: rumours), to: target,
                at: known(target)?.address ?? address))
    }

    mutating func endRelays(now: Timestamp, into directives: inout [Directive]) {
        for index in relays.indices where now >= relays[index].nackAt {
            relays[index].nackAt = .never
            let relay = relays[index]
            guard let requester = known(relay.requester) else { continue }
            directives.append(
                .sendDatagram(
                    .nack(sequence: relay.requesterSequence), to: relay.requester,
                    at: requester.address))
        }
        relays.removeAll { now >= $0.ends }
    }

    // MARK: Ticks

    /// Exchanges all that is known with a random member, so that no rumour is lost for good.
    mutating func syncOnTick(now: Timestamp, into directives: inout [Directive]) {
        guard now >= nextSyncAt else { return }
        nextSyncAt = now + settings.syncPeriod
        guard let peer = generator.pick(others.filter { $0.isConnected && $0.isPresent }) else {
            return
        }
        if comparesFolds {
            return compare(with: peer.member, isReply: false, into: &directives)
        }
        directives.append(
            .send(.membership(.sync(rumours: allRumours, isReply: false)), to: peer.member))
    }

    /// Knocks at one dead member after the other, so that a healed split finds itself; forgets those
    /// that are dead or gone for long.
    mutating func probeDeadOnTick(now: Timestamp, into directives: inout [Directive]) {
        guard now >= nextDeadProbeAt else { return }
        nextDeadProbeAt = now + settings.deadProbePeriod
        others.removeAll { !$0.isPresent && now - $0.since > settings.deadRemembered }
        let dead = others.filter { $0.status == .dead && !$0.isConnected }
        let last = lastDeadProbed
        let following = dead.first { member in last.map { $0 < member.member.node } ?? true }
        guard let target = following ?? dead.first else { return }
        lastDeadProbed = target.member.node
        directives.append(.connect(target.address))
        sequence += 1
        let number = sequence
        sendDatagram(to: target.member, into: &directives) {
            .ping(sequence: number, rumours: $0)
        }
    }
}
