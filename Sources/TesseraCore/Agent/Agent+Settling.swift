// How changes in one part reach the others.

extension Agent {
    /// Carries every noted change to the parts that it concerns, then looks again at the plans of
    /// the models that it touched.
    mutating func settle(now: Timestamp, into directives: inout [Directive]) {
        var isSettled: Bool
        repeat {
            isSettled = true
            for change in membership.takeChanges() {
                onChange(change, now: now, into: &directives)
                isSettled = false
            }
            for change in mesh.takeChanges() {
                onChange(change, now: now, into: &directives)
                isSettled = false
            }
            for change in placement.takeChanges() {
                onChange(change, now: now, into: &directives)
                isSettled = false
            }
            for change in host.takeChanges() {
                onChange(change, now: now, into: &directives)
                isSettled = false
            }
            for change in agreement.takeChanges() {
                onChange(change, now: now, into: &directives)
                isSettled = false
            }
        } while !isSettled
        if !dirty.isEmpty {
            let manifests = dirty.sorted()
            dirty = []
            for manifest in manifests {
                routings.removeValue(forKey: manifest)
                holdAgain(manifest, now: now, into: &directives)
                let view = view(manifest)
                host.onNaming(
                    manifest, isNamed: view.isCatalogued, current: agreement.current(manifest),
                    now: now)
                var started: [Directive] = []
                agreement.consider(manifest, view, now: now, into: &started)
                for directive in started {
                    if case .plan(let token, _) = directive { planning[token] = manifest }
                }
                directives += started
                tellThoseBehind(manifest, now: now, into: &directives)
                agreementWakes[manifest] = min(
                    min(agreement.nextWake(manifest, view, now: now), holdAgainWake(manifest)),
                    behindSince[manifest].map { $0 + Self.behindPause } ?? .never)
                if membership.keepsSomeSessions, requests.manifests.contains(manifest) {
                    reach(manifest, now: now)
                }
                reportArming(manifest, into: &directives)
                advance(manifest, now: now, into: &directives)
                tellPlans(now: now, into: &directives)
            }
            tellNeeds(now: now)
        }
        if host.hasChanges { settle(now: now, into: &directives) }
        checkLeaving(now: now, into: &directives)
    }

    /// A host that gave up its part of the current plan, for a round that came to nothing or for
    /// another model, tries this often to hold it again.
    private static let holdAgainPause = TimeSpan.seconds(1)

    /// The current plan, if this node is one of its hosts and does not hold it.
    private func givenUp(_ manifest: ManifestID) -> PlanBundle? {
        guard let bundle = agreement.current(manifest), leaving == nil,
            bundle.primary.plan.hosts.contains(me), !host.holds(bundle.primary.id),
            mesh.catalogue.models.contains(where: { $0.manifest == manifest })
        else { return nil }
        let usable = usableMembers
        return bundle.primary.plan.hosts.allSatisfy { usable.contains($0) } ? bundle : nil
    }

    private mutating func holdAgain(
        _ manifest: ManifestID, now: Timestamp, into directives: inout [Directive]
    ) {
        guard let bundle = givenUp(manifest), now >= holdAgainWake(manifest) else { return }
        heldAgainAt[manifest] = now
        guard let outline = placement.outline(of: manifest) else { return }
        host.onDecided(bundle, outline: outline, now: now, into: &directives)
    }

    private func holdAgainWake(_ manifest: ManifestID) -> Timestamp {
        guard givenUp(manifest) != nil else { return .never }
        return heldAgainAt[manifest].map { $0 + Self.holdAgainPause } ?? .zero
    }

    /// A decision is told once, over connections that may break meanwhile: peers whose records name
    /// an older one, or none, for so long are told again.
    private static let behindPause = TimeSpan.seconds(2)

    private mutating func tellThoseBehind(
        _ manifest: ManifestID, now: Timestamp, into directives: inout [Directive]
    ) {
        let behind = peersBehind(manifest)
        guard !behind.isEmpty else {
            behindSince.removeValue(forKey: manifest)
            return
        }
        guard let since = behindSince[manifest], now >= since + Self.behindPause else {
            if behindSince[manifest] == nil { behindSince[manifest] = now }
            return
        }
        behindSince[manifest] = now
        for (peer, followed) in behind {
            agreement.tellCurrent(manifest, to: peer, follower: followed, into: &directives)
        }
    }

