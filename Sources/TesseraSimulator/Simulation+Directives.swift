import NIOCore
import TesseraCore
import TesseraWire

// The simulated shell: directives in, steps out.

extension Simulation {
    mutating func carryOut(_ directives: [Directive], of index: Int) throws(Violation) {
        for directive in directives {
            guard nodes[index].agent != nil else { return }
            try carryOut(directive, of: index)
        }
    }

    private mutating func carryOut(_ directive: Directive, of index: Int) throws(Violation) {
        let member = nodes[index].member
        switch directive {
        case .wake(let time):
            nodes[index].wakeAt = time
            queue.insert(.wake(member, time), at: max(time, now))
        case .connect(let address):
            queue.insert(.dial(from: member, address), at: now + network.delay() * 2)
        case .disconnect(let peer):
            queue.insert(.connectionBroke(member, peer, onlyIfCut: false), at: now)
        case .send(let message, let target):
            try send(message, from: member, to: target)
        case .sendDatagram(let message, let target, _):
            try sendDatagram(message.fitted().message, from: member, to: target)
        case .sign(let record):
            let signed = SignedRecord(
                record: record, publicKey: nodes[index].publicKey, signature: [])
            queue.insert(.deliver(.signed(signed), to: member), at: now)
        case .fetch(let blob, let isManifest, let source):
            fetch(blob, isManifest: isManifest, from: source, to: index)
        case .storeCatalogue(let entries):
            nodes[index].catalogue = entries
        case .discard:
            nodes[index].hasManifest = false
            nodes[index].blobs = []
        case .compile(let key, _):
            nodes[index].compiled.insert(key)
            queue.insert(
                .deliver(.compiled(key, memoryBytes: 1 << 20), to: member),
                at: now + .milliseconds(Int64(20 + network.draw(below: 80))))
        case .unload(let key):
            nodes[index].compiled.remove(key)
        case .execute(let attempt, let fragment, let key, let inputs):
            try execute(attempt, fragment, key, inputs, on: index)
        case .plan(let token, let problem):
            let result = Planner.plan(problem, naming: PlanNaming.name)
            queue.insert(
                .deliver(.planned(token: token, result), to: member), at: now + .milliseconds(3))
        case .sendSlice(let header, let piece, let target):
            try sendSlice(header, piece.payload.id, of: index, to: target)
        case .release(let payload):
            try nodes[index].payloads.release(payload, at: now)
        case .answer(let client, let outputs, let detail):
            if detail.attempts > 1 { retries += detail.attempts - 1 }
            try answer(client, outputs, of: index)
        case .reject(let client, let error):
            try ends.onReject(
                EndsExactlyOnce.ClientKey(entry: member, client: client), error, at: now)
        case .report(let report):
            try onReport(report, of: member)
        case .leave:
            nodes[index].hasLeft = true
            queue.insert(.fault(.crash(node: index)), at: now)
        }
    }

    private mutating func answer(
        _ client: ClientID, _ outputs: [JoinedTensor], of index: Int
    ) throws(Violation) {
        if sabotage == .answersNever { return }
        let key = EndsExactlyOnce.ClientKey(entry: nodes[index].member, client: client)
        let values = try outputs.map { output throws(Violation) in
            try nodes[index].payloads.read(output.pieces[0].payload.id, at: now).value
        }
        try ends.onAnswer(key, values, at: now)
        if sabotage == .answersTwice { try ends.onAnswer(key, values, at: now) }
    }

    private mutating func onReport(_ report: Report, of member: NodeBoot) throws(Violation) {
        switch report {
        case .decided(_, let id, let plan):
            decisions += 1
            try onePlanPerBallot.onDecided(plan, id, at: now)
            try currentOnlyGrows.onDecided(plan, by: member, at: now)
        case .limit("attempts over the reservation", let count):
            overfull += count
        default: break
        }
    }

    // MARK: Network

