/// How often each kind of node can do each range of pieces: `rateUnit / t`, 0 where it does not fit.
///
/// The rate of a group of replicas is the sum of its nodes' rates.
struct RateTable: Sendable {
    private let kinds: [Int]
    private let stride: Int
    /// By kind: rates by from and to position.
    private let rates: [[Int]]
    /// Likewise, whether it fits or not.
    private let allRates: [[Int]]

    /// The rates over a space.
    init(_ costs: SpaceCosts) {
        let space = costs.space
        kinds = space.kinds
        let stride = space.positionCount
        self.stride = stride
        let allRates = space.members.map { members in
            space.times[members[0]].map { SpaceCosts.rateUnit / $0 }
        }
        self.allRates = allRates
        rates = space.members.indices.map { kind in
            var rates = [Int](repeating: 0, count: stride * stride)
            for from in 0..<space.end {
                for to in (from + 1)..<stride
                where costs.fits(space.members[kind][0], from, to) {
                    rates[from * stride + to] = allRates[kind][from * stride + to]
                }
            }
            return rates
        }
    }

    /// The rates of a node, whether stages fit on it or not.
    func allRates(of node: Int) -> [Int] { allRates[kinds[node]] }

    /// Fills in the periods of a group's replicated stages that are at most `limit`, by from and to
    /// position; leaves the others as they are.
    func fillReplicas(_ group: [Int], limit: Int, into times: inout [Int], at base: Int) {
        let least = SpaceCosts.rateUnit / (limit + 1)
        var sums = rates[kinds[group[0]]]
        for node in group.dropFirst() {
            let own = rates[kinds[node]]
            for slot in sums.indices {
                // A stage that does not fit on one node has no rate.
                sums[slot] = own[slot] == 0 || sums[slot] == 0 ? 0 : sums[slot] + own[slot]
            }
        }
        for (slot, rate) in sums.enumerated() where rate > least {
            times[base + slot] = min(times[base + slot], SpaceCosts.period(ofRate: rate))
        }
    }
}
