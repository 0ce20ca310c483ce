/// What an item takes under a plan.
public struct EnergyDocument: Codable, Sendable, Equatable {
    /// Always `modelled`: the nodes' powers times how long each is busy with an item.
    public var basis = "modelled"
    /// Joules beyond what the nodes draw idle; nil if the power of a node of the plan is not known.
    public var joulesPerItem: Double?
    /// The names of the plan's nodes whose power is not known, ascending.
    public var unknownNodes: [String]
    /// What the counters of the agent that was asked say beside it; nil where nothing is measured.
    public var measured: MeasuredDocument?
    /// Whether and why the agent that was asked measures, or does not.
    public var counter: String?

    /// What the energy counters of one machine say.
    public struct MeasuredDocument: Codable, Sendable, Equatable {
        /// The node whose counters they are.
        public var node: String
        /// Joules that they counted, with all that the machine draws idle and for other programs.
        public var joules: Double
        /// In so many seconds.
        public var seconds: Double
        /// Items of the plan for which the node did its part in that time.
        public var items: Int
        /// Joules for each of them, of this node alone.
        public var joulesPerItem: Double

        /// Makes the document; `items` is at least 1.
        public init(node: String, joules: Double, seconds: Double, items: Int) {
            self.node = node
            self.joules = joules
            self.seconds = seconds
            self.items = items
            joulesPerItem = joules / Double(items)
        }
    }

    /// Makes the document.
    public init(joulesPerItem: Double?, unknownNodes: [String]) {
        self.joulesPerItem = joulesPerItem
        self.unknownNodes = unknownNodes
    }
}
