// Which codec a slice goes with: what the agent knows, put to `CodecChoice`.

extension Agent {
    /// Chooses the codec of a slice that is about to go to a peer.
    mutating func codec(
        of header: SliceHeader, to peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) -> Codec {
        let bytes = header.byteCount
        guard bytes >= LinkCodecs.bytesMin, codecs.unpacks(peer) else { return .none }
        defer { codecs.onSending(bytes, to: peer) }
        let plan = header.attempt.plan
        guard let layout = host.layout(ofReady: plan) ?? layouts[plan],
            layout.plan.routes.indices.contains(header.route)
        else { return .none }
        let key = LinkCodecs.RouteKey(plan: plan, route: header.route, peer: peer)
        let state = codecs.state(key)
        if codecs.holds(key, at: now) { return state.codec }
        let settings = mesh.catalogue.settings(of: layout.plan.manifest)
        let choice = CodecChoice(
            byteCount: bytes, bytesPerSecond: rate(to: peer.node),
            queuedBytes: codecs.queuedBytes(to: peer),
            neededNanoseconds: needed(header, to: peer, layout: layout),
            isForLatency: settings.goal.objective == .latency,
            options: options(header, key, layout: layout, settings: settings, now: now),
            present: state.codec)
        let (codec, reason) = choice.decide()
        let isTrial = reason == .tried
        if codecs.use(codec, on: key, isTrial: isTrial, at: now) {
            directives.append(
                .report(
                    .codec(
                        layout.plan.manifest, tensor: layout.descriptors[header.route].name,
                        to: peer.node, was: state.codec, now: codec, reason: "\(reason)")))
        }
        return codec
    }

    /// Bytes per second of the link to a peer; 0 if not known.
    private func rate(to peer: NodeID) -> UInt64 {
        mesh.own.links.first { $0.peer == peer }?.bytesPerSecond ?? 0
    }

    /// The codecs that the slice may go with, and what they take here and there.
    private func options(
        _ header: SliceHeader, _ key: LinkCodecs.RouteKey, layout: PlanLayout,
        settings: ModelSettings, now: Timestamp
    ) -> [CodecChoice.Option] {
        let tensor = layout.plan.routes[header.route].tensor
        let allowed = [.lossless] + (settings.codecs?.allowed(tensor) ?? [])
        let own = mesh.own.capability?.movedBytesPerMicrosecond ?? 1
        let theirs = mesh.record(of: key.peer)?.capability?.movedBytesPerMicrosecond ?? own
        let unfit = codecs.state(key).unfit
        return allowed.filter { $0.takes(header.type) && !unfit.contains($0) }.compactMap { codec in
            var perMille = codec.fixedPerMille
            if codec == .lossless {
                perMille = codecs.state(key).losslessPerMille
                if codecs.isTrialDue(key, at: now) {
                    perMille = nil
                } else if perMille == nil {
                    return nil
                }
            }
            let speed = codecs.speed(codec)
            // Unpacking moves memory: a peer is as much slower at it as at that.
            return CodecChoice.Option(
                codec: codec, perMille: perMille,
                packNanoseconds: CostArithmetic.scaled(
                    header.byteCount, by: 1_000, over: Int(clamping: speed.packedPerMicrosecond)),
                unpackNanoseconds: CostArithmetic.scaled(
                    CostArithmetic.scaled(
                        header.byteCount, by: 1_000,
                        over: Int(clamping: speed.unpackedPerMicrosecond)),
                    by: Int(clamping: max(own, 1)), over: Int(clamping: max(theirs, 1))))
        }
    }

    /// How long this node's links may be busy with a slice, if they are not to slow the plan down:
    /// its part of the time that the busiest node computes for an item.
    ///
    /// The parts are as the slices' times over their links, so that all of them together fit.
    private func needed(_ header: SliceHeader, to peer: NodeBoot, layout: PlanLayout) -> Int {
        let plan = layout.plan
        let isFromEntry = plan.routes[header.route].source == .entry
        var sum = 0
        var own = 0
        for (index, route) in plan.routes.enumerated() {
            let target: NodeBoot
            switch (route.source, route.destination) {
            case (.entry, .fragment(let reader)) where isFromEntry:
                target = plan.fragments[reader].host
            case (.fragment(let maker), .fragment(let reader))
            where !isFromEntry && plan.fragments[maker].host == me:
                target = plan.fragments[reader].host
            case (.fragment(let maker), .entry)
            where !isFromEntry && plan.fragments[maker].host == me:
                target = header.attempt.request.entry
            default: continue
            }
            let rate = rate(to: target.node)
            guard target != me, rate > 0 else { continue }
            var part = 1_000
            for case .fragment(let end) in [route.source, route.destination] {
                part = part * plan.share(ofFragment: end) / 1_000
            }
            let time = CostArithmetic.scaled(
                layout.descriptors[index].byteCount, by: 1_000_000_000,
                over: Int(clamping: rate))
            if index == header.route { own = time }
            sum += CostArithmetic.scaled(time, by: max(part, 1), over: 1_000)
        }
        let pace = CostArithmetic.nanoseconds(microseconds: pace(of: plan))
        guard sum > 0 else { return pace }
        return CostArithmetic.scaled(pace, by: own, over: sum)
    }

    /// The time per item that the plan could keep if links took none: what its busiest node was
    /// measured to compute, or what was predicted while that is not known.
    private func pace(of plan: Plan) -> Int64 {
        var busiest: Int64 = 0
        for host in plan.hosts {
            guard let times = mesh.record(of: host)?.times else {
                return plan.predictedPeriodMicroseconds
            }
            var sum: Int64 = 0
            for (index, fragment) in plan.fragments.enumerated() where fragment.host == host {
                let key = plan.key(ofFragment: index)
                guard let time = times.first(where: { $0.key == key }) else {
                    return plan.predictedPeriodMicroseconds
                }
                sum += time.microseconds * Int64(plan.share(ofFragment: index)) / 1_000
            }
            busiest = max(busiest, sum)
        }
        return max(1, min(busiest, plan.predictedPeriodMicroseconds))
    }
}

extension Plan {
    /// The part of the items that a fragment works on, in thousandths: all but for replicas.
    func share(ofFragment index: Int) -> Int {
        guard
            let stage = stages.first(where: {
                $0.mode == .replicas && $0.fragments.contains(index)
            })
        else { return 1_000 }
        let sum = stage.fragments.reduce(0) { $0 + fragments[$1].weight }
        return max(1, fragments[index].weight * 1_000 / max(sum, 1))
    }
}
