import Foundation
import TesseraCore
import TesseraEngine
@testable import TesseraModel
import Testing

/// What tiles make together must be what the whole makes.
@Suite("Row tiles give the bits of the whole")
struct RowTileTests {
    /// Cuts `count` rows into `tiles` shares, equal ones or drawn ones; fewer if there are few rows.
    static func shares(
        _ count: Int, _ tiles: Int, isEqual: Bool, _ random: inout SeededGenerator
    ) -> [Range<Int>] {
        var ends: Set<Int> = [0, count]
        if isEqual {
            for index in 1..<tiles { ends.insert(count * index / tiles) }
        } else {
            let wanted = min(count + 1, tiles + 1)
            while ends.count < wanted { ends.insert(random.next(below: count)) }
        }
        let sorted = ends.sorted()
        return zip(sorted, sorted.dropFirst()).map { $0..<$1 }
    }

    /// Stages that end at drawn positions, split by rows where that is possible.
    static func stages(
        _ model: CutModel, tiles: Int, isEqual: Bool, cuts: Int, _ random: inout SeededGenerator
    ) -> [CutModel.Stage] {
        var ends: Set<Int> = [0, model.all.count]
        for _ in 0..<cuts { ends.insert(random.next(below: model.all.count)) }
        // Barriers are stages of their own.
        for index in model.all where !model.outline.hasRows(index..<(index + 1)) {
            ends.formUnion([index, index + 1])
        }
        let sorted = ends.sorted()
        return zip(sorted, sorted.dropFirst()).map { lower, upper in
            guard let rows = model.outline.referenceRowCount(of: lower..<upper), rows > 1 else {
                return .init(operators: lower..<upper)
            }
            return .init(
                operators: lower..<upper,
                tiles: shares(rows, tiles, isEqual: isEqual, &random))
        }
    }

    struct Counts {
        var exact = 0
        var all = 0
        var tiled = 0
        var operators = 0
        var barriers = 0
    }

    @Test("Random networks", arguments: 0..<10)
    func randomNetworks(part: Int) throws {
        let engine = try Engine(threads: 1)
        var counts = Counts()
        var seeds = Array((part * 100)..<(part * 100 + 100))
        if let only = ProcessInfo.processInfo.environment["ROW_SEEDS"] { seeds = only.split(separator: ",").compactMap { Int($0) }.filter { seeds.contains($0) } }
        for seed in seeds {
            try check(seed: UInt64(seed), engine, &counts)
        }
        print("part \(part): \(counts) \(T)")
    }

    private func check(seed: UInt64, _ engine: Engine, _ counts: inout Counts) throws {
        let (file, input) = RandomNetwork.file(seed: seed)
        let model: CutModel
        do {
            model = try CutModel(file, engine: engine)
        } catch let failure as ImportFailure {
            Issue.record("seed \(seed): \(failure.text)")
            return
        }
        var random = SeededGenerator(seed: seed).derived(name: "tiles")
        let count = input.shape.reduce(1, *)
        let image = bytes(
            of: (0..<count).map { _ in Float(random.next(below: 1 << 20)) / Float(1 << 19) - 1 })
        let tiles = [2, 3, 5, 7][random.next(below: 4)]
        let stages = Self.stages(
            model, tiles: tiles, isEqual: random.chance(1, outOf: 2),
            cuts: random.next(below: 2), &random)
        let expected = try model.run([.init(operators: model.all)], inputs: [image])
        let found = try model.run(stages, inputs: [image])
        counts.operators += model.all.count
        counts.barriers += model.outline.operators.count { $0.rowNeeds == nil }
        for output in model.outline.outputs {
            let difference = Difference(found[output] ?? [], expected[output] ?? [])
            counts.all += 1
            if difference.isNone { counts.exact += 1 }
            if stages.contains(where: { $0.tiles.count > 1 }) { counts.tiled += 1 }
            let mayDiffer = model.outline.operators.contains { !$0.hasExactRows }
            if !difference.isNone, !mayDiffer {
                print("seed \(seed) tiles \(tiles) output \(output): \(difference.relative)", try blame(model, stages, found))
            }
            #expect(difference.relative <= 1e-5, "seed \(seed), \(tiles) tiles, \(stages)")
        }
    }

    /// The stages whose tiles do not give the bits of the whole stage.
    private func blame(
        _ model: CutModel, _ stages: [CutModel.Stage], _ found: [Int: [UInt8]]
    ) throws -> String {
        var text = ""
        for stage in stages where !stage.tiles.isEmpty {
            let again = try model.run([.init(operators: stage.operators)], tensors: found)
            for tensor in model.outline.outputTensors(of: stage.operators) {
                let difference = Difference(found[tensor] ?? [], again[tensor] ?? [])
                if difference.isNone { continue }
                let kinds = model.outline.operators[stage.operators].map(\.kind)
                let graph = model.cutter.manifest.graph
                for layer in model.cutter.groups[stage.operators].joined() {
                    let l = graph.layers[layer]
                    text += "\n     \(l.type) \(l.inputs.map { graph.port($0).shape }) -> \(l.outputs[0].shape) \(l.attributes.filter { ["strides", "pads_begin", "pads_end", "dilations"].contains($0.name) }.map(\.value))"
                }
                text += "\n  tensor \(tensor) of \(stage) \(kinds): \(difference.relative)"
            }
        }
        return text
    }

    @Test("The digit models", arguments: ["cnn", "vit"], [2, 3, 5, 7])
    func digits(kind: String, tiles: Int) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Tools/models/digits")
        let model = try CutModel(
            root.appendingPathComponent("digits-\(kind).onnx"), engine: Engine(threads: 1))
        let image = Array(try Data(contentsOf: root.appendingPathComponent("images.npy")).suffix(4 * 4096))
        let expected = try model.run([.init(operators: model.all)], inputs: [image])
        var random = SeededGenerator(seed: 1)
        for isEqual in [true, false] {
            let stages = Self.stages(model, tiles: tiles, isEqual: isEqual, cuts: 0, &random)
            print(kind, tiles, stages.map { "\($0.operators): \($0.tiles)" })
            let found = try model.run(stages, inputs: [image])
            for output in model.outline.outputs {
                let difference = Difference(found[output] ?? [], expected[output] ?? [])
                print(kind, tiles, difference)
            }
        }
    }
}
