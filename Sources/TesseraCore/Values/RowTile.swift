/// Which rows of one input an operator needs to compute rows of its outputs.
///
/// A *row* is one index of a tensor's row axis: an image row, or a token. Every operator with a rule
/// maps the half-open output range `[a, b)` to the input range
///
///     [floor((a * scale + lower) / divisor), floor((b * scale + upper) / divisor))
///
/// clipped to the rows that there are. A convolution or a pool of kernel extent `k`, stride `s` and
/// `p` rows of padding at the top is `scale = s, lower = -p, upper = k - s - p, divisor = 1`;
/// enlarging by `r` is `scale = 1, lower = 0, upper = r - 1, divisor = r`; element by element is
/// `1, 0, 0, 1`. What is clipped away is padding.
public enum RowNeed: Hashable, Sendable {
    /// All of the input, whatever the output rows: it has no rows, or they are mixed.
    case all
    /// A window that moves with the output rows.
    case window(RowWindow)
}

/// The figures of `RowNeed.window`.
public struct RowWindow: Hashable, Sendable {
    /// Input rows that the window moves for `divisor` output rows; at least 1.
    public var scale: Int
    /// Added to the scaled first output row.
    public var lower: Int
    /// Added to the scaled end of the output rows.
    public var upper: Int
    /// At least 1.
    public var divisor: Int

    /// Makes a window.
    public init(scale: Int, lower: Int, upper: Int, divisor: Int = 1) {
        self.scale = scale
        self.lower = lower
        self.upper = upper
        self.divisor = divisor
    }

    /// Each output row needs the input row of its own number.
    public static let same = RowWindow(scale: 1, lower: 0, upper: 0)

    /// The input rows, of `count`, that the output rows `rows` need; empty rows need none.
    public func input(for rows: Range<Int>, of count: Int) -> Range<Int> {
        guard !rows.isEmpty else { return 0..<0 }
        let first = Self.floor(rows.lowerBound * scale + lower, divisor)
        let end = Self.floor(rows.upperBound * scale + upper, divisor)
        let start = min(max(first, 0), count)
        return start..<max(min(end, count), start)
    }

    private static func floor(_ value: Int, _ divisor: Int) -> Int {
        value >= 0 ? value / divisor : -((divisor - 1 - value) / divisor)
    }
}

/// What a fragment computes that makes only some rows of its stage's outputs.
///
/// The rows are counted on the stage's *reference*: of the tensors that the stage gives out, the one
/// with the most rows (the first of several). Of another output with `m` rows beside the
/// reference's `n`, the tile `[a, b)` makes `[ceil(a m / n), ceil(b m / n))`, so that tiles that
/// cover the reference cover every output, each row once.
public struct RowTile: Hashable, Sendable {
    /// Rows of a tensor.
    public struct Slice: Hashable, Sendable {
        /// Index into `ModelOutline.tensors`.
        public var tensor: Int
        /// The rows; nil for the whole of a tensor that is not cut.
        public var rows: Range<Int>?

        /// Makes a slice.
        public init(tensor: Int, rows: Range<Int>?) {
            self.tensor = tensor
            self.rows = rows
        }
    }

    /// What it reads, in the order of `ModelOutline.inputTensors(of:)`.
    public var inputs: [Slice]
    /// What it gives out, in the order of `ModelOutline.outputTensors(of:)`.
    public var outputs: [Slice]
    /// For each operator of the range, the rows of its outputs that it computes: what is given out
    /// and what later operators of the range need, as one hull.
    public var computed: [Range<Int>]
}

extension ModelOutline {
    /// How many rows a tensor has; nil if it has no row axis.
    public func rowCount(ofTensor index: Int) -> Int? {
        tensors[index].rowAxis.map { tensors[index].descriptor.shape[$0] }
    }

    /// How many rows the outputs of an operator have; nil if it cannot be split by rows.
    public func rowCount(ofOperator index: Int) -> Int? {
        operators[index].rowNeeds == nil ? nil : operators[index].rowCount
    }

    /// Whether operators `range` can be split by rows: none is a barrier.
    public func hasRows(_ range: Range<Int>) -> Bool {
        operators[range].allSatisfy { $0.rowNeeds != nil }
    }

    /// The rows of the reference output of `range`; nil if the range cannot be split by rows.
    public func referenceRowCount(of range: Range<Int>) -> Int? {
        guard hasRows(range) else { return nil }
        return outputTensors(of: range).compactMap { rowCount(ofTensor: $0) }.max()
    }

    /// What the tile `rows` of the reference output of `range` reads, computes and gives out; nil if
    /// the range cannot be split by rows.
    ///
    /// Walks from the outputs back to the inputs; each operator computes the hull of what its
    /// readers in the range need.
    public func rowTile(of range: Range<Int>, rows: Range<Int>) -> RowTile? {
        guard let reference = referenceRowCount(of: range) else { return nil }
        let outputs = outputTensors(of: range).map { tensor in
            let count = rowCount(ofTensor: tensor) ?? reference
            func scaled(_ row: Int) -> Int { (row * count + reference - 1) / reference }
            return RowTile.Slice(
                tensor: tensor, rows: scaled(rows.lowerBound)..<scaled(rows.upperBound))
        }
        let inputs = inputTensors(of: range)
        var computed = [Range<Int>](repeating: 0..<0, count: range.count)
        for slice in outputs {
            guard let producer = tensors[slice.tensor].producer, let rows = slice.rows else {
                continue
            }
            Self.widen(&computed[producer - range.lowerBound], by: rows)
        }
        var read = [Range<Int>](repeating: 0..<0, count: inputs.count)
        var readsWhole = [Bool](repeating: false, count: inputs.count)
        for index in range.reversed() {
            let rows = computed[index - range.lowerBound]
            guard !rows.isEmpty, let needs = operators[index].rowNeeds else { continue }
            for (tensor, need) in zip(operators[index].reads, needs) {
                let count = rowCount(ofTensor: tensor)
                let wanted: Range<Int>? =
                    switch need {
                    case .all: count.map { 0..<$0 }
                    case .window(let window): count.map { window.input(for: rows, of: $0) }
                    }
                if let producer = tensors[tensor].producer, range.contains(producer) {
                    Self.widen(&computed[producer - range.lowerBound], by: wanted ?? 0..<0)
                } else if let place = inputs.firstIndex(of: tensor) {
                    if let wanted { Self.widen(&read[place], by: wanted) }
                    if wanted == nil { readsWhole[place] = true }
                }
            }
        }
        let slices = inputs.indices.map { place in
            RowTile.Slice(tensor: inputs[place], rows: readsWhole[place] ? nil : read[place])
        }
        return RowTile(inputs: slices, outputs: outputs, computed: computed)
    }

    private static func widen(_ rows: inout Range<Int>, by other: Range<Int>) {
        if other.isEmpty { return }
        if rows.isEmpty {
            rows = other
        } else {
            rows =
                min(rows.lowerBound, other.lowerBound)..<max(rows.upperBound, other.upperBound)
        }
    }
}
