import NIOCore
import TesseraCodec
import TesseraCore
import TesseraEngine
import TesseraModel

/// Measures, with the engine that will run the model, what packing does to its answers.
///
/// The model is cut at some positions. At each of them every tensor that passes is packed and unpacked
/// by each codec, alone, and the answers are compared with those without packing. Then all tensors are
/// packed at once, each by the allowed codec that changes most, and codecs are taken away until the
/// answers lose no more than is allowed. So any choice that senders make stays within the allowance,
/// as far as the items tell.
struct Calibration {
    /// Positions that are measured: where a plan of a few dozen nodes might cut.
    static let cutsMax = 24
    /// After each look at all tensors at once, one in so many of the codecs left is taken away.
    private static let takenPart = 8

    let model: ModelImport
    let cutter: ModelCutter
    let items: [[Int: ByteBuffer]]
    let measure: CodecAllowance.Measure

    /// Values by tensor.
    typealias Values = [Int: ByteBuffer]

    private var outline: ModelOutline { cutter.outline }

    /// How answers of a model are compared if nobody says: one output of shape `1,N` has scores.
    static func measure(of outline: ModelOutline) -> CodecAllowance.Measure {
        guard outline.outputs.count == 1 else { return .relativeError }
        let output = outline.tensors[outline.outputs[0]].descriptor
        let isScores =
            output.type == .float32 && output.shape.count == 2 && output.shape[0] == 1
            && output.shape[1] > 1
        return isScores ? .topClass : .relativeError
    }

    /// Measures.
    func run(maxDropPerMillion most: Int) throws -> CodecAllowance {
        let positions = Self.positions(of: outline)
        let stages = zip(positions, positions.dropFirst()).map { $0..<$1 }
        let engine = try Engine(threads: Machine.processors)
        let fragments = try stages.map { try compile($0, engine) }
        let runner = CalibrationRunner(outline: outline, stages: stages, fragments: fragments)
        let tensors = Self.tensors(of: outline, positions: positions)
        let codecs: [Codec] = most > 0 ? Codec.allCases.filter(\.isLossy) : []
        var tallies = tensors.map { CalibrationTally(tensor: $0, codecs: codecs) }
        var references: [[ByteBuffer]] = []
        var progress = ProgressBar(total: items.count, unit: { "\($0) items" })
        for (index, item) in items.enumerated() {
            let values = try runner.run(item)
            let answer = outline.outputs.compactMap { values[$0] }
            references.append(answer)
            for place in tallies.indices {
                try measure(&tallies[place], values, answer, runner)
            }
            progress.show(index + 1)
        }
        progress.end()
        var result = CodecAllowance(
            measure: measure, maxDropPerMillion: most, dropPerMillion: 0, itemCount: items.count,
            tensors: tallies.map { $0.result(items: items.count, most: most) })
        if most > 0 { try reduce(&result, references, runner) }
        return result
    }

    private func compile(_ range: Range<Int>, _ engine: Engine) throws -> CompiledFragment {
        let fragment = try cutter.fragment(operators: range)
        let weights = try WeightBuffer(byteCount: fragment.weightByteCount) { buffer in
            for constant in fragment.constants {
                let place = UnsafeMutableRawBufferPointer(
                    rebasing: buffer[constant.offset..<(constant.offset + constant.byteCount)])
                switch constant.source {
                case .inline(let bytes): place.copyBytes(from: bytes)
                case .blob(let blob): model.withBlob(at: blob) { place.copyMemory(from: $0) }
                }
            }
        }
        return try engine.compile(
            FragmentSource(xml: fragment.xml, weights: weights), concurrency: 1)
    }

    // MARK: One tensor alone

    private func measure(
        _ tally: inout CalibrationTally, _ values: Values, _ answer: [ByteBuffer],
        _ runner: CalibrationRunner
    ) throws {
        guard let plain = values[tally.tensor] else { return }
        let descriptor = outline.tensors[tally.tensor].descriptor
        let packed = TensorCodec.pack(
            plain, type: descriptor.type, shape: descriptor.shape, by: .lossless)
        tally.losslessPerMille +=
            (packed?.readableBytes ?? plain.readableBytes) * 1_000 / max(plain.readableBytes, 1)
        for place in tally.drops.indices {
            let codec = tally.drops[place].codec
            guard descriptor.type == .float32 else { continue }
            guard let changed = runner.packed(plain, tally.tensor, by: codec) else {
                tally.drops[place].isUnfit = true
                continue
            }
            let outputs = try runner.run(values, changing: tally.tensor, to: changed)
            tally.drops[place].drop += drop(outputs, from: answer)
        }
    }

    /// What an answer loses: 1 or 0 for another class, else the relative error.
    private func drop(_ outputs: [ByteBuffer], from reference: [ByteBuffer]) -> Double {
        switch measure {
        case .topClass:
            return Self.best(Self.values(outputs[0])) == Self.best(Self.values(reference[0]))
                ? 0 : 1
        case .relativeError:
            return zip(outputs, reference).map {
                Self.relativeError(Self.values($0), Self.values($1))
            }.max() ?? 0
        }
    }

