// What the agent's parts are told of each other.

extension Agent {
    /// Connected members, this node excluded, ascending.
    var connectedMembers: [NodeBoot] {
        membership.members.filter { $0.isConnected && $0.member != me }.map(\.member)
    }

    /// Members that may run what they host: connected and not held dead; this node included.
    var usableMembers: [NodeBoot] {
        var result = membership.members.filter { member in
            member.isConnected && member.member != me
                && (member.status == .alive || member.status == .suspect)
        }.map(\.member)
        result.append(me)
        return result.sorted()
    }

    /// What agreement needs to know of a model.
    func view(_ manifest: ManifestID) -> Agreement.View {
        let usable = usableMembers
        let stable = membership.usable
        let chosen = membership.keepsSomeSessions ? poolOfLargeMesh(manifest) : nil
        let voters = usable.filter { member in
            chosen?.contains(member) ?? canVote(member, on: manifest)
        }
        // A node that flapped is not used for anything new until it has been stable for a while,
        // but what it hosts goes on, and it is better than nothing.
        let hosts = agreement.current(manifest)?.primary.plan.hosts ?? []
        let takesFlapping = agreement.takesFlapping(manifest)
        let settings = mesh.catalogue.settings(of: manifest)
        let pool = voters.filter { member in
            takesFlapping || stable.contains(member) || hosts.contains(member)
        }
        return Agreement.View(
            isCatalogued: mesh.catalogue.models.contains { $0.manifest == manifest },
            settings: settings,
            outline: placement.outline(of: manifest), voters: voters, pool: pool, usable: usable,
            connected: connectedMembers, measuredLinks: measuredLinks(among: pool),
            speeds: speeds(of: pool, countsEnergy: settings.goal.countsEnergy),
            isOutside: chosen.map { !$0.contains(me) } ?? false,
            missingBlobs: agreement.current(manifest) == nil ? placement.lost(manifest).count : 0,
            isDead: { [membership] member in
                membership.status(of: member).map { $0 == .dead || $0 == .left } ?? false
            },
            problem: { outline, ballot, current in
                problem(outline, ballot, current, pool: pool)
            })
    }

    /// Whether a member's record says that it may vote on a model's plan.
    func canVote(_ member: NodeBoot, on manifest: ManifestID) -> Bool {
        guard let record = record(of: member), record.capability != nil, !record.isLeaving
        else { return false }
        return record.holdings.contains { $0.manifest == manifest }
    }

    /// What nodes say of their speeds and, where that counts, of their powers.
    private func speeds(of pool: [NodeBoot], countsEnergy: Bool) -> [UInt64] {
        let capabilities = pool.map { record(of: $0)?.capability }
        let speeds = capabilities.map { $0?.operationsPerMicrosecond ?? 0 }
        guard countsEnergy else { return speeds }
        return speeds + capabilities.map { UInt64(max($0?.milliwatts ?? 0, 0)) }
    }

    private func measuredLinks(among pool: [NodeBoot]) -> Int {
        let nodes = pool.map(\.node)
        return pool.reduce(0) { sum, member in
            sum
                + (record(of: member)?.links ?? [])
                .count { $0.bytesPerSecond > 0 && nodes.contains($0.peer) }
        }
    }

    func record(of member: NodeBoot) -> NodeRecord? {
        member == me ? mesh.own : mesh.record(of: member)
    }

    /// The planning problem on this node's records.
    func problem(
        _ outline: ModelOutline, _ ballot: Ballot, _ current: PlanBundle?, pool: [NodeBoot]
    ) -> PlanningProblem {
        let records = pool.compactMap(record(of:))
        let nodes = records.compactMap { record in
            record.capability.map { capability in
                PlanningProblem.Node(
                    member: record.member, name: record.name, capability: capability,
                    freeMemoryBytes: capability.memoryBytes
                        - reservedByOthers(on: record.member, than: outline.manifest),
                    times: record.times.filter { $0.key.manifest == outline.manifest })
            }
        }
        let links = records.flatMap { record in
            record.links.map { link in
                PlanningProblem.Link(
                    source: record.member.node, destination: link.peer,
                    bytesPerSecond: link.bytesPerSecond,
                    latencyMicroseconds: link.roundTripMicroseconds / 2)
            }
        }
        let lost = current?.primary.plan.hosts.filter { !pool.contains($0) } ?? []
        let settings = mesh.catalogue.settings(of: outline.manifest)
        return PlanningProblem(
            outline: outline, nodes: nodes, links: links, ballot: ballot,
            current: current?.primary.plan, lost: lost, goal: settings.goal,
            allowedModes: settings.allowedModes, baseline: settings.baseline,
            keepInputLocal: settings.keepInputLocal, codecs: settings.codecs,
            exits: outline.exitShares(
                settings.exits, counts: requests.exitCounts[outline.manifest] ?? [:]))
    }

