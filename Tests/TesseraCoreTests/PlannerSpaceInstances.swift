@testable import TesseraCore

/// A small plan space as plain figures: what `PlannerBruteForce` works on.
struct SpaceFigures: Equatable {
    var times: [[Int]] = []
    var memory: [Int] = []
    var milliwatts: [Int?] = []
    var bits: [[Int]] = []
    var latencies: [[Int]] = []
    var entry: Int?
    /// Pieces that stay at the entry.
    var local = 0
    var crossing: [Int] = []
    var bytes: [Int] = []
    var counts: [Int] = []
    var halo: [Int] = []
    var overheads: [Int] = []
    var excess: [[Int]] = []
    var hasRows = false
    var medium: Int?

    var nodeCount: Int { times.count }
    var positionCount: Int { crossing.count }
    var end: Int { crossing.count - 1 }

    /// The same figures with two nodes exchanged.
    func exchanging(_ one: Int, _ other: Int) -> SpaceFigures {
        var result = self
        result.times.swapAt(one, other)
        result.memory.swapAt(one, other)
        result.milliwatts.swapAt(one, other)
        result.excess.swapAt(one, other)
        result.bits.swapAt(one, other)
        result.latencies.swapAt(one, other)
        for row in result.bits.indices {
            result.bits[row].swapAt(one, other)
            result.latencies[row].swapAt(one, other)
        }
        if entry == one { result.entry = other }
        if entry == other { result.entry = one }
        return result
    }

    var space: PlanSpace {
        let all = PlanSpace(
            nodes: (0..<nodeCount).map {
                PlanSpace.Node(
                    name: "node-\($0)", memoryBytes: memory[$0], milliwatts: milliwatts[$0])
            },
            pieceNames: (0..<end).map { "piece-\($0)" }, nanoseconds: times, stageBytes: bytes,
            crossingBytes: crossing,
            links: (0..<(nodeCount * nodeCount)).map { slot in
                PlanSpace.Link(
                    bitsPerSecond: bits[slot / nodeCount][slot % nodeCount],
                    latencyNanoseconds: latencies[slot / nodeCount][slot % nodeCount])
            }, entry: entry,
            rows: hasRows
                ? PlanSpace.RowFigures(
                    counts: counts, haloBytes: halo, overheads: overheads, excess: excess) : nil,
            mediumBitsPerSecond: medium)
        return local > 0 ? all.keepingLocal(pieces: local) : all
    }
}

/// What a random plan space is drawn from.
struct SpaceKnobs {
    var nodes = 1...4
    var pieces = 1...4
    var hasRows = true
    var tightMemory = false
    var hasMedium = false
    var hasPower = true
}

extension SpaceFigures {
    /// A random space: kinds that repeat, links that differ, ranges with and without rows.
    static func random(seed: UInt64, _ knobs: SpaceKnobs) -> SpaceFigures {
        var numbers = TestNumbers(seed: seed)
        var figures = SpaceFigures()
        let nodes = numbers.next(knobs.nodes)
        let pieces = numbers.next(knobs.pieces)
        let count = pieces + 1
        figures.crossing = (0..<count).map { _ in numbers.next(0...60_000) }
        let works = (0..<pieces).map { _ in numbers.next(1...1_000) }
        let weights = (0..<pieces).map { _ in numbers.next(1...1_000) }
        let fixed = numbers.next(0...300)
        let kinds = numbers.next(0...2) == 0 ? 2 : nodes
        let isRelated = numbers.next(0...2) == 0
        figures.bytes = table(count) { from, to in
            weights[from..<to].reduce(fixed, +)
        }
        let all = weights.reduce(fixed, +)
        var types: [(times: [Int], memory: Int, power: Int?, excess: [Int])] = []
        for _ in 0..<kinds {
            let speed = numbers.next(1...4)
            let own = works.map { isRelated ? $0 * 300 / speed : numbers.next(1...300_000) }
            let end = numbers.next(0...20_000)
            let times = table(count) { from, to in own[from..<to].reduce(end, +) }
            let excess = numbers.next(0...9)
            types.append(
                (
                    times, knobs.tightMemory ? numbers.next(fixed...all) : all * 20,
                    knobs.hasPower ? numbers.next(1...20_000) : nil,
                    table(count) { from, to in own[from..<to].dropLast().reduce(0, +) * excess / 20
                    }
                ))
        }
        for node in 0..<nodes {
            let type = types[kinds == nodes ? node : numbers.next(0...(kinds - 1))]
            figures.times.append(type.times)
            figures.memory.append(type.memory)
            figures.milliwatts.append(type.power)
            figures.excess.append(type.excess)
        }
        figures.drawLinks(&numbers, nodes: nodes, hasMedium: knobs.hasMedium)
        if numbers.next(0...2) > 0 { figures.entry = numbers.next(0...(nodes - 1)) }
        figures.drawRows(&numbers, pieces: pieces, hasRows: knobs.hasRows)
        return figures
    }

    private mutating func drawLinks(_ numbers: inout TestNumbers, nodes: Int, hasMedium: Bool) {
        let isEqual = numbers.next(0...2) == 0
        let common = (numbers.next(1...4_000) * 1_000_000, numbers.next(0...200_000))
        for source in 0..<nodes {
            bits.append([])
            latencies.append([])
            for target in 0..<nodes {
                let own = (numbers.next(1...4_000) * 1_000_000, numbers.next(0...200_000))
                let link = source == target ? (1, 0) : isEqual ? common : own
                bits[source].append(link.0)
                latencies[source].append(link.1)
            }
        }
        if hasMedium { medium = numbers.next(100...4_000) * 1_000_000 }
    }

    private mutating func drawRows(_ numbers: inout TestNumbers, pieces: Int, hasRows: Bool) {
        self.hasRows = hasRows
        let count = pieces + 1
        let rows = (0..<pieces).map { _ in numbers.next(0...2) == 0 ? 0 : numbers.next(1...7) }
        let halos = (0..<pieces).map { _ in numbers.next(0...2_000) }
        let overhead = numbers.next(0...1) * numbers.next(0...20_000)
        counts = Self.table(count) { from, to in
            rows[from..<to].contains(0) ? 0 : rows[to - 1]
        }
        halo = Self.table(count) { from, to in halos[from..<to].reduce(0, +) }
        overheads = Self.table(count) { _, _ in overhead }
    }

    private static func table(_ count: Int, _ value: (Int, Int) -> Int) -> [Int] {
        (0..<(count * count)).map { slot in
            slot / count < slot % count ? value(slot / count, slot % count) : 0
        }
    }
}
