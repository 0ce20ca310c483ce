// How the agent's parts hear of events.

extension Agent {
    mutating func onPeerEvent(
        _ event: Event, now: Timestamp, into directives: inout [Directive]
    ) {
        switch event {
        case .discovered(let address):
            membership.onDiscovered(address, now: now, into: &directives)
        case .connected(let peer, let address):
            membership.onConnected(peer, address: address, now: now, into: &directives)
        case .disconnected(let peer):
            codecs.onDisconnected(peer)
            membership.onDisconnected(peer, now: now, into: &directives)
        case .unreachable(let address):
            membership.onUnreachable(address, now: now, into: &directives)
        case .signed(let record):
            mesh.onSigned(record, now: now, into: &directives)
        case .linkMeasured(let link):
            mesh.updateOwn(now: now, into: &directives) { own in
                own.links.removeAll { $0.peer == link.peer }
                own.links.append(link)
                own.links.sort { $0.peer < $1.peer }
            }
        case .unpacks(let peer):
            codecs.onUnpacks(peer)
        case .sliceSent(let slice):
            codecs.onSent(slice)
        default:
            break
        }
    }

    mutating func onReceived(
        _ message: Message, from sender: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        switch message {
        case .membership(let message):
            membership.onReceived(message, from: sender, now: now, into: &directives)
        case .mesh(.unreachable(let lost)):
            if lost != me, membership.status(of: lost) == .alive {
                directives.append(.report(.lossTold(lost, by: sender.node)))
            }
            membership.onTold(
                unreachable: lost, by: sender.node, now: now, into: &directives)
            // What was on its way between the two is gone, whether or not either of them is.
            for manifest in requests.onLinkLost(sender, lost, into: &directives) {
                advance(manifest, now: now, into: &directives)
            }
        case .mesh(let message):
            mesh.onReceived(message, from: sender, now: now, into: &directives)
        case .agreement(let message):
            agreement.onReceived(
                message, from: sender, view(message.manifest), now: now, into: &directives)
            dirty.insert(message.manifest)
        case .request(let message):
            onRequestMessage(message, from: sender, now: now, into: &directives)
        }
    }

    mutating func onModelEvent(
        _ event: Event, now: Timestamp, into directives: inout [Directive]
    ) {
        switch event {
        case .catalogueRestored(let entries):
            isRestored = true
            mesh.onCatalogueRestored(entries, now: now, into: &directives)
        case .manifestStored(let outline, let blobs):
            placement.onManifestStored(outline, blobs: blobs, now: now, into: &directives)
            dirty.insert(outline.manifest)
        case .blobStored(let blob):
            placement.onBlobStored(blob, now: now, into: &directives)
        case .fetchFailed(let blob, let source, let reason):
            directives.append(.report(.blob(blob, "fetch from \(source.short) failed: \(reason)")))
            placement.onFetchFailed(
                blob, from: source, reason: reason, now: now, into: &directives)
        case .blobLost(let blob):
            directives.append(.report(.blob(blob, "damaged on disk; fetched again")))
            placement.onBlobLost(blob, now: now, into: &directives)
        case .modelAdded(let name, let manifest, let settings):
            rename(name, manifest, settings, now: now, into: &directives)
        case .modelRemoved(let name):
            rename(name, nil, ModelSettings(), now: now, into: &directives)
        default:
            break
        }
    }

    /// The catalogue's refusals were checked by whoever took the command (`canName`); one that still
    /// comes up lost a race and is reported.
    private mutating func rename(
        _ name: String, _ manifest: ManifestID?, _ settings: ModelSettings, now: Timestamp,
        into directives: inout [Directive]
    ) {
        do {
            try mesh.name(
                name, manifest: manifest, settings: settings, now: now, into: &directives)
        } catch {
            directives.append(.report(.limit("catalogue: \(error)", count: 1)))
        }
    }