    /// The exits of a model, as its settings say; nil if it has none.
    func exitTable(_ manifest: ManifestID) -> ExitTable? {
        let exits = mesh.catalogue.settings(of: manifest).exits
        return exits.isEmpty ? nil : placement.outline(of: manifest)?.exitTable(exits)
    }

    /// What may be left out of a model, as its settings say; nil for nothing.
    mutating func allowance(_ manifest: ManifestID) -> BranchAllowance? {
        let allowance = findAllowance(manifest)
        allowances[manifest] = allowance
        return allowance
    }

    private func findAllowance(_ manifest: ManifestID) -> BranchAllowance? {
        guard let degrade = mesh.catalogue.settings(of: manifest).degrade else { return nil }
        if let known = allowances[manifest], known.degrade == degrade { return known }
        return placement.outline(of: manifest).map {
            BranchAllowance(degrade: degrade, joins: $0.joins(degrade.fill))
        }
    }

    /// The nodes of a plan that this one has no connection to.
    func unreachable(of plan: Plan) -> [NodeBoot] {
        plan.hosts.filter { $0 != me && !membership.isConnected($0) }
    }

    /// Whether a slice that cannot be sent is for a branch that the attempt does without.
    mutating func isLeftOut(_ header: SliceHeader, to target: NodeBoot) -> Bool {
        let plan = header.attempt.plan
        guard let layout = host.layout(ofReady: plan) ?? layouts[plan],
            layout.plan.routes.indices.contains(header.route),
            case .fragment = layout.plan.routes[header.route].destination,
            let allowance = allowance(layout.plan.manifest)
        else { return false }
        let lost = unreachable(of: layout.plan)
        return lost.contains(target) && layout.canDoWithout(lost, allowance)
    }

    /// What other models' current plans reserve on a node.
    private func reservedByOthers(on member: NodeBoot, than manifest: ManifestID) -> Int {
        var bytes = 0
        for other in agreement.manifests where other != manifest {
            guard let plan = agreement.current(other)?.primary.plan,
                let outline = placement.outline(of: other),
                mesh.catalogue.models.contains(where: { $0.manifest == other })
            else { continue }
            for fragment in plan.fragments where fragment.host == member {
                bytes += FragmentMemory.of(fragment.operators, rows: fragment.rows, in: outline)
                    .bytes(window: plan.window)
            }
        }
        return bytes
    }

    /// Whether every host of a plan says that its part is ready.
    func isArmed(_ plan: Plan, id: PlanID) -> Bool {
        plan.hosts.allSatisfy { host in
            if host == me { return self.host.layout(ofReady: id) != nil }
            return mesh.record(of: host)?.plans.contains { $0.ready.contains(id) } ?? false
        }
    }

    /// The plan for new attempts of a model: the decided one while all its hosts can be reached,
    /// else an armed alternate.
    mutating func routing(_ manifest: ManifestID) -> RequestTable.Routing {
        if let known = routings[manifest] { return known }
        let routing = findRouting(manifest)
        routings[manifest] = routing
        return routing
    }

