import ArgumentParser
import Foundation
import TesseraCore

/// `tessera-benchmarks planning`: how long planning takes, against nodes and positions.
struct PlanningCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "planning", abstract: "Plan over made-up spaces and print the times.",
        discussion: "Prints a line of JSON for each case, all its times in it.")

    @Option(help: "Different problems of each case.")
    var problems = 5

    /// The times of one case.
    private struct Result: Encodable {
        var name: String
        var nanoseconds: [UInt64]
        /// How many plans are known to be the best of their space.
        var exact: Int
        /// The bound over the plan's period.
        var boundRatios: [Double]
    }

    func run() throws {
        for one in PlanningCase.all {
            var result = Result(name: one.name, nanoseconds: [], exact: 0, boundRatios: [])
            for seed in 1...max(problems, 1) {
                let space = one.space(seed: UInt64(seed))
                let begin = Stopwatch.nanoseconds
                let search = PlanSearch(space, goal: one.goal, modes: one.modes)
                let found = search.best()
                result.nanoseconds.append(Stopwatch.nanoseconds - begin)
                guard case .found(let sketch, let isExact) = found else {
                    throw BenchmarkError("\(one.name) has no plan: \(found)")
                }
                if isExact { result.exact += 1 }
                let bound = Double(search.bound.nanoseconds)
                result.boundRatios.append(bound / Double(sketch.periodNanoseconds))
            }
            try Output.line(result)
        }
        try Output.line(replanning())
    }

    /// A model of ResNet-50's size, planned anew over eight nodes, one of which was lost.
    private func replanning() throws -> Result {
        var result = Result(
            name: "ResNet-50 replanned, 8 nodes, single", nanoseconds: [], exact: 0,
            boundRatios: [])
        for seed in 1...max(problems, 1) {
            var problem = ResNetOutline.problem(nodes: 9, seed: UInt64(seed))
            guard case .bundle(let first, _) = Planner.plan(problem, naming: Self.name) else {
                throw BenchmarkError("ResNet-50 has no plan over nine nodes")
            }
            problem.current = first.primary.plan
            problem.lost = Array(first.primary.plan.hosts.prefix(1))
            let begin = Stopwatch.nanoseconds
            guard case .bundle(let second, _) = Planner.plan(problem, naming: Self.name) else {
                throw BenchmarkError("ResNet-50 has no plan over eight nodes")
            }
            result.nanoseconds.append(Stopwatch.nanoseconds - begin)
            result.exact += 1
            let bound = PlanBound.of(problem).map { Double($0.periodMicroseconds) } ?? 0
            let period = second.primary.plan.predictedPeriodMicroseconds
            result.boundRatios.append(bound / Double(max(period, 1)))
        }
        return result
    }

    /// Names are not what is measured: hashing a plan takes microseconds.
    private static func name(_ plan: Plan) -> NamedPlan {
        NamedPlan(id: PlanID(0, 0, 0, UInt64(plan.fragments.count)), plan: plan)
    }
}

extension SeededGenerator {
    /// A number within a range.
    fileprivate mutating func next(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + next(below: range.count)
    }
}

/// A kind of planning problem.
struct PlanningCase {
    var name: String
    /// How many nodes there are of each kind.
    var kinds: [Int]
    var pieces: Int
    var modes: ModeSet
    var goal = PlanGoal()

    static let all = [
        PlanningCase(
            name: "12 different nodes × 100, single", kinds: Array(repeating: 1, count: 12),
            pieces: 100, modes: .single),
        PlanningCase(
            name: "16 different nodes × 200, single", kinds: Array(repeating: 1, count: 16),
            pieces: 200, modes: .single),
        PlanningCase(
            name: "64 nodes of 4 kinds × 200, single", kinds: [16, 16, 16, 16], pieces: 200,
            modes: .single),
        PlanningCase(
            name: "8 different nodes × 100, all modes", kinds: Array(repeating: 1, count: 8),
            pieces: 100, modes: .all),
        PlanningCase(
            name: "12 different nodes × 100, all modes", kinds: Array(repeating: 1, count: 12),
            pieces: 100, modes: .all),
        PlanningCase(
            name: "16 equal nodes × 100, all modes", kinds: [16], pieces: 100, modes: .all),
        PlanningCase(
            name: "64 nodes of 4 kinds × 200, all modes", kinds: [16, 16, 16, 16], pieces: 200,
            modes: .all),
        PlanningCase(
            name: "8 different nodes × 100, all modes, latency",
            kinds: Array(repeating: 1, count: 8), pieces: 100, modes: .all,
            goal: PlanGoal(objective: .latency)),
    ]

