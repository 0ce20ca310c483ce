import TesseraAPI

/// Asks an agent for what `tessera top` shows, again and again.
struct TopSource {
    /// A plan is evaluated anew for each answer and changes seldom.
    private static let planPeriod = Duration.seconds(2)
    /// A screen holds no more.
    private static let plansMax = 16

    private let client: APIClient
    private var status: StatusDocument?
    private var plans: [String: PlanDocument] = [:]
    private var plansAt: ContinuousClock.Instant?
    private var events: [EventDocument] = []
    private var lastEvent: UInt64 = 0

    init(_ client: APIClient) { self.client = client }

    /// The next frame.
    mutating func next() async throws -> TopFrame {
        let now = try await client.document(StatusDocument.self, at: "/tessera/v1/status")
        let previous = status
        if let previous, previous.uptimeMicroseconds > now.uptimeMicroseconds {
            // It started again, and counts its events from 1.
            (events, lastEvent) = ([], 0)
        }
        var members = try await client.document(MembersDocument.self, at: "/tessera/v1/members")
            .members
        members.sort { ($0.name, $0.id) < ($1.name, $1.id) }
        var models = try await client.document(ModelsDocument.self, at: "/tessera/v1/models").models
        models.sort { $0.name < $1.name }
        try await readPlans(models)
        try await readEvents()
        status = now
        return TopFrame(
            status: now, previous: previous, members: members, models: models, plans: plans,
            events: events)
    }

    private mutating func readPlans(_ models: [ModelDocument]) async throws {
        let now = ContinuousClock.now
        let shown = models.filter(\.isReady).prefix(Self.plansMax).map(\.name)
        let isDue = plansAt.map { now - $0 >= Self.planPeriod } ?? true
        guard isDue || !shown.allSatisfy({ plans[$0] != nil }) else { return }
        var found: [String: PlanDocument] = [:]
        for name in shown { found[name] = try await client.plan(of: name) }
        plans = found
        plansAt = now
    }

    private mutating func readEvents() async throws {
        let path = "/tessera/v1/events?since=\(lastEvent)"
        var new: [EventDocument] = []
        try await client.lines(at: path) { line in
            new.append(try client.event(line))
            return true
        }
        lastEvent = new.last?.number ?? lastEvent
        events = (events + new).suffix(TopView.eventsMax)
    }
}
