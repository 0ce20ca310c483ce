/// The least period of a plan over all ways to cut a chain into stages, to choose disjoint groups of
/// nodes for them and a mode for each, exactly (planning.md §4a, algorithm 2, over groups).
///
/// For a period: bitsets of the positions that each set of nodes can reach with each last group.
/// Around it, a search over periods, which are whole nanoseconds.
struct ReachabilitySolver: Sendable {
    /// More states (a set and its last group) than this, and the search is not exact any more.
    static let statesMax = 2_000_000
    /// More sets than this of groups of several nodes, likewise: the table of cuts is its square.
    static let vectorsMax = 1_024
    /// More steps (a set, its last group and the next one) than this, likewise.
    static let stepsMax = 3_000_000

    private let table: GroupTable
    private let costs: SpaceCosts
    private let words: Int
    /// The distinct crossing bytes, ascending.
    private let sizes: [Int]
    /// For each count of `sizes`, the positions where no more than so many bytes cross.
    private let masks: [UInt64]
    /// By group: what its first byte-moving costs at the entry's cuts.
    private let entries: [LinkRate]
    private let exits: [LinkRate]

    private var space: PlanSpace { costs.space }
    private var groups: NodeGroups { table.groups }

    /// A solver over a table.
    init(_ costs: SpaceCosts, table: GroupTable) {
        self.costs = costs
        self.table = table
        let space = costs.space
        let words = (space.positionCount + 63) / 64
        self.words = words
        var sizes: [Int] = []
        for bytes in space.crossingBytes.sorted() where sizes.last != bytes { sizes.append(bytes) }
        self.sizes = sizes
        var masks = [UInt64](repeating: 0, count: (sizes.count + 1) * words)
        for (rank, size) in sizes.enumerated() {
            for position in 0..<space.positionCount where space.crossingBytes[position] <= size {
                masks[(rank + 1) * words + position / 64] |= 1 << UInt64(position % 64)
            }
        }
        self.masks = masks
        let shares = table.groups.nodes.map { costs.shares(of: $0) }
        entries = table.groups.nodes.indices.map { group in
            costs.entryRate(to: table.groups.nodes[group], shares[group])
        }
        exits = table.groups.nodes.indices.map { group in
            costs.exitRate(from: table.groups.nodes[group], shares[group])
        }
    }

    /// What one probe knows.
    private struct Probe {
        /// The ends of stages within the period, by group and from position.
        var ends: [UInt64] = []
        /// For each pair of groups the offset of its mask of positions that may be cut.
        var cuts: [Int32] = []
        /// Where a start or an end at the entry is possible.
        var canEnter: [Bool] = []
        var canLeave: [Bool] = []
        /// By set: the lowest position from which it can, at best, reach the end.
        var lowest: [Int] = []
        /// By set and last group: positions reached.
        var reached: [UInt64] = []
    }

    private func probe(within period: Int) -> Probe {
        var probe = Probe()
        probe.ends = Array(
            repeating: 0, count: groups.nodes.count * space.positionCount * words)
        table.fillEnds(within: period, words: words, into: &probe.ends)
        probe.cuts = table.cuts.map { maskOffset($0.bytes(within: period)) }
        probe.canEnter = entries.map { $0.nanoseconds(space.crossingBytes[0]) <= period }
        probe.canLeave = exits.map { $0.nanoseconds(space.crossingBytes[space.end]) <= period }
        probe.lowest = lowestStarts(probe.ends)
        return probe
    }

    private func maskOffset(_ bytes: Int) -> Int32 {
        var low = 0
        var high = sizes.count
        while low < high {
            let middle = (low + high) / 2
            if sizes[middle] <= bytes { low = middle + 1 } else { high = middle }
        }
        return Int32(low * words)
    }

    /// Without links: how low each set of nodes can begin and still reach the end.
    ///
    /// Takes the furthest end from any lower start for each start, so that it is never too high.
    private func lowestStarts(_ ends: [UInt64]) -> [Int] {
        let stride = space.positionCount
        var starts: [[Int]] = []
        for group in groups.nodes.indices {
            // For each goal: the lowest start of a stage that ends there or behind it.
            var result = Array(0..<stride)
            var covered = 0
            for from in 0..<stride {
                let base = (group * stride + from) * words
                var furthest = from
                for word in (0..<words).reversed() where ends[base + word] != 0 {
                    furthest = word * 64 + 63 - ends[base + word].leadingZeroBitCount
                    break
                }
                while covered < furthest {
                    covered += 1
                    result[covered] = min(covered, from)
                }
            }
            starts.append(result)
        }
        var lowest = [Int](repeating: space.end, count: groups.vectors.count)
        for vector in 1..<groups.vectors.count {
            for group in groups.groups(in: vector) {
                let rest = vector - groups.numbers[Int(group)]
                lowest[vector] = min(lowest[vector], starts[Int(group)][lowest[rest]])
            }
        }
        return lowest
    }

