import NIOCore
import TesseraAPI
import TesseraCore
import TesseraEngine
import TesseraModel
import TesseraNode

/// The running node as the API sees it: every answer is a view of one snapshot.
struct NodeBackend: AgentBackend {
    let node: Node
    let release: String
    /// Where spans are written, if they are.
    var traceFile: TraceFile?
    /// What is measured of energy.
    let energy: EnergyMeter
    private let interfaces = InterfaceCache()
    let traffic = TrafficMeter()
    let images = ImageInputs()

    /// Requests without a deadline of their own get this one.
    private static let usualDeadline = TimeSpan.seconds(30)

    // MARK: Serving

    func serverInformation() async -> ServerInformation {
        ServerInformation(
            node: node.member.node, name: node.settings.name, mesh: node.settings.mesh,
            version: release, uptime: node.uptime)
    }

    func readiness() async -> Readiness {
        readiness(await node.snapshot())
    }

    private func readiness(_ snapshot: MeshSnapshot) -> Readiness {
        if snapshot.isLeaving { return .notReady(reason: "the agent is leaving the mesh") }
        guard snapshot.isRestored else {
            return .notReady(reason: "the agent is reading what its disk holds")
        }
        guard snapshot.own.capability != nil else {
            return .notReady(reason: "the agent is measuring its engine")
        }
        return .ready
    }

    func model(named name: String) async -> ModelInformation? {
        guard let model = await node.model(named: name) else { return nil }
        guard let outline = model.outline else {
            return ModelInformation(
                name: name, manifest: model.manifest, inputs: [], outputs: [], weightBytes: 0,
                readiness: .notReady(reason: model.reason))
        }
        return ModelInformation(
            name: name, manifest: model.manifest,
            inputs: outline.inputs.map { outline.tensors[$0].descriptor },
            outputs: outline.outputs.map { outline.tensors[$0].descriptor },
            exits: model.settings.exits.map(\.output),
            weightBytes: outline.blobs.reduce(0) { $0 + $1.byteCount },
            readiness: model.usable == nil ? .notReady(reason: model.reason) : .ready)
    }

    func interface(of name: String) async -> ModelInformation? {
        let version = node.modelsVersion
        if let known = interfaces.find(name, version: version) { return known }
        guard let model = await model(named: name) else { return nil }
        // Without inputs and outputs it is not known yet.
        if !model.outputs.isEmpty { interfaces.keep(model, version: version) }
        return model
    }

    func models() async -> ModelsDocument { models(await node.snapshot()) }

    func models(_ snapshot: MeshSnapshot) -> ModelsDocument {
        ModelsDocument(
            models: snapshot.models.map { model in
                ModelDocument(
                    name: model.name, manifest: model.manifest.hexadecimal,
                    isReady: model.usable != nil,
                    reason: model.usable == nil ? model.reason : nil,
                    weightBytes: model.outline.map { outline in
                        outline.blobs.reduce(0) { $0 + $1.byteCount }
                    }, copies: model.replication,
                    nodes: model.current?.primary.plan.hosts.count ?? 0,
                    settings: ModelSettingsDocument(model.settings))
            })
    }

    func fault(of inputs: [InferenceTensor]) -> String? {
        for input in inputs {
            let excess = input.bytes.withUnsafeReadableBytes {
                EngineRange.excess(in: $0, of: input.descriptor.type)
            }
            guard let excess else { continue }
            return "input \(input.descriptor.name) has the number \(excess.value) at place "
                + "\(excess.index), and the engine computes integers of 64 bits in 32: it would "
                + "become another one"
        }
        return nil
    }

