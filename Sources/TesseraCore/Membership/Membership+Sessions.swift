// Whom a node keeps a session with when the mesh is too large for one with everybody.

/// Which sessions a node of a large mesh wants.
struct SessionWishes {
    /// Whether the mesh is so large that nobody keeps sessions with everybody.
    var isLarge = false
    /// Members whom plans need here, ascending.
    var needed: [NodeID] = []
    /// Who is there, or what is needed, changed since the last choice.
    var isStale = true
    /// When the choice is made anew, if it is stale.
    var nextChoiceAt = Timestamp.zero
    /// When sessions that nobody wants are looked at.
    var nextPartingAt = Timestamp.zero
}

extension Membership {
    /// Whether sessions are kept with some members only.
    var keepsSomeSessions: Bool { sessions.isLarge }

    /// Plans need sessions with these nodes, ascending, and with no others.
    mutating func need(_ nodes: [NodeID], now: Timestamp) {
        guard sessions.needed != nodes else { return }
        sessions.needed = nodes
        sessions.isStale = true
        sessions.nextChoiceAt = min(sessions.nextChoiceAt, now)
        end(now: now)
    }

    /// A session with this node is wanted now and for a while: it is dialled if there is none.
    mutating func use(_ node: NodeID, now: Timestamp) {
        guard let index = index(of: node) else { return }
        let until = now + settings.sessionKept
        others[index].wantedUntil = max(others[index].wantedUntil, until)
        guard sessions.isLarge, !others[index].isWanted else { return }
        others[index].isWanted = true
        if others[index].isPresent, !others[index].isConnected,
            others[index].dial.patienceEnds == nil
        {
            others[index].dial.reset(at: now, pause: settings.dialPauseMin)
        }
        end(now: now)
    }

    /// Chooses anew whom to keep sessions with, if something changed.
    mutating func chooseSessions(now: Timestamp, into directives: inout [Directive]) {
        guard sessions.isStale, now >= sessions.nextChoiceAt else { return }
        sessions.isStale = false
        sessions.nextChoiceAt = now + MembershipLimits.choicePause
        let present = others.indices.filter { others[$0].isPresent }
        let most = settings.fullMeshMax
        sessions.isLarge = present.count >= (sessions.isLarge ? most - most / 4 : most)
        guard sessions.isLarge else {
            for index in others.indices { others[index].isWanted = true }
            return
        }
        for index in others.indices {
            others[index].isWanted = others[index].wantedUntil > now
        }
        for node in sessions.needed {
            if let index = index(of: node) { others[index].isWanted = true }
        }
        for index in neighbours(among: present) { others[index].isWanted = true }
        for index in present where !others[index].wasConnected && !others[index].isHeard {
            others[index].isHeard = true
            directives.append(.hear(others[index].member))
        }
    }

    /// The members next to this one by identity, so that no part of the mesh is left alone, and some
    /// that lie as if drawn by lot, so that news is everywhere after a few steps.
    ///
    /// Both ends of a pair see the same lot, and the choice changes little when members come and go.
    private func neighbours(among present: [Int]) -> [Int] {
        guard let first = present.first, let last = present.last else { return [] }
        let next = present.first { others[$0].member.node > me.node } ?? first
        let previous = present.last { others[$0].member.node < me.node } ?? last
        var nearest: [(lot: UInt64, index: Int)] = []
        for index in present {
            let lot = TableFolds.mixed(others[index].member.node.words.0 ^ me.node.words.0)
            if nearest.count == MembershipLimits.neighbours {
                guard let worst = nearest.last, lot < worst.lot else { continue }
                nearest.removeLast()
            }
            nearest.insert((lot, index), at: nearest.firstIndex { $0.lot > lot } ?? nearest.count)
        }
        return [next, previous] + nearest.map(\.index)
    }

    /// Asks members to part whose sessions nobody here wants, the least recently used ones first, if
    /// there are more sessions than are kept.
    mutating func partOnTick(now: Timestamp, into directives: inout [Directive]) {
        guard sessions.isLarge, now >= sessions.nextPartingAt else { return }
        sessions.nextPartingAt = now + settings.syncPeriod
        let open = others.indices.filter { others[$0].isConnected && others[$0].isPresent }
        guard open.count > MembershipLimits.sessionsKept else { return }
        for index in open where others[index].isWanted {
            let isOver =
                others[index].wantedUntil != .zero && others[index].wantedUntil <= now
            if isOver {
                others[index].wantedUntil = .zero
                sessions.isStale = true
            }
        }
        let idle = open.filter { index in
            !others[index].isWanted
                && others[index].partAskedAt.map { now - $0 > settings.sessionKept } ?? true
        }.sorted { others[$0].wantedUntil < others[$1].wantedUntil }
        for index in idle.prefix(open.count - MembershipLimits.sessionsKept) {
            others[index].partAskedAt = now
            directives.append(.send(.membership(.part), to: others[index].member))
        }
    }

    /// A peer does without the session: it ends here, unless it is wanted here.
    mutating func onPart(
        _ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        guard sessions.isLarge, let index = index(of: peer.node), others[index].member == peer,
            others[index].isConnected, others[index].isPresent, !others[index].isWanted,
            others[index].wantedUntil <= now
        else { return }
        part(index)
        directives.append(.disconnect(peer))
    }

    /// Whether a session that broke is one that this node asked to end.
    func hasAskedToPart(_ member: Member, now: Timestamp) -> Bool {
        member.partAskedAt.map { now - $0 <= MembershipLimits.partingSpan } ?? false
    }

    /// The session with a member is over, and nobody is to blame.
    mutating func part(_ index: Int) {
        others[index].isConnected = false
        others[index].partAskedAt = nil
        others[index].disconnectedAt = nil
        others[index].dial.reset(at: .zero, pause: settings.dialPauseMin)
        changes.append(.parted(others[index].member))
    }
}
