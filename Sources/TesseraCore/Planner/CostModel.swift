/// What every stage costs on every node of a problem, and every link: all that the search needs,
/// as tables over *positions*, the places where a plan may cut.
///
/// Times are whole nanoseconds, so that small operators do not vanish. An operator takes
/// `max(operations / rate, moved bytes / rate)` on a node, with the rate of its family, corrected by
/// what the fragments of this model took that the node has run (`OperatorCalibration`); a fragment
/// that was measured itself takes what was measured. A stage takes its operators' time and what it
/// costs the node to take its slices in and send its slices out.
struct CostModel: Sendable {
    /// More places to cut than this are thinned out, so that tables stay small and planning quick:
    /// of each run of nearby positions the one with the fewest crossing bytes stays.
    static let positionsMax = 256
    /// More nodes than this are not considered: a pool has at most so many.
    static let nodesMax = 32

    /// The problem.
    let problem: PlanningProblem
    /// The nodes that can be used, ascending by member.
    let nodes: [PlanningProblem.Node]
    /// The others, with the reason.
    let unusable: [LeftOut]
    /// Where a plan may cut, ascending, from 0 to the number of operators.
    let positions: [Int]
    /// The links between `nodes`.
    let links: LinkTable
    /// Nanoseconds of computing for one item, by node, from and to position index.
    private(set) var compute: [[Int]] = []
    /// Nanoseconds that a stage spends on its slices, by node, from and to position index.
    private(set) var endpoint: [[Int]] = []
    /// Bytes that a stage takes without slices, by from and to position index.
    private(set) var fixedBytes: [Int] = []
    /// Bytes of a stage's slices of one attempt, by from and to position index.
    private(set) var sliceBytes: [Int] = []
    /// Bytes of the tensors that are made before a position and read after it.
    let crossingBytes: [Int]
    /// What a stage costs to load where it is not warm, by from and to position index.
    private(set) var weightBytes: [Int] = []

    /// How many positions there are.
    var positionCount: Int { positions.count }
    /// The index of the position behind the last operator.
    var end: Int { positions.count - 1 }

    /// Whether cuts count with what packing leaves of their tensors.
    let isPacked: Bool

    /// Computes the tables of a problem, without the nodes that are lost or `excluded`.
    init(_ problem: PlanningProblem, excluding excluded: NodeBoot? = nil, isPacked: Bool = false) {
        self.problem = problem
        self.isPacked = isPacked
        var (usable, unusable) = Self.selectNodes(problem, excluding: excluded)
        if usable.count > Self.nodesMax {
            usable.sort { left, right in
                let leftRate = left.capability.operationsPerMicrosecond
                let rightRate = right.capability.operationsPerMicrosecond
                return leftRate == rightRate
                    ? left.member < right.member : leftRate > rightRate
            }
            for node in usable[Self.nodesMax...] {
                let reason = "the planner considers the \(Self.nodesMax) fastest nodes only"
                unusable.append(LeftOut(node: node.member.node, reason: reason))
            }
            usable = usable[..<Self.nodesMax].sorted { $0.member < $1.member }
        }
        nodes = usable
        self.unusable = unusable.sorted { $0.node < $1.node }
        links = LinkTable(problem.links, nodes: usable)
        let crossing = Self.crossingBytes(problem, isPacked: isPacked)
        positions = Self.selectPositions(problem, crossing: crossing)
        crossingBytes = positions.map { crossing[$0] }
        fillRanges()
        compute = nodes.map { computeTable(of: $0) }
    }

    /// How many of the first pieces hold the operators that run at the entry.
    var piecesKept: Int {
        let count = problem.outline.localOperators(keeping: problem.keepInputLocal)
        return positions.firstIndex { $0 >= count } ?? end
    }

    /// Nanoseconds of a stage on a node, from and to position index.
    func stageNanoseconds(node: Int, from: Int, to: Int) -> Int {
        let slot = from * positionCount + to
        return compute[node][slot] + endpoint[node][slot]
    }

    /// Bytes that a stage takes with so many attempts in flight.
    func stageBytes(from: Int, to: Int, window: Int) -> Int {
        let slot = from * positionCount + to
        return fixedBytes[slot] + window * sliceBytes[slot]
    }

