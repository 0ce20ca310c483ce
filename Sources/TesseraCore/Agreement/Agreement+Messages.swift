extension Agreement {
    /// A peer (or this node itself) says something about a model's plan.
    mutating func onReceived(
        _ message: AgreementMessage, from sender: NodeBoot, _ view: View, now: Timestamp,
        into directives: inout [Directive]
    ) {
        switch message {
        case .prepare(let manifest, let ballot, let members):
            onPrepare(
                manifest, ballot, members, from: sender, view, now: now, into: &directives)
        case .stage(let manifest, let ballot, let bundle):
            onStage(manifest, ballot, bundle, from: sender, view, now: now, into: &directives)
        case .accept(let manifest, let ballot, let bundle, let members):
            onAccept(manifest, ballot, bundle, members, from: sender, view, into: &directives)
        case .decided(let manifest, let ballot, let bundle, let isFresh):
            // Nobody counts votes on what is decided, so there is nobody to refuse it to.
            guard isOf(ballot, bundle) else { return }
            // News from a node that is held dead waited on a link that was cut: it was decided in
            // another part of the mesh, however new it was there.
            let isFresh = isFresh && !view.isDead(sender)
            if !isFresh, tellSuccessor(of: bundle, to: sender, into: &directives) { return }
            onDecided(manifest, bundle, isFresh: isFresh, view, now: now, into: &directives)
        case .abandon(let manifest, let ballot):
            onAbandon(manifest, ballot)
        case .promise(let manifest, let ballot, _, let current):
            if let current { observe(manifest, current.ballot) }
            onVote(manifest, ballot, from: sender, view, now: now, into: &directives) {
                if case .preparing = $0 { true } else { false }
            }
        case .accepted(let manifest, let ballot):
            onVote(manifest, ballot, from: sender, view, now: now, into: &directives) {
                if case .accepting = $0 { true } else { false }
            }
        case .ready(let manifest, let ballot, let plan):
            onReady(manifest, ballot, plan, from: sender, view, now: now, into: &directives)
        case .cannot(let manifest, let ballot, let plan, let reason):
            onCannot(manifest, ballot, plan, reason, from: sender, now: now, into: &directives)
        case .refuse(let manifest, let ballot, let reason):
            onRefuse(manifest, ballot, reason, from: sender, now: now, into: &directives)
        }
    }
}

// MARK: The acceptor's side

extension Agreement {
    private mutating func onPrepare(
        _ manifest: ManifestID, _ ballot: Ballot, _ members: [NodeBoot], from sender: NodeBoot,
        _ view: View, now: Timestamp, into directives: inout [Directive]
    ) {
        var model = models[manifest] ?? Model()
        defer { models[manifest] = model }
        let verdict: PlanRegister.Verdict =
            view.outline == nil
            ? .no(.unknownModel)
            : model.register.onPrepare(ballot, view: members, me: me, isDead: view.isDead)
        switch verdict {
        case .yes:
            if sender != me {
                model.yielding = (sender, now + Self.yieldTime)
                model.proposed = (ballot, Look(view), members)
            }
            directives.append(
                .send(
                    .agreement(
                        .promise(
                            manifest: manifest, ballot: ballot, accepted: model.register.accepted,
                            current: model.register.currentBallotPlan)), to: sender))
        case .no(let reason):
            refuse(manifest, ballot, reason, to: sender, into: &directives)
        }
    }

    private mutating func onStage(
        _ manifest: ManifestID, _ ballot: Ballot, _ bundle: PlanBundle, from sender: NodeBoot,
        _ view: View, now: Timestamp, into directives: inout [Directive]
    ) {
        var model = models[manifest] ?? Model()
        defer { models[manifest] = model }
        guard let outline = view.outline else {
            return refuse(manifest, ballot, .unknownModel, to: sender, into: &directives)
        }
        guard isOf(ballot, bundle),
            bundle.all.allSatisfy({ PlanCheck.isValid($0.plan, outline: outline) })
        else {
            return refuse(manifest, ballot, .invalidPlan, to: sender, into: &directives)
        }
        if case .no(let reason) = model.register.onStage(ballot) {
            return refuse(manifest, ballot, reason, to: sender, into: &directives)
        }
        if sender != me { model.lease = (bundle, now + FragmentHost.lease) }
        changes.append(.stage(bundle, by: sender))
    }

    private mutating func onAccept(
        _ manifest: ManifestID, _ ballot: Ballot, _ bundle: PlanBundle, _ members: [NodeBoot],
        from sender: NodeBoot, _ view: View, into directives: inout [Directive]
    ) {
        var model = models[manifest] ?? Model()
        defer { models[manifest] = model }
        guard let outline = view.outline else {
            return refuse(manifest, ballot, .unknownModel, to: sender, into: &directives)
        }
        guard isOf(ballot, bundle), PlanCheck.isValid(bundle.primary.plan, outline: outline)
        else {
            return refuse(manifest, ballot, .invalidPlan, to: sender, into: &directives)
        }
        if let worse = clearlyWorse(bundle, model, outline, view) {
            return refuse(manifest, ballot, worse, to: sender, into: &directives)
        }
        let verdict = model.register.onAccept(
            ballot, bundle.primary.id, view: members, me: me)
        switch verdict {
        case .yes:
            directives.append(
                .send(.agreement(.accepted(manifest: manifest, ballot: ballot)), to: sender))
        case .no(let reason):
            refuse(manifest, ballot, reason, to: sender, into: &directives)
        }
    }

