/// The attempts that pass through this node's fragments: slices are joined, fragments fire, outputs
/// go on.
///
/// Everything is keyed by the whole `AttemptID`, which names the plan: slices of two plans can never
/// meet here, whatever arrives.
struct AttemptTable: Sendable {
    private enum RunState {
        /// Waits for the slices that are still nil.
        case joining([InputJoin])
        /// All inputs are here; an engine slot is not.
        case queued([JoinedTensor])
        /// The engine has it.
        case running([JoinedTensor])
        /// Outputs are on their way.
        case passed
    }

    /// One input as far as it is here.
    private struct InputJoin {
        /// The routes that bring it, in the order of their rows.
        var routes: [Int]
        var pieces: [TensorPiece?]
        var blocks: Int

        /// The whole input; nil while a slice is missing.
        var joined: JoinedTensor? {
            let here = pieces.compactMap { $0 }
            return here.count == pieces.count ? JoinedTensor(pieces: here, blocks: blocks) : nil
        }
    }

    private struct OpenAttempt {
        var layout: PlanLayout
        var choice: PlanLayout.Choice
        var deadline: Timestamp
        /// Where the attempt stands in a trace, if its request is traced.
        var trace: TraceContext?
        /// One for each fragment of the plan that this node hosts and the attempt uses.
        var runs: [Run]
    }

    /// One fragment of an attempt.
    private struct Run {
        /// Its index in the plan.
        var fragment: Int
        var state: RunState
        /// What it may do without; nil for nothing.
        var wait: BranchWait?
        /// The tensors that were left out of its inputs, or of what these were computed from,
        /// ascending.
        var leftOut: [Int] = []

        mutating func note(leftOut tensors: [Int]) {
            guard !tensors.isEmpty else { return }
            leftOut = Array(Set(leftOut + tensors)).sorted()
        }
    }

    /// Attempts that ended here are remembered so that a late slice does not open them again.
    private static let endedMax = 4_096
    /// A slice may come this much after the deadline that it carried before its room is given up.
    private static let expirySlack = TimeSpan.milliseconds(200)

    private let me: NodeBoot
    private let executionSlots: Int
    /// How long joins waited for the last of the branches that they may do without.
    private var lags = RunSpans()
    private var open: [AttemptID: OpenAttempt] = [:]
    private var openCounts: [Ballot: Int] = [:]
    private var ended: [AttemptID: Bool] = [:]
    private var endedOrder: [AttemptID] = []
    private var endedNext = 0
    /// Runs that wait for an engine slot, in the order in which they became complete.
    private var queue: [(attempt: AttemptID, fragment: Int)] = []
    private var queueHead = 0
    private var running = 0
    /// The time of the earliest deadline, or earlier.
    private(set) var nextWake = Timestamp.never

    init(me: NodeBoot, executionSlots: Int) {
        self.me = me
        self.executionSlots = executionSlots
    }

    /// How many attempts of one decision are open here.
    func openCount(_ ballot: Ballot) -> Int { openCounts[ballot] ?? 0 }
    /// Whether nothing is open.
    var isIdle: Bool { open.isEmpty && running == 0 }
    /// How many attempts are open here.
    var openCount: Int { open.count }
    /// How many runs the engine has.
    var runningCount: Int { running }
    /// How many runs wait for the engine.
    var queuedCount: Int { queue.count - queueHead }
    /// Whether an attempt is open here.
    func isOpen(_ attempt: AttemptID) -> Bool { open[attempt] != nil }
    /// The plans that open attempts use.
    var plansInUse: Set<PlanID> { Set(open.keys.map(\.plan)) }

    /// What is open of every decision, ascending, for checkers.
    var uses: [ReservationUse] {
        var uses: [Ballot: ReservationUse] = [:]
        for attempt in open.values {
            let plan = attempt.layout.plan
            var use =
                uses[plan.ballot]
                ?? ReservationUse(ballot: plan.ballot, window: plan.window, used: 0)
            use.used += 1
            use.window = max(use.window, plan.window)
            uses[plan.ballot] = use
        }
        return uses.values.sorted { $0.ballot < $1.ballot }
    }

