/// How often each kind of node can do each range of pieces: `rateUnit / t`, 0 where it does not fit.
///
/// The rate of a group of replicas is the sum of its nodes' rates.
struct RateTable: Sendable {
    private let kinds: [Int]
    private let stride: Int
    /// By kind: rates by from and to position.
    private let rates: [[Int]]

    /// The rates over a space.
    init(_ costs: SpaceCosts) {
        let space = costs.space
        kinds = space.kinds
        let stride = space.positionCount
        self.stride = stride
        rates = space.members.map { members in
            var rates = [Int](repeating: 0, count: stride * stride)
            for from in 0..<space.end {
                for to in (from + 1)..<stride where costs.fits(members[0], from, to) {
                    rates[from * stride + to] =
                        SpaceCosts.rateUnit / space.times[members[0]][from * stride + to]
                }
            }
            return rates
        }
    }

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
