import TesseraCore
import TesseraWire

// The simulated shell: directives in, steps out.

extension Simulation {
    func carryOut(_ directives: [Directive], of node: SimulatedNode) throws(Violation) {
        let run = node.run
        for directive in directives {
            guard node.run == run, node.agent != nil else { return }
            try carryOut(directive, of: node)
        }
    }

    private func carryOut(_ directive: Directive, of node: SimulatedNode) throws(Violation) {
        switch directive {
        case .wake(let time):
            node.wakeAt = time
            queueWake(node)
        case .connect(let address):
            call(address, from: node)
        case .disconnect(let peer):
            if let other = runs[peer], let connection = network.connection(node.run, other) {
                queue.insert(.broke(node.run, other, connection: connection), at: now)
            }
        case .hear(let member):
            if let other = runs[member] { node.heard.insert(other) }
        case .send(let message, let target):
            try send(message, from: node, to: target)
        case .sendDatagram(let message, let target, _):
            try sendDatagram(message.fitted().message, from: node, to: target)
        case .sign(let record):
            let signed = SignedRecord(
                record: record, publicKey: node.identity.key, signature: [])
            queue.insert(.event(.signed(signed), run: node.run), at: now)
        case .fetch(let blob, let isManifest, let source):
            fetch(blob, isManifest: isManifest, from: source, to: node)
        case .storeCatalogue(let entries):
            node.write { $0.catalogue = entries }
        case .discard(let manifest):
            discard(manifest, at: node)
        case .compile(let key, _):
            compile(key, on: node)
        case .unload(let key):
            node.compiled.remove(key)
        case .execute(let attempt, let fragment, let key, let inputs, _):
            try execute(attempt, fragment, key, inputs, on: node)
        case .plan(let token, let problem):
            plan(token, problem, at: node)
        case .sendSlice(let header, let piece, let codec, let target):
            try sendSlice(header, piece.payload.id, codec: codec, from: node, to: target)
        case .release(let payload):
            try node.payloads.release(payload, at: now)
        case .answer(let client, let outputs, let detail):
            if detail.attempts > 1 { figures.retries += detail.attempts - 1 }
            if detail.exit?.taken != nil { figures.exits += 1 }
            try answer(client, outputs, detail, of: node)
        case .reject(let client, let error):
            node.clients.removeAll { $0 == client }
            try checks.ends.onReject(
                EndsExactlyOnce.ClientKey(entry: node.member, client: client), error, at: now)
        case .judge(let attempt, let exit, let tensor, _, _):
            let value = try node.payloads.read(tensor.pieces[0].payload.id, at: now).value
            let confidence =
                sabotage == .trustsAnyExit ? ModelExit.unit : SimulatedModel.confidence(value)
            queue.insert(
                .event(
                    .judged(attempt: attempt, exit: exit, confidence: confidence), run: node.run),
                at: now)
        case .fill(let attempt, let route, let descriptor, let tensors):
            try fill(attempt, route, descriptor, tensors, of: node)
        case .digest(let client, let inputs):
            // The value of an input is its digest here; models of the simulator have one input.
            let value = try node.payloads.read(inputs[0], at: now).value
            queue.insert(
                .event(.digested(client, InputDigest(value, 0, 0, 0)), run: node.run), at: now)
        case .trace: break
        case .report(let report):
            try onReport(report, of: node)
        case .leave:
            node.hasLeft = true
            try stop(node, .crash)
        }
    }

    private func fill(
        _ attempt: AttemptID, _ route: Int, _ descriptor: TensorDescriptor,
        _ tensors: [JoinedTensor], of node: SimulatedNode
    ) throws(Violation) {
        let values = try tensors.map { tensor throws(Violation) in
            try node.payloads.read(tensor.pieces[0].payload.id, at: now).value
        }
        let payload = Payload(
            id: node.payloads.insert(SimulatedModel.fill(values), of: attempt),
            byteCount: descriptor.byteCount)
        queue.insert(
            .event(.filled(attempt: attempt, route: route, payload), run: node.run), at: now)
    }

