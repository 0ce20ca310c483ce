/// What no plan of a `PlanSpace` can beat (planning.md §4c), and what binds.
///
/// `Docs/Planning.md` says why each holds for every plan of the space.
public struct SpaceBound: Hashable, Sendable {
    /// What binds.
    public enum Binding: Hashable, Sendable {
        /// All nodes together cannot compute faster.
        case compute
        /// This piece takes so long, on whatever may run it together.
        case operation(piece: Int)
        /// All nodes together cannot get their work and hand it on faster.
        case network
        /// The entry cannot send the requests out faster.
        case sourceLink
        /// The entry cannot take the results in faster.
        case resultLink
        /// The medium that all links share cannot carry what must cross it faster.
        case medium
    }

    /// The least time per item in a stream.
    public var nanoseconds: Int
    /// What binds.
    public var binding: Binding
    /// Each bound, in the order of `Binding`; those that say nothing are left out.
    public var all: [(binding: Binding, nanoseconds: Int)] {
        figures.map { ($0.binding, $0.value) }
    }

    private struct Figure: Hashable, Sendable {
        var binding: Binding
        var value: Int
    }

    private var figures: [Figure]

    /// The bound of a space for plans of some modes.
    public init(_ space: PlanSpace, modes: ModeSet) {
        let work = BoundWork(SpaceCosts(space), modes: modes)
        var figures = [Figure(binding: .compute, value: work.rateBound(countsLinks: false))]
        let piece = work.pieceBound()
        figures.append(Figure(binding: .operation(piece: piece.piece), value: piece.nanoseconds))
        // With rows it would say the same as compute.
        if !modes.contains(.rows) || space.rows == nil {
            figures.append(Figure(binding: .network, value: work.rateBound(countsLinks: true)))
        }
        if let entry = space.entry {
            figures.append(Figure(binding: .sourceLink, value: work.sourceBound(entry)))
            figures.append(Figure(binding: .resultLink, value: work.resultBound(entry)))
        }
        if space.medium != nil {
            figures.append(Figure(binding: .medium, value: work.mediumBound()))
        }
        self.figures = figures.filter { $0.value > 0 }
        var best = Figure(binding: .compute, value: 0)
        for figure in figures where figure.value > best.value { best = figure }
        nanoseconds = best.value
        binding = best.binding
    }

    /// The least latency of any plan: no stage does more work per time than the fastest node, or than
    /// all nodes together where rows may be split.
    public static func latencyNanoseconds(_ space: PlanSpace, modes: ModeSet) -> Int {
        BoundWork(SpaceCosts(space), modes: modes).latencyBound()
    }
}

/// Works the bounds out.
struct BoundWork {
    /// Rates are in units of `1 / 2^40` of work per time.
    private static let unit = UInt128(1) << 40

    private let costs: SpaceCosts
    private let modes: ModeSet
    private let stride: Int
    /// Work up to each position: by the quickest node for each piece, whether it fits or not.
    private let work: [Int]

    private var space: PlanSpace { costs.space }
    private let allowsRows: Bool
    private var hasGroups: Bool { allowsRows || modes.contains(.replicas) }

    init(_ costs: SpaceCosts, modes: ModeSet) {
        self.costs = costs
        self.modes = modes
        stride = costs.space.positionCount
        allowsRows = modes.contains(.rows) && costs.space.rows != nil
        var work = [0]
        for piece in 0..<costs.space.end {
            let slot = piece * costs.space.positionCount + piece + 1
            let least = costs.space.times.reduce(Int.max) { min($0, $1[slot]) }
            work.append(work[piece] + least)
        }
        self.work = work
    }

    /// For each kind: the most work per time over all stages that fit, times how many nodes it has.
    private func rates(countsLinks: Bool) -> [(rate: UInt128, count: Int)] {
        space.members.map { members in
            let node = members[0]
            let rates = countsLinks ? linkRates(node) : nil
            var best = (work: 0, time: 1)
            for from in 0..<space.end {
                for to in (from + 1)...space.end where allowsRows || costs.fits(node, from, to) {
                    var time = space.times[node][from * stride + to]
                    if let rates { time = max(time, linkTime(node, from, to, rates: rates)) }
                    let amount = work[to] - work[from]
                    if amount.multipliedFullWidth(by: best.time)
                        > best.work.multipliedFullWidth(by: time)
                    {
                        best = (amount, time)
                    }
                }
            }
            let time = UInt128(best.time)
            return ((UInt128(best.work) * Self.unit + time - 1) / time, members.count)
        }
    }

