import TesseraCore

/// A model whose values are 64-bit fingerprints: each operator's output is a hash of its name and
/// of what it read.
///
/// A stage that is skipped, doubled or fed with another plan's slice changes the result.
struct SimulatedModel {
    let outline: ModelOutline

    /// A random chain with skips: most operators read their predecessor, some also an earlier one.
    init(operators count: Int, seed: UInt64) {
        var draw = SeededGenerator(seed: seed).derived(name: "model")
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
                        shape: [1, 16 + draw.next(below: 16_384)]),
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
        let blobs = (0..<count).map { index in
            ModelOutline.Blob(
                id: BlobID(seed, 1, UInt64(index), draw.next()),
                byteCount: 1_000 + draw.next(below: 5_000_000))
        }
        outline = ModelOutline(
            manifest: ManifestID(seed, 2, 0, 0),
            operators: (0..<count).map { index in
                ModelOutline.Operator(
                    name: "op\(index)", kind: "Toy",
                    operationCount: UInt64(100_000 + draw.next(below: 4_000_000)),
                    movedBytes: UInt64(blobs[index].byteCount), blobs: [index])
            }, tensors: tensors, inputs: [0],
            outputs: tensors.indices.filter { tensors[$0].isOutput },
            blobs: blobs)
    }

    /// Runs operators `range` on values by tensor index, and adds what they make.
    func run(_ range: Range<Int>, _ values: inout [Int: UInt64]) {
        for index in range {
            var value: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(index)
            for (number, tensor) in outline.tensors.enumerated()
            where tensor.consumers.contains(index) {
                value = (value ^ (values[number] ?? 0)) &* 0x100_0000_01b3
            }
            for (number, tensor) in outline.tensors.enumerated() where tensor.producer == index {
                values[number] = value ^ value >> 29 &+ UInt64(number)
            }
        }
    }

    /// The outputs that one node would compute alone from an input value.
    func expected(_ input: UInt64) -> [UInt64] {
        var values = [0: input]
        run(0..<outline.operators.count, &values)
        return outline.outputs.map { values[$0] ?? 0 }
    }
}
