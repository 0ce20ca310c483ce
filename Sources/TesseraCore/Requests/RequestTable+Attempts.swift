// The attempts of the requests that came in at this node: how they start, go on and end.

extension RequestTable {
    struct Attempt {
        /// A fragment that runs now.
        struct Run {
            var since: Timestamp
            /// When it is late.
            var due: Timestamp
        }

        var id: AttemptID
        var layout: PlanLayout
        var ticket: UInt64
        var choice: PlanLayout.Choice
        /// For each output of the model, the slices that have come, in the order of its routes.
        var outputs: [[TensorPiece?]]
        /// For each output of the model, the tensors that its slices say were left out, ascending.
        var leftOut: [[Int]]
        /// When it is given up, without any proof of a loss.
        var overdue: Timestamp
        /// Fragments that run now: their hosts are suspects if they die.
        var runs: [Int: Run] = [:]
        /// Nodes that were lost meanwhile and whose branches it does without.
        var lost: [NodeBoot] = []
        /// Exits whose confidence was asked for, by their numbers.
        var isAsked: Set<Int> = []
        /// The confidences that are known, by the exits' numbers.
        var confidences: [Int: Int] = [:]

        /// Where a route's slice belongs among the outputs; nil if the attempt does not use it.
        func place(of route: Int) -> (output: Int, place: Int)? {
            let output = layout.places[route]
            let routes = layout.routes(of: layout.entryReceives[output], choice)
            return routes.firstIndex(of: route).map { (output, $0) }
        }

        /// One output of the model; nil while a slice of it is missing.
        func joinedOutput(_ output: Int) -> JoinedTensor? {
            guard outputs.indices.contains(output) else { return nil }
            let here = outputs[output].compactMap { $0 }
            guard here.count == outputs[output].count else { return nil }
            return JoinedTensor(pieces: here, blocks: layout.entryReceives[output].blocks)
        }

        /// What an answer does without: that of one output, or of all of them.
        func leftOut(of output: Int?) -> [MissingBranch] {
            let tensors = output.map { leftOut[$0] } ?? Array(Set(leftOut.joined())).sorted()
            return tensors.map { tensor in
                let route = layout.plan.routes.firstIndex { $0.tensor == tensor }
                return MissingBranch(
                    tensor: tensor, name: route.map { layout.descriptors[$0].name } ?? "\(tensor)")
            }
        }

        /// Every output of the model; nil while a slice is missing.
        var joinedOutputs: [JoinedTensor]? {
            var result: [JoinedTensor] = []
            for (input, pieces) in zip(layout.entryReceives, outputs) {
                let here = pieces.compactMap { $0 }
                guard here.count == pieces.count else { return nil }
                result.append(JoinedTensor(pieces: here, blocks: input.blocks))
            }
            return result
        }
    }

    /// Attempt numbers are a byte on the wire and never used twice.
    static let attemptsMax = 200
    /// An attempt that met a plan's change is tried again after this span times the tries so far.
    private static let retryDelay = TimeSpan.milliseconds(5)

    /// The open attempt with this name.
    func find(_ id: AttemptID) -> (counter: UInt64, place: Int)? {
        guard id.request.entry == me,
            let place = requests[id.request.counter]?.running.firstIndex(where: { $0.id == id })
        else { return nil }
        return (id.request.counter, place)
    }

    /// The name of a request's next attempt under a plan.
    func nextAttempt(_ counter: UInt64, _ request: Request, _ plan: PlanID) -> AttemptID {
        AttemptID(
            request: RequestID(entry: me, counter: counter),
            number: UInt8(truncatingIfNeeded: request.attempts + 1), plan: plan)
    }

    /// Whether nothing that starts now under this plan can end by the request's deadline.
    ///
    /// Predictions err; only what takes twice the time that is left is given up.
    func isHopeless(_ counter: UInt64, _ layout: PlanLayout, now: Timestamp) -> Bool {
        guard let request = requests[counter], request.running.isEmpty else { return false }
        let expected = TimeSpan.microseconds(layout.plan.predictedLatencyMicroseconds)
        return (request.deadline - now) * 2 < expected
    }

    /// Ends a request whose deadline is past, or as good as past.
    mutating func expire(_ counter: UInt64, into directives: inout [Directive]) {
        guard let request = requests[counter] else { return }
        directives.append(.reject(request.client, .deadlineExceeded))
        finish(counter, into: &directives)
    }

