/// How many bytes a fragment takes on its host. Planner, acceptors and hosts count with this one
/// formula, so that what is planned fits where it is reserved:
///
///     fixed    = weights + weights × overheadPercent / 100 + overheadBytes + intermediates
///     reserved = fixed + window × (input slices + output slices)
///
/// `intermediates` is the largest sum of tensors that are made and still needed within the fragment
/// while one item runs.
public struct FragmentMemory: Hashable, Sendable {
    /// What the engine keeps beside the weights, in percent of them: reordered copies.
    public static let weightOverheadPercent = 25
    /// What the engine keeps for each compiled fragment, whatever its size.
    public static let overheadBytes = 1 << 20

    /// Bytes of the constants.
    public var weightBytes: Int
    /// Bytes of the tensors that are needed within the fragment at once.
    public var intermediateBytes: Int
    /// Bytes of the slices that one attempt brings in.
    public var inputBytes: Int
    /// Bytes of the slices that one attempt sends out.
    public var outputBytes: Int

    /// Bytes that do not depend on how many attempts are in flight.
    public var fixedBytes: Int {
        weightBytes + weightBytes / 100 * Self.weightOverheadPercent + Self.overheadBytes
            + intermediateBytes
    }

    /// Bytes that each attempt in flight takes.
    public var sliceBytes: Int { inputBytes + outputBytes }

    /// All bytes with so many attempts in flight.
    public func bytes(window: Int) -> Int { fixedBytes + window * sliceBytes }

    /// What the fragment that computes `operators` takes.
    public static func of(_ operators: Range<Int>, in outline: ModelOutline) -> FragmentMemory {
        of(operators, in: outline, index: TensorIndex(outline))
    }

    /// What the fragment that computes `operators` takes, by an index that is made already.
    static func of(
        _ operators: Range<Int>, in outline: ModelOutline, index: TensorIndex
    ) -> FragmentMemory {
        var sweep = RangeSweep(outline, index: index, from: operators.lowerBound)
        for _ in operators { sweep.advance() }
        return sweep.memory
    }
}

/// Walks from one operator on and keeps what the range so far costs.
struct RangeSweep {
    private let outline: ModelOutline
    private let start: Int
    private var next: Int
    private let made: [[Int]]
    private let read: [[Int]]
    private var seenBlobs: [Bool]
    private var seenTensors: [Bool]
    private var liveBytes = 0
    private var liveCount = 0

    /// What the range takes in memory; `outputBytes` and `outputCount` are kept by `advance`.
    private(set) var memory = FragmentMemory(
        weightBytes: 0, intermediateBytes: 0, inputBytes: 0, outputBytes: 0)
    /// Slices that come in for one item.
    private(set) var inputCount = 0
    /// Slices that go out for one item: to later operators, and to the entry.
    private(set) var outputCount = 0
    private var answerBytes = 0
    private var answerCount = 0

    /// A sweep from the operator `start`.
    init(_ outline: ModelOutline, index: TensorIndex, from start: Int) {
        self.outline = outline
        self.start = start
        next = start
        made = index.made
        read = index.read
        seenBlobs = Array(repeating: false, count: outline.blobs.count)
        seenTensors = Array(repeating: false, count: outline.tensors.count)
    }

    /// Takes one more operator into the range.
    mutating func advance() {
        for blob in outline.operators[next].blobs where !seenBlobs[blob] {
            seenBlobs[blob] = true
            memory.weightBytes += CostArithmetic.bytes(outline.blobs[blob].byteCount)
        }
        for index in read[next] where !seenTensors[index] && !isMadeHere(index) {
            seenTensors[index] = true
            memory.inputBytes += bytes(index)
            inputCount += 1
        }
        for index in made[next] {
            let tensor = outline.tensors[index]
            if tensor.isOutput {
                answerBytes += bytes(index)
                answerCount += 1
            }
            if !tensor.consumers.isEmpty {
                liveBytes += bytes(index)
                liveCount += 1
            }
        }
        memory.intermediateBytes = max(memory.intermediateBytes, liveBytes + answerBytes)
        for index in read[next] where isMadeHere(index) {
            guard outline.tensors[index].consumers.last == next else { continue }
            liveBytes -= bytes(index)
            liveCount -= 1
        }
        next += 1
        memory.outputBytes = liveBytes + answerBytes
        outputCount = liveCount + answerCount
    }

    private func isMadeHere(_ index: Int) -> Bool {
        outline.tensors[index].producer.map { $0 >= start } ?? false
    }

    private func bytes(_ index: Int) -> Int {
        CostArithmetic.bytes(outline.tensors[index].descriptor.byteCount)
    }
}

/// Which tensors each operator makes and reads.
struct TensorIndex: Sendable {
    /// Indices of the tensors that each operator makes.
    let made: [[Int]]
    /// Indices of the tensors that each operator reads.
    let read: [[Int]]

    /// Indexes the tensors of an outline.
    init(_ outline: ModelOutline) {
        var made = [[Int]](repeating: [], count: outline.operators.count)
        var read = made
        for (index, tensor) in outline.tensors.enumerated() {
            if let producer = tensor.producer { made[producer].append(index) }
            for consumer in tensor.consumers { read[consumer].append(index) }
        }
        self.made = made
        self.read = read
    }
}
