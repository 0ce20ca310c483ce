import TesseraCore

// What goes wrong, and the end of it.

extension Simulation {
    /// The end of something that lasts: with the healing at the latest.
    private func until(_ span: TimeSpan) -> Timestamp { min(now + span, scenario.healAt) }

    /// The nodes that a fault strikes, as things are now.
    private func struck(_ target: Fault.Target) -> [SimulatedNode] {
        func node(of member: NodeBoot?) -> SimulatedNode? {
            member.flatMap { runs[$0] }.flatMap { living($0) }
        }
        let plan = nodes.lazy.compactMap { $0.agent?.currentPlan(self.models[0].manifest) }.first
        switch target {
        case .node(let index):
            return nodes.indices.contains(index) ? [nodes[index]] : []
        case .proposer:
            return lastProposer.map { [nodes[$0]] } ?? []
        case .gate:
            return node(of: plan?.plan.gate).map { [$0] } ?? []
        case .lastStage:
            return node(of: plan?.plan.fragments.last?.host).map { [$0] } ?? []
        case .entry:
            let open = nodes.map { ($0.agent?.openRequests ?? -1, -$0.index) }.max { $0 < $1 }
            return open.map { [nodes[-$0.1]] } ?? []
        case .entryAndGate:
            let entry = struck(.entry)
            return entry + struck(.gate).filter { gate in !entry.contains { $0 === gate } }
        }
    }

    func perform(_ fault: Fault) throws(Violation) {
        switch fault {
        case .stop(let target, let ending, let back, let disk):
            for node in struck(target) where node.agent != nil {
                try stop(node, ending)
                node.lose(disk)
                if let back { queue.insert(.restart(node.index), at: now + back) }
            }
        case .pause(let target, let span):
            for node in struck(target) where node.agent != nil { pause(node, until: until(span)) }
        case .leave(let index):
            if nodes[index].agent != nil { try handle(.leaveRequested, nodes[index].run) }
        case .join(let index):
            if !nodes[index].hasBooted { try boot(index) }
        case .cut, .isolate, .split, .clog, .swizzle:
            disturb(fault)
        case .breakConnection(let one, let other):
            if one != other { try breakConnection(nodes[one].run, nodes[other].run) }
        case .lose(let message, let count):
            toLose[message, default: 0] += count
        case .restartVoter(let back):
            voterRestarts.append(back)
        case .slow(let target, let percent, let span):
            for node in struck(target) {
                node.slowPercent = percent
                node.slowUntil = until(span)
            }
        case .trouble(let target, let kind, let span):
            for node in struck(target) {
                node.trouble = SimulatedNode.Trouble(kind: kind, until: until(span))
            }
        case .slowPlanning(let each, let span):
            slowPlanning = (each, until(span))
        case .discovery(let rumour, let index):
            discover(rumour, index)
        case .burst, .cancel, .command, .damage:
            try use(fault)
        }
    }

    /// What people do, and what their disks do to them.
    private func use(_ fault: Fault) throws(Violation) {
        switch fault {
        case .burst(let target, let count):
            for node in struck(target) where node.agent != nil && node.disk.hasManifest[0] {
                for _ in 0..<count where node.agent != nil && node.pausedUntil <= now {
                    _ = try submit(at: node, model: 0, deadline: .seconds(4))
                }
            }
        case .cancel(let target):
            for node in struck(target) where node.agent != nil && node.pausedUntil <= now {
                let clients = node.clients
                node.clients = []
                for client in clients {
                    checks.ends.onAbandoned(
                        EndsExactlyOnce.ClientKey(entry: node.member, client: client))
                    try handle(.abandoned(client), node.run)
                }
            }
        case .command(let command, let index):
            try perform(command, at: nodes[index])
        case .damage(let index):
            let node = nodes[index]
            guard node.agent != nil, let place = node.blobs(of: 0).last else { return }
            // What a node alone has is lost for good, and then nothing could be asked of the mesh.
            guard nodes.contains(where: { $0 !== node && $0.disk.blobs[0][place] }) else { return }
            node.write { $0.blobs[0][place] = false }
            try handle(.blobLost(models[0].outline.blobs[place].id), node.run)
        default: break
        }
    }

    private func perform(
        _ command: Fault.Command, at node: SimulatedNode
    ) throws(Violation) {
        guard node.agent != nil, models.count > 1 else { return }
        switch command {
        case .addModel:
            addModel(1, at: node, time: now)
        case .removeModel:
            try handle(.modelRemoved(name: "toy-1"), node.run)
        case .wantLatency, .wantThroughput:
            // Plans for least latency take many times as long to make: only for small models.
            guard models[0].outline.operators.count <= Self.latencyOperatorsMax,
                node.disk.hasManifest[0], node.agent?.names(models[0].manifest) == true
            else {
                return
            }
            let goal = PlanGoal(objective: command == .wantLatency ? .latency : .throughput)
            try handle(
                .modelAdded(
                    name: "toy-0", manifest: models[0].manifest,
                    settings: ModelSettings(
                        goal: goal, allowedModes: models[0].modes,
                        codecs: models[0].settings.codecs)), node.run)
        }
    }

