extension PlanSpace {
    /// Slices that a tile exchanges with its neighbours for each block, at most: one each way with
    /// each.
    private static let tileSlices = 4

    /// The plan space of a problem: what its cost tables say, with so many attempts in flight.
    init(_ model: CostModel, window: Int) {
        var crossing = model.crossingBytes
        crossing[0] = Self.bytes(model.problem.outline.inputs, model)
        crossing[model.end] = Self.bytes(model.problem.outline.outputs, model)
        self.init(
            model, window: window, crossing: crossing,
            nanoseconds: model.nodes.indices.map { node in
                zip(model.compute[node], model.endpoint[node]).map(+)
            })
        guard entry != nil, model.problem.keepInputLocal > 0 else { return }
        self = keepingLocal(pieces: model.piecesKept)
    }

    /// A space whose bound holds for every plan of a problem, also where tensors skip stages or a
    /// node holds two neighbouring ones: handing over takes no node's time, and at a cut only what
    /// the pieces on both sides make and read there counts.
    init(bounding model: CostModel) {
        let outline = model.problem.outline
        let piece = model.positions.indices.dropLast().flatMap { index in
            Array(
                repeating: index, count: model.positions[index + 1] - model.positions[index])
        }
        var made = [Int](repeating: 0, count: model.positionCount)
        var read = made
        for (index, tensor) in outline.tensors.enumerated() {
            guard let producer = tensor.producer else { continue }
            let bytes = Self.bytes([index], model)
            let from = piece[producer]
            if let last = tensor.consumers.last, piece[last] > from { made[from + 1] += bytes }
            var before = from
            for consumer in tensor.consumers where piece[consumer] > before {
                before = piece[consumer]
                read[before] += bytes
            }
        }
        var crossing = zip(made, read).map { min($0, $1) }
        crossing[0] = Self.bytes(outline.inputs, model)
        crossing[model.end] = Self.bytes(outline.outputs, model)
        self.init(model, window: 1, crossing: crossing, nanoseconds: model.compute)
    }

    private static func bytes(_ tensors: [Int], _ model: CostModel) -> Int {
        tensors.reduce(0) { sum, index in
            sum
                + (model.isPacked
                    ? model.problem.packedBytes(ofTensor: index)
                    : CostArithmetic.bytes(
                        model.problem.outline.tensors[index].descriptor.byteCount))
        }
    }

    private init(_ model: CostModel, window: Int, crossing: [Int], nanoseconds: [[Int]]) {
        let problem = model.problem
        let count = model.positionCount
        let size = count * count
        // Where energy does not count, nodes that differ in their power alone are of one kind.
        let nodes = model.nodes.map {
            Node(
                name: $0.name, memoryBytes: $0.freeMemoryBytes,
                milliwatts: problem.goal.countsEnergy ? $0.capability.milliwatts : nil)
        }
        var bytes = [Int](repeating: 0, count: size)
        for from in 0..<model.end {
            for to in (from + 1)..<count {
                bytes[from * count + to] = model.stageBytes(from: from, to: to, window: window)
            }
        }
        let names = (0..<model.end).map { index in
            let last = model.positions[index + 1] - 1
            return "operator \(problem.outline.operators[last].name)"
        }
        let splits =
            problem.allowedModes.contains(.rows) || problem.baseline?.modes == [.single, .rows]
        self.init(
            nodes: nodes, pieceNames: names, nanoseconds: nanoseconds, stageBytes: bytes,
            crossingBytes: crossing,
            links: nodes.indices.flatMap { source in
                nodes.indices.map { model.links.link(from: source, to: $0) }
            },
            entry: problem.entry.flatMap { entry in
                model.nodes.firstIndex { $0.member.node == entry }
            },
            rows: splits ? Self.rowFigures(model) : nil,
            mediumBitsPerSecond: problem.mediumBitsPerSecond)
        guard !problem.exits.isEmpty else { return }
        self = weighted(by: model.positions.map(problem.share(atOperator:)))
    }

    /// What row splits of a model take, from one tile in the middle of each range.
    private static func rowFigures(_ model: CostModel) -> RowFigures {
        let outline = model.problem.outline
        let count = model.positionCount
        let zeros = [Int](repeating: 0, count: count * count)
        // Any of the nodes may get a tile: the one that spends most on its slices counts.
        let overhead =
            model.nodes.map {
                TransferCost.endpointNanoseconds(
                    bytes: 0, slices: tileSlices, cost: $0.capability.handover)
            }.max() ?? 0
        var figures = RowFigures(
            counts: zeros, haloBytes: zeros, overheads: zeros.map { _ in overhead },
            excess: model.nodes.map { _ in zeros })
        let times = model.nodes.map { OperatorTimes($0, outline: outline) }
        for from in 0..<model.end {
            for to in (from + 1)..<count {
                let range = model.positions[from]..<model.positions[to]
                // A barrier ends all ranges from here.
                guard outline.hasRows(range) else { break }
                guard let rows = outline.referenceRowCount(of: range), rows > 1 else { continue }
                let middle = rows / 3..<max(rows / 3 + 1, rows * 2 / 3)
                guard let tile = outline.rowTile(of: range, rows: middle) else { continue }
                let slot = from * count + to
                figures.counts[slot] = rows
                figures.haloBytes[slot] = halo(tile, middle, of: rows, outline: outline)
                let more = moreRows(tile, middle, of: rows, range: range, outline: outline)
                for (node, times) in times.enumerated() {
                    figures.excess[node][slot] = more.reduce(0) { sum, one in
                        sum
                            + CostArithmetic.scaled(
                                times.sum(one.index..<(one.index + 1)), by: one.rows,
                                over: 2 * one.count)
                    }
                }
            }
        }
        return figures
    }

    /// Rows of `count` that are a tile's part `rows` of `all`.
    private static func part(_ rows: Range<Int>, of all: Int, count: Int) -> Int {
        (rows.count * count + all - 1) / all
    }

    private static func halo(
        _ tile: RowTile, _ rows: Range<Int>, of all: Int, outline: ModelOutline
    ) -> Int {
        tile.inputs.reduce(0) { sum, slice in
            let bytes = CostArithmetic.bytes(outline.tensors[slice.tensor].descriptor.byteCount)
            guard let read = slice.rows, let count = outline.rowCount(ofTensor: slice.tensor)
            else {
                // A tensor that is not cut: each tile reads what the others would.
                return sum + bytes / all * (all - rows.count) / 2
            }
            let more = max(read.count - part(rows, of: all, count: count), 0)
            return sum + (bytes / max(count, 1) * more + 1) / 2
        }
    }

    /// Of the operators that compute more rows of a tile than their part of `all`: how many more,
    /// and of how many.
    private static func moreRows(
        _ tile: RowTile, _ rows: Range<Int>, of all: Int, range: Range<Int>, outline: ModelOutline
    ) -> [(index: Int, rows: Int, count: Int)] {
        var result: [(index: Int, rows: Int, count: Int)] = []
        for (index, computed) in zip(range, tile.computed) {
            let count = outline.operators[index].rowCount
            let more = computed.count - part(rows, of: all, count: count)
            if more > 0 { result.append((index, more, count)) }
        }
        return result
    }
}
