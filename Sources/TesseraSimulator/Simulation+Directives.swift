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
            queue.insert(.connectionBroke(member, peer), at: now)
        case .send(let message, let target):
            try send(message, from: member, to: target)
        case .sendDatagram(let message, let target, _):
            if let time = network.datagramArrival(from: member, to: target, now: now) {
                queue.insert(
                    .deliver(.received(.membership(message), from: member), to: target), at: time)
            }
        case .sign(let record):
            let signed = SignedRecord(record: record, publicKey: [], signature: [])
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
        case .sendSlice(let header, let payload, let target):
            let value = try nodes[index].payloads.read(payload, at: now).value
            let time = network.arrival(
                from: member, to: target, byteCount: header.byteCount, now: now)
            if let time { deliverSlice(header, value, from: member, to: target, at: time) }
        case .release(let payload):
            try nodes[index].payloads.release(payload, at: now)
        case .answer(let client, let outputs, _):
            let values = try outputs.map { payload throws(Violation) in
                try nodes[index].payloads.read(payload.id, at: now).value
            }
            try ends.onAnswer(
                EndsExactlyOnce.ClientKey(entry: member, client: client), values, at: now)
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

    private mutating func onReport(_ report: Report, of member: NodeBoot) throws(Violation) {
        guard case .decided(_, let id, let plan) = report else { return }
        decisions += 1
        try onePlanPerBallot.onDecided(plan, id, at: now)
        try currentOnlyGrows.onDecided(plan, by: member, at: now)
    }

    // MARK: Network

    private mutating func send(
        _ message: Message, from sender: NodeBoot, to target: NodeBoot
    ) throws(Violation) {
        guard
            let time = network.arrival(from: sender, to: target, byteCount: 200, now: now)
        else { return }
        queue.insert(.deliver(.received(message, from: sender), to: target), at: time)
    }

    private mutating func deliverSlice(
        _ header: SliceHeader, _ value: UInt64, from sender: NodeBoot, to target: NodeBoot,
        at time: Timestamp
    ) {
        guard let receiver = living(target) else { return }
        // The payload is made when the slice arrives; making it here only numbers it earlier.
        let payload = nodes[receiver].payloads.insert(value, of: header.attempt)
        queue.insert(
            .deliver(
                .sliceArrived(
                    header, Payload(id: payload, byteCount: header.byteCount), from: sender),
                to: target), at: time)
    }

    mutating func dial(_ dialler: NodeBoot, _ address: Address) throws(Violation) {
        guard let from = living(dialler) else { return }
        guard
            let index = nodes.firstIndex(where: { $0.address == address && $0.agent != nil }),
            index != from, nodes[index].pausedUntil <= now,
            !network.isCut(dialler, nodes[index].member)
        else {
            try handle(.unreachable(address), dialler)
            return
        }
        let target = nodes[index].member
        guard network.connect(dialler, target) else { return }
        try handle(.connected(target, address: address), dialler)
        try handle(.connected(dialler, address: nodes[from].address), target)
    }

    private mutating func fetch(
        _ blob: BlobID, isManifest: Bool, from source: NodeBoot, to index: Int
    ) {
        let member = nodes[index].member
        let sourceIndex = living(source)
        func fail(_ reason: String) {
            queue.insert(
                .deliver(.fetchFailed(blob, from: source.node, reason: reason), to: member),
                at: now + .milliseconds(1))
        }
        if isManifest {
            guard let sourceIndex, nodes[sourceIndex].hasManifest,
                let time = network.arrival(
                    from: source, to: member, byteCount: 100_000, now: now)
            else { return fail("not there") }
            nodes[index].hasManifest = true
            queue.insert(
                .deliver(
                    .manifestStored(model.outline, blobs: nodes[index].blobs.sorted()), to: member),
                at: time)
            return
        }
        guard let sourceIndex,
            let number = model.outline.blobs.firstIndex(where: { $0.id == blob }),
            nodes[sourceIndex].blobs.contains(number),
            let time = network.arrival(
                from: source, to: member, byteCount: model.outline.blobs[number].byteCount,
                now: now)
        else { return fail("not there") }
        nodes[index].blobs.insert(number)
        queue.insert(.deliver(.blobStored(blob), to: member), at: time)
    }

    // MARK: Engine

    private mutating func execute(
        _ attempt: AttemptID, _ fragment: Int, _ key: FragmentKey, _ inputs: [Payload],
        on index: Int
    ) throws(Violation) {
        guard nodes[index].compiled.contains(key) else {
            throw Violation(
                checker: "only compiled fragments run", at: now,
                what: "node \(index) was told to run operators \(key.operators)")
        }
        var values: [Int: UInt64] = [:]
        for (tensor, payload) in zip(model.outline.inputTensors(of: key.operators), inputs) {
            let entry = try nodes[index].payloads.read(payload.id, at: now)
            guard entry.attempt == nil || entry.attempt == attempt else {
                throw Violation(
                    checker: "no attempt joins slices of two plans", at: now,
                    what: "node \(index) runs attempt \(attempt.number) with another's slice")
            }
            values[tensor] = entry.value
        }
        model.run(key.operators, &values)
        let outputs = model.outline.outputTensors(of: key.operators).map { values[$0] ?? 0 }
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
        _ member: NodeBoot, _ attempt: AttemptID, _ fragment: Int, _ values: [UInt64],
        _ cost: TimeSpan
    ) throws(Violation) {
        guard let index = living(member) else { return }
        let outputs = values.map {
            Payload(id: nodes[index].payloads.insert($0, of: attempt), byteCount: 8)
        }
        try handle(
            .executed(
                attempt: attempt, fragment: fragment, outputs: outputs,
                microseconds: cost.microseconds), member)
    }
}
