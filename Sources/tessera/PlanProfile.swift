import TesseraCore

/// A chain of layers with given figures, and the nodes to plan it over (Docs/Topologies.md).
struct PlanProfile: Equatable {
    /// The planner counts times up to this.
    private static let secondsMax = 1_000.0

    /// The figures.
    let chain: ChainProfile
    /// The rate of the medium that all links share, if there is one.
    let mediumBitsPerSecond: Int?

    /// Reads a file.
    init(path: String) throws {
        try self.init(DocumentField.document(at: path, what: "the profile"))
    }

    /// Reads a document.
    init(_ document: DocumentField) throws {
        let members = try document.members([
            "input_bytes", "output_bytes", "layers", "nodes", "links", "entry",
            "fixed_memory_bytes",
        ])
        var names = TopologyNames()
        var types: [String] = []
        let nodes = try Self.nodes(members.required("nodes"), &names, &types)
        let links = try TopologyLinks(members.required("links"), names)
        mediumBitsPerSecond = links.mediumBitsPerSecond
        chain = ChainProfile(
            inputBytes: try members.required("input_bytes").whole(unit: "bytes"),
            outputBytes: try members.required("output_bytes").whole(unit: "bytes"),
            layers: try Self.layers(members.required("layers"), types: types), nodes: nodes,
            links: links.links,
            entry: try members.optional("entry").map { try names.nodes($0).lowerBound },
            fixedMemoryBytes: try members.optional("fixed_memory_bytes")?.whole(unit: "bytes") ?? 0)
    }

    /// The plan space.
    var space: PlanSpace { chain.space(mediumBitsPerSecond: mediumBitsPerSecond) }

    private static func nodes(
        _ field: DocumentField, _ names: inout TopologyNames, _ types: inout [String]
    ) throws -> [ChainProfile.Node] {
        var result: [ChainProfile.Node] = []
        for element in try field.list(atMost: PlanSpace.nodesMax) {
            let members = try element.members(["name", "type", "memory_bytes", "count", "watts"])
            let range = try names.add(
                members.required("name"), count: members.optional("count"),
                atMost: PlanSpace.nodesMax)
            let type = try members.required("type").text()
            if !types.contains(type) { types.append(type) }
            let index = types.firstIndex(of: type) ?? 0
            let memoryBytes = try members.required("memory_bytes").whole(unit: "bytes")
            let watts = try members.optional("watts")?.number(to: Topology.wattsMax, unit: "watts")
            result += names.all[range].map { name in
                ChainProfile.Node(
                    name: name, type: index, memoryBytes: memoryBytes,
                    milliwatts: watts.map(Topology.milliwatts))
            }
        }
        guard !result.isEmpty else { throw field.failure("a profile has at least one node") }
        return result
    }

    private static func layers(
        _ field: DocumentField, types: [String]
    ) throws -> [ChainProfile.Layer] {
        let elements = try field.list(atMost: PlanSpace.piecesMax)
        guard !elements.isEmpty else { throw field.failure("a profile has at least one layer") }
        var sums = [Double](repeating: 0, count: types.count)
        return try elements.map { element in
            let members = try element.members(["name", "memory_bytes", "output_bytes", "seconds"])
            let seconds = try seconds(members.required("seconds"), types: types)
            for type in types.indices {
                sums[type] += seconds[type]
                guard sums[type] <= secondsMax else {
                    throw element.failure(
                        "the layers up to here take more than \(Int(secondsMax)) seconds on "
                            + "'\(types[type])'; the planner counts no further")
                }
            }
            return ChainProfile.Layer(
                name: try members.required("name").text(),
                memoryBytes: try members.required("memory_bytes").whole(unit: "bytes"),
                outputBytes: try members.required("output_bytes").whole(unit: "bytes"),
                nanoseconds: seconds.map { Int(($0 * 1e9).rounded()) })
        }
    }

    /// The time on each type; types that no node has may be given too.
    private static func seconds(_ field: DocumentField, types: [String]) throws -> [Double] {
        let given = try field.mapping().map { key, field in
            (key: key, value: try field.number(to: secondsMax, unit: "seconds"))
        }
        return try types.map { type in
            guard let value = given.first(where: { $0.key == type })?.value else {
                throw field.failure("the time on nodes of type '\(type)' is missing")
            }
            return value
        }
    }
}