    mutating func onEngineEvent(
        _ event: Event, now: Timestamp, into directives: inout [Directive]
    ) {
        switch event {
        case .crashesFound(let marks):
            onCrashesFound(marks, into: &directives)
        case .capabilityMeasured(let capability):
            host.onCapability(capability)
            placement.onDiskBudget(capability.diskBytes, now: now, into: &directives)
            let old = mesh.own.capability?.operationsPerMicrosecond ?? 0
            let new = capability.operationsPerMicrosecond
            if old > 0, old != new { clock.onSpeed(from: old, to: new) }
            mesh.updateOwn(now: now, into: &directives) { own in
                own.capability = capability
                guard old > 0, old != new else { return }
                for index in own.times.indices {
                    own.times[index].microseconds = FragmentClock.scaled(
                        own.times[index].microseconds, from: old, to: new)
                }
            }
            markAllDirty()
        case .codecsMeasured(let speeds):
            codecs.onMeasured(speeds)
        case .compiled(let key, let memoryBytes):
            host.onCompiled(key, memoryBytes: memoryBytes, into: &directives)
        case .compileLacks(let key, let blob):
            directives.append(.report(.blob(blob, "damaged on disk; fetched again")))
            placement.onBlobLost(blob, now: now, into: &directives)
            host.onBlobLost(key)
        case .compileFailed(let key, let reason):
            host.onCompileFailed(key, reason: reason, into: &directives)
        case .executed(let attempt, let fragment, let outputs, let microseconds):
            if let key = host.layout(ofReady: attempt.plan)?.plan.key(ofFragment: fragment),
                let time = clock.onRun(key, microseconds: microseconds)
            {
                mesh.updateOwn(now: now, into: &directives) { own in
                    own.times.removeAll { $0.key == time.key }
                    own.times.append(time)
                    own.times.sort { $0.key < $1.key }
                }
            }
            attempts.onExecuted(
                attempt: attempt, fragment: fragment, outputs: outputs,
                microseconds: microseconds, now: now, into: &directives)
        case .executionFailed(let attempt, let fragment, let reason):
            attempts.onExecutionFailed(
                attempt: attempt, fragment: fragment, reason: reason, into: &directives)
        default:
            break
        }
    }

    mutating func onPlanned(
        _ token: UInt64, _ result: PlanningResult, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard let manifest = planning.removeValue(forKey: token) else { return }
        agreement.onPlanned(
            token: token, result, manifest, view(manifest), now: now, into: &directives)
        dirty.insert(manifest)
    }

    // MARK: Requests

    mutating func onSlice(
        _ header: SliceHeader, _ piece: TensorPiece, from sender: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        let payload = piece.payload
        if requests.awaits(header) {
            if let manifest = requests.onSlice(header, piece, now: now, into: &directives) {
                advance(manifest, now: now, into: &directives)
            }
            return
        }
        if header.attempt.request.entry == me, sender != me,
            host.layout(ofReady: header.attempt.plan) == nil, !requests.isOpen(header.attempt)
        {
            // A result that came too late.
            return directives.append(.release(payload.id))
        }
        func refuse(_ reason: AttemptFailure) {
            directives.append(.release(payload.id))
            directives.append(
                .send(
                    .request(.failed(attempt: header.attempt, fragment: nil, reason: reason)),
                    to: header.attempt.request.entry))
        }
        guard let layout = host.layout(ofReady: header.attempt.plan) else {
            return refuse(.gone(current: nil))
        }
        guard layout.plan.routes.indices.contains(header.route),
            layout.descriptors[header.route].type == header.type,
            layout.descriptors[header.route].shape == header.shape,
            piece.byteCount == header.byteCount
        else { return refuse(.malformedSlice) }
        let allowance =
            attempts.isOpen(header.attempt) ? nil : allowance(layout.plan.manifest)
        let lost = allowance == nil ? [] : unreachable(of: layout.plan)
        attempts.onSlice(
            header, piece, layout: layout, allowance: allowance, lost: lost, now: now,
            into: &directives)
    }

