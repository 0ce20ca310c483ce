public import TesseraCore

/// Everything a run is made of, drawn from one seed.
///
/// Printing it and running it again gives the same run.
public struct Scenario: Hashable, Sendable {
    /// What the network does to messages, beside the faults.
    public struct Network: Hashable, Sendable {
        /// Datagrams lost; so many messages on a connection come late instead.
        public var lossPerMille = 0
        /// Datagrams that come twice.
        public var duplicatePerMille = 0
        /// Messages with a delay from an exponential tail.
        public var tailPerMille = 0
        /// The mean of the tail.
        public var tailMean = TimeSpan.zero
        /// What may come on top of a link's latency; more than its latency reorders datagrams.
        public var jitter = TimeSpan.microseconds(250)
        /// Datagrams with a wrong byte, and a tenth as many messages, whose connection breaks then.
        public var corruptPerMille = 0
        /// Whether nodes learn the rates of their links soon after they are connected.
        public var measuresLinks = false

        /// A network without faults.
        public init() {}
    }

    /// What the engines do.
    public struct Engine: Hashable, Sendable {
        /// The shortest compilation.
        public var compileLeast = TimeSpan.milliseconds(20)
        /// The longest compilation.
        public var compileMost = TimeSpan.milliseconds(100)
        /// The shortest planning.
        public var planningLeast = TimeSpan.milliseconds(1)
        /// The longest planning.
        public var planningMost = TimeSpan.milliseconds(10)
        /// How much the time of a run varies, in percent of it.
        public var noisePercent = 0

        /// Engines without noise.
        public init() {}
    }

    /// What discovery does.
    public struct Discovery: Hashable, Sendable {
        /// Announcements that a node never hears.
        public var missingPerMille = 0
        /// Announcements that come twice.
        public var duplicatePerMille = 0
        /// The longest time from a start to its announcement.
        public var delayMost = TimeSpan.milliseconds(900)

        /// Discovery that finds everybody.
        public init() {}
    }

    /// A model.
    public struct Model: Hashable, Sendable {
        /// How many operators.
        public var operators: Int
        /// The most bytes of one operator's constants.
        public var blobBytesMax: Int
        /// The most operations of one operator.
        public var operationsMax: UInt64
        /// The modes that stages may have.
        public var modes: ModeSet

        /// Makes the knobs of a model.
        public init(
            operators: Int, blobBytesMax: Int = 1_000_000, operationsMax: UInt64 = 4_000_000,
            modes: ModeSet = .single
        ) {
            self.operators = operators
            self.blobBytesMax = blobBytesMax
            self.operationsMax = operationsMax
            self.modes = modes
        }
    }

    /// What clients ask.
    public struct Workload: Hashable, Sendable {
        /// A request every so often at a random living node.
        public var period = TimeSpan.milliseconds(100)
        /// How many requests.
        public var requests = 100
        /// The shortest deadline.
        public var deadlineLeast = TimeSpan.seconds(2)
        /// The longest deadline.
        public var deadlineMost = TimeSpan.seconds(8)

        /// A request each tenth of a second.
        public init() {}
    }

    /// Draws every knob.
    public var seed: UInt64
    /// All devices, those that join later included.
    public var mesh: SimulatedMesh
    /// So many of them start at once.
    public var nodes: Int
    /// What the network does.
    public var network = Network()
    /// What the engines do.
    public var engine = Engine()
    /// What discovery does.
    public var discovery = Discovery()
    /// The first is there from the start; an operator may add the second.
    public var models: [Model]
    /// What clients ask.
    public var workload = Workload()
    /// What goes wrong, and when.
    public var faults: [TimedFault] = []
    /// In which part each device is after the healing: nothing ever passes between two parts again.
    public var parts: [Int]
    /// When faults end, cuts heal and stopped nodes start again.
    public var healAt: Timestamp
    /// When the run ends at the latest, whether or not it converged.
    public var until: Timestamp?

    /// How long a mesh that came to rest is watched for plan changes.
    public var watch = TimeSpan.seconds(3)