    func infer(_ request: InferenceRequest) async throws(RequestError) -> InferenceResponse {
        let begin = node.uptime
        let result: InferenceResult
        do {
            result = try await node.infer(
                request.manifest, inputs: request.inputs.map(\.bytes),
                deadline: request.deadline ?? Self.usualDeadline, model: request.model,
                exits: request.exits, trace: request.trace)
        } catch {
            traffic.noteFailure(at: node.uptime)
            throw error
        }
        let end = node.uptime
        traffic.noteAnswer(model: request.model, at: end, took: end - begin)
        var outputs = result.outputs
        let exit = result.detail.exit
        if let exit, exit.taken != nil, let values = outputs.first,
            request.outputs.indices.contains(exit.answer)
        {
            // An exit's values stand for the answer's; nothing else was computed for sure.
            outputs = request.outputs.map { _ in ByteBuffer() }
            outputs[exit.answer] = values
        }
        guard request.outputs.count == outputs.count else { throw .unknownModel }
        return InferenceResponse(
            outputs: zip(request.outputs, outputs).map { descriptor, bytes in
                InferenceTensor(descriptor: descriptor, bytes: bytes)
            }, request: result.detail.attempt.request.text, plan: result.detail.attempt.plan,
            node: node.settings.name, attempts: result.detail.attempts, exit: exit,
            leftOut: result.detail.leftOut)
    }

    // MARK: Reading the mesh

    func status() async -> StatusDocument {
        let snapshot = await node.snapshot()
        var document = status(snapshot)
        if let missing = await node.notHeardUnderUsedSecret() {
            let names = missing.map { name(of: $0, snapshot) }.sorted().joined(separator: ", ")
            document.health.append(
                "the mesh exchanges its secret: "
                    + (names.isEmpty
                        ? "every peer was heard under the one that this agent uses"
                        : "not heard under the one that this agent uses: \(names)"))
        }
        return document
    }

    func status(_ snapshot: MeshSnapshot) -> StatusDocument {
        let readiness = readiness(snapshot)
        var document = StatusDocument(
            release: release, name: node.settings.name, id: node.member.node.hexadecimal,
            mesh: node.settings.mesh, listen: node.address.description,
            discovery: node.discoveryState.summary,
            uptimeMicroseconds: node.uptime.microseconds, isReady: readiness == .ready,
            reason: readiness.reason,
            membersAlive: snapshot.members.count { $0.status == .alive },
            openRequests: snapshot.openRequests, reservedBytes: snapshot.reservedBytes,
            memoryBytes: node.settings.memoryBytes, counters: counters(snapshot),
            health: health(snapshot))
        let unanswered = snapshot.unanswered.map(\.description).sorted()
        document.unanswered = unanswered.isEmpty ? nil : unanswered
        return document
    }

    private func counters(_ snapshot: MeshSnapshot) -> [String: UInt64] {
        let transport = node.transportCounters
        let counts = [
            "requestsAnswered": snapshot.answers, "requestsRefused": snapshot.refusals,
            "slicesSent": transport.slicesSent,
            "sliceBytesSent": transport.sliceBytesSent,
            "sliceBytesCopiedSending": transport.sliceBytesCopiedSending,
            "slicesReceived": transport.slicesReceived,
            "sliceBytesReceived": transport.sliceBytesReceived,
            "sliceBytesCopiedReceiving": transport.sliceBytesCopiedReceiving,
            "slicesRefused": transport.slicesRefused, "slicesDropped": transport.slicesDropped,
            "blobBytesSent": transport.blobBytesSent,
            "blobBytesReceived": transport.blobBytesReceived,
            "datagramsReceived": transport.datagramsReceived,
            "datagramsSent": transport.datagramsSent,
            "datagramsDropped": transport.datagramsDropped,
            "handshakesFailed": transport.handshakesFailed,
            "halfOpenRefused": transport.halfOpenRefused,
            "peersRefused": transport.peersRefused,
            "connectionsBroken": transport.connectionsBroken,
        ]
        return counts.mapValues { UInt64(max(0, $0)) }
    }

    private func health(_ snapshot: MeshSnapshot) -> [String] {
        var lines: [String] = []
        for model in snapshot.models where model.usable == nil {
            lines.append("model \(model.name) is not served: \(model.reason)")
        }
        for member in snapshot.members where member.status == .alive && !member.isConnected {
            lines.append("no connection to \(name(of: member.member.node, snapshot))")
        }
        if case .unusable(let fault) = node.discoveryState.multicastDNS {
            lines.append("mDNS: \(fault)")
        }
        if case .unusable(let reason) = node.discoveryState.beacon {
            lines.append("beacon: \(reason)")
        }
        return lines
    }

