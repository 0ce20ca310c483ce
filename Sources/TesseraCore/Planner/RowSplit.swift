/// How a group shares the rows of one *block*: a range of pieces that each of its nodes computes for
/// a tile of rows without talking to the others.
///
/// All nodes start together; a tile first computes what it can while its halo is on the way, so that
/// it takes `max(computing, halo + what waits for it)`. Rows are dealt out so that the last tile
/// ends as early as possible; in a stage of several blocks each block is dealt out anew.
struct RowSplit: Sendable {
    private let costs: SpaceCosts
    private let group: [Int]
    /// Borders that each tile shares: 1 at the ends, 2 between.
    private let borders: [Int]
    /// Time that the first byte takes to each tile from its neighbours.
    private let latencies: [Int]
    /// What a byte of each of a tile's halos takes to come in, all halos together.
    private let rates: [LinkRate]

    /// A split over at least two nodes, in row order.
    init(_ costs: SpaceCosts, group: [Int]) {
        self.costs = costs
        self.group = group
        borders = group.indices.map { $0 == 0 || $0 == group.count - 1 ? 1 : 2 }
        let count = costs.space.nodes.count
        var latencies: [Int] = []
        var rates: [LinkRate] = []
        for place in group.indices {
            var latency = 0
            var rate = 0
            for neighbour in [place - 1, place + 1] where group.indices.contains(neighbour) {
                let slot = group[neighbour] * count + group[place]
                latency = max(latency, costs.space.latencies[slot])
                rate += costs.space.rates[slot].fixedPoint
            }
            latencies.append(latency)
            rates.append(LinkRate(fixedPoint: rate))
        }
        self.latencies = latencies
        self.rates = rates
    }

    /// One tile's figures for one block.
    private struct Tile {
        var time: Int
        var excess: Int
        var overhead: Int
        var halo: Int
        /// What waits for the halo, if the tile has that much to do at all.
        var waiting: Int
        var count: Int
        /// The rows that it can do in the time that is tried.
        var held = 0

        /// Time of computing so many rows.
        func computing(_ rows: Int) -> Int {
            overhead + min(time, Tile.part(time, rows, of: count) + excess)
        }

        /// Time until so many rows are done.
        func finish(_ rows: Int) -> Int {
            let computing = computing(rows)
            return max(computing, halo + min(computing, waiting))
        }

        /// The most rows that are done in so much time.
        func rows(within limit: Int) -> Int {
            let room = halo + waiting <= limit ? limit : limit - halo
            if room >= overhead + time { return count }
            let rest = room - overhead - excess
            return rest <= 0 ? 0 : min(Tile.quotient(rest, count, by: time), count)
        }

        /// `time * rows / count`, rounded up.
        static func part(_ time: Int, _ rows: Int, of count: Int) -> Int {
            // Times are below 2^40 and rows, as extents of tensors in memory, below 2^23 in
            // practice; what is larger takes the long way.
            let (product, overflow) = time.multipliedReportingOverflow(by: rows)
            guard overflow else { return (product + count - 1) / count }
            return CostArithmetic.scaled(time, by: rows, over: count)
        }

        static func quotient(_ value: Int, _ count: Int, by time: Int) -> Int {
            let (product, overflow) = value.multipliedReportingOverflow(by: count)
            guard overflow else { return product / time }
            return Int(min(UInt128(value) * UInt128(count) / UInt128(time), UInt128(count)))
        }
    }

    private func tile(
        _ place: Int, _ slot: Int, count: Int, hasHalo: Bool, figures: PlanSpace.RowFigures
    ) -> Tile {
        let time = costs.space.times[group[place]][slot]
        let excess = figures.excess[group[place]][slot] * borders[place]
        let bytes = hasHalo ? figures.haloBytes[slot] : 0
        let halo = bytes == 0 ? 0 : latencies[place] + rates[place].nanoseconds(bytes)
        // Without a halo nothing waits for it.
        let row = halo == 0 ? 0 : (time + count - 1) / count
        return Tile(
            time: time, excess: excess, overhead: figures.overheads[slot], halo: halo,
            waiting: figures.overheads[slot] + 2 * excess + borders[place] * row, count: count)
    }

    private func tiles(_ from: Int, _ to: Int, count: Int, figures: PlanSpace.RowFigures) -> [Tile]
    {
        group.indices.map { place in
            tile(
                place, from * costs.space.positionCount + to, count: count,
                hasHalo: from > 0 || costs.space.entry != nil, figures: figures)
        }
    }

    /// Fills in the least times, up to `limit`, of the blocks between two positions, by from and to
    /// position.
    func fillBlocks(
        _ first: Int, _ last: Int, rates: RateTable, limit: Int, into times: inout [Int]
    ) {
        guard let figures = costs.space.rows else { return }
        var scratch: [Tile] = []
        scratch.reserveCapacity(group.count)
        forEachBlock(first, last, rates: rates, limit: limit) { from, slot, even in
            scratch.removeAll(keepingCapacity: true)
            let hasHalo = from > 0 || costs.space.entry != nil
            for place in group.indices {
                scratch.append(
                    tile(
                        place, slot, count: figures.counts[slot], hasHalo: hasHalo,
                        figures: figures))
            }
            if let time = Self.least(&scratch, even: even, limit: limit) { times[slot] = time }
        }
    }