    private static func selectNodes(
        _ problem: PlanningProblem, excluding excluded: NodeBoot?
    ) -> (usable: [PlanningProblem.Node], unusable: [LeftOut]) {
        var usable: [PlanningProblem.Node] = []
        var unusable: [LeftOut] = []
        for node in problem.nodes.sorted(by: { $0.member < $1.member }) {
            let reason: String?
            if problem.lost.contains(node.member) {
                reason = "it is lost"
            } else if node.member == excluded {
                reason = "the plan is made for the case that it is lost"
            } else if node.capability.operationsPerMicrosecond == 0
                || node.capability.movedBytesPerMicrosecond == 0
            {
                reason = "it has not measured its speed yet"
            } else if problem.goal.countsEnergy && node.capability.milliwatts == nil {
                reason =
                    "the model is planned by energy, and what this node draws is not known: give "
                    + "its agent --power-watts"
            } else {
                reason = nil
            }
            if let reason {
                unusable.append(LeftOut(node: node.member.node, reason: reason))
            } else if let last = usable.last, last.member.node == node.member.node {
                // The newer boot of one node proves the older one gone.
                usable[usable.count - 1] = node
            } else {
                usable.append(node)
            }
        }
        return (usable, unusable)
    }

    /// Bytes of the tensors made by an operator before each position and read by one behind it.
    private static func crossingBytes(_ problem: PlanningProblem, isPacked: Bool) -> [Int] {
        let outline = problem.outline
        var change = [Int](repeating: 0, count: outline.operators.count + 2)
        for (index, tensor) in outline.tensors.enumerated() {
            guard let producer = tensor.producer, let last = tensor.consumers.last else { continue }
            let bytes =
                isPacked
                ? problem.packedBytes(ofTensor: index)
                : CostArithmetic.bytes(tensor.descriptor.byteCount)
            change[producer + 1] += bytes
            change[last + 1] -= bytes
        }
        var sum = 0
        return (0...outline.operators.count).map { position in
            sum += change[position]
            return sum
        }
    }

    /// All positions, or of each run of nearby ones the cheapest to cut and the ones in use.
    private static func selectPositions(_ problem: PlanningProblem, crossing: [Int]) -> [Int] {
        let count = problem.outline.operators.count
        guard count >= positionsMax else { return Array(0...count) }
        var kept = [Bool](repeating: false, count: count + 1)
        kept[0] = true
        kept[count] = true
        kept[problem.outline.localOperators(keeping: problem.keepInputLocal)] = true
        for fragment in problem.current?.fragments ?? [] {
            let bounds = [fragment.operators.lowerBound, fragment.operators.upperBound]
            for bound in bounds where bound <= count && bound >= 0 { kept[bound] = true }
        }
        let fixed = kept.count { $0 }
        let runs = max(positionsMax - fixed, 1)
        for run in 0..<runs {
            let range = (1 + run * (count - 1) / runs)..<(1 + (run + 1) * (count - 1) / runs)
            if let best = range.min(by: { (crossing[$0], $0) < (crossing[$1], $1) }) {
                kept[best] = true
            }
        }
        return kept.indices.filter { kept[$0] }
    }

    private mutating func fillRanges() {
        let size = positionCount * positionCount
        fixedBytes = Array(repeating: 0, count: size)
        sliceBytes = fixedBytes
        weightBytes = fixedBytes
        endpoint = nodes.map { _ in fixedBytes }
        let costs = nodes.map(\.capability.handover)
        let index = TensorIndex(problem.outline)
        for from in 0..<end {
            var sweep = RangeSweep(problem.outline, index: index, from: positions[from])
            for to in (from + 1)...end {
                for _ in positions[to - 1]..<positions[to] { sweep.advance() }
                let slot = from * positionCount + to
                for (node, cost) in costs.enumerated() {
                    endpoint[node][slot] = TransferCost.endpointNanoseconds(
                        bytes: sweep.memory.sliceBytes,
                        slices: sweep.inputCount + sweep.outputCount, cost: cost)
                }
                fixedBytes[slot] = sweep.memory.fixedBytes
                sliceBytes[slot] = sweep.memory.sliceBytes
                weightBytes[slot] = sweep.memory.weightBytes
            }
        }
    }

