import TesseraCore

/// A described mesh: nodes with what they can do, and their links (Docs/Topologies.md).
struct Topology: Equatable {
    /// A node.
    struct Node: Equatable {
        /// Its name.
        var name: String
        /// What it can do.
        var capability: Capability
        /// What it draws while it is busy, if known.
        var milliwatts: Int?
    }

    /// More threads than any machine has.
    private static let threadsMax = 1_024
    /// A slower node counts less than one operation per microsecond, which the planner cannot tell
    /// from none.
    private static let perSecondMin = 1e6
    /// A faster node than this is a mistake.
    private static let perSecondMax = 1e18
    /// A node that draws a megawatt is a mistake.
    static let wattsMax = 1e6

    /// The nodes.
    let nodes: [Node]
    /// Their links.
    let links: TopologyLinks
    /// The node where requests come in; nil if the ways from and to it cost nothing.
    let entry: Int?
    /// What happens to it, in order; planning does without.
    let events: [TopologyEvent]

    /// Reads a file.
    init(path: String) throws {
        try self.init(DocumentField.document(at: path, what: "the topology"))
    }

    /// Reads a document.
    init(_ document: DocumentField) throws {
        let members = try document.members(["description", "nodes", "links", "entry", "events"])
        _ = try members.optional("description")?.text()
        let field = try members.required("nodes")
        var names = TopologyNames()
        var nodes: [Node] = []
        for element in try field.list(atMost: ModelSpace.nodesMax) {
            nodes += try Self.nodes(element, &names)
        }
        guard !nodes.isEmpty else { throw field.failure("a topology has at least one node") }
        self.nodes = nodes
        links = try TopologyLinks(members.required("links"), names)
        entry = try members.optional("entry").map { try names.nodes($0).lowerBound }
        events = try members.optional("events").map { try TopologyEvent.events($0, names) } ?? []
    }

    private static func nodes(
        _ field: DocumentField, _ names: inout TopologyNames
    ) throws -> [Node] {
        let members = try field.members([
            "name", "count", "threads", "memory_bytes", "operations_per_second",
            "moved_bytes_per_second", "watts",
        ])
        let range = try names.add(
            members.required("name"), count: members.optional("count"),
            atMost: ModelSpace.nodesMax)
        func rate(_ key: String, _ unit: String) throws -> UInt64 {
            let value = try members.required(key).number(
                from: perSecondMin, to: perSecondMax, unit: unit)
            return UInt64((value / 1e6).rounded())
        }
        let watts = try members.optional("watts")?.number(to: wattsMax, unit: "watts")
        let memoryBytes = try members.required("memory_bytes").whole(unit: "bytes")
        let capability = Capability(
            threads: try members.required("threads").whole(
                from: 1, to: threadsMax, unit: "threads"),
            memoryBytes: memoryBytes, diskBytes: memoryBytes,
            operationsPerMicrosecond: try rate(
                "operations_per_second", "operations per second"),
            movedBytesPerMicrosecond: try rate("moved_bytes_per_second", "bytes per second"),
            fingerprint: EngineFingerprint(text: "topology"))
        return names.all[range].map { name in
            Node(name: name, capability: capability, milliwatts: watts.map(Self.milliwatts))
        }
    }

    /// Watts as whole milliwatts.
    static func milliwatts(_ watts: Double) -> Int { Int((watts * 1_000).rounded()) }

    /// The spaces of a model's plans over the nodes, in the order in which they are tried.
    func spaces(
        of outline: ModelOutline, modes: ModeSet, baseline: PlanBaseline?,
        keepInputLocal: Int = 0, codecs: CodecAllowance? = nil
    ) -> [ModelSpace] {
        let members = nodes.indices.map { index in
            NodeBoot(
                node: NodeID(0, 0, 0, UInt64(index) + 1), boot: Boot(counter: 1, random: 0))
        }
        let problem = PlanningProblem(
            outline: outline,
            nodes: zip(nodes, members).map { node, member in
                PlanningProblem.Node(
                    member: member, name: node.name, capability: node.capability,
                    freeMemoryBytes: node.capability.memoryBytes, times: [])
            },
            links: [], ballot: Ballot(round: 1, proposer: members[0]), current: nil, lost: [],
            allowedModes: modes, baseline: baseline, entry: entry.map { members[$0].node },
            mediumBitsPerSecond: links.mediumBitsPerSecond, keepInputLocal: keepInputLocal,
            codecs: codecs)
        return ModelSpace.spaces(
            of: problem, links: links.links, milliwatts: nodes.map(\.milliwatts))
    }
}