    func findRouting(_ manifest: ManifestID) -> RequestTable.Routing {
        guard let current = agreement.current(manifest) else {
            let reason =
                agreement.reasonForNone(manifest)
                ?? (placement.outline(of: manifest) == nil
                    ? "the model's manifest has not arrived at this node yet"
                    : "the mesh has not decided a plan for the model yet")
            return RequestTable.Routing(usable: nil, reason: reason)
        }
        let usable = usableMembers
        let serving = current.all.compactMap { named -> PlanLayout? in
            guard named.plan.hosts.allSatisfy({ usable.contains($0) }),
                named.id == current.primary.id || isArmed(named.plan, id: named.id)
            else { return nil }
            return layouts[named.id]
        }
        let local = serving.filter { keepsInputLocal($0.plan) }
        if let first = local.first {
            return RequestTable.Routing(
                usable: first, others: Array(local.dropFirst()), reason: "")
        }
        if let first = serving.first {
            return RequestTable.Routing(usable: nil, reason: reasonAgainstEntering(first.plan))
        }
        let lost = current.primary.plan.hosts.filter { !usable.contains($0) }
        if let layout = layouts[current.primary.id], keepsInputLocal(layout.plan),
            let allowance = findAllowance(manifest), layout.canDoWithout(lost, allowance)
        {
            // No other plan stands ready; what lost nodes would compute is left out meanwhile.
            return RequestTable.Routing(usable: layout, reason: "")
        }
        let names = lost.map { mesh.record(of: $0.node)?.name ?? $0.node.short }
        let why = agreement.reasonForNone(manifest) ?? "another plan is being made"
        return RequestTable.Routing(
            usable: nil, reason: "the plan uses \(names.joined(separator: ", ")), lost; \(why)")
    }

    /// Whether a request that comes in here leaves its inputs here, as far as the model's settings
    /// want that: an entry itself sees to it, whatever was decided.
    private func keepsInputLocal(_ plan: Plan) -> Bool {
        let wanted = mesh.catalogue.settings(of: plan.manifest).keepInputLocal
        if plan.entries?.contains(me) == false { return false }
        guard wanted > 0 else { return true }
        guard let outline = placement.outline(of: plan.manifest) else { return false }
        return plan.keepsLocal(operators: outline.localOperators(keeping: wanted), at: me)
    }

    /// Why a plan serves, and not here.
    private func reasonAgainstEntering(_ plan: Plan) -> String {
        guard let entries = plan.entries, !entries.contains(me) else {
            return "the plan that runs would send the input to other nodes, which the model's "
                + "settings forbid (keepInputLocal); another plan is being made"
        }
        let names = entries.map { mesh.record(of: $0.node)?.name ?? $0.node.short }
        return "the model keeps its input at the node where it comes in, and this node does not "
            + "hold the first operators; ask one that does: \(names.joined(separator: ", "))"
    }

    /// Says which alternates became ready to use, or ceased to be.
    mutating func reportArming(_ manifest: ManifestID, into directives: inout [Directive]) {
        guard let current = agreement.current(manifest) else { return }
        for named in current.alternates {
            guard let without = named.plan.without else { continue }
            let isArmed = isArmed(named.plan, id: named.id)
            guard isArmed != armed.contains(named.id) else { continue }
            if isArmed { armed.insert(named.id) } else { armed.remove(named.id) }
            directives.append(
                .report(.armed(manifest, named.id, without: without, isArmed: isArmed)))
        }
        let known = Set(
            agreement.manifests.flatMap { agreement.current($0)?.alternates ?? [] }
                .map(\.id))
        armed.formIntersection(known)
    }

    /// A peer that connected is told every decision that this node follows.
    func tellDecisions(to peer: NodeBoot, into directives: inout [Directive]) {
        for manifest in agreement.manifests {
            guard let bundle = agreement.current(manifest) else { continue }
            directives.append(
                .send(
                    .agreement(
                        .decided(
                            manifest: manifest, ballot: bundle.primary.plan.ballot, bundle: bundle,
                            isFresh: false)), to: peer))
        }
    }

    /// Keeps the plans in this node's record.
    mutating func tellPlans(now: Timestamp, into directives: inout [Directive]) {
        let inUse = requests.plansInUse
        let plans = agreement.manifests.map { manifest in
            PlanStatus(
                manifest: manifest, current: agreement.register(manifest)?.currentBallotPlan,
                ready: host.readyPlans(of: manifest),
                oldestInUse: inUse.filter { layouts[$0]?.plan.manifest == manifest }.min {
                    guard let left = layouts[$0], let right = layouts[$1] else { return false }
                    return left.plan.ballot < right.plan.ballot
                })
        }
        let same =
            plans.map { [$0.manifest: $0.ready] }
            == mesh.own.plans.map {
                [$0.manifest: $0.ready]
            } && plans.map(\.current) == mesh.own.plans.map(\.current)
        guard !same else { return }
        mesh.updateOwn(now: now, into: &directives) { $0.plans = plans }
    }
}
