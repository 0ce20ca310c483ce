import NIOCore
import TesseraCore
import TesseraWire

// Messages, datagrams, slices and connections.

extension Simulation {
    /// A connection that is silent for so long is closed (the shell's keepalive).
    static let silenceMax = TimeSpan.seconds(3)
    /// A call that nobody refuses is given up after this span (the shell's connect timeout).
    private static let callPatience = TimeSpan.seconds(2)

    // MARK: The wire

    /// What the wire makes of a value: nothing travels that could not be sent and read.
    func overWire<Value: WireValue>(
        _ value: Value, _ what: String
    ) throws(Violation) -> (value: Value, bytes: ByteBuffer) {
        do {
            let bytes = try value.encodedBytes()
            fold(bytes)
            return (try Value(decodingBytes: bytes), bytes)
        } catch {
            throw Violation(
                checker: "what is sent can be read", at: now, what: "\(what): \(error)")
        }
    }

    private func fold(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { raw in
            var offset = 0
            while offset + 8 <= raw.count {
                fold(raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
                offset += 8
            }
            while offset < raw.count {
                fold(UInt64(raw[offset]))
                offset += 1
            }
        }
    }

    // MARK: Sending

    func send(
        _ message: Message, from node: SimulatedNode, to target: NodeBoot
    ) throws(Violation) {
        let target = receiver(of: message, to: target)
        guard let other = runs[target], let connection = network.connection(node.run, other) else {
            return
        }
        let sent = try overWire(message, "a message")
        figures.messages += 1
        figures.messageBytes += sent.bytes.readableBytes
        if case .agreement = message {
            figures.agreementMessages += 1
            figures.agreementBytes += sent.bytes.readableBytes
        }
        if !toLose.isEmpty, let kind = Fault.Message(message), let left = toLose[kind], left > 0 {
            toLose[kind] = left - 1
            queue.insert(
                .broke(node.run, other, connection: connection), at: now + .microseconds(1))
            return
        }
        transmit(
            .message(sent.value), byteCount: sent.bytes.readableBytes, lane: .control,
            from: node.run, to: other)
    }

    func sendDatagram(
        _ message: MembershipMessage, from node: SimulatedNode, to target: NodeBoot
    ) throws(Violation) {
        guard let other = runs[target] else { return }
        let (arrivals, corruption) = network.datagram(
            from: node.index, to: runNodes[other], now: now)
        figures.datagrams += 1
        guard !arrivals.isEmpty else { return }
        let sent = try overWire(Message.membership(message), "a datagram")
        figures.datagramBytes += sent.bytes.readableBytes + Self.datagramOverhead
        if let corruption { return readCorrupted(sent.bytes, corruption) }
        for time in arrivals {
            queue.insert(.datagram(sent.value, from: node.run, to: other), at: time)
        }
    }

    /// Bytes that the seal adds to a datagram, and what IP and UDP add.
    static let datagramOverhead = 130 + 28

    /// The seal of a datagram and of a connection finds a wrong byte, so nobody acts on it; the
    /// decoder sees it all the same, and must neither stop the process nor read beyond.
    private func readCorrupted(_ bytes: ByteBuffer, _ chance: UInt64) {
        var bytes = bytes
        let count = bytes.readableBytes
        guard count > 0 else { return }
        let index = bytes.readerIndex + Int(chance % UInt64(count))
        let byte = bytes.getInteger(at: index, as: UInt8.self) ?? 0
        bytes.setInteger(byte ^ UInt8(truncatingIfNeeded: 1 << (chance >> 32 & 7)), at: index)
        do {
            _ = try Message(decoding: bytes)
        } catch {
            // As it should be: not every wrong byte makes a wrong form.
        }
    }

    /// Puts something on its way over a connection, if there is one; gives when it arrives.
    @discardableResult
    func transmit(
        _ arrival: Arrival, byteCount: Int, lane: SimulatedNetwork.Lane, from sender: Int,
        to target: Int
    ) -> Timestamp? {
        guard let connection = network.connection(sender, target),
            let fate = network.arrival(
                from: runNodes[sender], sender, to: runNodes[target], target, lane: lane,
                byteCount: byteCount, now: now)
        else { return nil }
        if fate.isCorrupt, case .message(let message) = arrival {
            do {
                readCorrupted(try message.encodedBytes(), trace)
            } catch {
                // It was encoded a moment ago.
            }
        }
        queue.insert(
            .arrive(
                fate.isCorrupt ? .garbage : arrival, from: sender, to: target,
                connection: connection), at: fate.time)
        return fate.time
    }

    // MARK: Arriving

    func arrive(
        _ arrival: Arrival, from sender: Int, to target: Int, connection: Int
    ) throws(Violation) {
        guard network.connection(sender, target) == connection, let node = living(target) else {
            return
        }
        if network.isCut(from: runNodes[sender], to: node.index, at: now) {
            // A cut came in between; what was on its way waits for the end of it, if there is one.
            let opens = network.opens(from: runNodes[sender], to: node.index)
            guard opens != .never else { return }
            queue.insert(
                .arrive(arrival, from: sender, to: target, connection: connection), at: opens)
            return
        }
        switch arrival {
        case .message(let message):
            try handle(.received(message, from: runMembers[sender]), target)
            restartVoter(after: message, from: sender)
        case .slice(let header, let value, let attempt):
            let payload = node.payloads.insert(value, of: attempt)
            try handle(
                .sliceArrived(
                    header, Payload(id: payload, byteCount: header.byteCount),
                    from: runMembers[sender]), target)
        case .blob(let blob, let isManifest):
            try blobArrived(blob, isManifest: isManifest, from: sender, at: node)
        case .unreadable(let header):
            // The shell cannot unpack it, and tells the entry.
            let failure = RequestMessage.failed(
                attempt: header.attempt, fragment: nil, reason: .malformedSlice)
            let entry = header.attempt.request.entry
            if entry == node.member {
                try handle(.received(.request(failure), from: node.member), target)
            } else {
                try send(.request(failure), from: node, to: entry)
            }
        case .garbage:
            try breakConnection(sender, target)
        }
    }

    /// The fault that strikes who has just promised.
    private func restartVoter(after message: Message, from sender: Int) {
        guard case .agreement(.promise) = message, let back = voterRestarts.popLast() else {
            return
        }
        queue.insert(
            .fault(.stop(.node(runNodes[sender]), .crash, backAfter: back, .whole)), at: now)
    }

    // MARK: Connections

    func breakConnection(_ one: Int, _ other: Int) throws(Violation) {
        guard network.disconnect(one, other) else { return }
        try handle(.disconnected(runMembers[other]), one)
        try handle(.disconnected(runMembers[one]), other)
        try failFetches(of: one, from: other)
        try failFetches(of: other, from: one)
    }

    func call(_ address: Address, from node: SimulatedNode) {
        node.dials += 1
        let span =
            indices[address].map {
                network.callDelay(from: node.index, to: $0, number: node.dials)
            } ?? .milliseconds(1)
        queue.insert(.dial(node.run, address), at: now + span)
    }

    func dial(_ run: Int, _ address: Address) throws(Violation) {
        guard let caller = living(run) else { return }
        guard let node = indices[address].map({ nodes[$0] }) else {
            // Nobody has this address.
            queue.insert(.event(.unreachable(address), run: run), at: now + Self.callPatience)
            return
        }
        guard node !== caller else { return }
        if node.isSilent || node.pausedUntil > now
            || network.isCut(caller.index, node.index, at: now)
        {
            queue.insert(.event(.unreachable(address), run: run), at: now + Self.callPatience)
        } else if node.agent == nil {
            try handle(.unreachable(address), run)
        } else if network.connect(run, node.run) {
            caller.heard.insert(node.run)
            node.heard.insert(run)
            try handle(.connected(node.member, address: address), run)
            try handle(.connected(caller.member, address: caller.address), node.run)
            try handle(.unpacks(node.member), run)
            try handle(.unpacks(caller.member), node.run)
            if scenario.network.measuresLinks {
                measureLink(from: caller, to: node)
                measureLink(from: node, to: caller)
            }
        }
    }

    /// The shell probes a link soon after it is connected, and tells what it found.
    private func measureLink(from node: SimulatedNode, to other: SimulatedNode) {
        var fate = Fate(
            seed: scenario.seed, .measuring, node.index, other.index, UInt64(node.dials))
        let link = scenario.mesh.link(node.index, other.index)
        let rate = min(link.bitsPerSecond, scenario.mesh.mediumBitsPerSecond ?? .max) / 8
        let isDisturbed = scenario.engine.noisePercent > 0
        let percent = isDisturbed ? 90 + fate.next(below: 21) : 100
        let back = scenario.mesh.link(other.index, node.index)
        let measurement = LinkMeasurement(
            peer: other.member.node, bytesPerSecond: UInt64(rate / 100 * percent),
            roundTripMicroseconds: (link.latency + back.latency).microseconds)
        queue.insert(
            .event(.linkMeasured(measurement), run: node.run),
            at: now + fate.span(.milliseconds(20), .milliseconds(600)))
    }

    /// Discovery: everybody who is there hears of the newcomer, and it of them, if nothing is
    /// missed.
    func announce(_ node: SimulatedNode) {
        for other in nodes where other !== node && other.agent != nil {
            var fate = Fate(
                seed: scenario.seed, .discovery, node.index, other.index, UInt64(node.run))
            let delay = fate.span(.milliseconds(10), scenario.discovery.delayMost)
            let count = fate.chance(perMille: scenario.discovery.duplicatePerMille) ? 2 : 1
            for _ in 0..<count {
                for (listener, speaker) in [(other, node), (node, other)]
                where !fate.chance(perMille: scenario.discovery.missingPerMille)
                    || network.isHealed
                {
                    queue.insert(
                        .event(.discovered(speaker.address), run: listener.run), at: now + delay)
                }
            }
        }
    }
}

extension Fault.Message {
    /// The kind of a message, if its loss is a fault that can be drawn.
    init?(_ message: Message) {
        switch message {
        case .request(.failed(_, _, .gone)): self = .gone
        case .request(.cancel): self = .cancel
        case .request(.tickets): self = .tickets
        case .request(.ticketReturn): self = .ticketReturn
        case .agreement(.promise): self = .promise
        case .agreement(.ready): self = .ready
        case .agreement(.accepted): self = .accepted
        case .agreement(.decided): self = .decided
        default: return nil
        }
    }
}