    /// Whether some plan has at most this period.
    func isReachable(within period: Int) -> Bool {
        var probe = probe(within: period)
        return walk(&probe, stopsAtFirst: true) != nil
    }

    /// A plan of at most this period with as few nodes as possible.
    func shortest(within period: Int) -> [PlanSketch.Stage]? {
        var probe = probe(within: period)
        guard let goal = walk(&probe, stopsAtFirst: false) else { return nil }
        return stages(probe, period: period, set: goal.set, last: goal.group)
    }

    /// A plan of at most this period, whichever is found first.
    func any(within period: Int) -> [PlanSketch.Stage]? {
        var probe = probe(within: period)
        guard let goal = walk(&probe, stopsAtFirst: true) else { return nil }
        return stages(probe, period: period, set: goal.set, last: goal.group)
    }

    /// Fills the bitsets; gives the set of the fewest nodes that reaches the end, with its last
    /// group, or the first one found.
    private func walk(_ probe: inout Probe, stopsAtFirst: Bool) -> (set: Int, group: Int)? {
        let all = groups.vectors.count - 1
        if probe.lowest[all] > 0 { return nil }
        let groupCount = groups.nodes.count
        var reached = [UInt64](repeating: 0, count: (all + 1) * groupCount * words)
        var best: (set: Int, group: Int)?
        var bestSize = Int.max
        var arrive = [UInt64](repeating: 0, count: words)
        var covered = arrive
        let (starts, sizes, numbers) = (groups.starts, groups.vectors.sizes, groups.numbers)
        let stride = space.positionCount
        // Pointers, since these loops are all that planning spends its time on.
        reached.withUnsafeMutableBufferPointer { reached in
            withTables(probe) { tables in
                search: for set in 0..<all where sizes[set] + 1 < bestSize {
                    for place in starts[all - set]..<starts[all - set + 1] {
                        let next = Int(tables.parts[place])
                        let target = set + numbers[next]
                        guard sizes[target] < bestSize else { continue }
                        if set == 0 {
                            for word in 0..<words { arrive[word] = 0 }
                            arrive[0] = probe.canEnter[next] ? 1 : 0
                        } else {
                            tables.collect(
                                UnsafeBufferPointer(reached), last: starts[set]..<starts[set + 1],
                                set: set, next: next, into: &arrive)
                        }
                        guard
                            tables.cover(
                                from: arrive, row: next * stride,
                                lowest: probe.lowest[all - target], into: &covered)
                        else { continue }
                        let base = (target * groupCount + next) * words
                        for word in 0..<words { reached[base + word] = covered[word] }
                        let last = covered[(stride - 1) / 64] >> UInt64((stride - 1) % 64)
                        if last & 1 == 1, probe.canLeave[next] {
                            best = (target, next)
                            bestSize = sizes[target]
                            if stopsAtFirst { break search }
                        }
                    }
                }
            }
        }
        probe.reached = reached
        return best
    }

    /// The tables of a probe, for the loops over all sets and groups.
    private struct Tables {
        var words: Int
        var groupCount: Int
        var parts: UnsafeBufferPointer<Int32>
        var masks: UnsafeBufferPointer<UInt64>
        var cuts: UnsafeBufferPointer<Int32>
        var ends: UnsafeBufferPointer<UInt64>

        /// The positions from which `next` may go on behind a set whose parts are `last`.
        func collect(
            _ reached: UnsafeBufferPointer<UInt64>, last: Range<Int>, set: Int, next: Int,
            into arrive: inout [UInt64]
        ) {
            for word in 0..<words { arrive[word] = 0 }
            for place in last {
                let group = Int(parts[place])
                let base = (set * groupCount + group) * words
                let mask = Int(cuts[group * groupCount + next])
                for word in 0..<words {
                    arrive[word] |= reached[base + word] & masks[mask + word]
                }
            }
        }