    /// Reachable peers that by their records follow an older decision than this node, with it.
    private func peersBehind(_ manifest: ManifestID) -> [(peer: NodeBoot, followed: Ballot?)] {
        guard let current = agreement.current(manifest)?.primary.plan.ballot else { return [] }
        return connectedMembers.compactMap { peer in
            guard membership.isReachable(peer), let record = mesh.record(of: peer)
            else { return nil }
            let followed = record.plans.first { $0.manifest == manifest }?.current?.ballot
            if let followed, followed >= current { return nil }
            return (peer, followed)
        }
    }

    /// Every model that the catalogue or agreement knows must be looked at.
    mutating func markAllDirty() {
        for entry in mesh.catalogue.models {
            if let manifest = entry.manifest { dirty.insert(manifest) }
        }
        dirty.formUnion(agreement.manifests)
    }

    private mutating func onChange(
        _ change: Membership.Change, now: Timestamp, into directives: inout [Directive]
    ) {
        switch change {
        case .alive(let member, _):
            mesh.onAlive(member)
            if membership.isConnected(member), let record = mesh.record(of: member) {
                placement.onHoldings(record.holdings, of: member, now: now, into: &directives)
            }
            directives.append(.report(.member(member, status: .alive, reason: "joined")))
        case .suspected(let member):
            directives.append(.report(.member(member, status: .suspect, reason: "no answer")))
        case .recovered(let member):
            directives.append(.report(.member(member, status: .alive, reason: "answered again")))
        case .dead(let member, let reason):
            directives.append(.report(.member(member, status: .dead, reason: reason)))
            onLost(member, now: now, into: &directives)
            mesh.onGone(member)
            placement.onGone(member, now: now, into: &directives)
        case .left(let member):
            directives.append(.report(.member(member, status: .left, reason: "left")))
            onLost(member, now: now, into: &directives)
            mesh.onGone(member)
            placement.onGone(member, now: now, into: &directives)
        case .connected(let peer):
            mesh.onConnected(peer, now: now, into: &directives)
            placement.onReachable(peer, true, now: now, into: &directives)
            tellDecisions(to: peer, into: &directives)
            tellCrashes(to: peer, now: now, into: &directives)
        case .disconnected(let peer):
            onDisconnected(peer, now: now, into: &directives)
        case .parted(let peer):
            // Nothing was under way: there is nobody to be told, and no loss to mend.
            onLost(peer, now: now, into: &directives)
            mesh.onDisconnected(peer)
            placement.onReachable(peer, false, now: now, into: &directives)
        case .returned:
            directives.append(
                .report(.member(me, status: .alive, reason: "was cut off from most of the mesh")))
        case .stable:
            break
        }
        markAllDirty()
    }

    private mutating func onDisconnected(
        _ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        directives.append(.report(.lossDetected(peer)))
        onLost(peer, now: now, into: &directives)
        mesh.onDisconnected(peer)
        placement.onReachable(peer, false, now: now, into: &directives)
        for member in connectedMembers where member != peer {
            directives.append(.send(.mesh(.unreachable(peer)), to: member))
        }
    }

