import TesseraCore

/// What the outline says of rows: the needs of each group of layers.
struct RowOutline {
    let graph: ModelGraph
    let axes: RowAxes

    /// A group's needs, and how many rows it makes.
    struct Needs {
        /// For each tensor that was asked for.
        var needs: [RowNeed]
        var rowCount: Int
        /// Whether every layer gives rows the bits of the whole.
        var isExact: Bool
    }

    /// What a group of layers needs of the tensors `reads` for rows of the tensors `makes`; nil if
    /// it is a barrier: one of its layers has no rule, or what it makes has not equally many rows.
    func needs(
        of group: [Int], reads: [ModelGraph.Source], makes: [ModelGraph.Source]
    ) -> Needs? {
        guard let first = makes.first, let count = axes.rowCount(of: first.layer),
            count <= ModelLimits.rowsMax,
            makes.allSatisfy({ axes.rowCount(of: $0.layer) == count }),
            group.allSatisfy({ axes.rules[$0] != nil })
        else { return nil }
        let place = Dictionary(uniqueKeysWithValues: zip(reads, reads.indices))
        var needs = [RowNeed?](repeating: nil, count: reads.count)
        var ofLayer: [Int: RowNeed] = [:]
        for source in makes { ofLayer[source.layer] = .window(.same) }
        for layer in group.sorted().reversed() {
            guard let need = ofLayer[layer], let rule = axes.rules[layer] else { continue }
            for (source, input) in zip(graph.layers[layer].inputs, rule.inputs) {
                let wanted = need.joined(input.need)
                if let index = place[source] {
                    needs[index] = needs[index]?.union(wanted) ?? wanted
                } else {
                    ofLayer[source.layer] = ofLayer[source.layer]?.union(wanted) ?? wanted
                }
            }
        }
        // What nothing in the group reads would be no tensor of its own.
        return Needs(
            needs: needs.map { $0 ?? .all }, rowCount: count,
            isExact: group.allSatisfy { axes.rules[$0]?.isExact == true })
    }
}

extension RowRule.Input {
    /// Without the axis.
    var need: RowNeed {
        switch self {
        case .rows(_, let window): .window(window)
        case .all: .all
        }
    }
}
