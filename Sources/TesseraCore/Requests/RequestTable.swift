/// The requests that came in at this node, from acceptance to their one end.
///
/// A request waits in its model's queue, gets a ticket of a usable plan, and runs as an attempt
/// under exactly that plan. An attempt that a lost node took with it, or that a host refused, goes
/// back to the head of the queue and starts again from the request's own inputs. Correctness rests
/// on nothing but the attempt's key: entries need not agree on which plan is current.
struct RequestTable: Sendable {
    /// What the agent's views say about a model's plans right now.
    struct Routing: Sendable {
        /// The plan for new attempts: the decided one, or its armed alternate; nil if none serves.
        var usable: PlanLayout?
        /// If nil is usable: why.
        var reason: String
    }

    struct Request {
        var client: ClientID
        var manifest: ManifestID
        var inputs: [Payload]
        var accepted: Timestamp
        var deadline: Timestamp
        /// Since when it waits without a usable plan; nil while there is one.
        var stranded: Timestamp?
        var attempt: Attempt?
        var attempts = 0
        /// Whether an attempt was given up because it took too long.
        var wasOverdue = false
        /// Attempts that ended without proof that a node was lost.
        var failures = 0
        /// Nodes that were lost while they ran this request's fragments.
        var deaths: [NodeBoot] = []
        /// The loss that this request waits to recover from.
        var lost: NodeBoot?
        var lostAt: Timestamp?
    }

    struct Attempt {
        var id: AttemptID
        var layout: PlanLayout
        var ticket: UInt64
        var choice: PlanLayout.Choice
        /// For each output of the model, the slices that have come, in the order of its routes.
        var outputs: [[TensorPiece?]]
        var started: Timestamp
        /// Fragments that run now: their hosts are suspects if they die.
        var running: Set<Int> = []