    func members() async -> MembersDocument {
        let facts = await node.peerFacts
        var document = members(await node.snapshot())
        for index in document.members.indices {
            let member = document.members[index]
            if member.isSelf {
                document.members[index].release = release
                document.members[index].protocolVersion = Int(Version.wireProtocol)
            } else if let peer = facts.first(where: {
                $0.member.node.hexadecimal == member.id && $0.member.boot.counter == member.boot
            }) {
                document.members[index].release = peer.release
                document.members[index].protocolVersion = Int(peer.newestVersion)
                document.members[index].clockOffsetMicroseconds = peer.clock?.microseconds
                document.members[index].clockUncertaintyMicroseconds =
                    peer.clock?.uncertaintyMicroseconds
            }
        }
        return document
    }

    func members(_ snapshot: MeshSnapshot) -> MembersDocument {
        let links = snapshot.own.links
        return MembersDocument(
            members: snapshot.members.map { member in
                let capability = member.record?.capability
                var document = MemberDocument(
                    name: member.record?.name ?? member.member.node.short,
                    id: member.member.node.hexadecimal, boot: member.member.boot.counter,
                    address: member.address.description, status: "\(member.status)",
                    isSelf: member.member == snapshot.me, isConnected: member.isConnected,
                    isLeaving: member.record?.isLeaving ?? false,
                    roundTripMicroseconds: member.roundTrip?.microseconds,
                    bytesPerSecond: links.first { $0.peer == member.member.node }?
                        .bytesPerSecond,
                    threads: capability?.threads, memoryBytes: capability?.memoryBytes,
                    operationsPerMicrosecond: capability?.operationsPerMicrosecond,
                    fingerprint: capability?.fingerprint.text)
                document.powerWatts = capability?.milliwatts.map { Double($0) / 1_000 }
                return document
            }.sorted { ($0.name, $0.id) < ($1.name, $1.id) })
    }

    private func name(of id: NodeID, _ snapshot: MeshSnapshot) -> String {
        snapshot.members.last { $0.member.node == id }?.record?.name ?? id.short
    }

    func plan(model name: String) async -> PlanAnswer {
        let snapshot = await node.snapshot()
        guard let model = snapshot.models.first(where: { $0.name == name }) else {
            return .unknownModel
        }
        let compileMicroseconds = await node.compileMicroseconds
        let view = PlanView(snapshot, model, compileMicroseconds: compileMicroseconds)
        guard var document = view?.document else { return .none(reason: model.reason) }
        document.energy?.counter = energy.summary
        document.energy?.measured = energy.measured(
            node: node.settings.name, keys: ownFragments(of: model))
        return .plan(document)
    }

    /// What this node runs of a model's plan.
    private func ownFragments(of model: MeshSnapshot.Model) -> [FragmentKey] {
        let fragments = model.current?.primary.plan.fragments ?? []
        return fragments.filter { $0.host == node.member }.map { fragment in
            FragmentKey(
                manifest: model.manifest, operators: fragment.operators, rows: fragment.rows)
        }
    }

    func events(after sequence: UInt64, follow: Bool) async -> EventStream {
        let names = await EventNames(node.snapshot())
        guard follow else {
            let kept = node.log.events(after: sequence).map { names.document($0) }
            return AsyncStream<EventDocument> { stream in
                for event in kept { stream.yield(event) }
                stream.finish()
            }
        }
        let node = node
        return node.log.follow(after: sequence).map { event in
            await EventNames(node.snapshot()).document(event)
        }
    }

    // MARK: Changing the mesh

    func hasBlob(_ id: BlobID) async -> Bool { node.library.store.contains(.blob(id)) }

    func storeBlob(
        _ id: BlobID, byteCount: Int, body: UploadStream
    ) async throws(ControlError) {
        do {
            try await store(.blob(id), byteCount: byteCount, body: body)
        } catch {
            throw ControlError(storing: error)
        }
        node.noteStored(id, isManifest: false)
    }