    private func answer(
        _ client: ClientID, _ outputs: [JoinedTensor], _ detail: AnswerDetail,
        of node: SimulatedNode
    ) throws(Violation) {
        if sabotage == .answersNever { return }
        node.clients.removeAll { $0 == client }
        let key = EndsExactlyOnce.ClientKey(entry: node.member, client: client)
        let values = try outputs.map { output throws(Violation) in
            try node.payloads.read(output.pieces[0].payload.id, at: now).value
        }
        if !detail.leftOut.isEmpty { figures.leftOut += 1 }
        let leftOut = sabotage == .hidesLeftOut ? [] : detail.leftOut.map(\.tensor)
        try checks.ends.onAnswer(key, values, leftOut: leftOut, at: now)
        if sabotage == .answersTwice {
            try checks.ends.onAnswer(key, values, leftOut: leftOut, at: now)
        }
    }

    private func onReport(_ report: Report, of node: SimulatedNode) throws(Violation) {
        observer?(now, node.index, report)
        switch report {
        case .decided(_, let id, let plan):
            figures.decisions += 1
            try checkDecision(plan, id, by: node)
        case .proposed:
            lastProposer = node.index
        case .limit("attempts over the reservation", let count):
            figures.overfull += count
        default: break
        }
    }

    private func plan(_ token: UInt64, _ problem: PlanningProblem, at node: SimulatedNode) {
        var fate = Fate(seed: scenario.seed, .planning, node.index, node.run, token)
        var span = fate.span(scenario.engine.planningLeast, scenario.engine.planningMost)
        if now < slowPlanning.until { span = span + slowPlanning.each }
        queue.insert(
            .event(.planned(token: token, plans.plan(problem)), run: node.run), at: now + span)
    }

    // MARK: Disk

    private func discard(_ manifest: ManifestID, at node: SimulatedNode) {
        guard let number = models.firstIndex(where: { $0.manifest == manifest }) else { return }
        node.write { disk in
            disk.hasManifest[number] = false
            for blob in disk.blobs[number].indices { disk.blobs[number][blob] = false }
        }
    }

    /// The model and the place in it that a blob belongs to.
    func place(of blob: BlobID) -> (model: Int, place: Int)? {
        for (number, model) in models.enumerated() {
            if let place = model.places[blob] { return (number, place) }
        }
        return nil
    }

    private func fetch(
        _ blob: BlobID, isManifest: Bool, from source: NodeBoot, to node: SimulatedNode
    ) {
        func fail(_ reason: String) {
            queue.insert(
                .event(.fetchFailed(blob, from: source.node, reason: reason), run: node.run),
                at: now + .milliseconds(1))
        }
        guard let other = runs[source], network.connection(other, node.run) != nil else {
            return fail("no connection")
        }
        let holder = nodes[runNodes[other]]
        let size: Int
        if isManifest {
            guard let number = models.firstIndex(where: { $0.manifestBlob == blob }),
                holder.disk.hasManifest[number]
            else { return fail("not there") }
            size = 20_000
        } else {
            guard let (number, place) = place(of: blob), holder.disk.blobs[number][place] else {
                return fail("not there")
            }
            size = models[number].outline.blobs[place].byteCount
        }
        node.fetches.append((blob, other))
        transmit(
            .blob(blob, isManifest: isManifest), byteCount: size, lane: .data, from: other,
            to: node.run)
    }

    func blobArrived(
        _ blob: BlobID, isManifest: Bool, from source: Int, at node: SimulatedNode
    ) throws(Violation) {
        node.fetches.removeAll { $0.blob == blob && $0.source == source }
        if isManifest {
            guard let number = models.firstIndex(where: { $0.manifestBlob == blob })
            else { return }
            node.write { $0.hasManifest[number] = true }
            try handle(
                .manifestStored(models[number].outline, blobs: node.blobs(of: number)), node.run)
        } else if let (number, place) = place(of: blob) {
            node.write { $0.blobs[number][place] = true }
            try handle(.blobStored(blob), node.run)
        }
    }

    /// The fetches of a run that a broken connection ends.
    func failFetches(of run: Int, from source: Int) throws(Violation) {
        guard let node = living(run) else { return }
        let failed = node.fetches.filter { $0.source == source }
        node.fetches.removeAll { $0.source == source }
        for fetch in failed {
            try handle(
                .fetchFailed(
                    fetch.blob, from: runMembers[source].node, reason: "the connection broke"), run)
        }
    }
}