    /// A slice for a fragment of this node arrived.
    ///
    /// The layout is that of a plan which this node holds ready, the allowance what an attempt that
    /// begins with this slice may do without, and `lost` names nodes that send nothing. The slice's
    /// payload is ours from here on.
    mutating func onSlice(
        _ header: SliceHeader, _ piece: TensorPiece, layout: PlanLayout,
        allowance: BranchAllowance? = nil, lost: [NodeBoot] = [], now: Timestamp,
        into directives: inout [Directive]
    ) {
        let payload = piece.payload
        let route = layout.plan.routes[header.route]
        guard case .fragment(let fragment) = route.destination,
            layout.plan.fragments[fragment].host == me
        else { return directives.append(.release(payload.id)) }
        if ended[header.attempt] != nil { return directives.append(.release(payload.id)) }
        if open[header.attempt] == nil {
            guard openCount(layout.plan.ballot) < layout.plan.window else {
                directives.append(.release(payload.id))
                directives.append(.report(.limit("attempts over the reservation", count: 1)))
                return fail(header.attempt, fragment, .full, into: &directives)
            }
            begin(
                header.attempt, layout: layout, allowance: allowance, lost: lost,
                deadline: now + header.remaining, trace: header.trace)
        }
        let run = open[header.attempt]?.runs.first { $0.fragment == fragment }
        if run?.wait?.leftOut?.contains(header.route) == true {
            // Too late, also if what stands for it is not made yet: that of another branch may be
            // made without it.
            return directives.append(.release(payload.id))
        }
        take(
            piece, of: header.attempt, route: header.route, fragment: fragment,
            leftOut: header.leftOut, now: now, into: &directives)
    }

    /// Puts a piece where it belongs, if it is still waited for.
    private mutating func take(
        _ piece: TensorPiece, of id: AttemptID, route: Int, fragment: Int, leftOut: [Int],
        now: Timestamp, into directives: inout [Directive]
    ) {
        guard var attempt = open[id],
            let index = attempt.runs.firstIndex(where: { $0.fragment == fragment }),
            case .joining(var inputs) = attempt.runs[index].state,
            let place = inputs[attempt.layout.places[route]].routes.firstIndex(of: route),
            inputs[attempt.layout.places[route]].pieces[place] == nil
        else { return directives.append(.release(piece.payload.id)) }
        var run = attempt.runs[index]
        inputs[attempt.layout.places[route]].pieces[place] = piece
        run.note(leftOut: leftOut)
        let complete = inputs.compactMap(\.joined)
        if complete.count == inputs.count {
            if let since = run.wait?.since, run.wait?.isOver == false {
                lags.note(now - since, of: attempt.layout.plan.key(ofFragment: fragment), on: me)
            }
            run.state = .queued(complete)
            queue.append((id, fragment))
        } else {
            run.state = .joining(inputs)
            look(&run, inputs, attempt, now: now)
        }
        attempt.runs[index] = run
        open[id] = attempt
        startQueued(into: &directives)
    }

    // MARK: Branches that may be left out

    /// Says when a run does without what it still waits for.
    private mutating func look(
        _ run: inout Run, _ inputs: [InputJoin], _ attempt: OpenAttempt, now: Timestamp
    ) {
        guard run.wait != nil else { return }
        let plan = attempt.layout.plan
        let clock = lags.clock(
            of: plan.key(ofFragment: run.fragment), on: me, least: BranchWait.shortestClock)
        run.wait?.look(
            missing: inputs.indices.filter { inputs[$0].joined == nil }, now: now,
            patience: clock ?? BranchWait.patience(plan),
            latest: attempt.deadline - BranchWait.rest(plan))
        nextWake = min(nextWake, run.wait?.due ?? .never)
    }

    /// A run of a node is lost: what it was to send is not waited for where it may be left out.
    mutating func onBranchLost(_ lost: NodeBoot, now: Timestamp) {
        for (id, attempt) in open.sorted(by: { $0.key < $1.key }) {
            for index in attempt.runs.indices {
                guard case .joining(let inputs) = attempt.runs[index].state else { continue }
                var run = attempt.runs[index]
                guard run.wait?.onLost(lost) == true else { continue }
                look(&run, inputs, attempt, now: now)
                open[id]?.runs[index] = run
            }
        }
    }

    /// This node stood still for a while: the clocks stood still with it.
    mutating func onStalled(for span: TimeSpan) {
        for (id, attempt) in open {
            for index in attempt.runs.indices {
                open[id]?.runs[index].wait?.onStalled(for: span)
            }
        }
    }

