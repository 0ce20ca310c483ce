// Large meshes: who votes on a model's plan, and whom this node needs sessions with for it.

extension Agent {
    /// Hosts of a plan that is not known are asked for it: so many of those who follow it.
    private static let followersAsked = 2

    /// The nodes that vote on a model's plan in a mesh where nobody is connected with everybody: those
    /// that host it, and the quickest of all, whether connected or not, so that all come to the same
    /// pool.
    ///
    /// Quick by powers of two: what is measured varies, and the pool must not. Among equals a lot that
    /// differs from model to model decides.
    func poolOfLargeMesh(_ manifest: ManifestID) -> Set<NodeBoot> {
        var candidates: [(rank: Int, lot: UInt64, member: NodeBoot)] = []
        var pool: Set<NodeBoot> = []
        let hosts = agreement.current(manifest)?.primary.plan.hosts ?? []
        for member in membership.presentMembers where canVote(member, on: manifest) {
            if hosts.contains(member) {
                pool.insert(member)
                continue
            }
            let speed = record(of: member)?.capability?.operationsPerMicrosecond ?? 0
            candidates.append(
                (
                    speed.leadingZeroBitCount,
                    TableFolds.mixed(member.node.words.0 ^ manifest.words.0), member
                ))
        }
        candidates.sort { ($0.rank, $0.lot, $0.member) < ($1.rank, $1.lot, $1.member) }
        for candidate in candidates.prefix(max(0, Agreement.poolMax - pool.count)) {
            pool.insert(candidate.member)
        }
        return pool
    }

    /// Says whom plans need sessions with here: the pools that this node belongs to, with their plans'
    /// hosts.
    mutating func tellNeeds(now: Timestamp) {
        guard membership.keepsSomeSessions else { return }
        var needed: Set<NodeID> = []
        for model in mesh.catalogue.models {
            guard let manifest = model.manifest else { continue }
            let pool = poolOfLargeMesh(manifest)
            let hosts = agreement.current(manifest)?.primary.plan.hosts ?? []
            guard pool.contains(me) || hosts.contains(me) else { continue }
            needed.formUnion(pool.map(\.node))
            needed.formUnion(hosts.map(\.node))
        }
        needed.remove(me.node)
        membership.need(needed.sorted(), now: now)
    }

    /// A request came in: sees to sessions with the hosts of the model's plan, or with some who follow
    /// it if this node does not know it yet; they tell it.
    mutating func reach(_ manifest: ManifestID, now: Timestamp) {
        let own = agreement.register(manifest)?.currentBallotPlan
        var newest = own?.ballot
        var followers: [NodeBoot] = []
        for record in mesh.liveRecords where record.member != me {
            guard let plan = record.plans.first(where: { $0.manifest == manifest })?.current,
                membership.isPresent(record.member)
            else { continue }
            if let known = newest, plan.ballot < known { continue }
            if newest.map({ $0 < plan.ballot }) ?? true {
                newest = plan.ballot
                followers = []
            }
            followers.append(record.member)
        }
        if let current = agreement.current(manifest)?.primary.plan, current.ballot == newest {
            for host in current.hosts where host != me { membership.use(host.node, now: now) }
            return
        }
        // Whoever is connected already had the chance to tell.
        followers.removeAll { membership.isConnected($0) }
        followers.sort { lot($0, me) < lot($1, me) }
        for follower in followers.prefix(Self.followersAsked) {
            membership.use(follower.node, now: now)
        }
    }

    /// A host tells a decision to those whom the proposer may have no session with: to each entry
    /// that uses the plan before it, one of that plan's hosts does.
    func passOn(_ bundle: PlanBundle, into directives: inout [Directive]) {
        guard membership.keepsSomeSessions else { return }
        let plan = bundle.primary.plan
        let before = layouts.values.first {
            $0.plan.manifest == plan.manifest && $0.plan.without == nil
        }
        let hosts = (before?.plan ?? plan).hosts.filter { membership.isPresent($0) }
        guard hosts.contains(me) else { return }
        let pool = poolOfLargeMesh(plan.manifest)
        for member in connectedMembers where !pool.contains(member) {
            let known = record(of: member)?.plans.first { $0.manifest == plan.manifest }?.current
            if let known, known.ballot >= plan.ballot { continue }
            guard hosts.min(by: { lot($0, member) < lot($1, member) }) == me else { continue }
            directives.append(
                .send(
                    .agreement(
                        .decided(
                            manifest: plan.manifest, ballot: plan.ballot, bundle: bundle,
                            isFresh: true)), to: member))
        }
    }

    /// What two nodes draw together: others draw other lots, so that work is spread.
    private func lot(_ one: NodeBoot, _ other: NodeBoot) -> UInt64 {
        TableFolds.mixed(one.node.words.0 ^ other.node.words.0)
    }
}
