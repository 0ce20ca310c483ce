/// What a model may be at most.
///
/// Graphs come from files and manifests from peers: nothing in them is believed, and nothing is
/// allocated before its size is known to be below a limit.
public enum ModelLimits {
    /// Bytes of a graph's XML.
    ///
    /// The largest language models have about 30 MB.
    public static let xmlBytesMax = 64 << 20
    /// Nested XML elements; IR itself uses six, `rt_info` of the model a few more.
    public static let xmlDepthMax = 32
    /// Attributes of one XML element; IR uses at most about twenty.
    public static let xmlAttributesMax = 64
    /// Layers of a graph, constants included.
    ///
    /// Models with a hundred blocks have about ten thousand.
    public static let layersMax = 65_536
    /// Inputs, or outputs, of one layer.
    public static let portsPerLayerMax = 1024
    /// Connections of a graph: four per layer on average.
    public static let connectionsMax = 262_144
    /// Axes of a tensor.
    public static let rankMax = 16
    /// Elements of a tensor: 2^40 is more than any node holds, and byte counts stay far from
    /// overflow.
    public static let elementsMax = 1 << 40
    /// Bytes of a name.
    public static let nameBytesMax = 2048
    /// Bytes of an attribute's value: long enough for lists of hundreds of numbers.
    public static let attributeBytesMax = 16_384
    /// Bytes of an encoded manifest: every layer at its usual size and some inline constants.
    public static let manifestBytesMax = 32 << 20
    /// A constant of at most this many bytes is part of the manifest: models have hundreds of
    /// axes, shapes and scalars, each too small to be worth a file and a fetch.
    public static let inlineBytesMax = 1024
    /// Operators of one group: long chains stay cuttable.
    static let groupLayersMax = 64
    /// The widest dense layer that the engine (OpenVINO 2026.4) joins with its neighbours.
    static let denseExtentMax = 256
    /// The most that a kernel, a stride or a padding may be for its layer to be split by rows: sums
    /// of products of them stay far from overflow.
    static let rowFigureMax = 1 << 16
    /// The most that scale and divisor of a row window may be: times a number of rows, they stay far
    /// from overflow.
    static let rowFactorMax = 1 << 20
    /// The most that the other figures of a row window may be, as many rows as a tensor may have.
    static let rowOffsetMax = elementsMax
    /// Rows of an operator's outputs beyond which it is not split: no image has more, and products of
    /// two numbers of rows stay far from overflow.
    static let rowsMax = 1 << 20
    /// Products in one row below which tiles of a convolution of one channel are not exact.
    static let tinyConvolutionProducts = 1024
    /// Layers that are searched for one side branch: the patterns that the engine fuses are
    /// smaller.
    static let regionLayersMax = 24
    /// Groups up to which the quadratic ordering is tried.
    static let greedyOrderGroupsMax = 4096

    /// Throws if `value` is beyond `maximum`.
    static func check(_ value: Int, _ maximum: Int, _ what: String) throws(ModelError) {
        guard value <= maximum else {
            throw .limit(what: what, value: value, maximum: maximum)
        }
    }
}
