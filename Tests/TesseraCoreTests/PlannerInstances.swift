@testable import TesseraCore

/// Numbers that look random and are the same in every run (the generator of Numerical Recipes).
struct TestNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 2_862_933_555_777_941_757 &+ 3_037_000_493 }

    mutating func next(_ range: ClosedRange<Int>) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return range.lowerBound + Int((state >> 33) % UInt64(range.count))
    }

    mutating func shuffled<Element>(_ elements: [Element]) -> [Element] {
        var result = elements
        for index in result.indices.dropFirst() { result.swapAt(index, next(0...index)) }
        return result
    }
}

/// Small planning problems.
enum PlannerInstances {
    static let manifest = ManifestID(1, 2, 3, 4)

    static func member(_ number: Int) -> NodeBoot {
        NodeBoot(
            node: NodeID(UInt64(number + 1), 0, 0, 0), boot: Boot(counter: 1, random: 7))
    }

    static func node(
        _ number: Int, rate: Int = 1_000, memory: Int = 1 << 40, times: [FragmentTime] = []
    ) -> PlanningProblem.Node {
        PlanningProblem.Node(
            member: member(number), name: "node-\(number)",
            capability: Capability(
                threads: 1, memoryBytes: memory, diskBytes: 1 << 40,
                operationsPerMicrosecond: UInt64(rate), movedBytesPerMicrosecond: 1_000_000,
                fingerprint: EngineFingerprint(text: "test")), freeMemoryBytes: memory,
            times: times)
    }

    /// A chain of operators with so many operations each; every tensor has `elements` floats.
    static func chain(
        operations: [Int], elements: Int = 1_000, weights: Int = 1_000
    ) -> ModelOutline {
        let count = operations.count
        return ModelOutline(
            manifest: manifest,
            operators: operations.enumerated().map { index, operations in
                ModelOutline.Operator(
                    name: "operator-\(index)", kind: "Convolution",
                    operationCount: UInt64(operations), movedBytes: 0, blobs: [index])
            },
            tensors: (0...count).map { index in
                ModelOutline.Tensor(
                    descriptor: TensorDescriptor(
                        name: "tensor-\(index)", type: .float32, shape: [elements]),
                    producer: index == 0 ? nil : index - 1,
                    consumers: index == count ? [] : [index], isOutput: index == count)
            }, inputs: [0], outputs: [count],
            blobs: (0..<count).map { index in
                ModelOutline.Blob(id: BlobID(0, 0, 0, UInt64(index)), byteCount: weights)
            })
    }

    /// Equal links between so many nodes, without latency.
    static func links(_ count: Int, bytesPerSecond: UInt64) -> [PlanningProblem.Link] {
        (0..<count).flatMap { source in
            (0..<count).filter { $0 != source }.map { target in
                PlanningProblem.Link(
                    source: member(source).node, destination: member(target).node,
                    bytesPerSecond: bytesPerSecond, latencyMicroseconds: 0)
            }
        }
    }

    /// A random graph: a chain with some tensors that are also read further on.
    static func graph(_ numbers: inout TestNumbers, operators: Int, skips: Bool) -> ModelOutline {
        var outline = chain(
            operations: (0..<operators).map { _ in numbers.next(1...4_000_000) })
        for index in outline.tensors.indices {
            outline.tensors[index].descriptor.shape = [numbers.next(1...400_000)]
            guard skips, let last = outline.tensors[index].consumers.last, last + 1 < operators,
                numbers.next(0...2) == 0
            else { continue }
            outline.tensors[index].consumers.append(numbers.next((last + 1)...(operators - 1)))
        }
        for index in outline.blobs.indices {
            outline.blobs[index].byteCount = numbers.next(1...8_000_000)
        }
        if skips, operators > 1, numbers.next(0...3) == 0 {
            // A blob that two operators share.
            outline.operators[operators - 1].blobs = [0, operators - 1]
        }
        return outline
    }

    static func problem(
        _ outline: ModelOutline, nodes: [PlanningProblem.Node],
        links: [PlanningProblem.Link] = [], current: Plan? = nil, lost: [NodeBoot] = []
    ) -> PlanningProblem {
        PlanningProblem(
            outline: outline, nodes: nodes, links: links,
            ballot: Ballot(round: 3, proposer: member(0)), current: current, lost: lost)
    }

    /// A random problem; with `tightMemory` often one that has no or few solutions.
    static func random(
        seed: UInt64, nodes nodeRange: ClosedRange<Int> = 1...4,
        operators operatorRange: ClosedRange<Int> = 1...6, tightMemory: Bool, skips: Bool
    ) -> PlanningProblem {
        var numbers = TestNumbers(seed: seed)
        let outline = graph(&numbers, operators: numbers.next(operatorRange), skips: skips)
        let whole = FragmentMemory.of(0..<outline.operators.count, in: outline).bytes(window: 8)
        let count = numbers.next(nodeRange)
        let nodes = (0..<count).map { number in
            node(
                number, rate: numbers.next(200...2_000),
                memory: tightMemory
                    ? FragmentMemory.overheadBytes / 2 + numbers.next(0...whole) : 1 << 40)
        }
        var links: [PlanningProblem.Link] = []
        for source in 0..<count {
            for destination in 0..<count
            where source != destination && numbers.next(0...5) > 0 {
                links.append(
                    PlanningProblem.Link(
                        source: member(source).node, destination: member(destination).node,
                        bytesPerSecond: UInt64(numbers.next(0...600)) * 1_000_000,
                        latencyMicroseconds: Int64(numbers.next(0...2_000))))
            }
        }
        return problem(outline, nodes: nodes, links: links)
    }

    /// A name that differs for plans that differ in what tests look at.
    static func name(_ plan: Plan) -> NamedPlan {
        NamedPlan(
            id: PlanID(
                UInt64(plan.fragments.count), plan.without?.node.words.0 ?? 0,
                UInt64(plan.predictedPeriodMicroseconds), 1), plan: plan)
    }

    static func bundle(
        _ problem: PlanningProblem
    ) -> (bundle: PlanBundle, leftOut: [LeftOut])? {
        switch Planner.plan(problem, naming: name) {
        case .bundle(let bundle, let leftOut): (bundle, leftOut)
        case .impossible: nil
        }
    }

    /// Every chain over every ordered subset of nodes with every cut.
    static func allChains(_ table: StageTable) -> [[ChainStep]] {
        var result: [[ChainStep]] = []
        func extend(_ chain: [ChainStep]) {
            let from = chain.last?.to ?? 0
            if from == table.end {
                result.append(chain)
                return
            }
            for node in 0..<table.nodeCount where !chain.contains(where: { $0.node == node }) {
                for to in (from + 1)...table.end
                where table.stage(node, from, to) < StageTable.infeasible {
                    extend(chain + [ChainStep(node: node, from: from, to: to)])
                }
            }
        }
        extend([])
        return result
    }
}
