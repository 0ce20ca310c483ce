import TesseraCore

extension SimulatedModel {
    /// A chain with some of its operators side by side: after a stem two or three branches, which the
    /// operator behind them joins.
    static func branched(_ chain: ModelOutline, _ draw: inout SeededGenerator) -> ModelOutline {
        let count = chain.operators.count
        // A stem, two branches and a join.
        guard count >= 4 else { return chain }
        var outline = chain
        let start = 1 + draw.next(below: count - 3)
        let end = start + 2 + draw.next(below: count - start - 2)
        let branches = min(end - start, 2 + draw.next(below: 2))
        var bounds = [start]
        for index in 1..<branches {
            let rest = branches - index
            bounds.append(bounds[index - 1] + 1 + draw.next(below: end - bounds[index - 1] - rest))
        }
        func read(_ reader: Int, _ maker: Int) {
            // Tensor 0 is the input; an operator's tensor follows its number.
            if !outline.tensors[maker + 1].consumers.contains(reader) {
                outline.tensors[maker + 1].consumers.append(reader)
                outline.tensors[maker + 1].consumers.sort()
            }
        }
        for maker in (start - 1)..<end {
            // What skips into the region, out of it or within it would join branches.
            outline.tensors[maker + 1].consumers.removeAll { reader in
                reader > maker + 1 && (maker >= start || reader < end)
            }
        }
        for maker in 0..<(start - 1) {
            outline.tensors[maker + 1].consumers.removeAll { $0 >= start && $0 < end }
        }
        for bound in bounds.dropFirst() {
            outline.tensors[bound].consumers.removeAll { $0 == bound }
            read(bound, start - 1)
            read(end, bound - 1)
        }
        return outline
    }
}
