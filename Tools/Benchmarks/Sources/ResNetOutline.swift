import TesseraCore

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
                    operationsPerMicrosecond: UInt64(random.next(in: 5_000...40_000)),
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