    /// All work over what all nodes do per time.
    func rateBound(countsLinks: Bool) -> Int {
        let sum = rates(countsLinks: countsLinks).reduce(UInt128(0)) {
            $0 + $1.rate * UInt128($1.count)
        }
        return sum == 0 ? 0 : Int(UInt128(work[space.end]) * Self.unit / sum)
    }

    /// All work over what the fastest node, or where rows may be split all together, do per time.
    func latencyBound() -> Int {
        let rates = rates(countsLinks: false)
        let rate = rates.reduce(UInt128(0)) {
            allowsRows ? $0 + $1.rate * UInt128($1.count) : max($0, $1.rate)
        }
        return rate == 0 ? 0 : Int(UInt128(work[space.end]) * Self.unit / rate)
    }

    /// The best rates of a node's links in and out.
    private func linkRates(_ node: Int) -> (into: LinkRate, out: LinkRate) {
        let count = space.nodes.count
        var into = LinkRate(fixedPoint: count == 1 ? 0 : .max)
        var out = into
        for other in space.nodes.indices where other != node {
            let incoming = space.rates[other * count + node]
            let outgoing = space.rates[node * count + other]
            if incoming.fixedPoint < into.fixedPoint { into = incoming }
            if outgoing.fixedPoint < out.fixedPoint { out = outgoing }
        }
        return (into, out)
    }

    /// How long a node's links are busy, at least, with what a stage takes in and gives out; in a
    /// group of replicas its part of that may be less than its part of the work.
    private func linkTime(
        _ node: Int, _ from: Int, _ to: Int, rates: (into: LinkRate, out: LinkRate)
    ) -> Int {
        var time = 0
        if from > 0 || (space.entry ?? node) != node {
            time = max(time, rates.into.nanoseconds(from == 0 ? entryBytes : crossing(from)))
        }
        if to < space.end || (space.entry ?? node) != node {
            time = max(time, rates.out.nanoseconds(to == space.end ? exitBytes : crossing(to)))
        }
        guard modes.contains(.replicas) else { return time }
        let own = part(node, from, to)
        let largest = space.members.reduce(own) { max($0, part($1[0], from, to)) }
        return Int(UInt128(time) * own / (largest + 1))
    }

    private func crossing(_ position: Int) -> Int { space.crossingBytes[position] }
    private var entryBytes: Int { space.entry == nil ? 0 : crossing(0) }
    private var exitBytes: Int { space.entry == nil ? 0 : crossing(space.end) }

    /// Which part of a node's time for all pieces a range takes, in units of `1 / 2^32`.
    ///
    /// Traffic goes by speeds over all pieces, work by speeds over the range: a replica's part of
    /// the traffic over its part of the work is this figure over a mean of the group's.
    private func part(_ node: Int, _ from: Int, _ to: Int) -> UInt128 {
        UInt128(space.times[node][from * stride + to]) * (1 << 32)
            / UInt128(space.times[node][space.end])
    }

    /// For each piece: the least time of the stages that hold it, over all that may run it together.
    func pieceBound() -> (piece: Int, nanoseconds: Int) {
        var worst = (piece: 0, nanoseconds: 0)
        var least = space.members.map { _ in
            [Int](repeating: SpaceCosts.infeasible, count: space.end)
        }
        for (kind, members) in space.members.enumerated() {
            for from in 0..<space.end {
                var best = SpaceCosts.infeasible
                for to in Swift.stride(from: space.end, to: from, by: -1) {
                    // The blocks of a row split need not fit as stages.
                    let counts = allowsRows || costs.fits(members[0], from, to)
                    if counts { best = min(best, space.times[members[0]][from * stride + to]) }
                    least[kind][to - 1] = min(least[kind][to - 1], best)
                }
            }
        }
        for piece in 0..<space.end {
            let isShared = modes.contains(.replicas) || (allowsRows && isRow(piece))
            var quickest = SpaceCosts.infeasible
            var rate = 0
            for (kind, members) in space.members.enumerated() {
                let time = least[kind][piece]
                quickest = min(quickest, time)
                if time < SpaceCosts.infeasible {
                    rate += (SpaceCosts.rateUnit / time + 1) * members.count
                }
            }
            guard rate > 0 else { continue }
            let time = isShared ? SpaceCosts.rateUnit / rate : quickest
            if time > worst.nanoseconds { worst = (piece, time) }
        }
        return worst
    }

