import TesseraAPI
import TesseraCore

/// A plan as people read it.
struct PlanView {
    private let snapshot: MeshSnapshot
    private let model: MeshSnapshot.Model
    private let outline: ModelOutline
    private let bundle: PlanBundle
    private let problem: PlanningProblem
    private let compileMicroseconds: [FragmentKey: Int64]

    init(
        _ snapshot: MeshSnapshot, _ model: MeshSnapshot.Model, _ outline: ModelOutline,
        _ bundle: PlanBundle, _ problem: PlanningProblem, compileMicroseconds: [FragmentKey: Int64]
    ) {
        self.compileMicroseconds = compileMicroseconds
        self.snapshot = snapshot
        self.model = model
        self.outline = outline
        self.bundle = bundle
        self.problem = problem
    }

    /// What runs for a model; nil if nothing does.
    init?(
        _ snapshot: MeshSnapshot, _ model: MeshSnapshot.Model,
        compileMicroseconds: [FragmentKey: Int64]
    ) {
        guard let outline = model.outline, let bundle = model.current, let problem = model.problem
        else { return nil }
        self.init(
            snapshot, model, outline, bundle, problem, compileMicroseconds: compileMicroseconds)
    }

    var document: PlanDocument {
        let plan = bundle.primary.plan
        let evaluation = PlanEvaluation.evaluate(plan, problem)
        let bound = PlanBound.of(problem)
        let notes = PlanDiagnosis.of(plan, problem) ?? []
        var document = PlanDocument(
            model: model.name, plan: bundle.primary.id.hexadecimal, epoch: plan.ballot.round,
            proposer: name(plan.ballot.proposer.node), operators: outline.operators.count,
            stages: plan.stages.indices.map { stage($0, evaluation) }, window: plan.window,
            predictedPeriodMicroseconds: evaluation?.periodMicroseconds
                ?? plan.predictedPeriodMicroseconds,
            predictedLatencyMicroseconds: evaluation?.latencyMicroseconds
                ?? plan.predictedLatencyMicroseconds,
            boundMicroseconds: bound?.periodMicroseconds ?? 0,
            binding: bound.map { "\($0.binding)" } ?? "unknown",
            bottleneck: evaluation.map { words($0.bottleneck) } ?? "a node of it is lost",
            exactness: exactness, local: local, exits: exits,
            alternates: AlternateView(
                snapshot: snapshot, model: model, outline: outline, bundle: bundle,
                compileMicroseconds: compileMicroseconds
            ).documents,
            used: notes.filter(\.isUsed).map { note in
                PlanDocument.NoteDocument(node: name(note.node), reason: note.text)
            }, leftOut: leftOut(notes.filter { !$0.isUsed }))
        document.packing =
            PackingView(
                plan: bundle.primary, outline: outline, expected: evaluation?.packing ?? [],
                inUse: snapshot.packedRoutes.filter { $0.plan == bundle.primary.id },
                me: snapshot.me,
                name: name
            ).documents
        document.energy = energy(evaluation)
        return document
    }

    /// What an item takes by the nodes' powers, and which of the plan's nodes do not say theirs.
    private func energy(_ evaluation: PlanEvaluation?) -> EnergyDocument {
        let unknown = bundle.primary.plan.hosts.filter { host in
            problem.nodes.first { $0.member == host }?.capability.milliwatts == nil
        }
        return EnergyDocument(
            joulesPerItem: evaluation?.nanojoules.map { Double($0) / 1e9 },
            unknownNodes: unknown.map { name($0.node) }.sorted())
    }

    /// What keeping the input at the entry costs, if the model's settings want it.
    private var local: PlanDocument.LocalDocument? {
        guard problem.keepInputLocal > 0 else { return nil }
        var free = problem
        free.keepInputLocal = 0
        let otherwise = Planner.expectation(of: free)
        return PlanDocument.LocalDocument(
            operators: outline.localOperators(keeping: problem.keepInputLocal),
            entries: (bundle.primary.plan.entries ?? []).map { name($0.node) },
            otherwisePeriodMicroseconds: otherwise?.periodMicroseconds,
            otherwiseLatencyMicroseconds: otherwise?.latencyMicroseconds)
    }

