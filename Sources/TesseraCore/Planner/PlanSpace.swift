/// All figures that a search for a plan needs, whatever they come from: a model and a mesh, or a
/// plain chain of layers (`ChainProfile`).
///
/// `Docs/Planning.md` defines from these figures which plans there are and what each costs; every
/// solver, bound and baseline works on this value alone. Positions `0...end` are the places where a
/// plan may cut; the *piece* `p` lies between positions `p` and `p + 1`. Times are whole
/// nanoseconds.
public struct PlanSpace: Hashable, Sendable {
    /// More nodes than this are refused: sets of nodes are kept as bits of one word.
    public static let nodesMax = 64
    /// More pieces than this are refused: tables grow with the square.
    public static let piecesMax = 400

    /// A device that may run stages.
    public struct Node: Hashable, Sendable {
        /// The name people know it by.
        public var name: String
        /// Bytes that stages may take on it.
        public var memoryBytes: Int
        /// What it draws while it is busy; nil if that is not known.
        public var milliwatts: Int?

        /// Makes a node.
        public init(name: String, memoryBytes: Int, milliwatts: Int? = nil) {
            self.name = name
            self.memoryBytes = memoryBytes
            self.milliwatts = milliwatts
        }
    }

    /// What a link from one node to another does.
    public struct Link: Hashable, Sendable {
        /// Bits per second; less than `LinkRate.bitsPerSecondMin` counts as that.
        public var bitsPerSecond: Int
        /// Time that the first byte takes.
        public var latencyNanoseconds: Int

        /// Makes a link.
        public init(bitsPerSecond: Int, latencyNanoseconds: Int) {
            self.bitsPerSecond = bitsPerSecond
            self.latencyNanoseconds = latencyNanoseconds
        }
    }

    /// What splitting a range of pieces by rows takes; every table by from and to position.
    public struct RowFigures: Hashable, Sendable {
        /// Rows of the range's output; 0 where the range cannot be split by rows.
        public var counts: [Int]
        /// Bytes that a tile reads beyond its own rows, at each border that it shares.
        public var haloBytes: [Int]
        /// Time that each tile takes beside its rows' share of the range.
        public var overheads: [Int]
        /// By node: time of the rows that a tile computes beyond its own, for each border.
        public var excess: [[Int]]

        /// Makes the tables.
        public init(counts: [Int], haloBytes: [Int], overheads: [Int], excess: [[Int]]) {
            self.counts = counts
            self.haloBytes = haloBytes
            self.overheads = overheads
            self.excess = excess
        }
    }

    /// The nodes; a node's index is its place here.
    public let nodes: [Node]
    /// For each node the number of its kind.
    ///
    /// Nodes are of one kind if exchanging them changes no figure. Kinds are numbered by their first node.
    public let kinds: [Int]
    /// For each kind its nodes, ascending.
    public let members: [[Int]]
    /// The nodes by kind, then by index: the order in which rows are dealt out.
    public let rowOrder: [Int]
    /// The names of the pieces.
    public let pieceNames: [String]
    /// The node where requests come in and results go; nil if the ways there cost nothing.
    public let entry: Int?
    /// Bytes that cross each position; at 0 the input's, at the end the output's.
    public let crossingBytes: [Int]
    /// Bytes that a stage takes on each of its nodes, by from and to position.
    public let stageBytes: [Int]
    /// What row splits take; nil if nothing can be split by rows.
    public let rows: RowFigures?
    /// The rate of the one medium that all links share; nil if links do not disturb each other.
    public let medium: LinkRate?

    /// By node: nanoseconds of a stage by from and to position, whether it fits or not.
    let times: [[Int]]
    /// Rates of the links, row by row of the source; a node's link to itself is free.
    let rates: [LinkRate]
    /// Latencies of the links, row by row of the source; 0 from a node to itself.
    let latencies: [Int]
    /// For each node `2^56 / t` with `t` its time for all pieces: what its shares are measured by.
    let speeds: [Int]

    /// How many positions there are.
    public var positionCount: Int { crossingBytes.count }
    /// The last position.
    public var end: Int { crossingBytes.count - 1 }

    /// Makes a space; the tables are by from and to position, `positionCount` squared, of which
    /// only those with from < to count.
    ///
    /// - Parameters:
    ///   - nodes: At least one, at most `nodesMax`.
    ///   - pieceNames: At least one, at most `piecesMax`.
    ///   - nanoseconds: For each node the table of its stage times.
    ///   - stageBytes: The table of what a stage takes in memory.
    ///   - crossingBytes: For each position.
    ///   - links: Row by row of the source; the diagonal does not count.
    ///   - entry: Where requests come in, or nil.
    ///   - rows: What row splits take, or nil.
    ///   - mediumBitsPerSecond: The rate of a medium that all links share, or nil.
    public init(
        nodes: [Node], pieceNames: [String], nanoseconds: [[Int]], stageBytes: [Int],
        crossingBytes: [Int], links: [Link], entry: Int? = nil, rows: RowFigures? = nil,
        mediumBitsPerSecond: Int? = nil
    ) {
        let count = pieceNames.count + 1
        invariant(
            (1...Self.nodesMax).contains(nodes.count)
                && (1...Self.piecesMax).contains(pieceNames.count),
            "a plan space has 1 to 64 nodes and 1 to 400 pieces")
        invariant(
            nanoseconds.count == nodes.count && links.count == nodes.count * nodes.count
                && crossingBytes.count == count && stageBytes.count == count * count
                && nanoseconds.allSatisfy { $0.count == count * count },
            "the tables of a plan space match its nodes and positions")
        self.nodes = nodes
        self.pieceNames = pieceNames
        self.entry = entry
        self.rows = rows
        self.stageBytes = stageBytes.map(CostArithmetic.bytes)
        self.crossingBytes = crossingBytes.map(CostArithmetic.bytes)
        medium = mediumBitsPerSecond.map { LinkRate(bitsPerSecond: $0) }
        times = nanoseconds.map { table in
            table.map { min(max($0, 1), CostArithmetic.nanosecondsMax) }
        }
        rates = links.enumerated().map { slot, link in
            slot / nodes.count == slot % nodes.count
                ? .free : LinkRate(bitsPerSecond: link.bitsPerSecond)
        }
        latencies = links.enumerated().map { slot, link in
            slot / nodes.count == slot % nodes.count
                ? 0 : min(max(link.latencyNanoseconds, 0), CostArithmetic.nanosecondsMax)
        }
        speeds = times.map { max(SpaceCosts.rateUnit / $0[count - 1], 1) }
        kinds = Self.kinds(
            nodes: nodes, times: times, rates: rates, latencies: latencies, entry: entry,
            rows: rows)
        var members: [[Int]] = []
        for (node, kind) in kinds.enumerated() {
            if kind == members.count { members.append([]) }
            members[kind].append(node)
        }
        self.members = members
        rowOrder = members.flatMap { $0 }
    }