    private mutating func onLost(
        _ lost: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {
        // The plan that served until now must not be chosen again for what goes back to the queue.
        for manifest in routings.keys.sorted() { routings.removeValue(forKey: manifest) }
        let allowances = requests.manifests.compactMap { manifest in
            allowance(manifest).map { (manifest, $0) }
        }
        let hit = requests.onLost(
            lost, allowances: Dictionary(uniqueKeysWithValues: allowances), now: now,
            into: &directives)
        for manifest in hit { dirty.insert(manifest) }
        attempts.onBranchLost(lost, now: now)
        attempts.onEntryLost(lost, into: &directives)
        gate.onEntryLost(lost, into: &directives)
        host.onProposerLost(lost, into: &directives)
    }

    private mutating func onChange(
        _ change: MeshState.Change, now: Timestamp, into directives: inout [Directive]
    ) {
        switch change {
        case .recordChanged(let node):
            guard let record = mesh.record(of: node) else { return }
            if node != me.node {
                placement.onHoldings(
                    record.holdings, of: record.member, now: now, into: &directives)
            }
            markAllDirty()
        case .catalogueChanged(let entry, let loser):
            modelsVersion += 1
            directives.append(.report(.catalogue(entry, loser: loser)))
            let models = mesh.catalogue.models
            placement.onCatalogue(models, now: now, into: &directives)
            if let gone = loser?.manifest, !models.contains(where: { $0.manifest == gone }) {
                host.onModelRemoved(gone, into: &directives)
                agreement.onModelRemoved(gone)
                requests.rates.removeValue(forKey: gone)
                dirty.insert(gone)
            }
            markAllDirty()
        }
    }

    private mutating func onChange(
        _ change: BlobPlacement.Change, now: Timestamp, into directives: inout [Directive]
    ) {
        switch change {
        case .manifestReady(let manifest):
            modelsVersion += 1
            // A decision that came before the manifest could not be laid out then.
            if let bundle = agreement.current(manifest), layouts[bundle.primary.id] == nil {
                layOut(bundle, now: now, into: &directives)
            }
            dirty.insert(manifest)
        case .blobsReady(let manifest):
            dirty.insert(manifest)
        case .needSatisfied(let need):
            guard let key = needs.removeValue(forKey: need) else { return }
            fragmentNeeds.removeValue(forKey: key)
            host.onBlobsReady(key, into: &directives)
        case .needFailed(let need, let missing):
            guard let key = needs.removeValue(forKey: need) else { return }
            fragmentNeeds.removeValue(forKey: key)
            host.onBlobsMissing(key, count: missing, into: &directives)
        case .holdingsChanged:
            let holdings = placement.holdings
            mesh.updateOwn(now: now, into: &directives) { $0.holdings = holdings }
        case .discarded(let manifest):
            dirty.insert(manifest)
        }
    }

    private mutating func onChange(
        _ change: FragmentHost.Change, now: Timestamp, into directives: inout [Directive]
    ) {
        switch change {
        case .needsBlobs(let key, let blobs):
            let need = placement.need(
                key.manifest, blobs: blobs, urgency: .staging, now: now, into: &directives)
            needs[need] = key
            fragmentNeeds[key] = need
        case .needsNoBlobs(let key):
            guard let need = fragmentNeeds.removeValue(forKey: key) else { return }
            needs.removeValue(forKey: need)
            placement.cancel(need)
        case .ready(let named, let kind):
            if case .staged(let proposer) = kind {
                directives.append(
                    .send(
                        .agreement(
                            .ready(
                                manifest: named.plan.manifest, ballot: named.plan.ballot,
                                plan: named.id)), to: proposer))
            }
            dirty.insert(named.plan.manifest)
        case .cannot(let named, let kind, let reason):
            if case .staged(let proposer) = kind {
                directives.append(
                    .send(
                        .agreement(
                            .cannot(
                                manifest: named.plan.manifest, ballot: named.plan.ballot,
                                plan: named.id, reason: reason)), to: proposer))
            }
            dirty.insert(named.plan.manifest)
        case .dropped(let plan, let ballot):
            attempts.onDropped(plan, into: &directives)
            if !host.holdsAny(of: ballot) { gate.onDropped(ballot) }
        }
        placement.onInUse(host.manifestsInUse, now: now, into: &directives)
    }

    private mutating func onChange(
        _ change: Agreement.Change, now: Timestamp, into directives: inout [Directive]
    ) {
        switch change {
        case .stage(let bundle, let proposer):
            let manifest = bundle.primary.plan.manifest
            guard let outline = placement.outline(of: manifest) else { return }
            let current = agreement.current(manifest)
            // A host on its way out takes the current plan with it, and a merged plan ends two: where
            // old and new plans do not fit, the new one stops the old one, and entries queue until
            // the switch.
            let staying = usableMembers.filter { mesh.record(of: $0)?.isLeaving != true }
            let mayEvict = current.map { bundle in
                agreement.hasConflict(manifest)
                    || !bundle.primary.plan.hosts.allSatisfy { staying.contains($0) }
            }
            host.onStage(
                bundle.primary, by: proposer, outline: outline, mayEvictCurrent: mayEvict ?? true,
                now: now, into: &directives)
        case .abandoned(let manifest, let ballot):
            host.onAbandon(manifest, ballot, into: &directives)
        case .decided(let bundle):
            passOn(bundle, into: &directives)
            layOut(bundle, now: now, into: &directives)
            dirty.insert(bundle.primary.plan.manifest)
        }
    }

    /// Prepares requests and the host for a decision, once its model is known here.
    private mutating func layOut(
        _ bundle: PlanBundle, now: Timestamp, into directives: inout [Directive]
    ) {
        let manifest = bundle.primary.plan.manifest
        guard let outline = placement.outline(of: manifest) else { return }
        layouts = layouts.filter { $0.value.plan.manifest != manifest }
        for named in bundle.all { layouts[named.id] = PlanLayout(named, outline: outline) }
        host.onDecided(bundle, outline: outline, now: now, into: &directives)
    }
}