    /// Whether a piece is part of a block that may be split by rows.
    private func isRow(_ piece: Int) -> Bool {
        guard let rows = space.rows else { return false }
        for from in 0...piece {
            for to in (piece + 1)...space.end where rows.counts[from * stride + to] > 1 {
                return true
            }
        }
        return false
    }

    /// The entry sends the input out, or keeps it and computes.
    func sourceBound(_ entry: Int) -> Int {
        let out = linkRates(entry).out
        let whole = out.nanoseconds(crossing(0))
        var least = whole
        for to in 1...space.end {
            let link = to == space.end ? 0 : out.nanoseconds(crossing(to))
            least = min(least, kept(entry, 0, to, whole: whole, link: link))
        }
        return rounded(least, whole: whole)
    }

    /// The entry takes the output in, or computes it.
    func resultBound(_ entry: Int) -> Int {
        let into = linkRates(entry).into
        let whole = into.nanoseconds(crossing(space.end))
        var least = whole
        for from in 0..<space.end {
            let link = from == 0 ? 0 : into.nanoseconds(crossing(from))
            least = min(least, kept(entry, from, space.end, whole: whole, link: link))
        }
        return rounded(least, whole: whole)
    }

    /// The least period if the entry runs a range at its end of the chain, alone or in a group.
    ///
    /// With the part `s` of the traffic, the rest takes `(1 - s) * whole` on its link and its own
    /// part takes `s * own`; the larger is least where they are equal.
    private func kept(_ entry: Int, _ from: Int, _ to: Int, whole: Int, link: Int) -> Int {
        guard allowsRows || costs.fits(entry, from, to) else { return whole }
        let time = space.times[entry][from * stride + to]
        // Where rows may be split, a baseline's plan may use the entry in two stages on end.
        let link = allowsRows ? 0 : link
        var least = max(time, link)
        if modes.contains(.replicas) {
            let own = part(entry, from, to)
            let smallest = space.members.reduce(own) { min($0, part($1[0], from, to)) }
            let busy = max(link, Int(UInt128(time) * smallest / (own + 1)))
            let product = UInt128(whole) * UInt128(busy)
            least = min(least, Int(product / UInt128(max(whole + busy, 1))))
        }
        return allowsRows ? min(least, unkept(entry, whole)) : least
    }

    /// What a group of at least two that splits by rows leaves to the entry's link.
    private func unkept(_ entry: Int, _ whole: Int) -> Int {
        let largest = space.nodes.indices.reduce(0) { largest, other in
            other == entry
                ? largest : max(largest, costs.shares(of: [entry, other])[0])
        }
        return Int(UInt128(whole) * UInt128((1 << SpaceCosts.shareBits) - largest) >> 16)
    }

    /// Less what the rounding of shares may make up.
    private func rounded(_ value: Int, whole: Int) -> Int {
        hasGroups ? max(value - whole >> 14 - 64, 0) : value
    }

    /// Either one node runs everything (with an entry: the entry), or what crosses some position
    /// crosses the medium, at least for the requests that another node runs.
    func mediumBound() -> Int {
        guard let medium = space.medium else { return 0 }
        if hasGroups, space.entry == nil { return 0 }
        let nodes = space.entry.map { [$0] } ?? Array(space.nodes.indices)
        let alone = nodes.reduce(SpaceCosts.infeasible) { min($0, costs.single($1, 0, space.end)) }
        let positions = space.entry == nil ? 1..<space.end : 0..<space.positionCount
        let air = medium.nanoseconds(positions.reduce(Int.max) { min($0, crossing($1)) })
        guard !positions.isEmpty else { return 0 }
        var least = min(alone, air)
        if modes.contains(.replicas), alone < SpaceCosts.infeasible {
            let product = UInt128(alone) * UInt128(air)
            least = min(least, Int(product / UInt128(max(alone + air, 1))))
        }
        if allowsRows, let entry = space.entry { least = min(least, unkept(entry, air)) }
        return rounded(least, whole: air)
    }
}