    /// Whether every plan of a bundle carries the ballot that the round is about.
    ///
    /// The register orders decisions by the ballot in the plan and votes by that of the message:
    /// were they two, a vote could count for a plan whose ballot nobody promised.
    private func isOf(_ ballot: Ballot, _ bundle: PlanBundle) -> Bool {
        bundle.all.allSatisfy { $0.plan.ballot == ballot }
    }

    /// An acceptor never plans; it refuses only what is clearly worse, on its own records, than a
    /// current plan that still serves.
    private func clearlyWorse(
        _ bundle: PlanBundle, _ model: Model, _ outline: ModelOutline, _ view: View
    ) -> AgreementRefusal? {
        guard let current = model.register.current, !model.hasConflict,
            // The operator's wish may be a slower plan than the one that runs.
            !wishesForPlan(view.settings),
            current.primary.plan.hosts.allSatisfy({ view.pool.contains($0) })
        else { return nil }
        let problem = view.problem(outline, bundle.primary.plan.ballot, current)
        guard
            let now = PlanEvaluation.evaluate(current.primary.plan, problem)?.periodMicroseconds,
            let then = PlanEvaluation.evaluate(bundle.primary.plan, problem)?.periodMicroseconds,
            then * 4 > now * 5
        else { return nil }
        return .worse(currentPeriodMicroseconds: now, proposedPeriodMicroseconds: then)
    }

    /// Whether the operator asked for something that a plan is chosen by: what packing may change
    /// makes none slower.
    private func wishesForPlan(_ settings: ModelSettings) -> Bool {
        var settings = settings
        settings.codecs = nil
        return settings != ModelSettings()
    }

    private mutating func onDecided(
        _ manifest: ManifestID, _ bundle: PlanBundle, isFresh: Bool, _ view: View, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard bundle.primary.plan.manifest == manifest else { return }
        var model = models[manifest] ?? Model()
        defer { models[manifest] = model }
        var hasGivenWay = false
        if !isFresh, !view.isOutside, let current = model.register.current,
            current.primary.plan.hosts.allSatisfy({ view.usable.contains($0) })
        {
            // Two decisions met. Nobody switches by epoch alone: the merged pool decides.
            model.register.observe(bundle.primary.plan.ballot)
            guard current.primary.id != bundle.primary.id else { return }
            model.noteRival(bundle.primary.plan)
            let since = model.conflictSince ?? now
            model.conflictSince = since
            // What both plans hold may leave no room for a common one: then the lower one gives way.
            guard now - since >= Self.mergePatience, model.lease == nil,
                current.primary.plan.ballot < bundle.primary.plan.ballot
            else { return }
            hasGivenWay = true
        }
        let former = model.register.current?.primary.plan.ballot
        let hasConflict = model.hasConflict
        let couldServe =
            model.register.current?.primary.plan.hosts.allSatisfy { view.pool.contains($0) }
            ?? false
        let tookPart = model.register.promised == bundle.primary.plan.ballot
        guard model.register.onDecided(bundle) else { return }
        if couldServe {
            model.settlesUntil = now + (hasConflict ? Self.mergedSpan : Self.improvedSpan)
        }
        if isFresh || hasGivenWay { model.conflictSince = nil }
        model.noteSuccession(
            of: isFresh ? former : nil, by: bundle.primary.plan.ballot, seen: view.voters)
        model.lease = nil
        model.yielding = nil
        model.need = nil
        model.impossible = nil
        model.takesFlapping = false
        model.failures = 0
        model.forgetRefusals()
        model.betterLooks = 0
        if let proposed = model.proposed, proposed.ballot == bundle.primary.plan.ballot {
            // The plan was made for it: only what changed since is a reason for another one.
            model.considered = proposed.look
        } else {
            model.considered.pool = view.pool
            if model.considered.speeds.isEmpty { model.considered.speeds = view.speeds }
        }
        model.consideredAt = now
        if model.consideredSettings == nil { model.consideredSettings = view.settings }
        if let planned = model.plannedSettings, planned.ballot == bundle.primary.plan.ballot {
            model.consideredSettings = planned.settings
        }
        if !tookPart, !bundle.primary.plan.hosts.allSatisfy({ view.usable.contains($0) }) {
            // Told by a peer that this node just met: it meets the plan's other hosts next. Who
            // has known them all along repairs the plan if they are lost indeed.
            model.notBefore = max(model.notBefore, now + Self.meetingSpan)
        }
        if let round = model.round, round.ballot != bundle.primary.plan.ballot {
            fail(
                &model, manifest, "another proposal was decided", now: now, backOff: false,
                into: &directives)
        }
        directives.append(
            .report(.decided(manifest, bundle.primary.id, bundle.primary.plan)))
        changes.append(.decided(bundle))
    }

