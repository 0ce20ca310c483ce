// What fragments read and make under a plan, and which of them one attempt uses.

extension Plan {
    /// The slices that a fragment reads and gives out.
    ///
    /// Rows that are all of a tensor's are nil. A tensor of which a tile has no rows is left out,
    /// as in the file that is cut for it.
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
        func kept(_ slices: [RowTile.Slice]) -> [RowTile.Slice] {
            slices.filter { $0.rows?.isEmpty != true }.map(whole)
        }
        return Slices(inputs: kept(tile.inputs), outputs: kept(tile.outputs))
    }

    /// Whether a stage is served by several nodes of which an attempt uses one.
    var hasReplicas: Bool { stages.contains { $0.mode == .replicas || $0.mode == .entry } }

    /// The fragments that an attempt uses, ascending: all but the replicas that it does not go to,
    /// and what other entries keep for their own requests.
    ///
    /// Every host works it out from the attempt alone. Of the replicas of a stage one is taken by
    /// their weights; the numbers of an entry's requests walk through them evenly (a sequence of
    /// multiples of the golden ratio), another try takes another place, and entries start apart.
    func fragments(usedBy attempt: AttemptID) -> [Int] {
        var result: [Int] = []
        for stage in stages {
            if stage.mode == .entry {
                result += stage.fragments.filter { fragments[$0].host == attempt.request.entry }
                continue
            }
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
