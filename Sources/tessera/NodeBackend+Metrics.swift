import TesseraAPI
import TesseraCore
import TesseraModel
import TesseraNode

// The figures of the running node, for `GET /metrics`.

extension NodeBackend {
    func metrics() async -> AgentMetrics {
        let snapshot = await node.snapshot()
        let readiness = await readiness()
        let tally = node.log.tally
        var metrics = AgentMetrics(
            release: release, wireProtocol: Int(Version.wireProtocol), name: node.settings.name,
            mesh: node.settings.mesh, engine: snapshot.own.capability?.fingerprint.text,
            uptimeSeconds: node.uptime.metricSeconds, isReady: readiness == .ready)
        metrics.members = memberCounts(snapshot)
        metrics.models = snapshot.models.map { model in
            let plan = model.current?.primary.plan
            var figures = AgentMetrics.Model(
                name: model.name, isReady: model.usable != nil,
                weightBytes: model.outline.map { outline in
                    outline.blobs.reduce(0) { $0 + $1.byteCount }
                }, copies: model.replication, nodes: plan?.hosts.count ?? 0,
                plansDecided: tally.plansDecided[model.manifest] ?? 0,
                periodSeconds: plan.map { Double($0.predictedPeriodMicroseconds) / 1e6 },
                latencySeconds: plan.map { Double($0.predictedLatencyMicroseconds) / 1e6 },
                exits: exitCounts(model), leftOut: model.leftOutAnswers)
            figures.joulesPerItem = joulesPerItem(model)
            return figures
        }
        addWork(of: snapshot, to: &metrics)
        metrics.peers = peers(snapshot)
        metrics.reservedBytes = snapshot.reservedBytes
        metrics.memoryBytes = node.settings.memoryBytes
        let usage = node.library.store.usage
        metrics.storedBytes = usage.completeBytes + usage.partialBytes
        metrics.diskBytes = usage.quotaBytes
        metrics.losses = tally.losses
        metrics.recoveries = tally.recoveries
        metrics.recoverySeconds = tally.recoverySpan.metricSeconds
        metrics.roundsFailed = tally.roundsFailed
        metrics.lateRuns = tally.lateRuns
        metrics.limits = tally.limits.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) }
        metrics.transport = transportCounts
        metrics.codecs = codecWork
        metrics.energy = AgentMetrics.Energy(
            powerWatts: node.settings.milliwatts.map { Double($0) / 1_000 }, zones: energy.zones)
        metrics.traceSpans =
            traceFile.map { file in
                let counts = file.counts
                return [.init("written", counts.written), .init("dropped", counts.dropped)]
            } ?? []
        metrics.process = ProcessFigures.now
        return metrics
    }

    /// What an item of a model takes by the nodes' powers; nil if one is not known.
    private func joulesPerItem(_ model: MeshSnapshot.Model) -> Double? {
        guard let plan = model.current?.primary.plan, let problem = model.problem,
            // Most meshes have none: nothing is worked out then.
            problem.nodes.contains(where: { $0.capability.milliwatts != nil })
        else { return nil }
        return PlanEvaluation.evaluate(plan, problem)?.nanojoules.map { Double($0) / 1e9 }
    }

    /// What answered this entry's requests for a model with exits.
    private func exitCounts(_ model: MeshSnapshot.Model) -> [AgentMetrics.Named] {
        guard let outline = model.outline, let table = outline.exitTable(model.settings.exits)
        else { return [] }
        let places = table.exits.map(\.place) + [table.answer]
        return places.enumerated().map { number, place in
            .init(
                outline.tensors[outline.outputs[place]].descriptor.name,
                model.exitCounts[number] ?? 0)
        }
    }

    private func memberCounts(_ snapshot: MeshSnapshot) -> [AgentMetrics.Named] {
        let statuses: [MemberStatus] = [.alive, .suspect, .dead, .left]
        return statuses.map { status in
            .init("\(status)", snapshot.members.count { $0.status == status })
        }
    }

    private func addWork(of snapshot: MeshSnapshot, to metrics: inout AgentMetrics) {
        metrics.openRequests = snapshot.openRequests
        metrics.openAttempts = snapshot.openAttempts
        metrics.queuedRuns = snapshot.queuedRuns
        metrics.runningRuns = snapshot.runningRuns
        metrics.attempts = snapshot.counts.attempts
        metrics.retries = snapshot.counts.retries
        metrics.attemptLosses = RequestCounts.Loss.allCases.map { loss in
            .init(loss.metricName, snapshot.counts.count(loss))
        }
        metrics.refusals = [
            .init("open_requests", snapshot.counts.refusedFull),
            .init("expected_wait", snapshot.counts.refusedWaiting),
        ]
        metrics.fragments = node.fragmentFigures.map { figures in
            let key = figures.key
            let model = snapshot.models.first { $0.manifest == key.manifest }
            return AgentMetrics.Fragment(
                model: model?.name ?? key.manifest.short,
                operators: "\(key.operators.lowerBound)-\(key.operators.upperBound - 1)",
                rows: key.rows.map { "\($0.lowerBound)-\($0.upperBound - 1)" } ?? "all",
                runs: figures.runs, failures: figures.failures,
                ranSeconds: figures.ranSpan.metricSeconds,
                waitedSeconds: figures.waitedSpan.metricSeconds)
        }
    }

    /// One entry for each other node: the last of its runs.
    private func peers(_ snapshot: MeshSnapshot) -> [AgentMetrics.Peer] {
        let traffic = node.peerTraffic
        var latest: [MeshSnapshot.Member] = []
        // Members ascend by node, then by run.
        for member in snapshot.members where member.member.node != snapshot.me.node {
            if latest.last?.member.node == member.member.node { latest.removeLast() }
            latest.append(member)
        }
        return latest.map { member in
            let id = member.member.node
            let moved = traffic.first { $0.node == id }
            let link = snapshot.own.links.first { $0.peer == id }
            return AgentMetrics.Peer(
                name: member.record?.name ?? id.short, node: id.short,
                isConnected: member.isConnected, sentBytes: moved?.sentBytes ?? 0,
                receivedBytes: moved?.receivedBytes ?? 0,
                bytesPerSecond: link.flatMap { $0.bytesPerSecond > 0 ? $0.bytesPerSecond : nil },
                roundTripSeconds: member.roundTrip?.metricSeconds)
        }
    }

    /// Codecs that did something, in both directions.
    private var codecWork: [AgentMetrics.CodecWork] {
        let transport = node.transportCounters
        return [("packed", transport.packed), ("unpacked", transport.unpacked)].flatMap {
            direction, tallies in
            Codec.allCases.filter { tallies[$0].slices > 0 }.map { codec in
                let tally = tallies[codec]
                return AgentMetrics.CodecWork(
                    codec: "\(codec)", direction: direction, slices: tally.slices,
                    plainBytes: tally.plainBytes, packedBytes: tally.packedBytes,
                    seconds: Double(tally.nanoseconds) / 1e9)
            }
        }
    }

    private var transportCounts: [AgentMetrics.Named] {
        let transport = node.transportCounters
        return [
            .init("slices_sent", transport.slicesSent),
            .init("slice_sent_bytes", transport.sliceBytesSent),
            .init("slices_received", transport.slicesReceived),
            .init("slice_received_bytes", transport.sliceBytesReceived),
            .init("slices_refused", transport.slicesRefused),
            .init("slices_dropped", transport.slicesDropped),
            .init("slices_corrupt", transport.slicesCorrupt),
            .init("blob_sent_bytes", transport.blobBytesSent),
            .init("blob_received_bytes", transport.blobBytesReceived),
            .init("datagrams_sent", transport.datagramsSent),
            .init("datagrams_received", transport.datagramsReceived),
            .init("datagrams_dropped", transport.datagramsDropped),
            .init("messages_dropped", transport.messagesDropped),
            .init("handshakes_failed", transport.handshakesFailed),
            .init("half_open_refused", transport.halfOpenRefused),
            .init("peers_refused", transport.peersRefused),
            .init("connections_broken", transport.connectionsBroken),
        ]
    }
}

extension TimeSpan {
    /// In the unit that metrics have.
    fileprivate var metricSeconds: Double { Double(nanoseconds) / 1e9 }
}

extension RequestCounts.Loss {
    /// The word in the label.
    fileprivate var metricName: String {
        switch self {
        case .nodeLost: "node_lost"
        case .linkLost: "link_lost"
        case .malformedSlice: "malformed_slice"
        case .late, .gone, .full, .engine, .leaving, .unreachable: rawValue
        }
    }
}
