import Foundation
import TesseraCore
import TesseraEngine
import TesseraModel
import Testing

/// What a mesh gives must be what one node gives: the digit models at every cut that a plan may use.
@Suite struct CutEqualityTests {
    /// A digit model with its engine, its cutter, and real scans to feed it.
    struct Digits {
        let engine: Engine
        let cutter: ModelCutter
        let store: BlobStore
        let folder: TemporaryFolder
        let images: [[UInt8]]
        let expected: [[Float]]

        private static let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Tools/models/digits")

        init(_ kind: String, images count: Int = 3) throws {
            folder = try TemporaryFolder()
            let xml = folder.url.appendingPathComponent("model.xml")
            let bin = folder.url.appendingPathComponent("model.bin")
            try importFiles(
                Self.root.appendingPathComponent("digits-\(kind).onnx"), xml: xml, bin: bin)
            let imported = try ModelImport.make(xmlPath: xml.path, binPath: bin.path)
            store = try BlobStore(
                path: folder.url.appendingPathComponent("store").path, quotaBytes: 1 << 30)
            try imported.store(in: store)
            cutter = try ModelCutter(imported.manifest)
            engine = try Engine(threads: 1)
            let pixels = try Npy.floats(Self.root.appendingPathComponent("images.npy"))
            images = (0..<count).map { index in
                pixels[(index * 4_096)..<((index + 1) * 4_096)].withUnsafeBytes { Array($0) }
            }
            let logits = try Npy.floats(Self.root.appendingPathComponent("expected-\(kind).npy"))
            expected = (0..<count).map { Array(logits[($0 * 10)..<(($0 + 1) * 10)]) }
        }

        var operatorCount: Int { cutter.outline.operators.count }

        func compile(_ range: Range<Int>) throws -> CompiledFragment {
            let fragment = try cutter.fragment(operators: range)
            let weights = try WeightBuffer(byteCount: fragment.weightByteCount) { buffer in
                try store.loadWeights(fragment, blobs: cutter.outline.blobs, into: buffer)
            }
            return try engine.compile(
                FragmentSource(xml: fragment.xml, weights: weights), concurrency: 1)
        }

        /// Runs stages one after the other as nodes would, tensors handed on by outline index; gives
        /// the answer for each image.
        func run(_ stages: [Range<Int>], images: [[UInt8]]) throws -> [[UInt8]] {
            var tensors = images.map { [0: $0] }
            for stage in stages {
                let fragment = try compile(stage)
                let read = cutter.outline.inputTensors(of: stage)
                let made = cutter.outline.outputTensors(of: stage)
                for item in images.indices {
                    var outputs = fragment.outputs.map {
                        [UInt8](repeating: 0, count: $0.byteCount)
                    }
                    try call(fragment, read.map { tensors[item][$0] ?? [] }, &outputs)
                    for (tensor, bytes) in zip(made, outputs) { tensors[item][tensor] = bytes }
                }
            }
            return tensors.map { $0[cutter.outline.outputs[0]] ?? [] }
        }

        private func call(
            _ fragment: CompiledFragment, _ inputs: [[UInt8]], _ outputs: inout [[UInt8]]
        ) throws {
            let read = inputs.map { bytes in
                let copy = UnsafeMutableRawBufferPointer.allocate(
                    byteCount: bytes.count, alignment: 64)
                copy.copyBytes(from: bytes)
                return copy
            }
            let written = outputs.map {
                UnsafeMutableRawBufferPointer.allocate(byteCount: $0.count, alignment: 64)
            }
            defer { (read + written).forEach { $0.deallocate() } }
            try fragment.run(
                inputs: read.map { UnsafeRawBufferPointer($0) }, outputs: written)
            outputs = written.map { Array($0) }
        }
    }

    static func floats(_ bytes: [UInt8]) -> [Float] {
        bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    @Test("two nodes give the bits of one at every cut", arguments: ["cnn", "vit"])
    func everyCut(kind: String) throws {
        let digits = try Digits(kind, images: 2)
        let wholes = try digits.run([0..<digits.operatorCount], images: digits.images)
        #expect(digits.operatorCount > 10)
        for cut in 1..<digits.operatorCount {
            let parts = try digits.run(
                [0..<cut, cut..<digits.operatorCount], images: digits.images)
            #expect(parts == wholes, "cut \(cut) of \(digits.operatorCount)")
        }
    }

    @Test(
        "three and four nodes give the bits of one", arguments: ["cnn", "vit"], [3, 4])
    func manyStages(kind: String, nodes: Int) throws {
        let digits = try Digits(kind, images: 1)
        let count = digits.operatorCount
        let whole = try digits.run([0..<count], images: digits.images)
        var generator = SeededGenerator(seed: UInt64(nodes))
        for _ in 0..<4 {
            var cuts: Set<Int> = []
            while cuts.count < nodes - 1 { cuts.insert(1 + generator.next(below: count - 1)) }
            let ends = [0] + cuts.sorted() + [count]
            let stages = zip(ends, ends.dropFirst()).map { $0..<$1 }
            #expect(try digits.run(stages, images: digits.images) == whole, "stages \(stages)")
        }
    }

    @Test("the whole agrees with ONNX Runtime", arguments: ["cnn", "vit"])
    func outsideJudge(kind: String) throws {
        let digits = try Digits(kind, images: 8)
        let answers = try digits.run([0..<digits.operatorCount], images: digits.images)
        for (bytes, expected) in zip(answers, digits.expected) {
            let answer = Self.floats(bytes)
            let extent = expected.map(abs).max() ?? 0
            let worst = zip(answer, expected).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst <= extent * 1e-3)
        }
    }
}

/// Reads the test data's arrays of 32-bit floats.
enum Npy {
    struct Malformed: Error {}

    static func floats(_ file: URL) throws -> [Float] {
        let data = try Data(contentsOf: file)
        guard data.count > 10, data.prefix(6) == Data([0x93]) + Data("NUMPY".utf8) else {
            throw Malformed()
        }
        let start = 10 + Int(data[8]) + Int(data[9]) << 8
        guard data.subdata(in: 10..<start).range(of: Data("'<f4'".utf8)) != nil else {
            throw Malformed()
        }
        var values = [Float](repeating: 0, count: (data.count - start) / 4)
        _ = values.withUnsafeMutableBytes { data.copyBytes(to: $0, from: start..<data.count) }
        return values
    }
}
