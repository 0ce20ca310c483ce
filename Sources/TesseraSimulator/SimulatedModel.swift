import TesseraCore

/// A model whose values are 64-bit fingerprints: each operator's output is a hash of its name and
/// of what it read.
///
/// A stage that is skipped, doubled or fed with another plan's slice changes the result.
final class SimulatedModel {
    let outline: ModelOutline
    let settings: ModelSettings
    var modes: ModeSet { settings.allowedModes }
    /// The place of each blob in the outline.
    let places: [BlobID: Int]
    private let reads: [[Int]]
    private let makes: [[Int]]
    /// Where branches may be left out.
    let joins: [BranchJoin]
    private var inputs: [Range<Int>: [Int]] = [:]
    private var outputs: [Range<Int>: [Int]] = [:]

    /// A random chain with skips: most operators read their predecessor, some also an earlier one.
    convenience init(_ knobs: Scenario.Model, number: Int, seed: UInt64) {
        let count = knobs.operators
        var draw = SeededGenerator(seed: seed).derived(name: "model \(number)")
        var tensors = [
            ModelOutline.Tensor(
                descriptor: TensorDescriptor(
                    name: "input", type: .float32, shape: [1, 64 + draw.next(below: 4_096)]),
                producer: nil, consumers: [0], isOutput: false)
        ]
        for index in 0..<count {
            tensors.append(
                ModelOutline.Tensor(
                    descriptor: TensorDescriptor(
                        name: "t\(index)", type: .float32,
                        shape: [1, 16 + draw.next(below: 8_192)]),
                    producer: index, consumers: index + 1 < count ? [index + 1] : [],
                    isOutput: index + 1 == count))
            if index > 1, draw.chance(1, outOf: 4) {
                let earlier = 1 + draw.next(below: index - 1)
                if tensors[earlier].consumers.last.map({ $0 < index }) ?? true {
                    tensors[earlier].consumers.append(index)
                }
            }
        }
        if count > 3 { tensors[2].isOutput = true }
        // From a generator of its own, so that exits change nothing else of a scenario.
        var exits = SeededGenerator(seed: seed).derived(name: "exits \(number)")
        let hasExit = count > 3 && exits.chance(1, outOf: 4)
        if hasExit {
            let values = [1, 2 + exits.next(below: 1_000)]
            tensors[2].descriptor.shape = values
            tensors[count].descriptor.shape = values
        }
        let blobs = (0..<count).map { index in
            ModelOutline.Blob(
                id: BlobID(seed, 1, UInt64(number) << 32 | UInt64(index), draw.next()),
                byteCount: 1_000 + draw.next(below: knobs.blobBytesMax))
        }
        let least = knobs.operationsMax / 20
        let outline = ModelOutline(
            manifest: ManifestID(seed, 2, UInt64(number), 0),
            operators: (0..<count).map { index in
                ModelOutline.Operator(
                    name: "op\(index)", kind: "Toy",
                    operationCount: least + draw.next(upperBound: knobs.operationsMax),
                    movedBytes: UInt64(blobs[index].byteCount), blobs: [index])
            }, tensors: tensors, inputs: [0],
            outputs: tensors.indices.filter { tensors[$0].isOutput },
            blobs: blobs)
        let codecs = Self.allowance(of: outline, number: number, seed: seed)
        let early =
            hasExit
            ? [ModelExit(output: "t1", threshold: 300_000 + exits.next(below: 500_000))] : []
        guard knobs.modes.contains(.branches) else {
            self.init(
                outline,
                settings: ModelSettings(allowedModes: knobs.modes, codecs: codecs, exits: early))
            return
        }
        // One item's time is what branches are for.
        var branched = Self.branched(outline, &draw)
        let degrade = Self.degrade(&branched, number: number, seed: seed)
        self.init(
            branched,
            settings: ModelSettings(
                goal: PlanGoal(objective: .latency), allowedModes: knobs.modes, codecs: codecs,
                exits: early, degrade: degrade))
    }

    /// Of every second model some tensors may be packed with loss.
    private static func allowance(
        of outline: ModelOutline, number: Int, seed: UInt64
    ) -> CodecAllowance? {
        var draw = SeededGenerator(seed: seed).derived(name: "codecs \(number)")
        guard draw.chance(1, outOf: 2) else { return nil }
        return CodecAllowance(
            measure: .topClass, maxDropPerMillion: 5_000, dropPerMillion: 1_000, itemCount: 100,
            tensors: outline.tensors.indices.prefix(CodecAllowance.tensorsMax).map { tensor in
                CodecAllowance.Tensor(
                    tensor: tensor, losslessPerMille: 300 + draw.next(below: 701),
                    tried: [Codec.float16, .int8].map {
                        CodecAllowance.Trial(
                            codec: $0, dropPerMillion: draw.next(below: 5_000),
                            isAllowed: draw.chance(1, outOf: 2))
                    })
            })
    }