        /// The positions that a group reaches from some; whether there are any from `lowest` on.
        func cover(
            from arrive: [UInt64], row: Int, lowest: Int, into covered: inout [UInt64]
        ) -> Bool {
            for word in 0..<words { covered[word] = 0 }
            for word in 0..<words {
                var rest = arrive[word]
                while rest != 0 {
                    let from = word * 64 + rest.trailingZeroBitCount
                    rest &= rest - 1
                    let base = (row + from) * words
                    for target in 0..<words { covered[target] |= ends[base + target] }
                }
            }
            var any: UInt64 = 0
            for word in 0..<words {
                let shift = lowest - word * 64
                if shift >= 64 {
                    covered[word] = 0
                } else if shift > 0 {
                    covered[word] &= ~0 << UInt64(shift)
                }
                any |= covered[word]
            }
            return any != 0
        }
    }

    private func withTables<Result>(_ probe: Probe, _ body: (Tables) -> Result) -> Result {
        groups.parts.withUnsafeBufferPointer { parts in
            masks.withUnsafeBufferPointer { masks in
                probe.cuts.withUnsafeBufferPointer { cuts in
                    probe.ends.withUnsafeBufferPointer { ends in
                        body(
                            Tables(
                                words: words, groupCount: groups.nodes.count, parts: parts,
                                masks: masks, cuts: cuts, ends: ends))
                    }
                }
            }
        }
    }

    /// The positions from which `next` may go on behind `set`.
    private func collect(_ probe: Probe, set: Int, next: Int, into arrive: inout [UInt64]) {
        guard set > 0 else {
            for word in 0..<words { arrive[word] = 0 }
            arrive[0] = probe.canEnter[next] ? 1 : 0
            return
        }
        probe.reached.withUnsafeBufferPointer { reached in
            withTables(probe) { tables in
                tables.collect(
                    reached, last: groups.starts[set]..<groups.starts[set + 1], set: set,
                    next: next, into: &arrive)
            }
        }
    }

    /// Walks back from the end over what was reached; nodes of a kind are dealt out in their order
    /// from the first stage on.
    private func stages(
        _ probe: Probe, period: Int, set: Int, last: Int
    ) -> [PlanSketch.Stage] {
        var ranges: [(group: Int, from: Int, to: Int)] = []
        var set = set
        var group = last
        var to = space.end
        var arrive = [UInt64](repeating: 0, count: words)
        while true {
            let before = set - groups.numbers[group]
            collect(probe, set: before, next: group, into: &arrive)
            let from = (0..<to).first { position in
                arrive[position / 64] >> UInt64(position % 64) & 1 == 1
                    && table.time(group, position, to) <= period
            }
            guard let from else { invariant(false, "a reached position has a way to it"); break }
            ranges.append((group, from, to))
            if before == 0 { break }
            let previous = groups.groups(in: before).first { candidate in
                let base = (before * groups.nodes.count + Int(candidate)) * words
                let mask = Int(probe.cuts[Int(candidate) * groups.nodes.count + group])
                let bits = probe.reached[base + from / 64] & masks[mask + from / 64]
                return bits >> UInt64(from % 64) & 1 == 1
            }
            guard let previous else { invariant(false, "a start has a stage before it"); break }
            set = before
            group = Int(previous)
            to = from
        }
        var used = [Int](repeating: 0, count: space.members.count)
        return ranges.reversed().map { range in
            let counts = groups.vectors.counts(groups.numbers[range.group])
            var nodes: [Int] = []
            for kind in counts.indices {
                nodes += space.members[kind][used[kind]..<(used[kind] + counts[kind])]
                used[kind] += counts[kind]
            }
            return PlanSketch.Stage(nodes: nodes, from: range.from, to: range.to)
        }
    }
}

extension SpaceCosts {
    /// How long each byte of the input takes from the entry to a group.
    func entryRate(to group: [Int], _ shares: [Int]) -> LinkRate {
        guard let entry = space.entry else { return .free }
        return cutRate(from: [entry], [1 << Self.shareBits], to: group, shares)
    }

    /// How long each byte of the output takes from a group to the entry.
    func exitRate(from group: [Int], _ shares: [Int]) -> LinkRate {
        guard let entry = space.entry else { return .free }
        return cutRate(from: group, shares, to: [entry], [1 << Self.shareBits])
    }
}
