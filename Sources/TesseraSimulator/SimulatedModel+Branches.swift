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

    /// Lets most models with branches do without some, and makes their join one that can.
    static func degrade(
        _ outline: inout ModelOutline, number: Int, seed: UInt64
    ) -> BranchDegrade? {
        var draw = SeededGenerator(seed: seed).derived(name: "degrade \(number)")
        let degrade = BranchDegrade(
            fill: draw.chance(1, outOf: 2) ? .mean : .zeros, most: 1 + draw.next(below: 2))
        guard draw.chance(3, outOf: 4), let region = outline.branchRegions.first else { return nil }
        let join = region.operators.upperBound
        switch degrade.fill {
        case .zeros:
            outline.operators[join].kind = "Concat"
            for index in outline.operators.indices where index > join {
                outline.operators[index].kind = "MatMul"
            }
        case .mean:
            outline.operators[join].kind = "ReduceMean"
            // Tensor 0 is the input; an operator's tensor follows its number.
            let shape = outline.tensors[join + 1].descriptor.shape
            for branch in region.branches {
                outline.tensors[branch.upperBound].descriptor.shape = shape
            }
        }
        return outline.fault(of: degrade) == nil ? degrade : nil
    }

    /// What stands for a branch: one value of all that are there, or of none.
    static func fill(_ values: [UInt64]) -> UInt64 {
        values.reduce(0) { ($0 ^ $1) &* 0x9E37_79B9_7F4A_7C15 }
    }

    /// The right answers without some branches; none if these must not be left out.
    func answers(
        _ input: UInt64, _ wish: ExitWish, without leftOut: [Int]
    ) -> [[UInt64]] {
        guard let degrade = settings.degrade else { return [] }
        for tensor in leftOut where !joins.contains(where: { $0.tensors.contains(tensor) }) {
            return []
        }
        for join in joins {
            let count = join.tensors.count { leftOut.contains($0) }
            guard count <= degrade.most, count < join.tensors.count else { return [] }
        }
        return [answer(input, wish, without: leftOut), expected(input, without: leftOut)]
    }
}