    mutating func start(
        _ counter: UInt64, _ layout: PlanLayout, _ ticket: UInt64, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard var request = requests[counter] else {
            invariantFailure("a request that has ended waits in a queue")
        }
        let id = nextAttempt(counter, request, layout.id)
        request.attempts += 1
        counts.attempts += 1
        if request.attempts > 1 { counts.retries += 1 }
        request.stranded = nil
        budget.onDispatch(now: now)
        let choice = layout.choice(of: id)
        let overdue = now + Self.patience(layout.plan)
        request.running.append(
            Attempt(
                id: id, layout: layout, ticket: ticket, choice: choice,
                outputs: layout.entryReceives.map { input in
                    .init(repeating: nil, count: layout.routes(of: input, choice).count)
                }, leftOut: layout.entryReceives.map { _ in [] }, overdue: overdue))
        let trace = request.trace?.attempt(id.number)
        if let trace { directives.append(.trace(.began(id, trace))) }
        if let lost = request.lost {
            directives.append(.report(.redispatched(lost: lost, count: 1, to: layout.id)))
        }
        requests[counter] = request
        nextWake = min(nextWake, overdue)
        for route in layout.entrySends where layout.uses(route: route, choice) {
            guard case .fragment(let reader) = layout.plan.routes[route].destination else {
                continue
            }
            // Inputs come first among the outline's tensors, in the model's order.
            let payload = request.inputs[layout.plan.routes[route].tensor]
            let descriptor = layout.descriptors[route]
            let header = SliceHeader(
                attempt: id, route: route, type: descriptor.type, shape: descriptor.shape,
                remaining: request.deadline - now, trace: trace)
            directives.append(
                .sendSlice(
                    header, TensorPiece(payload: payload, cut: layout.cuts[route]),
                    to: layout.plan.fragments[reader].host))
        }
    }

    /// Whether an attempt of this entry has not ended yet.
    func isOpen(_ attempt: AttemptID) -> Bool { find(attempt) != nil }

    /// Whether the slice is an output that an open attempt of this entry waits for.
    func awaits(_ header: SliceHeader) -> Bool {
        guard let (counter, place) = find(header.attempt),
            let layout = requests[counter]?.running[place].layout
        else { return false }
        return layout.plan.routes.indices.contains(header.route)
            && layout.plan.routes[header.route].destination == .entry
    }

    /// An output of the model arrived.
    ///
    /// The payload is ours from here on. Gives the model whose queue may go on, if the request is
    /// answered by it.
    mutating func onSlice(
        _ header: SliceHeader, _ piece: TensorPiece, now: Timestamp,
        into directives: inout [Directive]
    ) -> ManifestID? {
        guard let (counter, index) = find(header.attempt), var request = requests[counter],
            request.running[index].layout.descriptors[header.route].type == header.type,
            request.running[index].layout.descriptors[header.route].shape == header.shape,
            let (output, place) = request.running[index].place(of: header.route),
            request.running[index].outputs[output][place] == nil
        else {
            directives.append(.release(piece.payload.id))
            return nil
        }
        request.running[index].outputs[output][place] = piece
        if !header.leftOut.isEmpty {
            let known = request.running[index].leftOut[output]
            request.running[index].leftOut[output] = Array(Set(known + header.leftOut)).sorted()
        }
        requests[counter] = request
        if request.exits != nil {
            return lookAtExits(counter, index, now: now, into: &directives)
        }
        guard let outputs = request.running[index].joinedOutputs else { return nil }
        answer(counter, index, outputs, nil, now: now, into: &directives)
        return request.manifest
    }

    /// Answers a request by an attempt: with every output, or with that of an exit.
    mutating func answer(
        _ counter: UInt64, _ index: Int, _ outputs: [JoinedTensor], _ exit: ExitDetail?,
        now: Timestamp, into directives: inout [Directive]
    ) {
        guard let request = requests[counter] else { return }
        let attempt = request.running[index]
        let leftOut = attempt.leftOut(of: exit?.taken)
        if !leftOut.isEmpty { leftOutAnswers[request.manifest, default: 0] += 1 }
        directives.append(
            .answer(
                request.client, outputs: outputs,
                AnswerDetail(
                    attempt: attempt.id, attempts: request.attempts, exit: exit, leftOut: leftOut)))
        if let lost = request.lost, let since = request.lostAt {
            directives.append(.report(.recovered(lost: lost, after: now - since)))
        }
        // Where every output is here, every fragment that one depends on has passed, but for what was
        // left out; nothing else is left to cancel of this attempt unless the plan computes what no
        // output needs.
        endAttempt(
            counter, index, isAnswered: true, cancels: exit?.taken != nil || !leftOut.isEmpty,
            into: &directives)
        rates[request.manifest, default: ServiceRate()].onAnswer(now: now)
        answers += 1
        finish(counter, into: &directives)
    }