    private static let latencyOperatorsMax = 8

    private func discover(_ rumour: Fault.Rumour, _ index: Int) {
        for node in nodes where node.agent != nil {
            let addresses: [Address] =
                switch rumour {
                case .stale: [Address(host: "10.1.0.\(index)", port: 8_701)]
                case .duplicate: nodes.map(\.address) + nodes.map(\.address)
                case .swapped: [nodes[index].address, node.address]
                }
            for address in addresses {
                queue.insert(
                    .event(.discovered(address), run: node.run), at: now + .milliseconds(5))
            }
        }
    }

    // MARK: Links

    private func disturb(_ fault: Fault) {
        switch fault {
        case .cut(let from, let to, let span):
            cut([(from, to)], until: until(span))
        case .isolate(let target, let span):
            let lost = struck(target).map(\.index)
            cut(
                nodes.indices.flatMap { index in
                    lost.flatMap { lost.contains(index) ? [] : [($0, index), (index, $0)] }
                }, until: until(span))
        case .split(let mask, let span):
            cut(
                nodes.indices.flatMap { one in
                    nodes.indices.filter { side($0, mask) != side(one, mask) }.map { (one, $0) }
                }, until: until(span))
        case .clog(let from, let to, let span):
            network.clog(from: from, to: to, until: until(span))
        case .swizzle(let span):
            for (from, to) in nodes.indices.flatMap({ one in nodes.indices.map { (one, $0) } }) {
                var fate = Fate(
                    seed: scenario.seed, .fault, from, to, UInt64(bitPattern: now.nanoseconds))
                guard fate.chance(perMille: 400) else { continue }
                network.clog(from: from, to: to, until: until(fate.span(.zero, span)))
            }
        default: break
        }
    }

    /// The part in which a node is while the nodes whose bits are set are apart.
    private func side(_ index: Int, _ mask: UInt64) -> Int {
        Int(truncatingIfNeeded: mask >> UInt64(min(index, 63)) & 1)
    }

    private func cut(_ links: [(Int, Int)], until time: Timestamp) {
        for (from, to) in links {
            network.cut(from: from, to: to, until: time)
            watchSilence(nodes[from], nodes[to])
        }
    }

    /// A connection over a link that is cut now breaks when it has been silent for too long.
    private func watchSilence(_ one: SimulatedNode, _ other: SimulatedNode) {
        guard one.run >= 0, other.run >= 0,
            let connection = network.connection(one.run, other.run)
        else { return }
        queue.insert(
            .silence(one.run, other.run, connection: connection), at: now + Self.silenceMax)
    }

    // MARK: Processes

    func stop(_ node: SimulatedNode, _ ending: Fault.Ending) throws(Violation) {
        guard node.agent != nil else { return }
        checks.incarnations.onOwn(node.agent?.incarnation ?? 0, of: node.member)
        node.agent = nil
        node.isSilent = ending == .powerLoss
        node.payloads = PayloadTable()
        node.clients = []
        checks.ends.onEntryDied(node.member)
        // Broken connections tell at once; a device without power is missed after the keepalive.
        let delay = node.isSilent ? Self.silenceMax : .milliseconds(1)
        for peer in network.peers(of: node.run) {
            queue.insert(
                .broke(peer, node.run, connection: network.connection(peer, node.run)),
                at: now + delay)
        }
    }

    private func pause(_ node: SimulatedNode, until time: Timestamp) {
        let from = max(node.pausedUntil, now)
        guard time > from else { return }
        node.pausedUntil = time
        checks.ends.onEntryPaused(node.member, for: time - from)
        guard time - now > Self.silenceMax else { return }
        for peer in network.peers(of: node.run) {
            queue.insert(
                .broke(peer, node.run, connection: network.connection(peer, node.run)),
                at: now + Self.silenceMax)
        }
    }

    /// Every fault ends; parts that stay apart are cut for good.
    func heal() throws(Violation) {
        network.heal()
        if case .split(let mask, _)? = scenario.onlySplit {
            let sides = Dictionary(
                nodes.map { ($0.member, side($0.index, mask)) },
                uniquingKeysWith: { first, _ in first })
            checks.heal.onHealed(at: now) { sides[$0] }
        }
        toLose = [:]
        voterRestarts = []
        for node in nodes {
            node.trouble = nil
            node.slowUntil = now
            if node.hasBooted, node.agent == nil, !node.hasLeft { try boot(node.index) }
        }
        for node in nodes where node.agent != nil {
            announce(node)
            for other in nodes where scenario.parts[other.index] != scenario.parts[node.index] {
                watchSilence(node, other)
            }
        }
        queue.insert(.look, at: now + Liveness.period)
    }
}
