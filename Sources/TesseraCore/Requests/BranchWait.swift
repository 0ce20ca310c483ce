/// How a run waits for branches that it may do without: for which, for how long, and for how many.
///
/// Its clock begins when nothing is missing but what may be left out. It has passed after a multiple
/// of what is usual at this join, and early enough for an answer within the deadline; what a lost
/// node was to send is not waited for at all.
struct BranchWait: Sendable {
    /// An input that may be left out.
    private struct Branch {
        /// Its place among the run's inputs.
        var place: Int
        /// The route that would bring it.
        var route: Int
        /// Who was to send it.
        var host: NodeBoot
        /// Whether it is lost: then it is not waited for.
        var isLost: Bool
    }

    /// No branch is late before.
    ///
    /// Less than `RunSpans.shortestClock`, so that an entry does not start
    /// an attempt elsewhere for what is left out anyway.
    static let shortestClock = TimeSpan.milliseconds(100)

    /// What stands for what is left out.
    let fill: BranchFill
    /// The places of all branches among the run's inputs, those of this node too.
    let places: [Int]
    /// So many branches may be left out.
    private let most: Int
    private var branches: [Branch]
    /// Since when the run could do without what is missing.
    private(set) var since: Timestamp?
    /// When it does; never while it may not.
    private(set) var due = Timestamp.never
    /// The routes that it was decided to do without; nil while nothing is decided.
    private(set) var leftOut: [Int]?
    /// Whether it was decided already.
    var isOver: Bool { leftOut != nil }

    /// How a fragment of this node may wait; nil if it waits for all that it reads.
    ///
    /// What another fragment of this node gives is never left out: it cannot be lost, and who computes
    /// it would compute the join as late.
    init?(
        _ fragment: Int, of layout: PlanLayout, _ choice: PlanLayout.Choice,
        _ allowance: BranchAllowance, lost: [NodeBoot] = [], me: NodeBoot
    ) {
        let own = layout.plan.fragments[fragment]
        guard own.rows == nil,
            let join = allowance.joins.first(where: { own.operators.contains($0.reader) })
        else { return nil }
        var places: [Int] = []
        var branches: [Branch] = []
        for (place, input) in layout.flows[fragment].inputs.enumerated() {
            let routes = layout.routes(of: input, choice)
            guard let route = routes.first, routes.count == 1,
                join.tensors.contains(layout.plan.routes[route].tensor)
            else { continue }
            places.append(place)
            guard layout.plan.routes[route].rows == nil,
                case .fragment(let maker) = layout.plan.routes[route].source,
                layout.plan.fragments[maker].host != me
            else { continue }
            let host = layout.plan.fragments[maker].host
            branches.append(
                Branch(place: place, route: route, host: host, isLost: lost.contains(host)))
        }
        // A branch that the fragment computes itself is no input: the mean would be without it.
        guard !branches.isEmpty,
            allowance.degrade.fill == .zeros || places.count == join.tensors.count
        else { return nil }
        fill = allowance.degrade.fill
        most = allowance.most(of: join)
        self.places = places
        self.branches = branches
    }

    /// An input came, or a node was lost: says anew when the run does without what is missing.
    ///
    /// - Parameters:
    ///   - missing: The places of the inputs that are missing.
    ///   - now: The time.
    ///   - patience: How long is waited.
    ///   - latest: When it must be decided, for an answer by the deadline.
    mutating func look(
        missing: [Int], now: Timestamp, patience: TimeSpan, latest: Timestamp
    ) {
        guard !isOver, !missing.isEmpty, missing.count <= most,
            missing.allSatisfy({ place in branches.contains { $0.place == place } })
        else { return }
        if since == nil {
            since = now
            due = max(now, min(now + patience, latest))
        }
        if missing.allSatisfy({ place in branches.contains { $0.place == place && $0.isLost } }) {
            due = now
        }
    }

    /// A run of a node is lost; says whether the run waits for it.
    mutating func onLost(_ lost: NodeBoot) -> Bool {
        var isHit = false
        for index in branches.indices where branches[index].host == lost {
            branches[index].isLost = true
            isHit = true
        }
        return isHit
    }

    /// The clock stood still for so long.
    mutating func onStalled(for span: TimeSpan) {
        if due != .never { due = due + span }
    }

    /// The run does without what is missing: the routes that would have brought it.
    mutating func leaveOut(_ missing: [Int]) -> [Int] {
        let routes = branches.filter { missing.contains($0.place) }.map(\.route)
        leftOut = routes
        due = .never
        return routes
    }

    /// How long is waited at a join of which too little is known: a multiple of what an item takes
    /// with every ticket out, by the plan.
    static func patience(_ plan: Plan) -> TimeSpan {
        let whole =
            plan.predictedLatencyMicroseconds
            + Int64(plan.window) * plan.predictedPeriodMicroseconds
        return max(shortestClock, .microseconds(whole) * RunSpans.margin)
    }

    /// How long before the deadline it is decided: what the rest of the plan takes, and as much again.
    static func rest(_ plan: Plan) -> TimeSpan {
        .microseconds(plan.predictedLatencyMicroseconds) * 2
    }
}

extension PlanLayout {
    /// Whether a fragment gets each of some tensors from another one.
    private func readsAll(_ tensors: [Int], _ fragment: Int) -> Bool {
        tensors.allSatisfy { tensor in
            plan.routes.contains {
                $0.tensor == tensor && $0.destination == .fragment(fragment)
            }
        }
    }

    /// Whether attempts can go on without some nodes: all that they compute of the plan are branches
    /// that may be left out, and not too many.
    ///
    /// Plans with replicas are left as they are: each attempt uses others of them.
    func canDoWithout(_ lost: [NodeBoot], _ allowance: BranchAllowance) -> Bool {
        guard !plan.hasReplicas, !lost.isEmpty, let gate = plan.gate, !lost.contains(gate) else {
            return false
        }
        var left = [Int](repeating: 0, count: allowance.joins.count)
        for route in plan.routes {
            guard case .fragment(let maker) = route.source,
                lost.contains(plan.fragments[maker].host)
            else { continue }
            guard route.rows == nil, case .fragment(let reader) = route.destination,
                plan.fragments[reader].rows == nil, !lost.contains(plan.fragments[reader].host),
                let join = allowance.joins.firstIndex(where: {
                    $0.tensors.contains(route.tensor)
                        && plan.fragments[reader].operators.contains($0.reader)
                }),
                allowance.degrade.fill == .zeros
                    || readsAll(allowance.joins[join].tensors, reader)
            else { return false }
            left[join] += 1
        }
        return zip(left, allowance.joins).allSatisfy { $0 <= allowance.most(of: $1) }
    }
}
