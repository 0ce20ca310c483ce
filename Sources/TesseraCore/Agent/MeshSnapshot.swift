/// What one agent knows of the mesh at one moment, for people and programs that ask.
public struct MeshSnapshot: Sendable {
    /// One member.
    public struct Member: Sendable {
        /// The node and its run.
        public var member: NodeBoot
        /// Where it listens.
        public var address: Address
        /// How it is seen.
        public var status: MemberStatus
        /// Whether there is a connection to it.
        public var isConnected: Bool
        /// Round trip, if measured.
        public var roundTrip: TimeSpan?
        /// What it says of itself, if that has arrived.
        public var record: NodeRecord?
    }

    /// One model of the catalogue.
    public struct Model: Sendable {
        /// The name that clients use.
        public var name: String
        /// The model.
        public var manifest: ManifestID
        /// The outline; nil until the manifest has arrived here.
        public var outline: ModelOutline?
        /// The decided plan that this node follows.
        public var current: PlanBundle?
        /// Alternates that are ready on all their nodes.
        public var armed: [PlanID]
        /// The plan that a request would run under now; nil if none serves.
        public var usable: PlanID?
        /// If none serves: why.
        public var reason: String
        /// How many nodes hold the blob that the fewest hold.
        public var replication: Int
        /// The problem that a plan would be made of now.
        public var problem: PlanningProblem?
        /// How the operator wants it planned.
        public var settings: ModelSettings
        /// By the exits' numbers how many requests of this entry each answered; the number behind the
        /// last one is that of the whole model.
        public var exitCounts: [Int: Int] = [:]
        /// How many answers of this entry did without branches.
        public var leftOutAnswers = 0
    }

    /// The node and its run.
    public var me: NodeBoot
    /// What this node says of itself.
    public var own: NodeRecord
    /// Every known member, this node included, ascending.
    public var members: [Member]
    /// Addresses that discovery found and where nobody has answered so far.
    public var unanswered: [Address]
    /// The catalogue's models by name.
    public var models: [Model]
    /// Requests that are open at this entry.
    public var openRequests: Int
    /// Requests refused because too many were open.
    public var refusals: Int
    /// Requests that this entry has answered with their outputs since it started.
    public var answers: Int
    /// Attempts of this entry's requests, and what became of them.
    public var counts: RequestCounts
    /// Attempts, of all entries, that are open at this node as a host.
    public var openAttempts: Int
    /// Runs of fragments that wait here for the engine.
    public var queuedRuns: Int
    /// Runs of fragments that the engine has.
    public var runningRuns: Int
    /// Bytes that fragments reserve here.
    public var reservedBytes: Int
    /// Whether this node takes no new requests.
    public var isLeaving: Bool
    /// Whether it has read what its disk holds.
    public var isRestored: Bool
    /// What this node sends packed.
    public var packedRoutes: [PackedRoute]
}

extension Agent {
    /// What this agent knows now.
    public func snapshot() -> MeshSnapshot {
        var members = membership.members.map { member in
            MeshSnapshot.Member(
                member: member.member, address: member.address, status: member.status,
                isConnected: member.isConnected, roundTrip: membership.roundTrip(of: member.member),
                record: mesh.record(of: member.member))
        }
        members.removeAll { $0.member == me }
        members.append(
            MeshSnapshot.Member(
                member: me, address: mesh.own.addresses.first ?? Address(host: "?", port: 0),
                status: leaving == nil ? .alive : .left, isConnected: true, roundTrip: nil,
                record: mesh.own))
        members.sort { $0.member < $1.member }
        return MeshSnapshot(
            me: me, own: mesh.own, members: members, unanswered: membership.unanswered,
            models: mesh.catalogue.models.compactMap { model($0, isDetailed: true) },
            openRequests: requests.openCount, refusals: requests.refusals,
            answers: requests.answers, counts: requests.counts,
            openAttempts: attempts.openCount, queuedRuns: attempts.queuedCount,
            runningRuns: attempts.runningCount, reservedBytes: host.reservedBytes,
            isLeaving: leaving != nil, isRestored: isRestored, packedRoutes: codecs.inUse)
    }

    /// What a client's open request is called everywhere; nil if it has none.
    public func request(of client: ClientID) -> RequestID? {
        requests.clients[client].map { RequestID(entry: me, counter: $0) }
    }

    /// What a request needs to know of one model now; nil if the catalogue has no such name.
    ///
    /// Without replication, armed alternates and the planning problem, which cost too much for every
    /// request.
    public func model(named name: String) -> MeshSnapshot.Model? {
        mesh.catalogue.models.first { $0.name == name }.flatMap { model($0, isDetailed: false) }
    }

    /// Whether a name may be given, and if not: why.
    public func canName(_ name: String) -> CatalogueError? {
        Catalogue.isValid(name: name) ? nil : .invalidName(name)
    }

    private func model(
        _ entry: CatalogueEntry, isDetailed: Bool
    ) -> MeshSnapshot.Model? {
        guard let manifest = entry.manifest else { return nil }
        let routing = routings[manifest] ?? findRouting(manifest)
        let current = agreement.current(manifest)
        let outline = placement.outline(of: manifest)
        guard isDetailed else {
            return MeshSnapshot.Model(
                name: entry.name, manifest: manifest, outline: outline, current: current,
                armed: [], usable: routing.usable?.id, reason: routing.reason, replication: 0,
                problem: nil, settings: entry.settings)
        }
        let view = view(manifest)
        var model = MeshSnapshot.Model(
            name: entry.name, manifest: manifest, outline: outline, current: current,
            armed: (current?.alternates ?? []).filter { isArmed($0.plan, id: $0.id) }.map(\.id),
            usable: routing.usable?.id, reason: routing.reason,
            replication: placement.replication(manifest),
            problem: outline.map { outline in
                view.problem(
                    outline,
                    current?.primary.plan.ballot ?? Ballot(round: 0, proposer: me), current)
            }, settings: entry.settings)
        model.exitCounts = requests.exitCounts[manifest] ?? [:]
        model.leftOutAnswers = requests.leftOutAnswers[manifest] ?? 0
        return model
    }
}