    /// A made-up space: pieces of very different size, kinds whose speeds differ by up to four and
    /// by a fifth more from piece to piece, links of 1 Gbit/s; the first four fifths have rows.
    func space(seed: UInt64) -> PlanSpace {
        var random = SeededGenerator(seed: seed)
        let count = pieces + 1
        let works = (0..<pieces).map { _ in random.next(200_000...4_000_000) }
        let crossing = (0..<count).map { _ in random.next(20_000...1_200_000) }
        let empty = [Int](repeating: 0, count: count * count)
        var times: [[Int]] = []
        var excess: [[Int]] = []
        for nodes in kinds {
            let speed = random.next(50...200)
            let own = works.map { $0 * random.next(80...120) / speed }
            var (time, more) = (empty, empty)
            for from in 0..<pieces {
                var sum = 40_000
                for to in (from + 1)..<count {
                    sum += own[to - 1]
                    time[from * count + to] = sum
                    more[from * count + to] = (sum - own[to - 1]) / 30
                }
            }
            times += Array(repeating: time, count: nodes)
            excess += Array(repeating: more, count: nodes)
        }
        var rows = PlanSpace.RowFigures(
            counts: empty, haloBytes: empty, overheads: empty.map { _ in 30_000 }, excess: excess)
        for from in 0..<pieces {
            for to in (from + 1)..<count where to <= pieces * 4 / 5 {
                rows.counts[from * count + to] = max(7, 224 >> (to * 5 / pieces))
                rows.haloBytes[from * count + to] = (to - from) * 10_000
            }
        }
        let link = PlanSpace.Link(bitsPerSecond: 1_000_000_000, latencyNanoseconds: 200_000)
        return PlanSpace(
            nodes: times.indices.map { PlanSpace.Node(name: "node-\($0)", memoryBytes: 1 << 30) },
            pieceNames: (0..<pieces).map { "piece-\($0)" }, nanoseconds: times,
            stageBytes: empty.map { _ in 1_000 }, crossingBytes: crossing,
            links: Array(repeating: link, count: times.count * times.count), rows: rows)
    }
}

/// The outline of ResNet-50 with made-up weights' names: its operators' sizes are what counts.
enum ResNetOutline {
    static func problem(nodes count: Int, seed: UInt64) -> PlanningProblem {
        var random = SeededGenerator(seed: seed)
        let nodes = (0..<count).map { index in
            PlanningProblem.Node(
                member: NodeBoot(
                    node: NodeID(UInt64(index + 1), 0, 0, 0), boot: Boot(counter: 1, random: 1)),
                name: "node-\(index)",
                capability: Capability(
                    threads: 4, memoryBytes: 1 << 32, diskBytes: 1 << 36,
                    operationsPerMicrosecond: UInt64(random.next(5_000...40_000)),
                    movedBytesPerMicrosecond: 8_000,
                    fingerprint: EngineFingerprint(text: "benchmark")),
                freeMemoryBytes: 1 << 32, times: [])
        }
        return PlanningProblem(
            outline: outline(), nodes: nodes, links: [],
            ballot: Ballot(round: 1, proposer: nodes[0].member), current: nil, lost: [])
    }

    private static func outline() -> ModelOutline {
        var outline = ModelOutline(
            manifest: ManifestID(1, 2, 3, 4), operators: [], tensors: [], inputs: [0],
            outputs: [], blobs: [])
        func add(_ kind: String, _ reads: [Int], shape: [Int], kernel: Int, channels: Int) -> Int {
            let index = outline.operators.count
            let outputs = shape.reduce(1, *)
            let weights = kernel * kernel * channels * (channels > 0 ? shape[1] : 0) * 4
            if weights > 0 {
                outline.blobs.append(
                    ModelOutline.Blob(id: BlobID(0, 0, 0, UInt64(index)), byteCount: weights))
            }
            outline.operators.append(
                ModelOutline.Operator(
                    name: "\(kind)-\(index)", kind: kind,
                    operationCount: UInt64(2 * outputs * max(kernel * kernel * channels, 1)),
                    movedBytes: UInt64(8 * outputs + weights),
                    blobs: weights > 0 ? [outline.blobs.count - 1] : [], reads: reads.sorted()))
            for read in reads { outline.tensors[read].consumers.append(index) }
            outline.tensors.append(
                ModelOutline.Tensor(
                    descriptor: TensorDescriptor(
                        name: "tensor-\(index)", type: .float32, shape: shape),
                    producer: index, consumers: [], isOutput: false))
            return outline.tensors.count - 1
        }
        outline.tensors.append(
            ModelOutline.Tensor(
                descriptor: TensorDescriptor(
                    name: "image", type: .float32, shape: [1, 3, 224, 224]),
                producer: nil, consumers: [], isOutput: false))
        var last = add("Convolution", [0], shape: [1, 64, 112, 112], kernel: 7, channels: 3)
        last = add("MaxPool", [last], shape: [1, 64, 56, 56], kernel: 3, channels: 0)
        var channels = 64
        for (stage, blocks) in [3, 4, 6, 3].enumerated() {
            let (inner, size) = (64 << stage, 56 >> stage)
            for block in 0..<blocks {
                let outer = inner * 4
                var skip = last
                if block == 0 {
                    skip = add(
                        "Convolution", [last], shape: [1, outer, size, size], kernel: 1,
                        channels: channels)
                }
                let before = block == 0 && stage > 0 ? size * 2 : size
                var path = add(
                    "Convolution", [last], shape: [1, inner, before, before], kernel: 1,
                    channels: channels)
                path = add(
                    "Convolution", [path], shape: [1, inner, size, size], kernel: 3,
                    channels: inner)
                last = add(
                    "Convolution", [path, skip], shape: [1, outer, size, size], kernel: 1,
                    channels: inner)
                channels = outer
            }
        }
        last = add("ReduceMean", [last], shape: [1, 2_048], kernel: 1, channels: 0)
        last = add("MatMul", [last], shape: [1, 1_000], kernel: 1, channels: 2_048)
        outline.tensors[last].isOutput = true
        outline.outputs = [last]
        return outline
    }
}
