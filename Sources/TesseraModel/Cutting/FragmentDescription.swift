/// What the engine needs to compile one fragment, but for the bytes of the blobs.
public struct FragmentDescription: Hashable, Sendable {
    /// Where the bytes of a constant come from.
    public enum Source: Hashable, Sendable {
        /// A blob, by its index in the outline.
        case blob(Int)
        /// The manifest.
        case inline([UInt8])
    }

    /// A constant's place in the weights buffer.
    public struct Constant: Hashable, Sendable {
        /// Where its bytes come from.
        public var source: Source
        /// Where they go; a multiple of `FragmentDescription.alignment`.
        public var offset: Int
        /// How many.
        public var byteCount: Int

        /// Makes a constant.
        public init(source: Source, offset: Int, byteCount: Int) {
            self.source = source
            self.offset = offset
            self.byteCount = byteCount
        }
    }

    /// Constants begin at multiples of a cache line, which is also enough for every vector unit.
    public static let alignment = 64

    /// The graph as IR.
    public var xml: [UInt8]
    /// The constants, ascending by offset, each blob once.
    public var constants: [Constant]
    /// The size of the weights buffer, gaps included.
    public var weightByteCount: Int
    /// Indices of the outline's tensors that it reads, ascending: its inputs in order.
    public var inputs: [Int]
    /// Indices of the outline's tensors that it makes for others, ascending: its outputs in order.
    public var outputs: [Int]

    /// Makes a description.
    public init(
        xml: [UInt8], constants: [Constant], weightByteCount: Int, inputs: [Int], outputs: [Int]
    ) {
        self.xml = xml
        self.constants = constants
        self.weightByteCount = weightByteCount
        self.inputs = inputs
        self.outputs = outputs
    }
}