    private func computeTable(of node: PlanningProblem.Node) -> [Int] {
        let times = OperatorTimes(node, outline: problem.outline)
        var table = [Int](repeating: 0, count: positionCount * positionCount)
        for from in 0..<end {
            for to in (from + 1)...end {
                table[from * positionCount + to] = times.sum(positions[from]..<positions[to])
            }
        }
        for key in node.times.map(\.key) where key.rows == nil {
            let range = key.operators
            guard let nanoseconds = times.measurement(of: range),
                let from = positions.firstIndex(of: range.lowerBound),
                let to = positions.firstIndex(of: range.upperBound)
            else { continue }
            table[from * positionCount + to] = nanoseconds
        }
        return table
    }
}

/// How long the operators of one model take on one node.
struct OperatorTimes: Sendable {
    /// Sums of the operators' times up to each position.
    private var prefix: [Int] = [0]
    /// Measured fragments; only looked up, never walked.
    private var measured: [Range<Int>: Int] = [:]
    /// Measured tiles; only looked up, never walked.
    private var tiles: [TileKey: Int] = [:]

    /// A tile of some operators.
    private struct TileKey: Hashable {
        var operators: Range<Int>
        var rows: Range<Int>

        init(_ operators: Range<Int>, _ rows: Range<Int>) {
            self.operators = operators
            self.rows = rows
        }
    }

    /// Takes a node's rates and measured times.
    init(_ node: PlanningProblem.Node, outline: ModelOutline) {
        let estimates = outline.operators.map { operation in
            max(
                CostArithmetic.nanoseconds(
                    operation.operationCount,
                    perMicrosecond: node.capability.operationsPerMicrosecond(
                        ofKind: operation.kind)),
                CostArithmetic.nanoseconds(
                    operation.movedBytes,
                    perMicrosecond: node.capability.movedBytesPerMicrosecond), 1)
        }
        var measurements: [OperatorCalibration.Measurement] = []
        for time in node.times where time.key.manifest == outline.manifest {
            let range = time.key.operators
            let nanoseconds = CostArithmetic.nanoseconds(microseconds: time.microseconds)
            guard range.lowerBound >= 0, range.upperBound <= estimates.count, !range.isEmpty,
                time.microseconds > 0, nanoseconds > 0
            else { continue }
            var parts = range.map { (index: $0, share: OperatorCalibration.whole) }
            if let rows = time.key.rows {
                tiles[TileKey(range, rows)] = nanoseconds
                guard let tile = outline.rowTile(of: range, rows: rows) else { continue }
                for place in parts.indices {
                    parts[place].share = OperatorCalibration.share(
                        tile.computed[place].count,
                        of: outline.operators[parts[place].index].rowCount)
                }
            } else {
                measured[range] = max(measured[range] ?? 0, nanoseconds)
            }
            measurements.append(.init(parts: parts, nanoseconds: nanoseconds))
        }
        for time in OperatorCalibration.corrected(estimates, by: measurements) {
            prefix.append((prefix.last ?? 0) + time)
        }
    }

    /// The time that the operators take one after the other for one item.
    func nanoseconds(_ range: Range<Int>) -> Int {
        measured[range] ?? sum(range)
    }

    /// The time of a tile: as measured, or each operator by the rows that it computes.
    func nanoseconds(_ range: Range<Int>, rows: Range<Int>, outline: ModelOutline) -> Int {
        if let known = tiles[TileKey(range, rows)] { return known }
        guard let tile = outline.rowTile(of: range, rows: rows) else { return nanoseconds(range) }
        let whole = sum(range)
        let part = zip(range, tile.computed).reduce(0) { sum, operation in
            let (index, rows) = operation
            return sum
                + CostArithmetic.scaled(
                    self.sum(index..<(index + 1)), by: rows.count,
                    over: outline.operators[index].rowCount)
        }
        // What was measured of the whole is a better measure than the estimate.
        guard let known = measured[range], whole > 0 else { return part }
        return CostArithmetic.scaled(part, by: known, over: whole)
    }

    /// The sum of the operators' corrected estimates.
    func sum(_ range: Range<Int>) -> Int { prefix[range.upperBound] - prefix[range.lowerBound] }

    /// The measured time of exactly these operators.
    func measurement(of range: Range<Int>) -> Int? { measured[range] }
}