    /// Within this time after the healing each connected part agrees and serves.
    ///
    /// It is the sum of what a node may legitimately wait for: 20 s for a host that could not load
    /// its part to be asked again, and 10 s for the plan that follows.
    public static let convergence = TimeSpan.seconds(30)

    /// The parts, if two that lose each other and meet again are all that happens: all had met
    /// before, and have memory for the plans of all parts beside the one that follows.
    var onlySplit: Fault? {
        guard faults.count == 1, case .split = faults[0].fault else { return nil }
        let isAll =
            network.lossPerMille == 0 && network.tailPerMille == 0
            && network.corruptPerMille == 0 && Set(parts).count == 1
            && discovery.missingPerMille == 0
            && mesh.devices.allSatisfy { $0.memoryBytes >= Self.ampleMemoryBytes }
        return isAll ? faults[0].fault : nil
    }

    /// What a device has whose memory binds no plan of a drawn model.
    static let ampleMemoryBytes = 1 << 30

    /// A run without faults.
    public static func quiet(seed: UInt64, nodes: Int, requests: Int = 100) -> Scenario {
        let device = SimulatedMesh.Device(
            name: "", operationsPerMicrosecond: 1_000, movedBytesPerMicrosecond: 10_000,
            memoryBytes: 1 << 30)
        let link = SimulatedMesh.Link(bitsPerSecond: 1_000_000_000, latency: .microseconds(50))
        var scenario = Scenario(
            seed: seed, mesh: .equal(nodes + 2, device: device, link: link), nodes: nodes,
            models: [Model(operators: 24), Model(operators: 6)],
            parts: .init(repeating: 0, count: nodes + 2), healAt: .zero + .seconds(6))
        scenario.workload.requests = requests
        return scenario
    }

    /// Every knob with its value, for people.
    public var knobs: [(name: String, value: String)] {
        func milliseconds(_ span: TimeSpan) -> String {
            "\(span.microseconds / 1_000).\(span.microseconds / 100 % 10) ms"
        }
        let slowest = mesh.slowestBitsPerSecond / 1_000_000
        var knobs = [
            ("nodes", "\(nodes) of \(mesh.devices.count)"),
            (
                "speeds",
                mesh.devices.map { "\($0.operationsPerMicrosecond)" }.joined(separator: " ")
            ),
            ("memory MiB", mesh.devices.map { "\($0.memoryBytes >> 20)" }.joined(separator: " ")),
            (
                "slowest link",
                "\(slowest) Mbit/s" + (mesh.mediumBitsPerSecond == nil ? "" : ", shared")
            ),
            ("loss", "\(network.lossPerMille) ‰"),
            ("duplicates", "\(network.duplicatePerMille) ‰"),
            ("corrupt", "\(network.corruptPerMille) ‰"),
            ("jitter", milliseconds(network.jitter)),
            ("tail", "\(network.tailPerMille) ‰ of mean \(milliseconds(network.tailMean))"),
            ("links", network.measuresLinks ? "measured" : "of unknown rates"),
            (
                "compile",
                "\(milliseconds(engine.compileLeast)) to \(milliseconds(engine.compileMost))"
            ),
            (
                "planning",
                "\(milliseconds(engine.planningLeast)) to \(milliseconds(engine.planningMost))"
            ),
            ("engine noise", "\(engine.noisePercent) %"),
            (
                "discovery",
                "\(discovery.missingPerMille) ‰ missing, \(discovery.duplicatePerMille) ‰ twice"
            ),
        ]
        for (index, model) in models.enumerated() {
            knobs.append(
                (
                    "model \(index)",
                    "\(model.operators) operators"
                        + (model.modes.contains(.replicas) ? ", replicas" : "")
                        + (model.modes.contains(.branches) ? ", branches" : "")
                ))
        }
        knobs.append(
            ("requests", "\(workload.requests), one per \(milliseconds(workload.period))"))
        if Set(parts).count > 1 { knobs.append(("parts after healing", "\(parts)")) }
        knobs.append(("heals at", "\(healAt.nanoseconds / 1_000_000) ms"))
        return knobs.map { (name: $0.0, value: $0.1) }
    }
}