    /// Fills in what no split of a block is quicker than, by from and to position; `above` where
    /// that is more than `limit`, or the block cannot be split.
    func fillBounds(_ rates: RateTable, limit: Int, above: Int, into bounds: inout [Int]) {
        guard let figures = costs.space.rows else { return }
        for slot in bounds.indices { bounds[slot] = above }
        let times = group.map { costs.space.times[$0] }
        forEachBlock(0, costs.space.end, rates: rates, limit: limit) { _, slot, even in
            var least = even
            for time in times { least = min(least, time[slot]) }
            least += figures.overheads[slot]
            if least <= limit { bounds[slot] = least }
        }
    }

    /// Calls with from position, slot and even time of each block that may be done within `limit`.
    private func forEachBlock(
        _ first: Int, _ last: Int, rates: RateTable, limit: Int, _ body: (Int, Int, Int) -> Void
    ) {
        guard let figures = costs.space.rows else { return }
        let stride = costs.space.positionCount
        let inverses = group.map { rates.allRates(of: $0) }
        let excesses = group.map { figures.excess[$0] }
        // No split is quicker than replicas are: below this rate a block is of no use.
        let leastRate = SpaceCosts.rateUnit / (limit + 1)
        for from in first..<last {
            for to in (from + 1)...last {
                let slot = from * stride + to
                guard figures.counts[slot] >= group.count else { continue }
                var (rate, load, quickest) = (0, 0, 0)
                for place in group.indices {
                    let inverse = inverses[place][slot]
                    quickest = max(quickest, inverse)
                    rate += inverse + 1
                    load += Self.load(excesses[place][slot] * borders[place], rate: inverse)
                }
                guard rate > leastRate else { continue }
                let even = (SpaceCosts.rateUnit + load) / rate
                // Above it only a tile that computes everything can be in time.
                guard even <= limit || quickest >= leastRate else { continue }
                body(from, slot, even)
            }
        }
    }

    /// The least time of a block; nil if it is above `limit` or the block cannot be split so.
    func nanoseconds(_ from: Int, _ to: Int, limit: Int) -> Int? {
        guard let (tiles, even) = evenTiles(from, to) else { return nil }
        var scratch = tiles
        return Self.least(&scratch, even: even, limit: limit)
    }

    /// The tiles of a block, and the time in which all would end at once.
    private func evenTiles(_ from: Int, _ to: Int) -> (tiles: [Tile], even: Int)? {
        guard let figures = costs.space.rows else { return nil }
        let count = figures.counts[from * costs.space.positionCount + to]
        guard count >= group.count else { return nil }
        let tiles = tiles(from, to, count: count, figures: figures)
        var (rate, load) = (0, 0)
        for tile in tiles {
            let inverse = SpaceCosts.rateUnit / tile.time
            rate += inverse + 1
            load += Self.load(tile.excess, rate: inverse)
        }
        return (tiles, (SpaceCosts.rateUnit + load) / rate)
    }

    /// What an excess adds to a split's even time, times the rates of all tiles.
    private static func load(_ excess: Int, rate: Int) -> Int {
        let (product, overflow) = excess.multipliedReportingOverflow(by: rate)
        return overflow ? SpaceCosts.rateUnit : min(product, SpaceCosts.rateUnit)
    }

    /// The time in which the tiles can do all rows, each at least one; nil if that is above `limit`.
    ///
    /// Without overhead no split is quicker than `even`, in which all end at once, unless a tile
    /// computes everything.
    private static func least(_ tiles: inout [Tile], even: Int, limit: Int) -> Int? {
        let count = tiles[0].count
        var whole = SpaceCosts.infeasible
        for tile in tiles { whole = min(whole, tile.time) }
        var time = min(even, whole) + tiles[0].overhead
        while time <= limit {
            var sum = 0
            var next = 0
            for place in tiles.indices {
                let rows = tiles[place].rows(within: time)
                tiles[place].held = rows
                sum += rows
                if rows == 0 { next = max(next, tiles[place].finish(1)) }
            }
            if next == 0 {
                if sum >= count { return time }
                // The tile that can take a row soonest takes it.
                next = SpaceCosts.infeasible
                for tile in tiles where tile.held < count {
                    next = min(next, tile.finish(tile.held + 1))
                }
            }
            time = next
        }
        return nil
    }

    /// The least time of a block, and the rows of each tile; nil if it cannot be split so.
    ///
    /// Memory does not count here.
    func block(_ from: Int, _ to: Int) -> (nanoseconds: Int, rows: [Int])? {
        guard let (held, even) = evenTiles(from, to) else { return nil }
        var tiles = held
        guard let time = Self.least(&tiles, even: even, limit: SpaceCosts.infeasible - 1) else {
            return nil
        }
        let count = tiles[0].count
        var rows = tiles.map(\.held)
        // Where more rows fit than there are, the last tiles give back, each keeping at least one.
        var sum = rows.reduce(0, +)
        for place in rows.indices.reversed() where sum > count {
            let given = min(rows[place] - 1, sum - count)
            rows[place] -= given
            sum -= given
        }
        return (time, rows)
    }
}