    private mutating func onRequestMessage(
        _ message: RequestMessage, from sender: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {
        switch message {
        case .ticketWish(let plan, let count):
            guard let layout = host.layout(ofReady: plan), layout.plan.gate == me else {
                return directives.append(
                    .send(.request(.ticketRefusal(plan: plan, current: nil)), to: sender))
            }
            // What is still read from a connection that this node ended: tickets would not arrive,
            // and their loss would not be told.
            guard membership.isConnected(sender) else { return }
            gate.onWish(plan: layout.named, entry: sender, count: count, into: &directives)
        case .ticketReturn(_, let numbers):
            gate.onReturn(numbers: numbers, from: sender, into: &directives)
        case .tickets(let plan, let numbers):
            let manifest = requests.onTickets(
                plan: plan, numbers: numbers, from: sender, into: &directives)
            if let manifest { advance(manifest, now: now, into: &directives) }
        case .ticketRefusal:
            // The wish is repeated, or dropped when another plan becomes the usable one.
            break
        case .started(let attempt, let fragment):
            requests.onProgress(attempt, fragment: fragment, isRunning: true, now: now)
        case .passed(let attempt, let fragment, _):
            requests.onProgress(attempt, fragment: fragment, isRunning: false, now: now)
        case .failed(let attempt, _, let reason):
            let manifest = requests.onFailed(
                attempt, reason: reason, now: now, into: &directives)
            if let manifest { advance(manifest, now: now, into: &directives) }
        case .cancel(let attempt):
            guard attempt.request.entry == sender else { return }
            attempts.onCancel(attempt, into: &directives)
        case .crashed(let request, let host):
            guard host.node == sender.node else { return }
            requests.onCrashed(request, in: host, now: now, into: &directives)
        case .refuse(let manifest, let digest, let remaining):
            requests.refusedInputs.refuse(digest, of: manifest, for: remaining, now: now)
        }
    }

    /// Starts what can start of a model's queue.
    mutating func advance(
        _ manifest: ManifestID, now: Timestamp, into directives: inout [Directive]
    ) {
        requests.advance(manifest, routing(manifest), now: now, into: &directives)
    }

    // MARK: Leaving

    /// A leaving node waits this long after its last work, for slices that are on their way.
    static let leaveGrace = TimeSpan.milliseconds(500)
    /// A leaving node goes then, whatever is left.
    private static let leaveTimeout = TimeSpan.seconds(25)

    mutating func onLeaveRequested(now: Timestamp, into directives: inout [Directive]) {
        guard leaving == nil else { return }
        leaving = Leaving(deadline: now + Self.leaveTimeout)
        requests.close()
        mesh.updateOwn(now: now, into: &directives) { $0.isLeaving = true }
        markAllDirty()
    }

    /// Goes when nothing is left to do, or when it has taken too long.
    mutating func checkLeaving(now: Timestamp, into directives: inout [Directive]) {
        guard var state = leaving, !state.isDone else { return }
        defer { leaving = state }
        let others = membership.usable.contains { $0 != me }
        let isNeeded =
            others
            && agreement.manifests.contains { manifest in
                mesh.catalogue.models.contains { $0.manifest == manifest }
                    && agreement.current(manifest)?.primary.plan.hosts.contains(me) == true
            }
        if requests.openCount == 0 && attempts.isIdle && !isNeeded {
            state.idleSince = state.idleSince ?? now
        } else {
            state.idleSince = nil
        }
        let isQuiet = state.idleSince.map { now - $0 >= Self.leaveGrace } ?? false
        guard isQuiet || now >= state.deadline else { return }
        state.isDone = true
        membership.onLeave(now: now, into: &directives)
        directives.append(.leave)
    }
}

extension AgreementMessage {
    /// The model that the message is about.
    var manifest: ManifestID {
        switch self {
        case .prepare(let manifest, _, _), .promise(let manifest, _, _, _),
            .refuse(let manifest, _, _), .stage(let manifest, _, _), .ready(let manifest, _, _),
            .cannot(let manifest, _, _, _), .accept(let manifest, _, _, _),
            .accepted(let manifest, _), .decided(let manifest, _, _, _), .abandon(let manifest, _):
            manifest
        }
    }
}