    /// The place of the highest score; the first of equal ones.
    static func best(_ scores: [Float]) -> Int {
        scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 }
    }

    /// The greatest difference over the range of the reference's values, at most 1.
    static func relativeError(_ values: [Float], _ reference: [Float]) -> Double {
        guard let least = reference.min(), let greatest = reference.max() else { return 0 }
        let differences = zip(values, reference).map { abs(Double($0) - Double($1)) }
        guard let most = differences.max(), most > 0 else {
            return differences.contains(where: \.isNaN) ? 1 : 0
        }
        let range = Double(greatest) - Double(least)
        let error = range > 0 ? most / range : 1
        return error.isFinite ? min(error, 1) : 1
    }

    private static func values(_ bytes: ByteBuffer) -> [Float] {
        bytes.withUnsafeReadableBytes { raw in
            (0..<raw.count / 4).map {
                Float(
                    bitPattern: UInt32(
                        littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
    }

    // MARK: All tensors at once

    /// Takes codecs away until packing everything stays within the allowance.
    private func reduce(
        _ result: inout CodecAllowance, _ references: [[ByteBuffer]], _ runner: CalibrationRunner
    ) throws {
        while true {
            var worst: [Int: Codec] = [:]
            for tensor in result.tensors {
                worst[tensor.tensor] = tensor.tried.last(where: \.isAllowed)?.codec
            }
            var sum = 0.0
            for (item, reference) in zip(items, references) {
                let values = try runner.run(item, packing: worst)
                sum += drop(outline.outputs.compactMap { values[$0] }, from: reference)
            }
            result.dropPerMillion = CalibrationTally.perMillion(sum, items: items.count)
            if result.dropPerMillion <= result.maxDropPerMillion || worst.isEmpty { return }
            var left: [(drop: Int, tensor: Int, trial: Int)] = []
            for (tensor, measured) in result.tensors.enumerated() {
                guard let trial = measured.tried.lastIndex(where: \.isAllowed) else { continue }
                left.append((measured.tried[trial].dropPerMillion, tensor, trial))
            }
            // What changes answers most alone goes first; of equals, what changes values most.
            left.sort { ($0.drop, $0.trial, $0.tensor) > ($1.drop, $1.trial, $1.tensor) }
            for taken in left.prefix(max(1, left.count / Self.takenPart)) {
                result.tensors[taken.tensor].tried[taken.trial].isAllowed = false
            }
        }
    }

    // MARK: Where

    /// Positions from 0 to the end: of each of some parts with about equal work the one that the
    /// fewest bytes cross.
    static func positions(of outline: ModelOutline) -> [Int] {
        let count = outline.operators.count
        guard count > 1 else { return [0, count] }
        var crossing = [Int](repeating: 0, count: count + 1)
        for tensor in outline.tensors {
            guard let producer = tensor.producer, let last = tensor.consumers.last else { continue }
            for position in (producer + 1)..<max(last + 1, producer + 1) {
                crossing[position] += tensor.descriptor.byteCount
            }
        }
        let works = outline.operators.map { Double($0.operationCount) + 1 }
        let total = works.reduce(0, +)
        let parts = min(cutsMax, count - 1)
        var best: [Int: Int] = [:]
        var done = 0.0
        for position in 1..<count {
            done += works[position - 1]
            let part =
                count - 1 <= cutsMax ? position : min(parts - 1, Int(done / total * Double(parts)))
            if best[part].map({ crossing[position] < crossing[$0] }) ?? true {
                best[part] = position
            }
        }
        return [0] + best.values.sorted() + [count]
    }

    /// The tensors that pass one of the positions, inputs included, and are large enough to be packed.
    static func tensors(of outline: ModelOutline, positions: [Int]) -> [Int] {
        let passing = outline.tensors.indices.filter { index in
            let tensor = outline.tensors[index]
            guard tensor.descriptor.byteCount >= LinkCodecs.bytesMin,
                let last = tensor.consumers.last
            else { return false }
            guard let producer = tensor.producer else { return true }
            return positions.contains { $0 > producer && $0 <= last }
        }
        return Array(passing.prefix(CodecAllowance.tensorsMax))
    }
}

/// What is added up for one tensor.
struct CalibrationTally {
    /// What one codec did.
    struct Drop {
        var codec: Codec
        /// What all answers lost together.
        var drop = 0.0
        /// Whether it could not hold the values of some item.
        var isUnfit = false
    }

    let tensor: Int
    /// The sum over the items.
    var losslessPerMille = 0
    var drops: [Drop]

    init(tensor: Int, codecs: [Codec]) {
        self.tensor = tensor
        drops = codecs.map { Drop(codec: $0) }
    }

    /// The mean of what answers lost, in millionths, rounded up.
    static func perMillion(_ sum: Double, items: Int) -> Int {
        min(CodecAllowance.whole, Int((sum / Double(items) * 1_000_000).rounded(.up)))
    }

    /// The means, and what is allowed by them alone.
    func result(items: Int, most: Int) -> CodecAllowance.Tensor {
        CodecAllowance.Tensor(
            tensor: tensor, losslessPerMille: min(1_000, losslessPerMille / items),
            tried: drops.filter { !$0.isUnfit }.map { drop in
                let lost = Self.perMillion(drop.drop, items: items)
                return CodecAllowance.Trial(
                    codec: drop.codec, dropPerMillion: lost, isAllowed: lost <= most)
            })
    }
}