    /// The model's exits and its end, with what each answers.
    private var exits: [PlanDocument.ExitShareDocument]? {
        let settings = model.settings.exits
        guard let table = outline.exitTable(settings) else { return nil }
        let shares = outline.exitShares(settings, counts: model.exitCounts)
        var left = ModelExit.unit
        var result: [PlanDocument.ExitShareDocument] = []
        for (number, exit) in settings.enumerated() {
            let producer = outline.tensors[outline.outputs[table.exits[number].place]].producer
            let share = min(shares.first { $0.producer == producer }?.share ?? 0, left)
            left -= share
            result.append(
                PlanDocument.ExitShareDocument(
                    output: exit.output, measure: exit.measure.name,
                    threshold: Double(exit.threshold) / Double(ModelExit.unit),
                    share: Double(share) / Double(ModelExit.unit),
                    answered: model.exitCounts[number] ?? 0))
        }
        result.append(
            PlanDocument.ExitShareDocument(
                output: outline.tensors[outline.outputs[table.answer]].descriptor.name,
                measure: nil, threshold: nil, share: Double(left) / Double(ModelExit.unit),
                answered: model.exitCounts[settings.count] ?? 0))
        return result
    }

    private func words(_ bottleneck: PlanEvaluation.Bottleneck) -> String {
        switch bottleneck {
        case .node(let host): "computing on \(name(host.node))"
        case .link(let source, let destination):
            "the link from \(name(source.node)) to \(name(destination.node))"
        case .window: "\(bottleneck)"
        }
    }

    private func name(_ id: NodeID) -> String {
        snapshot.members.last { $0.member.node == id }?.record?.name ?? id.short
    }

    private func stage(_ index: Int, _ evaluation: PlanEvaluation?) -> StageDocument {
        let plan = bundle.primary.plan
        let stage = plan.stages[index]
        let fragments = plan.fragments[stage.fragments]
        var nodes: [String] = []
        for fragment in fragments where !nodes.contains(name(fragment.host.node)) {
            nodes.append(name(fragment.host.node))
        }
        // Of a node that has several tiles, border and inner rows, their sum.
        var (predicted, measured): ([NodeBoot: Int64], [NodeBoot: Int64?]) = ([:], [:])
        for (place, fragment) in zip(stage.fragments, fragments) {
            let time = problem.nodes.first { $0.member == fragment.host }?.times.first {
                $0.key.operators == fragment.operators && $0.key.rows == fragment.rows
            }?.microseconds
            let sum = measured[fragment.host] ?? 0
            measured[fragment.host] = .some(sum.flatMap { sum in time.map { sum + $0 } })
            predicted[fragment.host, default: 0] +=
                evaluation?.stages[place].computeMicroseconds ?? 0
        }
        let operators = outline.operators[stage.operators]
        return StageDocument(
            mode: "\(stage.mode)", nodes: nodes,
            first: stage.operators.lowerBound, last: stage.operators.upperBound - 1,
            operators: [operators.first?.name ?? "", operators.last?.name ?? ""],
            predictedMicroseconds: predicted.values.max() ?? 0,
            measuredMicroseconds: measured.values.compactMap { $0 }.max(),
            linkMicroseconds: evaluation?.cutMicroseconds[index] ?? 0,
            memoryBytes: FragmentMemory.of(stage.operators, in: outline).bytes(window: plan.window))
    }

    /// Bit for bit between nodes of one fingerprint; else within the promised tolerance.
    private var exactness: String {
        let prints = Set(
            bundle.primary.plan.hosts.compactMap { host in
                snapshot.members.first { $0.member == host }?.record?.capability?.fingerprint
            })
        return prints.count <= 1
            ? "bit for bit as on one node: all nodes have one engine fingerprint"
            : "within 1e-5 of the output's range: the nodes have \(prints.count) different engine "
                + "fingerprints"
    }

    private func leftOut(_ notes: [PlanDiagnosis]) -> [PlanDocument.NoteDocument] {
        let hosts = bundle.primary.plan.hosts
        return snapshot.members.filter { member in
            (member.status == .alive || member.status == .suspect)
                && !hosts.contains(member.member)
        }.map { member in
            PlanDocument.NoteDocument(
                node: name(member.member.node),
                reason: obstacle(member)
                    ?? notes.first { $0.node == member.member.node }?.text
                    ?? "a plan with it would not be clearly faster")
        }
    }

    /// What keeps a node from being planned with at all.
    private func obstacle(_ member: MeshSnapshot.Member) -> String? {
        guard let record = member.record else { return "it has not told what it can do yet" }
        guard let capability = record.capability else { return "it is still measuring itself" }
        if record.isLeaving { return "it is leaving" }
        if !member.isConnected { return "there is no connection to it" }
        guard record.holdings.contains(where: { $0.manifest == model.manifest }) else {
            return "the model's manifest has not arrived there yet"
        }
        let smallest =
            outline.operators.indices.map {
                FragmentMemory.of($0..<$0 + 1, in: outline).bytes(
                    window: bundle.primary.plan.window)
            }.min() ?? 0
        if smallest > capability.memoryBytes {
            return "its memory budget of \(capability.memoryBytes) bytes holds no operator"
        }
        return nil
    }
}
