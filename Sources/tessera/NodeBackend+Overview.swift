import TesseraAPI
import TesseraCore
import TesseraNode

extension NodeBackend {
    /// Links in one overview: all of a mesh of 23 nodes; of a larger one the agent's own come first.
    private static let linksMax = 512
    /// Plans in one overview; a screen holds no more.
    private static let plansMax = 16

    func overview(trafficSeconds: Int) async -> OverviewDocument {
        let snapshot = await node.snapshot()
        let compileMicroseconds = await node.compileMicroseconds
        let now = node.uptime
        var running: [RunningDocument] = []
        for model in snapshot.models.filter({ $0.usable != nil }).prefix(Self.plansMax) {
            guard
                let plan = PlanView(snapshot, model, compileMicroseconds: compileMicroseconds)?
                    .document
            else { continue }
            running.append(
                RunningDocument(
                    plan: plan,
                    load: LoadDocument(
                        PlanLoad(plan), answersPerSecond: traffic.rate(of: plan.model, at: now)),
                    takesImages: await imageInput(of: model.manifest) != nil))
        }
        return OverviewDocument(
            status: status(snapshot), members: members(snapshot).members,
            links: LinkView.documents(snapshot, atMost: Self.linksMax),
            models: models(snapshot).models, running: running,
            traffic: traffic.seconds(trafficSeconds, at: now))
    }
}

/// The links of the mesh as its members measured them.
enum LinkView {
    /// Links between members that live; those of the agent itself first, then by node.
    static func documents(_ snapshot: MeshSnapshot, atMost count: Int) -> [LinkDocument] {
        let alive = snapshot.members.filter { $0.status == .alive || $0.status == .suspect }
        let nodes = Set(alive.map(\.member.node))
        let ordered =
            alive.filter { $0.member == snapshot.me } + alive.filter { $0.member != snapshot.me }
        let links = ordered.lazy.flatMap { member in
            (member.record?.links ?? []).lazy.filter { nodes.contains($0.peer) }.map { link in
                LinkDocument(
                    from: member.member.node.hexadecimal, to: link.peer.hexadecimal,
                    bytesPerSecond: link.bytesPerSecond > 0 ? link.bytesPerSecond : nil,
                    roundTripMicroseconds: link.roundTripMicroseconds)
            }
        }
        return Array(links.prefix(count))
    }
}

extension LoadDocument {
    /// How busy a plan keeps the mesh at its limit, and at so many answers per second.
    init(_ load: PlanLoad, answersPerSecond: Double) {
        let longest = load.stageMicroseconds.max() ?? 0
        self.init(
            bottleneck: load.bottleneck, limit: load.limit.rawValue,
            periodMicroseconds: load.periodMicroseconds,
            latencyMicroseconds: load.latencyMicroseconds,
            fullShares: load.stageMicroseconds.map { longest > 0 ? $0 / longest : 0 },
            currentShares: load.stageMicroseconds.map { min(1, $0 * answersPerSecond / 1e6) },
            answersPerSecond: answersPerSecond)
    }
}
