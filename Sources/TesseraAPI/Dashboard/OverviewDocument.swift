/// What one node measured of its link to another one.
public struct LinkDocument: Codable, Sendable, Equatable {
    /// The node that measured, in hexadecimal.
    public var from: String
    /// The other end, in hexadecimal.
    public var to: String
    /// Bytes per second from the one to the other, if measured.
    public var bytesPerSecond: UInt64?
    /// Round trip in microseconds.
    public var roundTripMicroseconds: Int64

    /// Makes a link document.
    public init(from: String, to: String, bytesPerSecond: UInt64?, roundTripMicroseconds: Int64) {
        self.from = from
        self.to = to
        self.bytesPerSecond = bytesPerSecond
        self.roundTripMicroseconds = roundTripMicroseconds
    }
}

/// How busy a running plan keeps its nodes and links, by what was measured, else by what is expected.
public struct LoadDocument: Codable, Sendable, Equatable {
    /// The stage that limits the plan, counted from 0; nil if it has none.
    public var bottleneck: Int?
    /// What that stage is busy with: `computing` or `links`.
    public var limit: String
    /// Time per item in a stream; nil if no stage was measured.
    public var periodMicroseconds: Int64?
    /// Time of one item alone; nil if no stage was measured.
    public var latencyMicroseconds: Int64?
    /// For each stage: which part of the time its busiest node or link works when the mesh answers as
    /// much as it can, from 0 to 1.
    public var fullShares: [Double]
    /// The same for what this agent answers now.
    public var currentShares: [Double]
    /// Items that this agent answered per second, of late.
    public var answersPerSecond: Double

    /// Makes a load document.
    public init(
        bottleneck: Int?, limit: String, periodMicroseconds: Int64?, latencyMicroseconds: Int64?,
        fullShares: [Double], currentShares: [Double], answersPerSecond: Double
    ) {
        self.bottleneck = bottleneck
        self.limit = limit
        self.periodMicroseconds = periodMicroseconds
        self.latencyMicroseconds = latencyMicroseconds
        self.fullShares = fullShares
        self.currentShares = currentShares
        self.answersPerSecond = answersPerSecond
    }
}

/// A running plan and how busy it keeps the mesh.
public struct RunningDocument: Codable, Sendable, Equatable {
    /// The plan.
    public var plan: PlanDocument
    /// How busy it keeps the mesh.
    public var load: LoadDocument
    /// Whether the model says how an image becomes its input.
    public var takesImages: Bool

    /// Puts a plan together with its load.
    public init(plan: PlanDocument, load: LoadDocument, takesImages: Bool) {
        self.plan = plan
        self.load = load
        self.takesImages = takesImages
    }
}

/// What an agent answered in one second.
public struct TrafficDocument: Codable, Sendable, Equatable {
    /// Which second since the agent started.
    public var second: Int64
    /// Items answered.
    public var answered: Int
    /// Items that ended with an error.
    public var failed: Int
    /// Half of the answers took no longer; nil if there is none.
    public var medianMicroseconds: Int64?
    /// 99 of 100 answers took no longer.
    public var p99Microseconds: Int64?

    /// Makes a traffic document.
    public init(
        second: Int64, answered: Int, failed: Int, medianMicroseconds: Int64?,
        p99Microseconds: Int64?
    ) {
        self.second = second
        self.answered = answered
        self.failed = failed
        self.medianMicroseconds = medianMicroseconds
        self.p99Microseconds = p99Microseconds
    }
}

/// The mesh as one agent sees it at one moment: what the dashboard shows, as an `overview` of
/// `GET /tessera/v1/stream`.
public struct OverviewDocument: Codable, Sendable, Equatable {
    /// `controlVersion`.
    public var version = controlVersion
    /// The agent.
    public var status: StatusDocument
    /// The members, this one included, by name.
    public var members: [MemberDocument]
    /// Links between members that live, as far as they were measured.
    public var links: [LinkDocument]
    /// The models by name.
    public var models: [ModelDocument]
    /// What runs for those that are served, in the same order.
    public var running: [RunningDocument]
    /// What this agent answered in the last seconds that are over, oldest first; seconds without a
    /// request are left out.
    public var traffic: [TrafficDocument]

    /// Makes the document.
    public init(
        status: StatusDocument, members: [MemberDocument], links: [LinkDocument],
        models: [ModelDocument], running: [RunningDocument], traffic: [TrafficDocument]
    ) {
        self.status = status
        self.members = members
        self.links = links
        self.models = models
        self.running = running
        self.traffic = traffic
    }
}