    /// What lossless packing leaves of a tensor, in thousandths: the same at every node.
    func losslessPerMille(_ tensor: Int) -> Int {
        settings.codecs?.measured(tensor)?.losslessPerMille
            ?? 300 + Int(UInt64(tensor) &* 0x9E37_79B9_7F4A_7C15 >> 54) * 700 / 1_024
    }

    /// A model of which only the outline counts.
    init(_ outline: ModelOutline, settings: ModelSettings) {
        self.outline = outline
        self.settings = settings
        joins = settings.degrade.map { outline.joins($0.fill) } ?? []
        places = Dictionary(
            zip(outline.blobs.map(\.id), outline.blobs.indices),
            uniquingKeysWith: { first, _ in first })
        var reads = [[Int]](repeating: [], count: outline.operators.count)
        var makes = reads
        for (index, tensor) in outline.tensors.enumerated() {
            if let producer = tensor.producer { makes[producer].append(index) }
            for consumer in tensor.consumers { reads[consumer].append(index) }
        }
        self.reads = reads
        self.makes = makes
    }

    var manifest: ManifestID { outline.manifest }

    /// The manifest as a blob: its bytes are fetched like any other ones.
    var manifestBlob: BlobID {
        let words = manifest.words
        return BlobID(words.0, words.1, words.2, words.3)
    }

    /// The tensors that a fragment reads, in the engine's order.
    func inputTensors(of range: Range<Int>) -> [Int] {
        if let known = inputs[range] { return known }
        let tensors = outline.inputTensors(of: range)
        inputs[range] = tensors
        return tensors
    }

    /// The tensors that a fragment makes for others, in the engine's order.
    func outputTensors(of range: Range<Int>) -> [Int] {
        if let known = outputs[range] { return known }
        let tensors = outline.outputTensors(of: range)
        outputs[range] = tensors
        return tensors
    }

    /// Runs operators `range` on values by tensor index, and adds what they make.
    func run(_ range: Range<Int>, _ values: inout [UInt64]) {
        for index in range {
            var value: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(index)
            for tensor in reads[index] { value = (value ^ values[tensor]) &* 0x100_0000_01b3 }
            for tensor in makes[index] { values[tensor] = value ^ value >> 29 &+ UInt64(tensor) }
        }
    }

    /// Room for the value of every tensor.
    var noValues: [UInt64] { .init(repeating: 0, count: outline.tensors.count) }

    /// The outputs that one node would compute alone from an input value, without some branches.
    func expected(_ input: UInt64, without leftOut: [Int] = []) -> [UInt64] {
        var values = noValues
        values[0] = input
        for index in outline.operators.indices {
            if let join = joins.first(where: { $0.reader == index }) {
                let others = join.tensors.filter { !leftOut.contains($0) }.map { values[$0] }
                let fill = Self.fill(settings.degrade?.fill == .mean ? others : [])
                for tensor in join.tensors where leftOut.contains(tensor) { values[tensor] = fill }
            }
            run(index..<(index + 1), &values)
        }
        return outline.outputs.map { values[$0] }
    }

    /// How sure a value is of an answer, in millionths: as good as any number that follows from it.
    static func confidence(_ value: UInt64) -> Int {
        Int((value &* 0x9E37_79B9_7F4A_7C15) >> 20 % UInt64(ModelExit.unit))
    }

    /// What a client gets: the first exit that is sure enough, or all outputs.
    func answer(
        _ input: UInt64, _ wish: ExitWish, without leftOut: [Int] = []
    ) -> [UInt64] {
        let all = expected(input, without: leftOut)
        guard let table = outline.exitTable(settings.exits)?.wished(wish) else { return all }
        let sure = table.exits.first { Self.confidence(all[$0.place]) >= $0.threshold }
        return sure.map { [all[$0.place]] } ?? all
    }

    /// How long a device takes for a fragment.
    func cost(of range: Range<Int>, on device: SimulatedMesh.Device) -> TimeSpan {
        let work = outline.operators[range].reduce((UInt64(0), UInt64(0))) {
            ($0.0 + $1.operationCount, $0.1 + $1.movedBytes)
        }
        let nanoseconds = max(
            work.0 * 1_000 / max(device.operationsPerMicrosecond, 1),
            work.1 * 1_000 / max(device.movedBytesPerMicrosecond, 1))
        return TimeSpan(nanoseconds: Int64(nanoseconds) + 10_000)
    }
}