    /// Leaves out what has not come in time.
    private mutating func leaveOutLate(now: Timestamp, into directives: inout [Directive]) {
        for (id, attempt) in open.sorted(by: { $0.key < $1.key }) {
            for (index, run) in attempt.runs.enumerated() {
                guard var wait = run.wait, wait.due <= now, case .joining(let inputs) = run.state
                else { continue }
                let routes = wait.leaveOut(inputs.indices.filter { inputs[$0].joined == nil })
                open[id]?.runs[index].wait = wait
                let others = wait.fill == .mean ? wait.places.compactMap { inputs[$0].joined } : []
                for route in routes {
                    directives.append(
                        .fill(
                            attempt: id, route: route, attempt.layout.descriptors[route],
                            from: others))
                }
                directives.append(.report(.limit("time of a branch", count: routes.count)))
            }
        }
    }

    /// What stands for a branch is there.
    mutating func onFilled(
        _ id: AttemptID, route: Int, _ payload: Payload, now: Timestamp,
        into directives: inout [Directive]
    ) {
        guard let plan = open[id]?.layout.plan,
            case .fragment(let fragment) = plan.routes[route].destination
        else { return directives.append(.release(payload.id)) }
        take(
            TensorPiece(payload: payload), of: id, route: route, fragment: fragment,
            leftOut: [plan.routes[route].tensor], now: now, into: &directives)
    }

    /// The engine finished a run.
    mutating func onExecuted(
        attempt id: AttemptID, fragment: Int, outputs: [Payload], microseconds: Int64,
        now: Timestamp, into directives: inout [Directive]
    ) {
        running -= 1
        defer { startQueued(into: &directives) }
        guard var attempt = open[id],
            let run = attempt.runs.firstIndex(where: { $0.fragment == fragment }),
            case .running(let inputs) = attempt.runs[run].state
        else {
            // Cancelled while it ran: the inputs were given back then.
            for output in outputs { directives.append(.release(output.id)) }
            return
        }
        release(inputs, into: &directives)
        let layout = attempt.layout
        let flow = layout.flows[fragment]
        invariant(outputs.count == flow.outputs.count, "a fragment gave another number of outputs")
        let remaining = attempt.deadline - now
        for (index, output) in outputs.enumerated() {
            for route in flow.outputs[index] where layout.uses(route: route, attempt.choice) {
                let descriptor = layout.descriptors[route]
                let header = SliceHeader(
                    attempt: id, route: route, type: descriptor.type, shape: descriptor.shape,
                    remaining: remaining, trace: attempt.trace,
                    leftOut: attempt.runs[run].leftOut)
                let target: NodeBoot =
                    switch layout.plan.routes[route].destination {
                    case .entry: id.request.entry
                    case .fragment(let reader): layout.plan.fragments[reader].host
                    }
                let piece = TensorPiece(payload: output, cut: layout.cuts[route])
                directives.append(.sendSlice(header, piece, to: target))
            }
            directives.append(.release(output.id))
        }
        tell(
            .passed(attempt: id, fragment: fragment, microseconds: microseconds), id,
            into: &directives)
        attempt.runs[run].state = .passed
        open[id] = attempt
        if attempt.runs.allSatisfy({ if case .passed = $0.state { true } else { false } }) {
            end(id, into: &directives)
        }
    }

    /// The engine failed a run.
    mutating func onExecutionFailed(
        attempt id: AttemptID, fragment: Int, reason: String, into directives: inout [Directive]
    ) {
        running -= 1
        if open[id] != nil {
            fail(id, fragment, .engine(reason), into: &directives)
            end(id, into: &directives)
        }
        startQueued(into: &directives)
    }

    /// The entry gave the attempt up.
    mutating func onCancel(_ id: AttemptID, into directives: inout [Directive]) {
        end(id, into: &directives)
        startQueued(into: &directives)
    }

    /// An entry's run is over, as far as this node knows: its attempts end here.
    ///
    /// An entry that is held dead wrongly still waits for them. It is told, in case it hears.
    mutating func onEntryLost(_ entry: NodeBoot, into directives: inout [Directive]) {
        for id in open.keys.filter({ $0.request.entry == entry }).sorted() {
            fail(id, nil, .gone(current: nil), into: &directives)
            end(id, into: &directives)
        }
        startQueued(into: &directives)
    }

    /// The plan is held no more.
    mutating func onDropped(_ plan: PlanID, into directives: inout [Directive]) {
        for id in open.keys.filter({ $0.plan == plan }).sorted() {
            fail(id, nil, .gone(current: nil), into: &directives)
            end(id, into: &directives)
        }
        startQueued(into: &directives)
    }

