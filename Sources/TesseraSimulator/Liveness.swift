import TesseraCore

/// How far a run is after its healing: all parts must agree, serve, and come to rest.
struct Liveness {
    /// How often is looked whether the parts agree.
    static let period = TimeSpan.milliseconds(500)
    /// How often is looked whether a part that does not agree could serve at all.
    static let patience = TimeSpan.seconds(5)
    /// How long serving and coming to rest may take after agreement.
    static let rest = TimeSpan.seconds(14)
    /// How long a mesh at rest is watched for plan changes in some runs.
    static let longWatch = TimeSpan.seconds(25)

    /// When all parts agreed.
    var agreedAt: Timestamp?
    /// When everything that was asked had its end, and nothing was left over.
    var restedAt: Timestamp?
    /// The last requests, by entry.
    var lastRequests: [(node: Int, key: EndsExactlyOnce.ClientKey, isBusy: Bool)] = []
    /// Whether the parts can serve: all blobs, and memory for a plan.
    var isPlannable = false
    var isDone = false
}

extension Simulation {
    /// Looks whether the parts have agreed; then, whether they serve and come to rest.
    func look() throws(Violation) {
        queue.insert(.look, at: now + Liveness.period)
        if let rested = liveness.restedAt {
            let watch =
                scenario.watch >= .seconds(3) && scenario.seed % 16 == 0
                ? Liveness.longWatch : scenario.watch
            if now >= rested + watch { liveness.isDone = true }
            return
        }
        if let agreed = liveness.agreedAt {
            if isAtRest {
                liveness.restedAt = now
                try checkLastRequests()
            } else if now - agreed > Liveness.rest - .seconds(1) {
                try checkLastRequests()
                try checkRest()
            }
            return
        }
        let isLate = now >= scenario.healAt + Scenario.convergence
        let span = now - scenario.healAt
        let isPatient = isLate || span.nanoseconds % Liveness.patience.nanoseconds == 0
        guard let disagreement = disagreement(isPatient: isPatient) else {
            liveness.agreedAt = now
            requestsLeft = 0
            return try askLast()
        }
        if isLate {
            throw Violation(checker: "a healed mesh agrees", at: now, what: disagreement)
        }
    }

    /// The parts' nodes that are on.
    var livingParts: [[SimulatedNode]] {
        let parts = Set(scenario.parts).sorted()
        return parts.map { part in
            nodes.filter { $0.agent != nil && scenario.parts[$0.index] == part }
        }.filter { !$0.isEmpty }
    }

    /// What the nodes of a part do not agree on; nil if they do.
    private func disagreement(isPatient: Bool) -> String? {
        if let node = nodes.first(where: { $0.agent?.isLeaving == true }) {
            return "node \(node.index) has not left yet"
        }
        var isPlannable = true
        for part in livingParts {
            let members = part.map(\.member).sorted()
            for node in part {
                let alive = node.agent?.aliveMembers ?? []
                if alive != members {
                    return
                        "node \(node.index) sees \(alive.count) of \(members.count) members alive"
                }
            }
            for (number, model) in models.enumerated() {
                let named = part.map { $0.agent?.names(model.manifest) ?? false }
                guard Set(named).count == 1 else { return "not every node names model \(number)" }
                guard named[0] else { continue }
                let current = part.map { $0.agent?.currentPlan(model.manifest) }
                let isOne = Set(current.map { $0?.id }).count == 1
                if isOne, let plan = current[0]?.plan, plan.hosts.allSatisfy(members.contains),
                    part.allSatisfy({ $0.disk.hasManifest[number] })
                {
                    continue
                }
                // Planning costs time: only where it may tell why nothing is agreed, and now and then.
                guard isPatient || isOne && current[0] == nil else {
                    return "no common plan of model \(number) on living nodes"
                }
                if canServe(number, part) {
                    let short = current.map { $0?.id.short ?? "none" }
                    return "no common plan of model \(number) on living nodes: \(short)"
                }
                if number == 0 { isPlannable = false }
            }
        }
        liveness.isPlannable = isPlannable && !models.isEmpty
        return nil
    }

    /// Whether the nodes of a part together have a model's blobs, and the memory for a plan beside
    /// what other models' plans take.
    func canServe(_ number: Int, _ part: [SimulatedNode]) -> Bool {
        let model = models[number]
        let blobs = model.outline.blobs.indices.allSatisfy { blob in
            part.contains { $0.disk.blobs[number][blob] }
        }
        guard blobs else { return false }
        var taken: [NodeBoot: Int] = [:]
        for (other, another) in models.enumerated() where other != number {
            guard
                let plan = part.lazy.compactMap({ $0.agent?.currentPlan(another.manifest) }).first,
                part[0].agent?.names(another.manifest) == true
            else { continue }
            for fragment in plan.plan.fragments {
                taken[fragment.host, default: 0] += FragmentMemory.of(
                    fragment.operators, in: another.outline
                ).bytes(window: plan.plan.window)
            }
        }
        let result = plans.plan(
            PlanningProblem(
                outline: model.outline,
                nodes: part.map { node in
                    PlanningProblem.Node(
                        member: node.member, name: node.device.name, capability: node.capability,
                        freeMemoryBytes: node.capability.memoryBytes - (taken[node.member] ?? 0),
                        times: [])
                }.sorted { $0.member < $1.member }, links: [],
                ballot: Ballot(round: 0, proposer: part[0].member), current: nil, lost: [],
                goal: model.settings.goal, allowedModes: model.modes))
        if case .bundle = result { return true }
        return false
    }

    /// Every node that can is asked once more.
    private func askLast() throws(Violation) {
        checks.flapping.onSettled(at: now + .seconds(5))
        for part in livingParts where !models.isEmpty && canServe(0, part) {
            for node in part where node.agent?.currentPlan(models[0].manifest) != nil {
                let isBusy = (node.agent?.openRequests ?? 0) > 0
                let key = try submit(at: node, model: 0, deadline: .seconds(8))
                liveness.lastRequests.append((node.index, key, isBusy))
            }
        }
    }

    private var isAtRest: Bool {
        checks.ends.isIdle
            && nodes.allSatisfy { node in
                node.agent == nil || node.agent?.isIdle == true && node.payloads.count == 0
            }
    }

    private func checkLastRequests() throws(Violation) {
        for (node, key, isBusy) in liveness.lastRequests {
            let end = checks.ends.end(of: key)
            if end == .answered || end == nil { continue }
            // An entry that still works off what it accepted may send later ones away.
            if isBusy, case .rejected(.overloaded) = end { continue }
            throw Violation(
                checker: "a healed mesh serves", at: now,
                what: "node \(node) was asked after the healing: \(end.map { "\($0)" } ?? "")")
        }
    }

    private func checkRest() throws(Violation) {
        for node in nodes where node.agent != nil {
            if node.agent?.isIdle == false || node.payloads.count > 0 {
                throw Violation(
                    checker: "a healed mesh comes to rest", at: now,
                    what: "node \(node.index) keeps \(node.payloads.count) payloads and "
                        + "\(node.agent?.openRequests ?? 0) open requests")
            }
        }
    }

    /// What must hold when the queue ends.
    func finish() throws(Violation) {
        try checks.ends.onTime(now)
        guard !liveness.isDone, scenario.until == nil else { return }
        if liveness.agreedAt == nil {
            throw Violation(
                checker: "a healed mesh agrees", at: now,
                what: disagreement(isPatient: true) ?? "the run ended too soon")
        }
        try checkLastRequests()
        try checkRest()
    }
}