    /// A peer that follows what this node followed before is told what came after it; true if so.
    private func tellSuccessor(
        of bundle: PlanBundle, to peer: NodeBoot, into directives: inout [Directive]
    ) -> Bool {
        let manifest = bundle.primary.plan.manifest
        guard models[manifest]?.formerBallots.contains(bundle.primary.plan.ballot) == true else {
            return false
        }
        tellCurrent(manifest, to: peer, follower: bundle.primary.plan.ballot, into: &directives)
        return true
    }

    /// Tells a peer that follows an older decision, or none, the one that this node follows: as
    /// what came after the older one if it did, else as that of another part of the mesh.
    func tellCurrent(
        _ manifest: ManifestID, to peer: NodeBoot, follower followed: Ballot?,
        into directives: inout [Directive]
    ) {
        guard let model = models[manifest], let current = model.register.current else { return }
        let isFresh = followed.map { model.formerBallots.contains($0) } ?? false
        directives.append(
            .send(
                .agreement(
                    .decided(
                        manifest: manifest, ballot: current.primary.plan.ballot, bundle: current,
                        isFresh: isFresh)), to: peer))
    }

    private mutating func onAbandon(_ manifest: ManifestID, _ ballot: Ballot) {
        if models[manifest]?.yielding?.to == ballot.proposer { models[manifest]?.yielding = nil }
        if models[manifest]?.lease?.bundle.primary.plan.ballot == ballot {
            models[manifest]?.lease = nil
        }
        changes.append(.abandoned(manifest, ballot))
    }

    private func refuse(
        _ manifest: ManifestID, _ ballot: Ballot, _ reason: AgreementRefusal, to sender: NodeBoot,
        into directives: inout [Directive]
    ) {
        directives.append(
            .send(
                .agreement(.refuse(manifest: manifest, ballot: ballot, reason: reason)), to: sender)
        )
    }
}

// MARK: Answers to the proposer

extension Agreement {
    private mutating func observe(_ manifest: ManifestID, _ ballot: Ballot) {
        models[manifest]?.register.observe(ballot)
    }

    private mutating func onVote(
        _ manifest: ManifestID, _ ballot: Ballot, from sender: NodeBoot, _ view: View,
        now: Timestamp, into directives: inout [Directive],
        belongsTo isPhase: (PlanRound.Phase) -> Bool
    ) {
        guard let round = models[manifest]?.round, round.ballot == ballot, isPhase(round.phase),
            round.view.contains(sender)
        else { return }
        models[manifest]?.round?.votes.insert(sender)
        advance(manifest, view, now: now, into: &directives)
    }

    private mutating func onReady(
        _ manifest: ManifestID, _ ballot: Ballot, _ plan: PlanID, from sender: NodeBoot,
        _ view: View, now: Timestamp, into directives: inout [Directive]
    ) {
        guard let round = models[manifest]?.round, round.ballot == ballot,
            round.bundle?.primary.id == plan
        else { return }
        models[manifest]?.round?.ready.insert(sender)
        advance(manifest, view, now: now, into: &directives)
    }

    private mutating func onCannot(
        _ manifest: ManifestID, _ ballot: Ballot, _ plan: PlanID, _ reason: HostRefusal,
        from sender: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        guard var model = models[manifest], let round = model.round, round.ballot == ballot,
            round.bundle?.primary.id == plan
        else { return }
        switch reason {
        case .superseded, .proposerLost:
            // It could; another proposer was quicker, or it held this one lost.
            break
        case .memory(_, let freeBytes):
            model.noteRefusal(by: sender, freeBytes: freeBytes, now: now)
        case .missingBlobs, .engine, .otherBoot, .leaving:
            model.noteRefusal(by: sender, freeBytes: 0, now: now)
        }
        fail(
            &model, manifest, "node \(sender.node.short) cannot host its part: \(reason)",
            now: now, backOff: true, into: &directives)
        models[manifest] = model
    }

    private mutating func onRefuse(
        _ manifest: ManifestID, _ ballot: Ballot, _ reason: AgreementRefusal,
        from sender: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        guard var model = models[manifest], let round = model.round, round.ballot == ballot else {
            return
        }
        if case .promisedHigher(let higher) = reason { model.register.observe(higher) }
        // A minority may refuse; the round fails only if a majority can no longer be reached or the
        // refusal is about the plan itself.
        let isFatal: Bool =
            switch reason {
            case .invalidPlan, .holdsDead, .promisedHigher: true
            case .worse, .notInView, .unknownModel, .leased:
                round.view.count <= 2 || !round.hasMajority
            }
        if isFatal {
            fail(
                &model, manifest, "node \(sender.node.short) refused: \(reason)", now: now,
                backOff: true, into: &directives)
        }
        models[manifest] = model
    }
}
