extension FragmentMemory {
    /// What a fragment takes that computes `operators`, or of them what makes `rows` (see `RowTile`).
    ///
    /// Rows that cannot be made count as the whole.
    public static func of(
        _ operators: Range<Int>, rows: Range<Int>?, in outline: ModelOutline
    ) -> FragmentMemory {
        guard let rows, let tile = outline.rowTile(of: operators, rows: rows) else {
            return of(operators, in: outline)
        }
        func bytes(_ tensor: Int, _ rows: Range<Int>?) -> Int {
            let all = CostArithmetic.bytes(outline.tensors[tensor].descriptor.byteCount)
            guard let rows, let count = outline.rowCount(ofTensor: tensor), count > 0 else {
                return all
            }
            return all / count * rows.count
        }
        var memory = FragmentMemory(
            weightBytes: outline.weightBytes(of: operators), intermediateBytes: 0,
            inputBytes: tile.inputs.reduce(0) { $0 + bytes($1.tensor, $1.rows) },
            outputBytes: tile.outputs.reduce(0) { $0 + bytes($1.tensor, $1.rows) })
        // What is made and still needed, operator by operator, as for the whole.
        var live = 0
        for index in operators {
            let rows = tile.computed[index - operators.lowerBound]
            for (number, tensor) in outline.tensors.enumerated() where tensor.producer == index {
                live += bytes(number, rows)
            }
            memory.intermediateBytes = max(memory.intermediateBytes, live)
            for number in outline.operators[index].reads {
                let tensor = outline.tensors[number]
                guard tensor.consumers.last == index, let producer = tensor.producer,
                    operators.contains(producer), !tensor.isOutput
                else { continue }
                live -= bytes(number, tile.computed[producer - operators.lowerBound])
            }
        }
        return memory
    }
}
