import TesseraCore

/// The links of a topology or a profile.
struct TopologyLinks: Equatable {
    /// Faster links than this count as this fast: a petabit per second.
    private static let bitsPerSecondMax = 1e15
    /// The longest latency that is planned with.
    private static let latencySecondsMax = 1_000.0
    /// So many pairs can be given: each of 64 nodes with each.
    private static let pairsMax = 4_096

    /// The links, row by row of the source.
    let links: [PlanSpace.Link]
    /// The rate of the medium that all links share, if there is one.
    let mediumBitsPerSecond: Int?

    private struct Pair {
        var sources: Range<Int>
        var targets: Range<Int>
        var link: PlanSpace.Link
    }

    /// Reads `links`.
    ///
    /// A pair holds both ways, unless the same names are given the other way round too. Of pairs that
    /// concern the same nodes, the later one counts.
    init(_ field: DocumentField, _ names: TopologyNames) throws {
        let members = try field.members(["default", "pairs", "medium_bits_per_second"])
        let usual = try Self.link(
            members.required("default").members(["bits_per_second", "latency_seconds"]))
        mediumBitsPerSecond = try members.optional("medium_bits_per_second").map(Self.rate)
        let pairs = try members.optional("pairs").map { try Self.pairs($0, names) } ?? []
        let count = names.all.count
        var links = [PlanSpace.Link](repeating: usual, count: count * count)
        for pair in pairs {
            let isOneWay = pairs.contains { other in
                other.sources == pair.targets && other.targets == pair.sources
            }
            for source in pair.sources {
                for target in pair.targets {
                    links[source * count + target] = pair.link
                    if !isOneWay { links[target * count + source] = pair.link }
                }
            }
        }
        self.links = links
    }

    private static func pairs(_ field: DocumentField, _ names: TopologyNames) throws -> [Pair] {
        var result: [Pair] = []
        for element in try field.list(atMost: pairsMax) {
            let members = try element.members(["a", "b", "bits_per_second", "latency_seconds"])
            let pair = Pair(
                sources: try names.nodes(members.required("a")),
                targets: try names.nodes(members.required("b")), link: try link(members))
            if pair.sources == pair.targets, pair.sources.count == 1 {
                throw try members.required("b").failure("a node has no link to itself")
            }
            if result.contains(where: { $0.sources == pair.sources && $0.targets == pair.targets })
            {
                throw element.failure("this pair is given twice")
            }
            result.append(pair)
        }
        return result
    }

    private static func link(_ members: DocumentMembers) throws -> PlanSpace.Link {
        let latency = try members.required("latency_seconds").number(
            to: latencySecondsMax, unit: "seconds")
        return PlanSpace.Link(
            bitsPerSecond: try rate(members.required("bits_per_second")),
            latencyNanoseconds: Int((latency * 1e9).rounded()))
    }

    /// Reads a rate in bits per second.
    static func rate(_ field: DocumentField) throws -> Int {
        let rate = try field.number(
            from: Double(LinkRate.bitsPerSecondMin), to: bitsPerSecondMax, unit: "bits per second")
        return Int(rate.rounded())
    }
}