        /// Where a route's slice belongs among the outputs; nil if the attempt does not use it.
        func place(of route: Int) -> (output: Int, place: Int)? {
            let output = layout.places[route]
            let routes = layout.routes(of: layout.entryReceives[output], choice)
            return routes.firstIndex(of: route).map { (output, $0) }
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

    struct Tickets {
        var gate: NodeBoot
        var named: NamedPlan
        var free: [UInt64] = []
        var used = 0
        var wished = 0
        var askedAt = Timestamp.zero
    }

    /// Limits of one entry.
    ///
    /// Reaching one is answered at once and counted.
    struct Limits: Sendable {
        /// Requests that wait or run.
        var requests = 4_096
        /// Bytes of their inputs.
        var inputBytes = 1 << 30
        /// Attempts without proven loss before a request fails.
        var failures = 3
        /// How long a request waits for a plan to exist.
        var stranded = TimeSpan.seconds(5)
        /// The longest deadline.
        var deadline = TimeSpan.seconds(30)
        /// Nodes that may die while executing one request before it is refused.
        var deaths = 2

        init() {}
    }

    private let me: NodeBoot
    let limits: Limits
    var requests: [UInt64: Request] = [:]
    private var clients: [ClientID: UInt64] = [:]
    var queues: [ManifestID: [UInt64]] = [:]
    var tickets: [PlanID: Tickets] = [:]
    /// Requests that wait a moment before they are tried again: their plan is just changing.
    private var delayed: [(until: Timestamp, counter: UInt64)] = []
    private var nextCounter: UInt64 = 1
    private var inputBytes = 0
    private(set) var isClosed = false
    /// Refusals because of overload, for the agent's counters.
    private(set) var refusals = 0

    init(me: NodeBoot, limits: Limits = Limits()) {
        self.me = me
        self.limits = limits
    }

    /// Requests that were accepted and not answered yet.
    var openCount: Int { requests.count }
    /// Models that requests wait for or run on, ascending.
    var manifests: [ManifestID] { Array(Set(requests.values.map(\.manifest))).sorted() }
    /// The plans that open attempts use.
    var plansInUse: Set<PlanID> { Set(requests.values.compactMap { $0.attempt?.id.plan }) }

    /// The earliest deadline, end of patience or repeated wish; or earlier.
    private(set) var nextWake = Timestamp.never

    /// A wish that brought nothing is repeated after this span: its gate may have forgotten it.
    private static let askAgain = TimeSpan.milliseconds(100)

    // MARK: Clients

    /// A client's request.
    ///
    /// Its inputs have been checked against the model.
    mutating func onSubmitted(
        _ client: ClientID, manifest: ManifestID, inputs: [Payload], deadline: TimeSpan,
        routing: Routing, now: Timestamp, into directives: inout [Directive]
    ) {
        let bytes = inputs.reduce(0) { $0 + $1.byteCount }
        func refuse(_ error: RequestError) {
            for input in inputs { directives.append(.release(input.id)) }
            directives.append(.reject(client, error))
        }
        guard !isClosed else { return refuse(.leaving) }
        guard requests.count < limits.requests, inputBytes + bytes <= limits.inputBytes else {
            refusals += 1
            directives.append(.report(.limit("requests waiting at this node", count: 1)))
            return refuse(.overloaded(retryAfter: .seconds(1)))
        }
        let counter = nextCounter
        nextCounter += 1
        inputBytes += bytes
        clients[client] = counter
        requests[counter] = Request(
            client: client, manifest: manifest, inputs: inputs, accepted: now,
            deadline: now + min(deadline, limits.deadline),
            stranded: routing.usable == nil ? now : nil)
        nextWake = min(nextWake, now + min(deadline, limits.deadline))
        queues[manifest, default: []].append(counter)
        advance(manifest, routing, now: now, into: &directives)
    }

    /// The client went away.
    mutating func onAbandoned(_ client: ClientID, into directives: inout [Directive]) {
        guard let counter = clients[client] else { return }
        finish(counter, into: &directives)
    }

    /// Takes no new requests.
    mutating func close() { isClosed = true }

    // MARK: Plans and tickets

    /// Starts what can start: called whenever the usable plan of a model may have changed, or a
    /// ticket or a place in the queue came free.
    mutating func advance(
        _ manifest: ManifestID, _ routing: Routing, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard let layout = routing.usable else {
            for counter in queues[manifest] ?? [] where requests[counter]?.stranded == nil {
                requests[counter]?.stranded = now
            }
            if queues[manifest] != nil { nextWake = min(nextWake, now + limits.stranded) }
            return
        }
        var queue = queues[manifest] ?? []
        var held =
            tickets[layout.id]
            ?? Tickets(gate: layout.plan.gate ?? me, named: layout.named)
        var next = 0
        while next < queue.count, let ticket = held.free.first {
            let counter = queue[next]
            next += 1
            held.free.removeFirst()
            held.used += 1
            start(counter, layout, ticket, now: now, into: &directives)
        }
        queue.removeFirst(next)
        for counter in queue { requests[counter]?.stranded = nil }
        let wish = min(queue.count, layout.plan.window)
        if !held.free.isEmpty {
            directives.append(
                .send(
                    .request(.ticketReturn(plan: layout.id, numbers: held.free)), to: held.gate))
            held.free = []
        }
        if wish != held.wished || (wish > 0 && now >= held.askedAt + Self.askAgain) {
            held.wished = wish
            held.askedAt = now
            nextWake = min(nextWake, now + Self.askAgain)
            directives.append(
                .send(.request(.ticketWish(plan: layout.id, count: wish)), to: held.gate))
        }
        tickets[layout.id] = held
        queues[manifest] = queue.isEmpty ? nil : queue
        dropStaleWishes(manifest, usable: layout.id, into: &directives)
    }

    /// The gate gave tickets.
    mutating func onTickets(
        plan: PlanID, numbers: [UInt64], from gate: NodeBoot, into directives: inout [Directive]
    ) -> ManifestID? {
        guard var held = tickets[plan], held.gate == gate else {
            directives.append(
                .send(.request(.ticketReturn(plan: plan, numbers: numbers)), to: gate))
            return nil
        }
        held.free += numbers
        held.wished = max(0, held.wished - numbers.count)
        tickets[plan] = held
        return held.named.plan.manifest
    }

    /// Wishes for plans that are no longer the usable one are taken back, and their unused tickets.
    private mutating func dropStaleWishes(
        _ manifest: ManifestID, usable: PlanID, into directives: inout [Directive]
    ) {
        for id in tickets.keys.sorted() where id != usable {
            guard let held = tickets[id], held.named.plan.manifest == manifest else { continue }
            if held.wished > 0 {
                directives.append(
                    .send(.request(.ticketWish(plan: id, count: 0)), to: held.gate))
            }
            if !held.free.isEmpty {
                directives.append(
                    .send(.request(.ticketReturn(plan: id, numbers: held.free)), to: held.gate))
            }
            tickets[id]?.wished = 0
            tickets[id]?.free = []
            if held.used == 0 { tickets.removeValue(forKey: id) }
        }
    }

    // MARK: Attempts

    private mutating func start(
        _ counter: UInt64, _ layout: PlanLayout, _ ticket: UInt64, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard var request = requests[counter] else {
            tickets[layout.id]?.free.append(ticket)
            return
        }
        request.attempts += 1
        request.stranded = nil
        let id = AttemptID(
            request: RequestID(entry: me, counter: counter),
            number: UInt8(truncatingIfNeeded: request.attempts), plan: layout.id)
        let choice = layout.choice(of: id)
        request.attempt = Attempt(
            id: id, layout: layout, ticket: ticket, choice: choice,
            outputs: layout.entryReceives.map { input in
                .init(repeating: nil, count: layout.routes(of: input, choice).count)
            }, started: now)
        if let lost = request.lost {
            directives.append(.report(.redispatched(lost: lost, count: 1, to: layout.id)))
        }
        let inputs = request.inputs
        requests[counter] = request
        nextWake = min(nextWake, now + Self.patience(layout.plan))
        for route in layout.entrySends where layout.uses(route: route, choice) {
            guard case .fragment(let reader) = layout.plan.routes[route].destination else {
                continue
            }
            // Inputs come first among the outline's tensors, in the model's order.
            let payload = inputs[layout.plan.routes[route].tensor]
            let descriptor = layout.descriptors[route]
            let header = SliceHeader(
                attempt: id, route: route, type: descriptor.type, shape: descriptor.shape,
                remaining: request.deadline - now)
            directives.append(
                .sendSlice(
                    header, TensorPiece(payload: payload, cut: layout.cuts[route]),
                    to: layout.plan.fragments[reader].host))
        }
    }

    /// Whether the slice is an output that an open attempt of this entry waits for.
    func awaits(_ header: SliceHeader) -> Bool {
        guard header.attempt.request.entry == me,
            let attempt = requests[header.attempt.request.counter]?.attempt
        else { return false }
        return attempt.id == header.attempt
            && attempt.layout.plan.routes.indices.contains(header.route)
            && attempt.layout.plan.routes[header.route].destination == .entry
    }

    /// An output of the model arrived.
    ///
    /// The payload is ours from here on. Gives the model whose queue may go on, if the request is
    /// answered by it.
    mutating func onSlice(
        _ header: SliceHeader, _ piece: TensorPiece, now: Timestamp,
        into directives: inout [Directive]
    ) -> ManifestID? {
        let counter = header.attempt.request.counter
        guard header.attempt.request.entry == me, var request = requests[counter],
            var attempt = request.attempt, attempt.id == header.attempt,
            attempt.layout.descriptors[header.route].type == header.type,
            attempt.layout.descriptors[header.route].shape == header.shape,
            let (output, place) = attempt.place(of: header.route),
            attempt.outputs[output][place] == nil
        else {
            directives.append(.release(piece.payload.id))
            return nil
        }
        attempt.outputs[output][place] = piece
        request.attempt = attempt
        requests[counter] = request
        guard let outputs = attempt.joinedOutputs else { return nil }
        requests[counter]?.attempt?.outputs = []
        directives.append(
            .answer(
                request.client, outputs: outputs,
                AnswerDetail(attempt: attempt.id, attempts: request.attempts)))
        for piece in outputs.flatMap(\.pieces) { directives.append(.release(piece.payload.id)) }
        if let lost = request.lost, let since = request.lostAt {
            directives.append(.report(.recovered(lost: lost, after: now - since)))
        }
        finish(counter, wasAnswered: true, into: &directives)
        return request.manifest
    }

    /// A host began or ended a fragment of an attempt.
    mutating func onProgress(_ id: AttemptID, fragment: Int, isRunning: Bool) {
        guard let attempt = requests[id.request.counter]?.attempt, attempt.id == id,
            attempt.layout.plan.fragments.indices.contains(fragment)
        else { return }
        if isRunning {
            requests[id.request.counter]?.attempt?.running.insert(fragment)
        } else {
            requests[id.request.counter]?.attempt?.running.remove(fragment)
        }
    }

    /// An attempt that met a plan's change is tried again after this span times the tries so far.
    private static let retryDelay = TimeSpan.milliseconds(5)
    /// Attempt numbers are a byte on the wire and never used twice.
    static let attemptsMax = 200

    /// A host could not do its part.
    ///
    /// Gives the model whose queue must look again.
    mutating func onFailed(
        _ id: AttemptID, reason: AttemptFailure, now: Timestamp,
        into directives: inout [Directive]
    ) -> ManifestID? {
        let counter = id.request.counter
        guard let request = requests[counter], request.attempt?.id == id else { return nil }
        endAttempt(counter, into: &directives)
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
        } else if isFault {
            queues[request.manifest, default: []].insert(counter, at: 0)
        } else {
            let until = now + Self.retryDelay * Int64(min(request.attempts, 20))
            delayed.append((until, counter))
            nextWake = min(nextWake, until)
        }
        return request.manifest
    }