    /// Gives up the room of attempts whose deadline has passed.
    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {
        guard now >= nextWake else { return }
        for id in open.filter({ $0.value.deadline + Self.expirySlack <= now }).keys.sorted() {
            end(id, into: &directives)
        }
        leaveOutLate(now: now, into: &directives)
        nextWake = .never
        for attempt in open.values {
            nextWake = min(nextWake, attempt.deadline + Self.expirySlack)
            for run in attempt.runs { nextWake = min(nextWake, run.wait?.due ?? .never) }
        }
        startQueued(into: &directives)
    }

    private mutating func begin(
        _ id: AttemptID, layout: PlanLayout, allowance: BranchAllowance?, lost: [NodeBoot],
        deadline: Timestamp, trace: TraceContext?
    ) {
        let choice = layout.choice(of: id)
        open[id] = OpenAttempt(
            layout: layout, choice: choice, deadline: deadline, trace: trace,
            runs: layout.fragments(on: me).filter { layout.uses($0, choice) }.map { fragment in
                Run(
                    fragment: fragment,
                    state: .joining(
                        layout.flows[fragment].inputs.map { input in
                            let routes = layout.routes(of: input, choice)
                            return InputJoin(
                                routes: routes, pieces: .init(repeating: nil, count: routes.count),
                                blocks: input.blocks)
                        }),
                    wait: allowance.flatMap {
                        BranchWait(fragment, of: layout, choice, $0, lost: lost, me: me)
                    })
            })
        openCounts[layout.plan.ballot, default: 0] += 1
        nextWake = min(nextWake, deadline + Self.expirySlack)
    }

    /// Closes an attempt and gives back what it still holds.
    ///
    /// A run that the engine has goes on; its result finds nobody.
    private mutating func end(_ id: AttemptID, into directives: inout [Directive]) {
        remember(id)
        guard let attempt = open.removeValue(forKey: id) else { return }
        let ballot = attempt.layout.plan.ballot
        let count = (openCounts[ballot] ?? 1) - 1
        openCounts[ballot] = count == 0 ? nil : count
        for run in attempt.runs {
            switch run.state {
            case .joining(let inputs):
                for case let piece? in inputs.flatMap(\.pieces) {
                    directives.append(.release(piece.payload.id))
                }
            case .queued(let inputs), .running(let inputs): release(inputs, into: &directives)
            case .passed: break
            }
        }
    }

    private func release(_ inputs: [JoinedTensor], into directives: inout [Directive]) {
        for piece in inputs.flatMap(\.pieces) { directives.append(.release(piece.payload.id)) }
    }

    private mutating func remember(_ id: AttemptID) {
        guard ended.updateValue(true, forKey: id) == nil else { return }
        if endedOrder.count < Self.endedMax {
            endedOrder.append(id)
        } else {
            ended.removeValue(forKey: endedOrder[endedNext])
            endedOrder[endedNext] = id
            endedNext = (endedNext + 1) % Self.endedMax
        }
    }

    private mutating func startQueued(into directives: inout [Directive]) {
        while running < executionSlots, queueHead < queue.count {
            let (id, fragment) = queue[queueHead]
            queueHead += 1
            guard var attempt = open[id],
                let run = attempt.runs.firstIndex(where: { $0.fragment == fragment }),
                case .queued(let inputs) = attempt.runs[run].state
            else { continue }
            attempt.runs[run].state = .running(inputs)
            running += 1
            let key = attempt.layout.plan.key(ofFragment: fragment)
            open[id] = attempt
            tell(.started(attempt: id, fragment: fragment), id, into: &directives)
            directives.append(
                .execute(
                    attempt: id, fragment: fragment, key: key, inputs: inputs,
                    trace: attempt.trace))
        }
        if queueHead == queue.count {
            queue.removeAll(keepingCapacity: true)
            queueHead = 0
        } else if queueHead > 256 {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
    }

    private func fail(
        _ id: AttemptID, _ fragment: Int?, _ reason: AttemptFailure,
        into directives: inout [Directive]
    ) {
        tell(.failed(attempt: id, fragment: fragment, reason: reason), id, into: &directives)
    }

    private func tell(
        _ message: RequestMessage, _ id: AttemptID, into directives: inout [Directive]
    ) {
        directives.append(.send(.request(message), to: id.request.entry))
    }
}