    /// What the wire makes of a value: nothing travels that could not be sent and read.
    private mutating func overWire<Value: WireValue>(
        _ value: Value, _ what: String
    ) throws(Violation) -> (value: Value, byteCount: Int) {
        do {
            let bytes = try value.encodedBytes()
            fold(bytes)
            return (try Value(decodingBytes: bytes), bytes.readableBytes)
        } catch {
            throw Violation(
                checker: "what is sent can be read", at: now, what: "\(what): \(error)")
        }
    }

    private mutating func fold(_ bytes: ByteBuffer) {
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

    private mutating func send(
        _ message: Message, from sender: NodeBoot, to target: NodeBoot
    ) throws(Violation) {
        guard network.connection(sender, target) != nil else { return }
        let sent = try overWire(message, "a message")
        transmit(.message(sent.value), byteCount: sent.byteCount, from: sender, to: target)
    }

    private mutating func sendDatagram(
        _ message: MembershipMessage, from sender: NodeBoot, to target: NodeBoot
    ) throws(Violation) {
        guard let time = network.datagramArrival(from: sender, to: target, now: now) else {
            return
        }
        let sent = try overWire(Message.membership(message), "a datagram")
        queue.insert(.deliver(.received(sent.value, from: sender), to: target), at: time)
    }

    private mutating func sendSlice(
        _ header: SliceHeader, _ payload: PayloadID, of index: Int, to target: NodeBoot
    ) throws(Violation) {
        let member = nodes[index].member
        let entry = try nodes[index].payloads.read(payload, at: now)
        try OneAttempt.check(entry, isFor: header.attempt, at: index, now)
        guard network.connection(member, target) != nil else { return }
        var sent = try overWire(header, "a slice").value
        if sabotage == .swapsAttempts, let last = lastAttempt, last != header.attempt,
            last.plan == header.attempt.plan
        {
            sent.attempt = last
        }
        lastAttempt = header.attempt
        transmit(
            .slice(sent, entry.value, of: header.attempt), byteCount: header.byteCount,
            from: member, to: target)
    }

    mutating func transmit(
        _ arrival: Arrival, byteCount: Int, from sender: NodeBoot, to target: NodeBoot
    ) {
        switch network.fate(from: sender, to: target, byteCount: byteCount, now: now) {
        case .arrives(let time, let connection):
            queue.insert(
                .arrive(arrival, from: sender, to: target, connection: connection), at: time)
        case .waits(let connection):
            held.append(
                Held(
                    arrival: arrival, sender: sender, receiver: target, byteCount: byteCount,
                    connection: connection))
        case .lost: break
        }
    }

    mutating func arrive(
        _ arrival: Arrival, from sender: NodeBoot, to target: NodeBoot
    ) throws(Violation) {
        guard let index = living(target) else { return }
        switch arrival {
        case .message(let message):
            try handle(.received(message, from: sender), target)
        case .slice(let header, let value, let attempt):
            let payload = nodes[index].payloads.insert(value, of: attempt)
            try handle(
                .sliceArrived(
                    header, Payload(id: payload, byteCount: header.byteCount), from: sender),
                target)
        case .blob(let blob, let isManifest):
            nodes[index].fetches.removeAll { $0.blob == blob && $0.source == sender }
            if isManifest {
                nodes[index].hasManifest = true
                try handle(
                    .manifestStored(model.outline, blobs: nodes[index].blobs.sorted()), target)
            } else if let number = model.outline.blobs.firstIndex(where: { $0.id == blob }) {
                nodes[index].blobs.insert(number)
                try handle(.blobStored(blob), target)
            }
        }
    }

    /// The fetches of a node that a broken connection ends.
    mutating func failFetches(of member: NodeBoot, from source: NodeBoot) throws(Violation) {
        guard let index = living(member) else { return }
        let failed = nodes[index].fetches.filter { $0.source == source }
        nodes[index].fetches.removeAll { $0.source == source }
        for fetch in failed {
            try handle(
                .fetchFailed(fetch.blob, from: source.node, reason: "the connection broke"), member)
        }
    }

    /// A call that nobody refuses is given up after this span.
    private static let dialPatience = TimeSpan.seconds(2)

    mutating func dial(_ dialler: NodeBoot, _ address: Address) throws(Violation) {
        guard let from = living(dialler),
            let index = nodes.firstIndex(where: { $0.address == address }), index != from
        else { return }
        let target = nodes[index].member
        let isSilent =
            nodes[index].isSilent || nodes[index].pausedUntil > now
            || network.isCut(dialler, target)
        if isSilent {
            queue.insert(.deliver(.unreachable(address), to: dialler), at: now + Self.dialPatience)
        } else if nodes[index].agent == nil {
            try handle(.unreachable(address), dialler)
        } else if network.connect(dialler, target) {
            try handle(.connected(target, address: address), dialler)
            try handle(.connected(dialler, address: nodes[from].address), target)
        }
    }

    private mutating func fetch(
        _ blob: BlobID, isManifest: Bool, from source: NodeBoot, to index: Int
    ) {
        let member = nodes[index].member
        let number = model.outline.blobs.firstIndex { $0.id == blob }
        let holder = living(source).map { nodes[$0] }
        let isThere =
            isManifest
            ? holder?.hasManifest == true
            : number.map { holder?.blobs.contains($0) == true } ?? false
        guard isThere, network.connection(source, member) != nil else {
            queue.insert(
                .deliver(
                    .fetchFailed(blob, from: source.node, reason: "not there"), to: member),
                at: now + .milliseconds(1))
            return
        }
        nodes[index].fetches.append((blob, source))
        let size = isManifest ? 100_000 : number.map { model.outline.blobs[$0].byteCount } ?? 0
        transmit(
            .blob(blob, isManifest: isManifest), byteCount: size, from: source, to: member)
    }

    // MARK: Engine

    private mutating func execute(
        _ attempt: AttemptID, _ fragment: Int, _ key: FragmentKey, _ inputs: [JoinedTensor],
        on index: Int
    ) throws(Violation) {
        guard nodes[index].compiled.contains(key) else {
            throw Violation(
                checker: "only compiled fragments run", at: now,
                what: "node \(index) was told to run operators \(key.operators)")
        }
        var values: [Int: UInt64] = [:]
        // Operators of the simulated model have no rows, so every input is one piece.
        for (tensor, input) in zip(model.outline.inputTensors(of: key.operators), inputs) {
            let entry = try nodes[index].payloads.read(input.pieces[0].payload.id, at: now)
            try OneAttempt.check(entry, isFor: attempt, at: index, now)
            values[tensor] = entry.value
        }
        let skipped = sabotage == .skipsOperator ? 1 : 0
        model.run(key.operators.dropLast(skipped), &values)
        let outputs = model.outline.outputTensors(of: key.operators).map { tensor in
            EngineOutput(
                value: values[tensor] ?? 0,
                byteCount: model.outline.tensors[tensor].descriptor.byteCount)
        }
        let work = model.outline.operators[key.operators].reduce(0) { $0 + $1.operationCount }
        let cost = TimeSpan.microseconds(
            Int64(work / nodes[index].capability.operationsPerMicrosecond) + 10)
        let start = max(now, nodes[index].engineFreeAt)
        nodes[index].engineFreeAt = start + cost
        queue.insert(
            .engineDone(
                nodes[index].member, attempt, fragment: fragment, outputs: outputs, cost),
            at: start + cost)
    }

    mutating func engineDone(
        _ member: NodeBoot, _ attempt: AttemptID, _ fragment: Int, _ results: [EngineOutput],
        _ cost: TimeSpan
    ) throws(Violation) {
        guard let index = living(member) else { return }
        let outputs = results.map {
            Payload(
                id: nodes[index].payloads.insert($0.value, of: attempt), byteCount: $0.byteCount)
        }
        let event = Event.executed(
            attempt: attempt, fragment: fragment, outputs: outputs,
            microseconds: cost.microseconds)
        try handle(event, member)
        if sabotage == .tellsResultTwice { try handle(event, member) }
    }
}

/// What the simulated engine makes of one output: a fingerprint that stands for so many bytes.
struct EngineOutput: Hashable, Sendable {
    var value: UInt64
    var byteCount: Int
}
