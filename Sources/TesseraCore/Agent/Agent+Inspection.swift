// What checkers look at: nothing here is for the shell of a real agent.

/// What is reserved at one node for one decision, and what is used of it.
package struct ReservationUse: Hashable, Sendable {
    /// The decision.
    package var ballot: Ballot
    /// How many attempts it lets into flight.
    package var window: Int
    /// Attempts open here, or tickets handed out here.
    package var used: Int

    /// Makes a figure.
    package init(ballot: Ballot, window: Int, used: Int) {
        self.ballot = ballot
        self.window = window
        self.used = used
    }
}

/// One node's part in the agreement on one model.
package struct AgreementSight: Hashable, Sendable {
    /// The highest ballot that this run promised to.
    package var promised: Ballot?
    /// The highest ballot that this run accepted, with its plan.
    package var accepted: BallotPlan?
    /// The decided plan that this node follows.
    package var current: BallotPlan?
    /// The round that this node leads, if any.
    package var round: Ballot?
    /// The nodes that the round asks to vote.
    package var view: [NodeBoot]
    /// The round's proposal, once its hosts were all ready and acceptances are asked for.
    package var accepting: NamedPlan?
}

/// How one node sees another one.
package struct MemberSight: Hashable, Sendable {
    /// The node and its newest known run.
    package var member: NodeBoot
    /// How it is seen.
    package var status: MemberStatus
    /// The number that only the member raises.
    package var incarnation: UInt64

    /// Makes a sight.
    package init(member: NodeBoot, status: MemberStatus, incarnation: UInt64) {
        self.member = member
        self.status = status
        self.incarnation = incarnation
    }
}

extension Agent {
    /// Shows the agent as it stands.
    ///
    /// In and out, so that whoever keeps an agent in a property of a class has it looked at in its
    /// place: a copy for each look takes longer than most events.
    package mutating func inspect<Value, Failure: Error>(
        _ look: (inout Agent) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try look(&self)
    }

    /// The model and the tensor of a slice, if this node knows its plan.
    package func tensor(of header: SliceHeader) -> (manifest: ManifestID, tensor: Int)? {
        let plan = header.attempt.plan
        guard let layout = host.layout(ofReady: plan) ?? layouts[plan],
            layout.plan.routes.indices.contains(header.route)
        else { return nil }
        return (layout.plan.manifest, layout.plan.routes[header.route].tensor)
    }

    /// Attempts that are open at this host, by decision, ascending.
    package var openAttempts: [ReservationUse] { attempts.uses }
    /// Tickets that this gate has handed out, by decision, ascending.
    package var ticketsOut: [ReservationUse] { gate.uses }
    /// Whether no request, attempt or engine run is under way here.
    package var isIdle: Bool { requests.openCount == 0 && attempts.isIdle }
    /// Attempts that this entry has in flight, by plan: each plan has a gate of its own, and what is
    /// tried a second time elsewhere has a ticket there too.
    package var attemptsInFlight: [ReservationUse] {
        var uses: [PlanID: ReservationUse] = [:]
        for attempt in requests.requests.values.flatMap(\.running) {
            let plan = attempt.layout.plan
            uses[
                attempt.id.plan,
                default: ReservationUse(ballot: plan.ballot, window: plan.window, used: 0)
            ].used += 1
        }
        return uses.sorted { $0.key < $1.key }.map(\.value)
    }
    /// Requests that were accepted here and not answered yet.
    package var openRequests: Int { requests.openCount }

    /// The plans that this host holds, ready or not, ascending.
    package var heldPlans: [NamedPlan] { host.heldNamed }
    /// Whether every fragment that a plan gives this host is compiled.
    package func isReady(_ plan: PlanID) -> Bool { host.layout(ofReady: plan) != nil }
    /// The plans whose fragments here are all compiled, ascending.
    package var readyPlans: [PlanID] { host.heldPlans.filter { isReady($0) } }
    /// Bytes that fragments reserve here.
    package var reservedBytes: Int { host.reservedBytes }
    /// Whether an attempt is open here under a plan that is not held.
    package var hasOrphanedAttempts: Bool {
        !attempts.isIdle && attempts.plansInUse.contains { !host.holds($0) }
    }

    /// This node's part in the agreement on a model; nil if it has none.
    package func agreementSight(_ manifest: ManifestID) -> AgreementSight? {
        guard let model = agreement.models[manifest] else { return nil }
        var accepting: NamedPlan?
        if case .accepting(let bundle) = model.round?.phase { accepting = bundle.primary }
        return AgreementSight(
            promised: model.register.promised, accepted: model.register.accepted,
            current: model.register.currentBallotPlan, round: model.round?.ballot,
            view: model.round?.view ?? [], accepting: accepting)
    }

    /// The decided plan that this node follows.
    package func currentPlan(_ manifest: ManifestID) -> NamedPlan? {
        agreement.current(manifest)?.primary
    }

    /// Whether this node is on its way out of the mesh.
    package var isLeaving: Bool { leaving != nil }

    /// Whether the catalogue names a model here.
    package func names(_ manifest: ManifestID) -> Bool {
        mesh.catalogue.models.contains { $0.manifest == manifest }
    }

    /// The number that this node raises to contradict what is said of it.
    package var incarnation: UInt64 { membership.incarnation }

    /// How this node sees another one; nil if it never heard of it.
    package func sight(of node: NodeID) -> MemberSight? {
        membership.index(of: node).map { index in
            let member = membership.others[index]
            return MemberSight(
                member: member.member, status: member.status, incarnation: member.incarnation)
        }
    }

    /// Members that are alive and connected, this node included, ascending.
    package var aliveMembers: [NodeBoot] {
        membership.members.filter { $0.status == .alive && $0.isConnected }.map(\.member)
    }

    /// How many other members are seen alive, connected or not.
    package var aliveCount: Int { membership.others.count { $0.status == .alive } }

    #if DEBUG
    /// Plants a bug: every ballot of this agent names this proposer, so that an epoch is a round.
    package mutating func plantProposer(_ proposer: NodeBoot) {
        agreement.plantedProposer = proposer
    }
    #endif
}
