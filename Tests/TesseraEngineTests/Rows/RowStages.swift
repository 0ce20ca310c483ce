import TesseraCore

/// Draws how a model is run by rows.
enum RowStages {
    /// Cuts `count` rows into `tiles` shares, equal ones or drawn ones; fewer if there are few rows.
    static func shares(
        _ count: Int, _ tiles: Int, isEqual: Bool, _ random: inout SeededGenerator
    ) -> [Range<Int>] {
        var ends: Set<Int> = [0, count]
        if isEqual {
            for index in 1..<tiles { ends.insert(count * index / tiles) }
        } else {
            let wanted = min(count, tiles) + 1
            while ends.count < wanted { ends.insert(random.next(below: count)) }
        }
        let sorted = ends.sorted()
        return zip(sorted, sorted.dropFirst()).map { $0..<$1 }
    }

    /// Stages that end at `cuts` and at barriers, each in tiles where it has rows.
    static func tiled(
        _ outline: ModelOutline, cuts: [Int], tiles: Int, isEqual: Bool,
        _ random: inout SeededGenerator
    ) -> [CutModel.Stage] {
        let count = outline.operators.count
        var ends: Set<Int> = [0, count]
        ends.formUnion(cuts)
        for index in 0..<count where !outline.hasRows(index..<(index + 1)) {
            ends.formUnion([index, index + 1])
        }
        let sorted = ends.sorted()
        return zip(sorted, sorted.dropFirst()).map { lower, upper in
            let operators = lower..<upper
            guard let rows = outline.referenceRowCount(of: operators), rows > 1 else {
                return CutModel.Stage(operators: operators)
            }
            return CutModel.Stage(
                operators: operators, tiles: shares(rows, tiles, isEqual: isEqual, &random))
        }
    }

    /// Either everything that has rows in tiles, or one drawn range of operators, the rest whole.
    static func drawn(
        _ outline: ModelOutline, tiles: Int, isEqual: Bool, _ random: inout SeededGenerator
    ) -> [CutModel.Stage] {
        let count = outline.operators.count
        if random.chance(3, outOf: 4) {
            return tiled(outline, cuts: [], tiles: tiles, isEqual: isEqual, &random)
        }
        // What is compiled around the range costs as much as a tile each.
        let tiles = min(tiles, 3)
        let lower = random.next(below: count)
        let upper = lower + 1 + random.next(below: count - lower)
        var stages = tiled(outline, cuts: [lower, upper], tiles: tiles, isEqual: isEqual, &random)
        for index in stages.indices
        where !(lower..<upper).contains(stages[index].operators.lowerBound) {
            stages[index].tiles = []
        }
        return stages
    }

    /// Whether the outline calls every tile of these stages exact.
    static func areExact(_ stages: [CutModel.Stage], _ outline: ModelOutline) -> Bool {
        stages.allSatisfy { stage in
            stage.tiles.count < 2 || outline.operators[stage.operators].allSatisfy(\.hasExactRows)
        }
    }
}
