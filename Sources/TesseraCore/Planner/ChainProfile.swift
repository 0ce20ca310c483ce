/// A plain chain of layers with given figures, as `tessera plan --profile` reads it.
public struct ChainProfile: Hashable, Sendable {
    /// One layer.
    public struct Layer: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// Bytes that it takes on a node.
        public var memoryBytes: Int
        /// Bytes of its result.
        public var outputBytes: Int
        /// Its time on each type of node.
        public var nanoseconds: [Int]

        /// Makes a layer.
        public init(name: String, memoryBytes: Int, outputBytes: Int, nanoseconds: [Int]) {
            self.name = name
            self.memoryBytes = memoryBytes
            self.outputBytes = outputBytes
            self.nanoseconds = nanoseconds
        }
    }

    /// One node.
    public struct Node: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// Index into `Layer.nanoseconds`.
        public var type: Int
        /// Its memory.
        public var memoryBytes: Int
        /// What it draws while it is busy, if known.
        public var milliwatts: Int?

        /// Makes a node.
        public init(name: String, type: Int, memoryBytes: Int, milliwatts: Int? = nil) {
            self.name = name
            self.type = type
            self.memoryBytes = memoryBytes
            self.milliwatts = milliwatts
        }
    }

    /// Bytes of the input as it travels.
    public var inputBytes: Int
    /// Bytes of the output as it travels.
    public var outputBytes: Int
    /// The layers, in order.
    public var layers: [Layer]
    /// The nodes.
    public var nodes: [Node]
    /// The links, row by row of the source.
    public var links: [PlanSpace.Link]
    /// Where requests come in; nil if source and result links cost nothing.
    public var entry: Int?
    /// Bytes that each stage takes beside its layers.
    public var fixedMemoryBytes: Int

    /// Makes a profile.
    public init(
        inputBytes: Int, outputBytes: Int, layers: [Layer], nodes: [Node],
        links: [PlanSpace.Link], entry: Int?, fixedMemoryBytes: Int
    ) {
        self.inputBytes = inputBytes
        self.outputBytes = outputBytes
        self.layers = layers
        self.nodes = nodes
        self.links = links
        self.entry = entry
        self.fixedMemoryBytes = fixedMemoryBytes
    }

    /// The plan space of the chain; it has no rows.
    ///
    /// `mediumBitsPerSecond` is the rate of a medium that all links share, or nil.
    public func space(mediumBitsPerSecond: Int? = nil) -> PlanSpace {
        let count = layers.count + 1
        func table(_ value: (Layer) -> Int) -> [Int] {
            var result = [Int](repeating: 0, count: count * count)
            for from in layers.indices {
                var sum = 0
                for to in (from + 1)..<count {
                    sum += min(max(value(layers[to - 1]), 0), CostArithmetic.bytesMax)
                    result[from * count + to] = sum
                }
            }
            return result
        }
        let types = (0..<(layers.first?.nanoseconds.count ?? 0)).map { type in
            table { $0.nanoseconds[type] }
        }
        return PlanSpace(
            nodes: nodes.map {
                PlanSpace.Node(
                    name: $0.name, memoryBytes: $0.memoryBytes, milliwatts: $0.milliwatts)
            },
            pieceNames: layers.map(\.name), nanoseconds: nodes.map { types[$0.type] },
            stageBytes: table(\.memoryBytes).map { $0 + fixedMemoryBytes },
            crossingBytes: [inputBytes] + layers.dropLast().map(\.outputBytes) + [outputBytes],
            links: links, entry: entry, mediumBitsPerSecond: mediumBitsPerSecond)
    }
}