    /// Numbers the kinds.
    ///
    /// To be exchangeable with the first node of a kind is to be exchangeable with all of them.
    private static func kinds(
        nodes: [Node], times: [[Int]], rates: [LinkRate], latencies: [Int], entry: Int?,
        rows: RowFigures?
    ) -> [Int] {
        let count = nodes.count
        func areLinked(_ one: Int, _ other: Int, alike third: Int) -> Bool {
            rates[one * count + third] == rates[other * count + third]
                && rates[third * count + one] == rates[third * count + other]
                && latencies[one * count + third] == latencies[other * count + third]
                && latencies[third * count + one] == latencies[third * count + other]
        }
        func areAlike(_ one: Int, _ other: Int) -> Bool {
            one != entry && other != entry && nodes[one].memoryBytes == nodes[other].memoryBytes
                && nodes[one].milliwatts == nodes[other].milliwatts && times[one] == times[other]
                && (rows.map { $0.excess[one] == $0.excess[other] } ?? true)
                && rates[one * count + other] == rates[other * count + one]
                && latencies[one * count + other] == latencies[other * count + one]
                && nodes.indices.allSatisfy { third in
                    third == one || third == other || areLinked(one, other, alike: third)
                }
        }
        var firsts: [Int] = []
        return nodes.indices.map { node in
            if let kind = firsts.firstIndex(where: { areAlike($0, node) }) { return kind }
            firsts.append(node)
            return firsts.count - 1
        }
    }

    /// The same space with only this part of each node's memory: what is left is headroom.
    public func withHeadroom(percent: Int) -> PlanSpace {
        guard percent > 0 else { return self }
        let part = max(100 - percent, 0)
        var reduced = nodes
        for index in reduced.indices {
            let bytes = CostArithmetic.bytes(reduced[index].memoryBytes)
            reduced[index].memoryBytes = bytes / 100 * part + bytes % 100 * part / 100
        }
        return PlanSpace(copying: self, nodes: reduced, medium: medium)
    }

    /// The same space with links that do not disturb each other.
    var withoutMedium: PlanSpace { PlanSpace(copying: self, nodes: nodes, medium: nil) }

    private init(copying other: PlanSpace, nodes: [Node], medium: LinkRate?) {
        self.nodes = nodes
        kinds = other.kinds
        members = other.members
        rowOrder = other.rowOrder
        pieceNames = other.pieceNames
        entry = other.entry
        crossingBytes = other.crossingBytes
        stageBytes = other.stageBytes
        rows = other.rows
        self.medium = medium
        times = other.times
        rates = other.rates
        latencies = other.latencies
        speeds = other.speeds
    }
}

/// How long a link takes for a byte, in fixed point.
public struct LinkRate: Hashable, Sendable {
    /// A slower link counts as this fast: about one letter in eight milliseconds.
    public static let bitsPerSecondMin = 1_000
    /// Fraction bits of `fixedPoint`.
    static let fractionBits = 24
    /// A link that takes no time.
    static let free = LinkRate(fixedPoint: 0)

    /// Nanoseconds per byte times `2^24`, rounded up.
    let fixedPoint: Int

    /// The rate of a link of so many bits per second.
    public init(bitsPerSecond: Int) {
        let bits = max(bitsPerSecond, Self.bitsPerSecondMin)
        fixedPoint =
            (8_000_000_000 << Self.fractionBits) / bits
            + ((8_000_000_000 << Self.fractionBits) % bits == 0 ? 0 : 1)
    }

    init(fixedPoint: Int) { self.fixedPoint = fixedPoint }

    /// Nanoseconds that so many bytes take, rounded up.
    func nanoseconds(_ bytes: Int) -> Int {
        guard fixedPoint > 0, bytes > 0 else { return 0 }
        let product = UInt64(bytes).multipliedFullWidth(by: UInt64(fixedPoint))
        guard product.high < 1 << 16 else { return CostArithmetic.nanosecondsMax }
        let whole = product.high << 40 | product.low >> 24
        let isExact = product.low & (1 << 24 - 1) == 0
        return min(Int(whole) + (isExact ? 0 : 1), CostArithmetic.nanosecondsMax)
    }

    /// The most bytes that take at most so many nanoseconds.
    func bytes(within nanoseconds: Int) -> Int {
        guard fixedPoint > 0 else { return .max }
        if nanoseconds >= CostArithmetic.nanosecondsMax { return .max }
        return Int(UInt64(nanoseconds) << 24 / UInt64(fixedPoint))
    }
}
