/// What the parts of a plan cost in a `PlanSpace`, by the definitions of `Docs/Planning.md`.
struct SpaceCosts: Sendable {
    /// The unit of rates: `rateUnit / t` is how often something that takes `t` can be done.
    static let rateUnit = 1 << 56
    /// Shares are in units of `1 / 2^16`.
    static let shareBits = 16
    /// Stands for what is not possible.
    static let infeasible = Int.max

    /// The figures.
    let space: PlanSpace
    private let stride: Int

    /// Costs over a space.
    init(_ space: PlanSpace) {
        self.space = space
        stride = space.positionCount
    }

    /// Whether a stage may run on a node: it has room, and what is kept at the entry stays there.
    func fits(_ node: Int, _ from: Int, _ to: Int) -> Bool {
        space.stageBytes[from * stride + to] <= space.memoryBytes[node]
            && (from >= space.localPieces || node == space.entry)
    }

    /// Nanoseconds of a stage on one node; `infeasible` where it does not fit.
    func single(_ node: Int, _ from: Int, _ to: Int) -> Int {
        fits(node, from, to) ? space.times[node][from * stride + to] : Self.infeasible
    }

    /// How much of a group's traffic each of its nodes carries: by its speed over all pieces,
    /// rounded up.
    func shares(of group: [Int]) -> [Int] {
        if group.count == 1 { return [1 << Self.shareBits] }
        let sum = group.reduce(0) { $0 + space.speeds[$1] }
        return group.map { node in
            let scaled = UInt128(space.speeds[node]) << UInt128(Self.shareBits)
            return Int((scaled + UInt128(sum) - 1) / UInt128(sum))
        }
    }

    /// Time between two items of a replicated stage.
    func replicas(_ group: [Int], _ from: Int, _ to: Int) -> Int {
        var rate = 0
        for node in group {
            let time = single(node, from, to)
            guard time < Self.infeasible else { return Self.infeasible }
            rate += Self.rateUnit / time
        }
        return Self.period(ofRate: rate)
    }

    /// The period that belongs to a rate.
    static func period(ofRate rate: Int) -> Int {
        rate == 0 ? infeasible : rateUnit / rate + (rateUnit % rate == 0 ? 0 : 1)
    }

    /// How long each byte of a cut keeps the busiest of its ends busy.
    ///
    /// An end is a node's sending side or its receiving side: node `u` sends its share to every
    /// node of the target by their shares.
    func cutRate(
        from source: [Int], _ sourceShares: [Int], to target: [Int], _ targetShares: [Int]
    ) -> LinkRate {
        let count = space.nodes.count
        var worst = 0
        for (place, node) in source.enumerated() {
            var sum = 0
            for (other, share) in zip(target, targetShares) {
                sum += share * space.rates[node * count + other].fixedPoint
            }
            worst = max(worst, Self.shared(sum, by: sourceShares[place]))
        }
        for (place, node) in target.enumerated() {
            var sum = 0
            for (other, share) in zip(source, sourceShares) {
                sum += share * space.rates[other * count + node].fixedPoint
            }
            worst = max(worst, Self.shared(sum, by: targetShares[place]))
        }
        return LinkRate(fixedPoint: worst)
    }

    private static func shared(_ sum: Int, by share: Int) -> Int {
        let round = 1 << shareBits - 1
        return (((sum + round) >> shareBits) * share + round) >> shareBits
    }

    /// The longest time that the first byte takes from a node of one group to one of the other.
    func cutLatency(from source: [Int], to target: [Int]) -> Int {
        let count = space.nodes.count
        var worst = 0
        for node in source {
            for other in target { worst = max(worst, space.latencies[node * count + other]) }
        }
        return worst
    }

    /// Time of one item alone over a cut: of replicas the slowest pair counts, each with all of the
    /// item; tiles carry their shares at once.
    func passage(
        from source: [Int], _ sourceMode: StageMode, to target: [Int], _ targetMode: StageMode,
        bytes: Int
    ) -> Int {
        let sources = sourceMode == .rows ? [source] : source.map { [$0] }
        let targets = targetMode == .rows ? [target] : target.map { [$0] }
        var worst = 0
        for one in sources {
            let oneShares = shares(of: one)
            for other in targets {
                let rate = cutRate(from: one, oneShares, to: other, shares(of: other))
                worst = max(worst, rate.nanoseconds(bytes) + cutLatency(from: one, to: other))
            }
        }
        return worst
    }
}
