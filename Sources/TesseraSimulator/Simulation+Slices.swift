import TesseraCore
import TesseraWire

// Slices on their way, packed or not.

extension Simulation {
    func sendSlice(
        _ header: SliceHeader, _ payload: PayloadID, codec asked: Codec,
        from node: SimulatedNode, to target: NodeBoot
    ) throws(Violation) {
        let entry = try node.payloads.read(payload, at: now)
        try OneAttempt.check(entry, isFor: header.attempt, at: node.index, now)
        let isLarge = header.byteCount >= LinkCodecs.bytesMin
        let codec = sabotage == .packsAnything && isLarge ? Codec.int8 : asked
        let ratio = try perMille(header, codec, node)
        guard let other = runs[target], network.connection(node.run, other) != nil else { return }
        let count = header.byteCount * ratio / 1_000
        let isPacked = codec != .none && count < header.byteCount && count > 0
        let begin = SliceBegin(
            stream: 1, header: header, totalBytes: isPacked ? count : header.byteCount,
            codec: isPacked ? codec : .none)
        let sent = try overWire(SliceBeginPayload(begin), "a slice").value.begin(stream: 1)
        if isPacked { figures.packedSlices += 1 }
        var fate = Fate(
            seed: scenario.seed, .packing, node.index, runNodes[other], UInt64(figures.packedSlices)
        )
        let isUnreadable =
            isPacked && !network.isHealed
            && fate.chance(perMille: scenario.network.corruptPerMille)
        let arrival = transmit(
            isUnreadable
                ? .unreadable(sent.header)
                : .slice(tamper(sent.header), entry.value, of: header.attempt),
            byteCount: sent.totalBytes, lane: .data, from: node.run, to: other)
        guard isLarge else { return }
        let note = SentSlice(
            peer: target, plan: header.attempt.plan, route: header.route, codec: codec,
            byteCount: header.byteCount, sentByteCount: sent.totalBytes,
            packMicroseconds: codec == .none ? 0 : Int64(header.byteCount / 200 + 1))
        queue.insert(.event(.sliceSent(note), run: node.run), at: arrival ?? now)
    }

    /// What a codec leaves of a slice, in thousandths; the codec must be one that the model allows.
    private func perMille(
        _ header: SliceHeader, _ codec: Codec, _ node: SimulatedNode
    ) throws(Violation) -> Int {
        guard codec != .none else { return 1_000 }
        let found = node.agent?.inspect { $0.tensor(of: header) }
        guard let (manifest, tensor) = found ?? nil,
            let model = models.first(where: { $0.manifest == manifest })
        else { return codec.fixedPerMille ?? 1_000 }
        try WithinAllowance.check(
            codec, tensor: tensor, model.settings.codecs, at: node.index, now)
        return codec.fixedPerMille ?? model.losslessPerMille(tensor)
    }
}