    /// A host began or ended a fragment of an attempt.
    mutating func onProgress(
        _ id: AttemptID, fragment: Int, isRunning: Bool, now: Timestamp
    ) {
        guard let (counter, place) = find(id), let attempt = requests[counter]?.running[place],
            attempt.layout.plan.fragments.indices.contains(fragment)
        else { return }
        let plan = attempt.layout.plan
        let (key, host) = (plan.key(ofFragment: fragment), plan.fragments[fragment].host)
        if isRunning {
            let clock = spans.clock(of: key, on: host) ?? Self.patience(plan)
            requests[counter]?.running[place].runs[fragment] = Attempt.Run(
                since: now, due: now + clock)
            nextWake = min(nextWake, now + clock)
        } else if let run = requests[counter]?.running[place].runs.removeValue(forKey: fragment) {
            spans.note(now - run.since, of: key, on: host)
        }
    }

    /// A host could not do its part.
    ///
    /// Gives the model whose queue must look again.
    mutating func onFailed(
        _ id: AttemptID, reason: AttemptFailure, now: Timestamp,
        into directives: inout [Directive]
    ) -> ManifestID? {
        guard let (counter, place) = find(id), let request = requests[counter] else { return nil }
        counts.note(RequestCounts.Loss(reason))
        endAttempt(counter, place, into: &directives)
        // `gone` and `leaving` are moves of the plan, not faults of the request.
        let isFault: Bool =
            switch reason {
            case .gone, .leaving, .full, .unreachable: false
            case .engine, .malformedSlice: true
            }
        if isFault { requests[counter]?.failures += 1 }
        if (requests[counter]?.failures ?? 0) >= limits.failures
            || request.attempts >= Self.attemptsMax
        {
            directives.append(.reject(request.client, .failed(reason: "\(reason)")))
            finish(counter, into: &directives)
        } else if request.running.count > 1 {
            // The other attempt may do.
        } else if isFault {
            enqueueFirst(counter)
        } else {
            let until = now + Self.retryDelay * Int64(min(request.attempts, 20))
            delayed.append((until, counter))
            nextWake = min(nextWake, until)
        }
        return request.manifest
    }

    /// Puts a request at the head of its model's queue: what was tried before goes first.
    mutating func enqueueFirst(_ counter: UInt64) {
        guard let manifest = requests[counter]?.manifest else { return }
        leaveQueues(counter, of: manifest)
        queues[manifest, default: []].insert(counter, at: 0)
    }

    private mutating func leaveQueues(_ counter: UInt64, of manifest: ManifestID) {
        queues[manifest]?.removeAll { $0 == counter }
        for id in elsewhere.keys where elsewhere[id]?.manifest == manifest {
            elsewhere[id]?.counters.removeAll { $0 == counter }
        }
    }

    /// Ends an attempt: its ticket goes back, and its hosts forget it unless they are done.
    mutating func endAttempt(
        _ counter: UInt64, _ place: Int, isAnswered: Bool = false, cancels: Bool = true,
        into directives: inout [Directive]
    ) {
        guard let attempt = requests[counter]?.running.remove(at: place) else { return }
        if requests[counter]?.trace != nil {
            directives.append(.trace(.ended(attempt.id, isAnswered: isAnswered)))
        }
        for case let piece? in attempt.outputs.joined() {
            directives.append(.release(piece.payload.id))
        }
        for host in attempt.layout.hosts(attempt.choice) where cancels {
            directives.append(.send(.request(.cancel(attempt: attempt.id)), to: host))
        }
        giveBack(attempt, into: &directives)
    }

    /// Gives a ticket back to the gate that it came from.
    ///
    /// Also where this node forgot the gate's tickets, because it held the gate dead: the connection
    /// may have held, and then the gate counts the ticket until it is returned.
    private mutating func giveBack(_ attempt: Attempt, into directives: inout [Directive]) {
        let id = attempt.id.plan
        directives.append(
            .send(
                .request(.ticketReturn(plan: id, numbers: [attempt.ticket])),
                to: attempt.layout.plan.gate ?? me))
        guard var held = tickets[id] else { return }
        // Tickets from before the gate was held dead are not among those that are counted now.
        held.used = max(0, held.used - 1)
        tickets[id] = held
        if held.used == 0, held.wished == 0, held.free.isEmpty {
            tickets.removeValue(forKey: id)
        }
    }

    /// The request's one end: everything it holds is given back.
    mutating func finish(_ counter: UInt64, into directives: inout [Directive]) {
        for place in (requests[counter]?.running.indices ?? 0..<0).reversed() {
            endAttempt(counter, place, into: &directives)
        }
        guard let request = requests.removeValue(forKey: counter) else { return }
        clients.removeValue(forKey: request.client)
        leaveQueues(counter, of: request.manifest)
        inputBytes -= request.inputs.reduce(0) { $0 + $1.byteCount }
        for input in request.inputs { directives.append(.release(input.id)) }
    }
}
