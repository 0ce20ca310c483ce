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

    /// What a space holds.
    private struct Figures: Hashable, Sendable {
        var nodes: [Node]
        var memoryBytes: [Int]
        var kinds: [Int]
        var members: [[Int]]
        var rowOrder: [Int]
        var pieceNames: [String]
        var entry: Int?
        var localPieces = 0
        var crossingBytes: [Int]
        var stageBytes: [Int]
        var rows: RowFigures?
        var medium: LinkRate?
        var times: [[Int]]
        var rates: [LinkRate]
        var latencies: [Int]
        var speeds: [Int]
    }

    /// Holds the figures once, so that handing a space on does not count references to each table.
    private final class Box: Sendable {
        let figures: Figures

        init(_ figures: Figures) { self.figures = figures }
    }

    private let box: Box

    /// Whether all figures are equal.
    public static func == (left: PlanSpace, right: PlanSpace) -> Bool {
        left.box === right.box || left.box.figures == right.box.figures
    }

    /// Feeds the figures.
    public func hash(into hasher: inout Hasher) { hasher.combine(box.figures) }

    /// The nodes; a node's index is its place here.
    public var nodes: [Node] { box.figures.nodes }
    /// For each node the number of its kind.
    ///
    /// Nodes are of one kind if exchanging them changes no figure. Kinds are numbered by their first node.
    public var kinds: [Int] { box.figures.kinds }
    /// For each kind its nodes, ascending.
    public var members: [[Int]] { box.figures.members }
    /// The nodes by kind, then by index: the order in which rows are dealt out.
    public var rowOrder: [Int] { box.figures.rowOrder }
    /// The names of the pieces.
    public var pieceNames: [String] { box.figures.pieceNames }
    /// The node where requests come in and results go; nil if the ways there cost nothing.
    public var entry: Int? { box.figures.entry }
    /// How many of the first pieces run on the entry, each stage that begins with one of them on the
    /// entry alone; 0 without an entry.
    public var localPieces: Int { box.figures.localPieces }
    /// Bytes that cross each position; at 0 the input's, at the end the output's.
    public var crossingBytes: [Int] { box.figures.crossingBytes }
    /// Bytes that a stage takes on each of its nodes, by from and to position.
    public var stageBytes: [Int] { box.figures.stageBytes }
    /// What row splits take; nil if nothing can be split by rows.
    public var rows: RowFigures? { box.figures.rows }
    /// The rate of the one medium that all links share; nil if links do not disturb each other.
    public var medium: LinkRate? { box.figures.medium }

    /// Bytes that stages may take, by node.
    var memoryBytes: [Int] { box.figures.memoryBytes }
    /// By node: nanoseconds of a stage by from and to position, whether it fits or not.
    var times: [[Int]] { box.figures.times }
    /// Rates of the links, row by row of the source; a node's link to itself is free.
    var rates: [LinkRate] { box.figures.rates }
    /// Latencies of the links, row by row of the source; 0 from a node to itself.
    var latencies: [Int] { box.figures.latencies }
    /// For each node `2^56 / t` with `t` its time for all pieces: what its shares are measured by.
    var speeds: [Int] { box.figures.speeds }

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
        let times = nanoseconds.map { table in
            table.map { min(max($0, 1), CostArithmetic.nanosecondsMax) }
        }
        let rates = links.enumerated().map { slot, link in
            slot / nodes.count == slot % nodes.count
                ? .free : LinkRate(bitsPerSecond: link.bitsPerSecond)
        }
        let latencies = links.enumerated().map { slot, link in
            slot / nodes.count == slot % nodes.count
                ? 0 : min(max(link.latencyNanoseconds, 0), CostArithmetic.nanosecondsMax)
        }
        let kinds = Self.kinds(
            nodes: nodes, times: times, rates: rates, latencies: latencies, entry: entry,
            rows: rows)
        let members = Self.members(kinds)
        box = Box(
            Figures(
                nodes: nodes, memoryBytes: nodes.map(\.memoryBytes), kinds: kinds,
                members: members, rowOrder: members.flatMap { $0 }, pieceNames: pieceNames,
                entry: entry, crossingBytes: crossingBytes.map(CostArithmetic.bytes),
                stageBytes: stageBytes.map(CostArithmetic.bytes), rows: rows,
                medium: mediumBitsPerSecond.map { LinkRate(bitsPerSecond: $0) }, times: times,
                rates: rates, latencies: latencies,
                speeds: times.map { max(SpaceCosts.rateUnit / $0[count - 1], 1) }))
    }

    /// For each kind its nodes.
    private static func members(_ kinds: [Int]) -> [[Int]] {
        var members: [[Int]] = []
        for (node, kind) in kinds.enumerated() {
            if kind == members.count { members.append([]) }
            members[kind].append(node)
        }
        return members
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
        var figures = box.figures
        for index in figures.nodes.indices {
            let bytes = CostArithmetic.bytes(figures.nodes[index].memoryBytes)
            figures.nodes[index].memoryBytes = bytes / 100 * part + bytes % 100 * part / 100
            figures.memoryBytes[index] = figures.nodes[index].memoryBytes
        }
        return PlanSpace(figures)
    }

    /// The same space, where stages that begin with one of the first pieces run on the entry alone.
    public func keepingLocal(pieces: Int) -> PlanSpace {
        invariant(
            entry != nil && (0...end).contains(pieces),
            "pieces are kept at an entry, and no more than there are")
        var figures = box.figures
        figures.localPieces = pieces
        return PlanSpace(figures)
    }

    /// The same space with links that do not disturb each other.
    var withoutMedium: PlanSpace {
        var figures = box.figures
        figures.medium = nil
        return PlanSpace(figures)
    }

    /// The same space with only these nodes, ascending, among them the entry.
    func restricted(to chosen: [Int]) -> PlanSpace {
        var figures = box.figures
        let count = nodes.count
        let slots = chosen.flatMap { source in chosen.map { source * count + $0 } }
        figures.nodes = chosen.map { nodes[$0] }
        figures.memoryBytes = chosen.map { memoryBytes[$0] }
        figures.times = chosen.map { times[$0] }
        figures.speeds = chosen.map { speeds[$0] }
        figures.rates = slots.map { rates[$0] }
        figures.latencies = slots.map { latencies[$0] }
        figures.entry = entry.flatMap { chosen.firstIndex(of: $0) }
        figures.rows?.excess = rows.map { rows in chosen.map { rows.excess[$0] } } ?? []
        figures.kinds = Self.kinds(
            nodes: figures.nodes, times: figures.times, rates: figures.rates,
            latencies: figures.latencies, entry: figures.entry, rows: figures.rows)
        figures.members = Self.members(figures.kinds)
        figures.rowOrder = figures.members.flatMap { $0 }
        return PlanSpace(figures)
    }

    /// The same space with what each range takes, and what crosses each position, counted with the
    /// share of items in millionths that get to the position where it begins.
    func weighted(by shares: [Int]) -> PlanSpace {
        guard shares.contains(where: { $0 < ModelExit.unit }) else { return self }
        let count = positionCount
        func weigh(_ table: [Int]) -> [Int] {
            table.enumerated().map { slot, value in
                CostArithmetic.scaled(value, by: shares[slot / count], over: ModelExit.unit)
            }
        }
        var figures = box.figures
        figures.times = times.map { weigh($0).map { max($0, 1) } }
        figures.speeds = figures.times.map { max(SpaceCosts.rateUnit / $0[count - 1], 1) }
        figures.crossingBytes = zip(crossingBytes, shares).map {
            CostArithmetic.scaled($0, by: $1, over: ModelExit.unit)
        }
        figures.rows = rows.map { rows in
            RowFigures(
                counts: rows.counts, haloBytes: weigh(rows.haloBytes),
                overheads: weigh(rows.overheads), excess: rows.excess.map(weigh))
        }
        return PlanSpace(figures)
    }

    /// The space of what comes behind the first pieces, which run on each of `entries` for its own
    /// requests: without their memory, and where `countsHead` says so with their part of the time.
    ///
    /// Requests come in at each entry as often as at any other. Where the tensors come from is not
    /// known, so the way to the first stage costs nothing, as where there is no entry.
    func behind(_ first: Int, heldBy entries: [Int], countsHead: Bool) -> PlanSpace {
        let count = positionCount - first
        func cut(_ table: [Int]) -> [Int] {
            (0..<(count * count)).map { slot in
                table[(first + slot / count) * positionCount + first + slot % count]
            }
        }
        var figures = box.figures
        for index in entries {
            figures.nodes[index].memoryBytes -= stageBytes[first]
            figures.memoryBytes[index] -= stageBytes[first]
        }
        figures.times = nodes.indices.map { index in
            let own =
                countsHead && entries.contains(index)
                ? (times[index][first] + entries.count - 1) / entries.count : 0
            return cut(times[index]).map { min($0 + own, CostArithmetic.nanosecondsMax) }
        }
        figures.speeds = figures.times.map { max(SpaceCosts.rateUnit / $0[count - 1], 1) }
        figures.pieceNames = Array(pieceNames[first...])
        figures.crossingBytes = Array(crossingBytes[first...])
        figures.stageBytes = cut(stageBytes)
        figures.rows = rows.map { rows in
            RowFigures(
                counts: cut(rows.counts), haloBytes: cut(rows.haloBytes),
                overheads: cut(rows.overheads), excess: rows.excess.map(cut))
        }
        figures.kinds = Self.kinds(
            nodes: figures.nodes, times: figures.times, rates: figures.rates,
            latencies: figures.latencies, entry: entry, rows: figures.rows)
        figures.members = Self.members(figures.kinds)
        figures.rowOrder = figures.members.flatMap { $0 }
        return PlanSpace(figures)
    }

    private init(_ figures: Figures) { box = Box(figures) }
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
