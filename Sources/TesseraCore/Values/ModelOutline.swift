/// What the core knows of a model: enough to plan and to check a plan, without weights and without
/// the graph itself.
///
/// `TesseraModel` derives it from a manifest, and the same manifest always gives the same outline.
///
/// Operators stand in one fixed topological order. A *position* `p` in `0...operators.count` is the
/// place before operator `p`; a plan cuts the model at positions. Operators that the engine would
/// fuse into one kernel are one operator here, so every position is a legal cut.
public struct ModelOutline: Hashable, Sendable {
    /// One operator, or a group of operators that the engine runs as one.
    public struct Operator: Hashable, Sendable {
        /// The name of the group's last operator in the graph.
        public var name: String
        /// The kind of the group's main operator, such as `Convolution`.
        public var kind: String
        /// Estimated arithmetic operations for one item.
        public var operationCount: UInt64
        /// Bytes that the operator reads and writes for one item, weights included.
        public var movedBytes: UInt64
        /// Indices into `blobs` of the constants that it needs, ascending.
        public var blobs: [Int]
        /// Indices into `tensors` of what it reads, ascending.
        public var reads: [Int]
        /// For each of `reads`, the rows that it needs; nil if the operator is a *barrier*, which
        /// cannot be split by rows.
        public var rowNeeds: [RowNeed]?
        /// How many rows its outputs have, all alike; 1 for a barrier.
        public var rowCount: Int
        /// Whether tiles of rows have the bits of the whole on the same engine; else they are within
        /// 1e-5 of the output's range.
        public var hasExactRows: Bool

        /// Makes an operator.
        public init(
            name: String, kind: String, operationCount: UInt64, movedBytes: UInt64, blobs: [Int],
            reads: [Int] = [], rowNeeds: [RowNeed]? = nil, rowCount: Int = 1,
            hasExactRows: Bool = true
        ) {
            self.name = name
            self.kind = kind
            self.operationCount = operationCount
            self.movedBytes = movedBytes
            self.blobs = blobs
            self.reads = reads
            self.rowNeeds = rowNeeds
            self.rowCount = rowCount
            self.hasExactRows = hasExactRows
        }
    }

    /// A tensor that is made in one place of the order and read in others.
    public struct Tensor: Hashable, Sendable {
        /// Its name, type and shape.
        ///
        /// Model inputs and outputs carry the model's own names.
        public var descriptor: TensorDescriptor
        /// The operator that makes it; nil for an input of the model.
        public var producer: Int?
        /// The operators that read it, ascending, without doubles.
        public var consumers: [Int]
        /// Whether the model gives it back as an output.
        public var isOutput: Bool
        /// The axis along which it may be cut into rows: an image's height, or the tokens; nil if it
        /// is never cut.
        public var rowAxis: Int?

        /// Makes a tensor.
        public init(
            descriptor: TensorDescriptor, producer: Int?, consumers: [Int], isOutput: Bool,
            rowAxis: Int? = nil
        ) {
            self.descriptor = descriptor
            self.producer = producer
            self.consumers = consumers
            self.isOutput = isOutput
            self.rowAxis = rowAxis
        }
    }

    /// A constant by content.
    public struct Blob: Hashable, Sendable {
        /// The hash of the bytes.
        public var id: BlobID
        /// How many bytes.
        public var byteCount: Int

        /// Makes a blob reference.
        public init(id: BlobID, byteCount: Int) {
            self.id = id
            self.byteCount = byteCount
        }
    }

    /// Which model this is.
    public var manifest: ManifestID
    /// The operators in their order.
    public var operators: [Operator]
    /// Every tensor that is an input, an output, or passes between two operators of `operators`.
    ///
    /// Inputs come first in the model's order.
    public var tensors: [Tensor]
    /// Indices into `tensors` of the model's inputs, in the model's order.
    public var inputs: [Int]
    /// Indices into `tensors` of the model's outputs, in the model's order.
    public var outputs: [Int]
    /// The constants, without doubles.
    public var blobs: [Blob]

    /// Makes an outline.
    public init(
        manifest: ManifestID, operators: [Operator], tensors: [Tensor], inputs: [Int],
        outputs: [Int], blobs: [Blob]
    ) {
        self.manifest = manifest
        self.operators = operators
        self.tensors = tensors
        self.inputs = inputs
        self.outputs = outputs
        self.blobs = blobs
    }

    /// The constants that operators `range` need, ascending and without doubles.
    public func blobs(of range: Range<Int>) -> [Int] {
        var seen = [Bool](repeating: false, count: blobs.count)
        for index in range {
            for blob in operators[index].blobs { seen[blob] = true }
        }
        return seen.indices.filter { seen[$0] }
    }

    /// How many of the first operators have to run at the entry so that `count` of them do and no
    /// input of the model is read elsewhere.
    public func localOperators(keeping count: Int) -> Int {
        guard count > 0 else { return 0 }
        let readers = inputs.compactMap { tensors[$0].consumers.last }
        return min(max(count, (readers.max() ?? -1) + 1), operators.count)
    }

    /// The bytes of the constants that operators `range` need.
    public func weightBytes(of range: Range<Int>) -> Int {
        blobs(of: range).reduce(0) { $0 + blobs[$1].byteCount }
    }
}
