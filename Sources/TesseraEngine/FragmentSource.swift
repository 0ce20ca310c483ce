/// What the engine compiles: OpenVINO IR as text, and the weights that the text points into.
public struct FragmentSource: Sendable {
    /// The graph, an IR document in UTF-8.
    public var xml: [UInt8]
    /// The constants.
    public var weights: WeightBuffer

    /// Pairs a graph with its constants.
    public init(xml: [UInt8], weights: WeightBuffer) {
        self.xml = xml
        self.weights = weights
    }
}
