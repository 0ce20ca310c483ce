@testable import TesseraCore

/// The agreement of a few nodes, with messages that a test carries by hand.
struct AgreementMesh {
    private typealias Fixture = RequestsFixture

    var nodes: [NodeBoot: Agreement] = [:]
    var now = Timestamp.zero
    /// Messages on their way, in order.
    var messages: [(message: AgreementMessage, from: NodeBoot, to: NodeBoot)] = []
    /// Planning that was asked for.
    var problems: [(token: UInt64, problem: PlanningProblem, by: NodeBoot)] = []
    var reports: [Report] = []
    /// What each node is told to stage or has decided.
    var changes: [NodeBoot: [Agreement.Change]] = [:]
    /// Nodes that take part and reach each other.
    var pool: [NodeBoot]
    var memory: [NodeBoot: Int] = [:]
    /// Nodes that flapped a moment ago.
    var flapping: Set<NodeBoot> = []
    var isCatalogued = true
    var missingBlobs = 0
    /// Operations per microsecond that each node says it computes.
    var speed: UInt64 = 1_000

    init(count: Int) {
        pool = (0..<count).map { RequestsFixture.member($0) }
        for member in pool {
            nodes[member] = Agreement(me: member, generator: SeededGenerator(seed: 1))
        }
    }

    func view() -> Agreement.View {
        let voters = pool
        let takesAll = voters.contains {
            nodes[$0]?.takesFlapping(RequestsFixture.manifest) ?? false
        }
        let pool = voters.filter { takesAll || !flapping.contains($0) }
        let memory = memory
        return Agreement.View(
            isCatalogued: isCatalogued, outline: RequestsFixture.outline, voters: voters,
            pool: pool,
            usable: voters,
            connected: voters, speeds: pool.map { _ in speed }, missingBlobs: missingBlobs,
            isDead: { !voters.contains($0) },
            problem: { outline, ballot, current in
                PlanningProblem(
                    outline: outline,
                    nodes: pool.enumerated().map { index, member in
                        PlanningProblem.Node(
                            member: member, name: "node",
                            capability: PlannerInstances.node(0).capability,
                            freeMemoryBytes: memory[member] ?? 1 << 30, times: [])
                    }, links: [], ballot: ballot, current: current?.primary.plan,
                    lost: current?.primary.plan.hosts.filter { !pool.contains($0) } ?? [])
            })
    }

    private mutating func take(_ directives: [Directive], from member: NodeBoot) {
        for directive in directives {
            switch directive {
            case .send(.agreement(let message), let target):
                messages.append((message, member, target))
            case .plan(let token, let problem): problems.append((token, problem, member))
            case .report(let report): reports.append(report)
            default: break
            }
        }
        changes[member, default: []] += nodes[member]?.takeChanges() ?? []
    }

    /// Lets a node look at the model.
    mutating func consider(_ member: NodeBoot) {
        var directives: [Directive] = []
        let view = view()
        nodes[member]?.consider(RequestsFixture.manifest, view, now: now, into: &directives)
        take(directives, from: member)
    }

    /// Lets every node look, and again at the time when the first of them wants to; says who
    /// began to plan.
    mutating func waitForProposal() -> NodeBoot? {
        for _ in 0..<20 {
            for member in pool { consider(member) }
            if let planning = problems.last { return planning.by }
            now = pool.map { wake($0) }.min() ?? now
        }
        return nil
    }

    func wake(_ member: NodeBoot) -> Timestamp {
        nodes[member]?.nextWake(RequestsFixture.manifest, view(), now: now) ?? .never
    }

    /// Plans what was asked for last.
    mutating func plan() {
        guard let asked = problems.popLast() else { return }
        let result = Planner.plan(asked.problem, naming: RequestsFixture.name)
        var directives: [Directive] = []
        let view = view()
        nodes[asked.by]?.onPlanned(
            token: asked.token, result, RequestsFixture.manifest, view, now: now,
            into: &directives)
        take(directives, from: asked.by)
    }

    /// Delivers every message, and what follows from them, but for those that `isLost` takes.
    mutating func deliver(
        unless isLost: (AgreementMessage, NodeBoot) -> Bool = { _, _ in false }
    ) {
        while !messages.isEmpty {
            let (message, sender, target) = messages.removeFirst()
            if isLost(message, target) || nodes[target] == nil { continue }
            receive(message, from: sender, at: target)
        }
    }

    mutating func receive(_ message: AgreementMessage, from sender: NodeBoot, at target: NodeBoot) {
        var directives: [Directive] = []
        let view = view()
        nodes[target]?.onReceived(message, from: sender, view, now: now, into: &directives)
        take(directives, from: target)
    }

    /// What each node is to stage becomes ready there.
    mutating func finishStaging() {
        for member in pool {
            for case .stage(let bundle, let proposer) in changes[member] ?? [] {
                let plan = bundle.primary
                messages.append(
                    (
                        .ready(
                            manifest: plan.plan.manifest, ballot: plan.plan.ballot, plan: plan.id),
                        member, proposer
                    ))
            }
            changes[member] = []
        }
    }

    /// One whole round without trouble.
    mutating func decide() {
        _ = waitForProposal()
        plan()
        deliver()
        finishStaging()
        deliver()
    }

    func current(_ member: NodeBoot) -> PlanBundle? {
        nodes[member]?.current(RequestsFixture.manifest)
    }

    mutating func lose(_ member: NodeBoot) {
        pool.removeAll { $0 == member }
        nodes[member] = nil
    }
}
