// What travels under a plan, and which of it one attempt uses.

extension Plan {
    /// The slices that a fragment reads and gives out.
    ///
    /// Rows that are all of a tensor's are nil.
    struct Slices {
        var inputs: [RowTile.Slice]
        var outputs: [RowTile.Slice]
    }

    /// What a fragment reads and gives out; nil if its rows cannot be made.
    static func slices(of fragment: Fragment, in outline: ModelOutline) -> Slices? {
        guard let rows = fragment.rows else {
            return Slices(
                inputs: outline.inputTensors(of: fragment.operators)
                    .map { RowTile.Slice(tensor: $0, rows: nil) },
                outputs: outline.outputTensors(of: fragment.operators)
                    .map { RowTile.Slice(tensor: $0, rows: nil) })
        }
        guard let tile = outline.rowTile(of: fragment.operators, rows: rows) else { return nil }
        func whole(_ slice: RowTile.Slice) -> RowTile.Slice {
            let all = outline.rowCount(ofTensor: slice.tensor).map { 0..<$0 }
            return RowTile.Slice(
                tensor: slice.tensor, rows: slice.rows == all ? nil : slice.rows)
        }
        return Slices(inputs: tile.inputs.map(whole), outputs: tile.outputs.map(whole))
    }

    /// The routes that stages with these fragments need, in canonical order: by tensor, then by
    /// destination fragment, the entry last, then by source.
    ///
    /// Rows of a tensor go straight from each fragment that makes them to each fragment that needs
    /// them, also over several stages, and to the entry if the tensor is an output of the model.
    /// Every replica is on the routes of its stage; an attempt uses those of the one it goes to.
    /// Nil if a fragment's rows cannot be made.
    public static func routes(
        for outline: ModelOutline, stages: [Stage], fragments: [Fragment]
    ) -> [Route]? {
        var slices: [Slices] = []
        for fragment in fragments {
            guard let parts = Self.slices(of: fragment, in: outline) else { return nil }
            slices.append(parts)
        }
        func stage(of operation: Int) -> Int? {
            stages.firstIndex { $0.operators.contains(operation) }
        }
        func rows(_ parts: [RowTile.Slice], of tensor: Int) -> RowTile.Slice? {
            parts.first { $0.tensor == tensor }
        }
        var routes: [Route] = []
        for (index, tensor) in outline.tensors.enumerated() {
            let home = tensor.producer.flatMap(stage(of:))
            let all = outline.rowCount(ofTensor: index).map { 0..<$0 }
            // Where it is made, and which rows there.
            var sources: [(end: Endpoint, rows: Range<Int>?)] = [(.entry, nil)]
            if let home {
                sources = stages[home].fragments.compactMap { fragment in
                    rows(slices[fragment].outputs, of: index).map { (.fragment(fragment), $0.rows) }
                }
            }
            func add(to destination: Endpoint, _ wanted: Range<Int>?) {
                for source in sources {
                    let made = source.rows ?? all
                    guard let made, let needed = wanted ?? all else {
                        routes.append(
                            Route(tensor: index, source: source.end, destination: destination))
                        continue
                    }
                    let common = made.clamped(to: needed)
                    if common.isEmpty { continue }
                    routes.append(
                        Route(
                            tensor: index, rows: common == all ? nil : common, source: source.end,
                            destination: destination))
                }
            }
            var readers: [Int] = []
            for consumer in tensor.consumers {
                if let reader = stage(of: consumer), reader != home, readers.last != reader {
                    readers.append(reader)
                }
            }
            for reader in readers {
                for fragment in stages[reader].fragments {
                    guard let slice = rows(slices[fragment].inputs, of: index) else { continue }
                    add(to: .fragment(fragment), slice.rows)
                }
            }
            if tensor.isOutput { add(to: .entry, nil) }
        }
        return routes
    }

    /// Whether a stage is served by several nodes of which an attempt uses one.
    var hasReplicas: Bool { stages.contains { $0.mode == .replicas } }

    /// The fragments that an attempt uses, ascending: all but the replicas that it does not go to.
    ///
    /// Every host works it out from the attempt alone. Of the replicas of a stage one is taken by
    /// their weights; the numbers of an entry's requests walk through them evenly (a sequence of
    /// multiples of the golden ratio), another try takes another place, and entries start apart.
    func fragments(usedBy attempt: AttemptID) -> [Int] {
        var result: [Int] = []
        for stage in stages {
            guard stage.mode == .replicas else {
                result += stage.fragments
                continue
            }
            let total = stage.fragments.reduce(0) { $0 + fragments[$1].weight }
            let request = attempt.request
            let place =
                request.counter &+ UInt64(attempt.number) &+ request.entry.node.words.0
            let fraction = place &* 0x9E37_79B9_7F4A_7C15
            var left = Int(fraction.multipliedFullWidth(by: UInt64(total)).high)
            for fragment in stage.fragments {
                left -= fragments[fragment].weight
                if left < 0 {
                    result.append(fragment)
                    break
                }
            }
        }
        return result
    }
}