    /// Ends what has run out of time or patience.
    mutating func onWake(
        now: Timestamp, reason: (ManifestID) -> String, into directives: inout [Directive]
    ) {
        guard now >= nextWake else { return }
        for item in delayed where item.until <= now {
            guard let request = requests[item.counter], request.attempt == nil else { continue }
            queues[request.manifest, default: []].insert(item.counter, at: 0)
        }
        delayed.removeAll { $0.until <= now }
        retryOverdue(now: now, into: &directives)
        for counter in requests.keys.sorted() {
            guard let request = requests[counter] else { continue }
            if request.deadline <= now {
                directives.append(.reject(request.client, .deadlineExceeded))
                finish(counter, into: &directives)
            } else if let since = request.stranded, since + limits.stranded <= now {
                directives.append(
                    .reject(request.client, .unavailable(reason: reason(request.manifest))))
                finish(counter, into: &directives)
            }
        }
        nextWake = delayed.map(\.until).min() ?? .never
        for request in requests.values {
            nextWake = min(nextWake, request.deadline)
            if let since = request.stranded { nextWake = min(nextWake, since + limits.stranded) }
            if let attempt = request.attempt, !request.wasOverdue {
                nextWake = min(nextWake, attempt.started + Self.patience(attempt.layout.plan))
            }
        }
        for held in tickets.values where held.wished > 0 {
            nextWake = min(nextWake, max(now, held.askedAt) + Self.askAgain)
        }
    }

    /// Ends an attempt without an answer: its hosts forget it, its ticket goes back.
    mutating func endAttempt(_ counter: UInt64, into directives: inout [Directive]) {
        guard let attempt = requests[counter]?.attempt else { return }
        requests[counter]?.attempt = nil
        for case let piece? in attempt.outputs.joined() {
            directives.append(.release(piece.payload.id))
        }
        for host in attempt.layout.hosts(attempt.choice) {
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
    mutating func finish(
        _ counter: UInt64, wasAnswered: Bool = false, into directives: inout [Directive]
    ) {
        if wasAnswered {
            // Every fragment that an output depends on has passed; nothing is left to cancel
            // unless the plan computes what no output needs.
            if let attempt = requests[counter]?.attempt {
                requests[counter]?.attempt = nil
                giveBack(attempt, into: &directives)
            }
        } else {
            endAttempt(counter, into: &directives)
        }
        guard let request = requests.removeValue(forKey: counter) else { return }
        clients.removeValue(forKey: request.client)
        queues[request.manifest]?.removeAll { $0 == counter }
        inputBytes -= request.inputs.reduce(0) { $0 + $1.byteCount }
        for input in request.inputs { directives.append(.release(input.id)) }
    }
}