    private func store(
        _ item: StoreItem, byteCount: Int, body: UploadStream
    ) async throws {
        let store = node.library.store
        // An upload that broke off may have left a part; the whole comes again.
        if !store.contains(item) { try await node.onDisk { try store.remove(item) } }
        guard !store.contains(item) else { return }
        do {
            var offset = 0
            for try await piece in body {
                let at = offset
                offset = try await node.onDisk {
                    try piece.withUnsafeReadableBytes { bytes in
                        try store.append(bytes, to: item, at: at, totalByteCount: byteCount)
                    }
                }
            }
            try await node.onDisk { try store.commit(item) }
        } catch {
            // Nobody goes on with it, and it counts with all its bytes. Also if this call is cancelled.
            await Blocking.value {
                // What another call is writing now stays; what cannot be removed is found at the
                // next start.
                if !store.contains(item) { try? store.remove(item) }
            }
            throw error
        }
    }

    func hasManifest(_ id: ManifestID) async -> Bool {
        node.library.store.contains(.manifest(id))
    }

    func storeManifest(_ id: ManifestID, bytes: ByteBuffer) async throws(ControlError) {
        do {
            // Parsed first: nothing that is not a model gets onto the disk.
            let manifest = try Manifest(encoded: Array(bytes.readableBytesView))
            guard manifest.id == id else {
                throw ControlError.invalid(reason: "the manifest's hash is \(manifest.id)")
            }
            _ = try ModelCutter(manifest)
            let store = node.library.store
            try await node.onDisk { try store.storeManifest(manifest) }
        } catch {
            throw ControlError(storing: error)
        }
    }

    func addModel(
        named name: String, manifest: ManifestID, settings: ModelSettings
    ) async throws(ControlError) {
        guard await hasManifest(manifest) else {
            throw .invalid(reason: "the manifest is not stored at this agent: upload it first")
        }
        do {
            let store = node.library.store
            let blobs = try await node.onDisk { try store.manifest(manifest).blobs }
            if !settings.exits.isEmpty || settings.degrade != nil {
                let outline = try await node.onDisk {
                    try ModelCutter(try store.manifest(manifest)).outline
                }
                if let fault = outline.fault(of: settings.exits) {
                    throw ControlError.invalid(reason: "the exits do not fit the model: \(fault)")
                }
                if let fault = settings.degrade.flatMap(outline.fault(of:)) {
                    throw ControlError.invalid(
                        reason: "branches of the model cannot be left out: \(fault)")
                }
            }
            let missing = blobs.count { !store.contains(.blob($0.id)) }
            guard missing == 0 else {
                throw ControlError.invalid(
                    reason: "\(missing) blobs of the model are not stored at this agent: upload "
                        + "them first")
            }
            try await node.addModel(named: name, manifest: manifest, settings: settings)
        } catch {
            throw ControlError(storing: error)
        }
    }

    func removeModel(named name: String) async throws(ControlError) {
        do {
            try await node.removeModel(named: name)
        } catch CatalogueError.unknownName {
            throw .notFound(reason: "the mesh has no model \"\(name)\"")
        } catch {
            throw .failed(reason: "\(error)")
        }
    }

    func drain() async throws(ControlError) {
        // The service group ends the API, and the process, when the node has left.
        node.leave()
    }
}

extension ControlError {
    /// What a client is told of an error of the disk or of a model.
    fileprivate init(storing error: any Error) {
        switch error {
        case let error as ControlError: self = error
        case BlobStoreError.diskFull, BlobStoreError.quotaExceeded:
            self = .noRoom(reason: "\(error)")
        case BlobStoreError.corrupt, BlobStoreError.wrongSize, BlobStoreError.wrongOffset:
            self = .invalid(reason: "\(error)")
        case is ModelError, is CatalogueError: self = .invalid(reason: "\(error)")
        default: self = .failed(reason: "\(error)")
        }
    }
}

extension DiscoveryState {
    /// One line for `status`.
    var summary: String {
        switch (multicastDNS, beacon) {
        case (.inUse, _): "mDNS"
        case (.starting, _): "starting"
        case (_, .sending(let count)), (_, .quiet(let count)):
            "beacon on \(count) interfaces"
        case (.unusable, _), (_, .unusable): "not working"
        case (.off, .off): "seeds only"
        }
    }
}
