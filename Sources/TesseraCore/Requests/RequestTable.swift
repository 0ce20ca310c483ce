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
        /// The other plans that would serve now: what a late attempt may be tried again under.
        var others: [PlanLayout] = []
        /// If nil is usable: why.
        var reason: String
    }

    struct Request {
        var client: ClientID
        var manifest: ManifestID
        var inputs: [Payload]
        var accepted: Timestamp
        var deadline: Timestamp
        /// Where it stands in a trace, if it is traced.
        var trace: TraceContext?
        /// The exits that may answer it; nil for none.
        var exits: ExitTable?
        /// Since when it waits without a usable plan; nil while there is one.
        var stranded: Timestamp?
        /// The attempts in flight: one, and a second where the first is late.
        var running: [Attempt] = []
        /// How many attempts were started.
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
        /// Whether its inputs' digest is being computed, before anything else happens with it.
        var awaitsDigest = false
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
        /// How long a request may be expected to wait for a ticket; half of its deadline at most.
        var waiting = TimeSpan.seconds(5)
        /// How long a request waits for a plan to exist.
        var stranded = TimeSpan.seconds(5)
        /// The longest deadline.
        var deadline = TimeSpan.seconds(30)
        /// Nodes that may die while executing one request before it is refused.
        var deaths = 2

        init() {}
    }

    let me: NodeBoot
    let limits: Limits
    var requests: [UInt64: Request] = [:]
    var clients: [ClientID: UInt64] = [:]
    /// Requests that wait for a ticket of the usable plan.
    var queues: [ManifestID: [UInt64]] = [:]
    /// Requests whose one attempt is late and that wait for a ticket of another plan.
    var elsewhere: [PlanID: (manifest: ManifestID, counters: [UInt64])] = [:]
    var tickets: [PlanID: Tickets] = [:]
    /// Requests that wait a moment before they are tried again: their plan is just changing.
    var delayed: [(until: Timestamp, counter: UInt64)] = []
    var spans = RunSpans()
    var budget = RetryBudget()
    var refusedInputs = RefusedInputs()
    /// By model, for those that something waits for or was answered for.
    var rates: [ManifestID: ServiceRate] = [:]
    private var nextCounter: UInt64 = 1
    var inputBytes = 0
    private(set) var isClosed = false
    /// Refusals because of overload, for the agent's counters.
    private(set) var refusals = 0
    /// Requests that got their outputs, for the agent's counters.
    var answers = 0
    /// Attempts and what became of them, for the agent's counters.
    var counts = RequestCounts()
    /// By model: how many requests each exit answered, by its number; the number behind the last one
    /// is that of the whole model.
    var exitCounts: [ManifestID: [Int: Int]] = [:]
    /// By model: how many answers did without branches.
    var leftOutAnswers: [ManifestID: Int] = [:]

    init(me: NodeBoot, limits: Limits = Limits()) {
        self.me = me
        self.limits = limits
    }

    /// Requests that were accepted and not answered yet.
    var openCount: Int { requests.count }
    /// Models that requests wait for or run on, ascending.
    var manifests: [ManifestID] { Array(Set(requests.values.map(\.manifest))).sorted() }
    /// The plans that open attempts use.
    var plansInUse: Set<PlanID> { Set(requests.values.flatMap { $0.running.map(\.id.plan) }) }

    /// The earliest deadline, end of patience or repeated wish; or earlier.
    var nextWake = Timestamp.never

    /// A wish that brought nothing is repeated after this span: its gate may have forgotten it.
    static let askAgain = TimeSpan.milliseconds(100)

    // MARK: Clients

    /// A client's request.
    ///
    /// Its inputs have been checked against the model.
    mutating func onSubmitted(
        _ client: ClientID, manifest: ManifestID, inputs: [Payload], deadline: TimeSpan,
        exits: ExitTable? = nil, trace: TraceContext? = nil,
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
            counts.refusedFull += 1
            directives.append(.report(.limit("requests waiting at this node", count: 1)))
            return refuse(.overloaded(retryAfter: .seconds(1)))
        }
        let longest = min(limits.waiting, deadline / 2)
        if let wait = expectedWait(manifest, now: now), wait > longest {
            refusals += 1
            counts.refusedWaiting += 1
            directives.append(.report(.limit("time in the queue of this node", count: 1)))
            return refuse(.overloaded(retryAfter: max(.seconds(1), wait - longest)))
        }
        let counter = nextCounter
        nextCounter += 1
        inputBytes += bytes
        clients[client] = counter
        requests[counter] = Request(
            client: client, manifest: manifest, inputs: inputs, accepted: now,
            deadline: now + min(deadline, limits.deadline), trace: trace, exits: exits,
            stranded: routing.usable == nil ? now : nil)
        nextWake = min(nextWake, now + min(deadline, limits.deadline))
        if refusedInputs.hasAny(of: manifest, now: now) {
            requests[counter]?.awaitsDigest = true
            directives.append(.digest(client, inputs: inputs.map(\.id)))
            return
        }
        queues[manifest, default: []].append(counter)
        advance(manifest, routing, now: now, into: &directives)
    }

    /// How long a new request would wait for its turn, as far as that can be told.
    private mutating func expectedWait(_ manifest: ManifestID, now: Timestamp) -> TimeSpan? {
        guard let waiting = queues[manifest]?.count,
            let rate = rates[manifest]?.perSecond(now: now)
        else { return nil }
        return .seconds(1) * Int64(waiting) / Int64(rate)
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
            for counter in queues[manifest] ?? []
            where requests[counter]?.stranded == nil && requests[counter]?.running.isEmpty == true {
                requests[counter]?.stranded = now
            }
            if queues[manifest] != nil {
                nextWake = min(nextWake, now + limits.stranded)
                rates[manifest]?.note(isWaiting: true, now: now)
            }
            return
        }
        var queue = queues[manifest] ?? []
        queue.insert(contentsOf: elsewhere.removeValue(forKey: layout.id)?.counters ?? [], at: 0)
        serve(&queue, layout, now: now, into: &directives)
        for counter in queue { requests[counter]?.stranded = nil }
        queues[manifest] = queue.isEmpty ? nil : queue
        rates[manifest, default: ServiceRate()].note(isWaiting: !queue.isEmpty, now: now)
        var served = [layout.id]
        for id in elsewhere.keys.sorted() {
            guard var waiting = elsewhere.removeValue(forKey: id) else { continue }
            if waiting.manifest == manifest {
                // Without its plan a request stays with the attempt that it has.
                guard let other = routing.others.first(where: { $0.id == id }) else { continue }
                serve(&waiting.counters, other, now: now, into: &directives)
                guard !waiting.counters.isEmpty else { continue }
                served.append(id)
            }
            elsewhere[id] = waiting
        }
        dropStaleWishes(manifest, served: served, into: &directives)
    }

    /// Starts what there are tickets for, and asks for as many as are missing.
    private mutating func serve(
        _ queue: inout [UInt64], _ layout: PlanLayout, now: Timestamp,
        into directives: inout [Directive]
    ) {
        var held =
            tickets[layout.id]
            ?? Tickets(gate: layout.plan.gate ?? me, named: layout.named)
        var next = 0
        while next < queue.count, let ticket = held.free.first {
            let counter = queue[next]
            next += 1
            if isHopeless(counter, layout, now: now) {
                expire(counter, into: &directives)
                continue
            }
            held.free.removeFirst()
            held.used += 1
            start(counter, layout, ticket, now: now, into: &directives)
        }
        queue.removeFirst(next)
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

    /// Wishes for plans that nothing waits for any more are taken back, and their unused tickets.
    private mutating func dropStaleWishes(
        _ manifest: ManifestID, served: [PlanID], into directives: inout [Directive]
    ) {
        for id in tickets.keys.sorted() where !served.contains(id) {
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
}
