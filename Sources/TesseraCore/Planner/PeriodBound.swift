/// What no pipeline, and no spreading of contiguous pieces over nodes, can beat (planning.md §4c,
/// bounds 1 and 2).
struct PeriodBound {
    /// What binds.
    enum Binding: Hashable, Sendable {
        /// All nodes together cannot compute faster.
        case compute
        /// One operator takes this long on every node.
        case indivisibleOperator(position: Int)
    }

    /// The bound.
    let nanoseconds: Int
    /// What binds.
    let binding: Binding

    /// Computes the bound over a table.
    init(_ table: StageTable) {
        let quickest = Self.quickestHolding(table)
        let indivisible = quickest.indices.max { (quickest[$0], $1) < (quickest[$1], $0) } ?? 0
        let compute = Self.computeBound(table)
        if let worst = quickest.max(), worst > compute {
            nanoseconds = worst
            binding = .indivisibleOperator(position: indivisible)
        } else {
            nanoseconds = compute
            binding = .compute
        }
    }

    /// For each piece between neighbouring positions: the least time of a stage that holds it.
    private static func quickestHolding(_ table: StageTable) -> [Int] {
        var result = [Int](repeating: StageTable.infeasible, count: table.end)
        for node in 0..<table.nodeCount {
            for from in 0..<table.end {
                var least = StageTable.infeasible
                for to in stride(from: table.end, to: from, by: -1) {
                    least = min(least, table.stage(node, from, to))
                    result[to - 1] = min(result[to - 1], least)
                }
            }
        }
        // Where no node can hold a piece nothing is planned; the bound then says nothing.
        return result.map { $0 == StageTable.infeasible ? 0 : $0 }
    }

    /// All work over what all nodes together do per unit of time.
    ///
    /// Work counts in quickest times of single pieces; any measure gives a sound bound. Per unit of
    /// time a node does at most the best ratio of work to time over all stages that fit it.
    private static func computeBound(_ table: StageTable) -> Int {
        var work = [0]
        for position in 0..<table.end {
            let least = (0..<table.nodeCount).map { table.stage($0, position, position + 1) }.min()
            let piece = least.map { $0 == StageTable.infeasible ? 0 : $0 } ?? 0
            work.append((work.last ?? 0) + piece)
        }
        // Ratios in fixed point, rounded up, so that the bound stays sound.
        let unit = UInt128(1) << 40
        var sum: UInt128 = 0
        for node in 0..<table.nodeCount {
            var bestWork = 0
            var bestTime = 1
            for from in 0..<table.end {
                for to in (from + 1)...table.end {
                    let time = table.stage(node, from, to)
                    guard time < StageTable.infeasible, time > 0 else { continue }
                    let amount = work[to] - work[from]
                    let (leftHigh, leftLow) = amount.multipliedFullWidth(by: bestTime)
                    let (rightHigh, rightLow) = bestWork.multipliedFullWidth(by: time)
                    if (leftHigh, leftLow) > (rightHigh, rightLow) {
                        bestWork = amount
                        bestTime = time
                    }
                }
            }
            sum += (UInt128(bestWork) * unit + UInt128(bestTime) - 1) / UInt128(bestTime)
        }
        guard sum > 0, let total = work.last else { return 0 }
        return Int(UInt128(total) * unit / sum)
    }
}
