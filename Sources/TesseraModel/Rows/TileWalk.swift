import TesseraCore

/// What each layer of a fragment computes of the rows that a tile makes.
///
/// Walks from the outputs back to the inputs, each layer once: a layer makes the hull of what its
/// readers need.
struct TileWalk {
    /// A layer as it runs in the tile.
    struct Step {
        /// The rows of each input that it takes; nil for all of an input.
        var inputs: [Range<Int>?]
        /// What changes in it.
        var change: RowRule.Change
    }

    /// By layer; those that the tile needs nothing of are not in it.
    private(set) var steps: [Int: Step] = [:]

    /// Walks over the layers `inside`, ascending, for rows of some of their outputs.
    init(
        _ graph: ModelGraph, _ axes: RowAxes, inside: [Int],
        outputs: [(source: ModelGraph.Source, rows: Range<Int>)]
    ) {
        var wanted: [Int: Range<Int>] = [:]
        func widen(_ layer: Int, by rows: Range<Int>) {
            guard !rows.isEmpty else { return }
            let known = wanted[layer] ?? rows
            wanted[layer] =
                min(known.lowerBound, rows.lowerBound)..<max(known.upperBound, rows.upperBound)
        }
        for output in outputs { widen(output.source.layer, by: output.rows) }
        for layer in inside.reversed() {
            guard let rows = wanted[layer], let rule = axes.rules[layer] else { continue }
            let sources = graph.layers[layer].inputs
            let inputs = zip(sources, rule.inputs).map { source, input -> Range<Int>? in
                guard case .rows(let axis, let window) = input else { return nil }
                return window.input(for: rows, of: graph.port(source).shape[axis])
            }
            for (source, input) in zip(sources, inputs) {
                let whole = axes.rowCount(of: source.layer).map { 0..<$0 }
                if let rows = input ?? whole { widen(source.layer, by: rows) }
            }
            steps[layer] = Step(inputs: inputs, change: rule.change(rows, inputs))
        }
    }
}
