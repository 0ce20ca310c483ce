import TesseraCore

/// On which axis the outputs of each layer have their rows, and the rule of each layer for it.
///
/// Image operators have their rows on the axis behind the channels, and from there the axis follows
/// through the graph both ways: a `Transpose` moves it, a `Reshape` keeps it if rows survive. What
/// no image operator reaches has its rows on the usual axis of its rank: of `[1, tokens, width]`
/// the tokens. Where demands meet that do not fit, the layer is a barrier.
struct RowAxes: Sendable {
    /// For each layer, the axis of its outputs; nil if they have no rows, and for constants.
    private(set) var axes: [Int?]
    /// For each layer, its rule; nil for barriers, and for what is no operator.
    private(set) var rules: [RowRule?] = []

    private let graph: ModelGraph
    private let isConstant: [Bool]
    private let known: RowRules
    private let consumers: [[Int]]
    /// Layers to look at again, because an axis beside them became known.
    private var open: [Int] = []

    private static let imageAxis = 2
    private static let tokenAxis = 1
    private static let imageTypes: Set<String> = [
        "AvgPool", "Convolution", "ConvolutionBackpropData", "DepthToSpace", "GroupConvolution",
        "GroupConvolutionBackpropData", "MaxPool", "SpaceToDepth",
    ]

    init(_ graph: ModelGraph, isConstant: [Bool]) {
        self.graph = graph
        self.isConstant = isConstant
        known = RowRules(graph, isConstant: isConstant)
        consumers = graph.consumers()
        axes = [Int?](repeating: nil, count: graph.layers.count)
        for (index, layer) in graph.layers.enumerated() where Self.imageTypes.contains(layer.type) {
            assign(Self.imageAxis, to: index)
        }
        spread()
        for (index, layer) in graph.layers.enumerated() {
            switch layer.outputs.first?.shape.count ?? 0 {
            case 4...: assign(Self.imageAxis, to: index)
            case 3: assign(Self.tokenAxis, to: index)
            default: continue
            }
            spread()
        }
        rules = graph.layers.indices.map(finalRule)
    }

    /// The axis on which a tensor has its rows; nil if it has none.
    func axis(of source: ModelGraph.Source) -> Int? { axes[source.layer] }

    /// How many rows the outputs of a layer have; nil if they have none.
    func rowCount(of layer: Int) -> Int? {
        axes[layer].map { graph.layers[layer].outputs[0].shape[$0] }
    }

    private mutating func assign(_ axis: Int, to layer: Int) {
        guard axes[layer] == nil, !isConstant[layer],
            let output = graph.layers[layer].outputs.first,
            output.shape.indices.contains(axis)
        else { return }
        axes[layer] = axis
        open.append(layer)
        open += consumers[layer]
    }

    private mutating func spread() {
        while let layer = open.popLast() {
            if let axis = axes[layer] {
                guard let rule = rule(layer, axis) else { continue }
                for (source, input) in zip(graph.layers[layer].inputs, rule.inputs) {
                    if case .rows(let place, _) = input { assign(place, to: source.layer) }
                }
            } else if let axis = forwardAxis(layer) {
                assign(axis, to: layer)
            }
        }
    }

    private func rule(_ layer: Int, _ axis: Int) -> RowRule? {
        known.rule(of: layer, axis: axis) { axes[$0.layer] }
    }

    /// The axis of the outputs that follows from those of the inputs.
    private func forwardAxis(_ layer: Int) -> Int? {
        guard !graph.layers[layer].isResult, !isConstant[layer] else { return nil }
        let rank = graph.layers[layer].outputs.first?.shape.count ?? 0
        return (0..<rank).first { axis in
            guard let rule = rule(layer, axis) else { return false }
            let isKnown = zip(graph.layers[layer].inputs, rule.inputs).contains { source, input in
                guard case .rows(let place, _) = input else { return false }
                return axes[source.layer] == place
            }
            return isKnown && fits(rule, layer)
        }
    }

    /// Whether no input has its rows elsewhere than the rule wants them.
    private func fits(_ rule: RowRule, _ layer: Int) -> Bool {
        zip(graph.layers[layer].inputs, rule.inputs).allSatisfy { source, input in
            guard case .rows(let place, _) = input, let axis = axes[source.layer] else {
                return true
            }
            return axis == place
        }
    }

    private func finalRule(_ layer: Int) -> RowRule? {
        guard !isConstant[layer], let axis = axes[layer], let rule = rule(layer, axis),
            fits(rule, layer)
        else { return nil }
        return rule
    }
}
