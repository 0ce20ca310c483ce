import Foundation
import TesseraCore
import TesseraEngine
import TesseraModel
import Testing

/// Well-known networks by rows: every bit of the whole.
@Suite("Row tiles of known networks")
struct RowNetworkTests {
    @Test("Every tile is exact", arguments: KnownNetwork.allCases)
    func networks(network: KnownNetwork) throws {
        let model = try CutModel(network.file(), engine: Engine(threads: 1))
        var random = SeededGenerator(seed: 7)
        let image = bytes(
            of: (0..<KnownNetwork.inputCount).map { _ in
                Float(random.next(below: 1 << 20)) / Float(1 << 19) - 1
            })
        try check(model, [image], &random)
    }

    @Test("Every tile of the digit models is exact", arguments: ["cnn", "vit"])
    func digits(kind: String) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Tools/models/digits")
        let model = try CutModel(
            root.appendingPathComponent("digits-\(kind).onnx"), engine: Engine(threads: 1))
        let pixels = try Npy.floats(root.appendingPathComponent("images.npy"))
        var random = SeededGenerator(seed: 9)
        try check(model, [bytes(of: Array(pixels[..<4_096]))], &random)
    }

    /// A gate needs the mean of the whole image: its rows' means, which are small, travel in place
    /// of the image.
    @Test("Squeeze and excitation is split by rows, and the gates cost only the rows' means")
    func gates() throws {
        let model = try CutModel(
            KnownNetwork.efficientNetB0.file(), engine: Engine(threads: 1))
        let outline = model.outline
        var random = SeededGenerator(seed: 11)
        let image = bytes(
            of: (0..<KnownNetwork.inputCount).map { _ in
                Float(random.next(below: 1 << 20)) / Float(1 << 19) - 1
            })
        let expected = try model.run([.init(operators: model.all)], inputs: [image])
        // A stage ends before each mean of rows' means.
        let cuts = model.all.filter { index in
            let made = outline.operators[index]
            return made.kind == "AvgPool" && made.rowCount == 1 && made.rowNeeds != nil
        }
        #expect(cuts.count == 16)
        let stages = RowStages.tiled(outline, cuts: cuts, tiles: 2, isEqual: true, &random)
        // Of the last images, with three rows, wide kernels see everything anyway.
        for stage in stages where stage.tiles.count > 1 && (stage.tiles.last?.upperBound ?? 0) > 6 {
            let whole = outline.inputTensors(of: stage.operators)
                .reduce(0) { $0 + outline.tensors[$1].descriptor.byteCount }
            for rows in stage.tiles {
                let tile = try #require(outline.rowTile(of: stage.operators, rows: rows))
                let read = tile.inputs.reduce(0) { sum, slice in
                    let descriptor = outline.tensors[slice.tensor].descriptor
                    let count = outline.rowCount(ofTensor: slice.tensor) ?? 1
                    return sum + descriptor.byteCount / count * (slice.rows?.count ?? count)
                }
                #expect(read * 10 < whole * 9, "\(stage): \(read) of \(whole) bytes")
            }
        }
        let found = try model.run(stages, inputs: [image])
        #expect(RowStages.areExact(stages, outline))
        #expect(found[outline.outputs[0]] == expected[outline.outputs[0]])
    }

    private func check(
        _ model: CutModel, _ inputs: [[UInt8]], _ random: inout SeededGenerator
    ) throws {
        let outline = model.outline
        let expected = try model.run([.init(operators: model.all)], inputs: inputs)
        var tileCount = 0
        for (round, tiles) in [2, 3, 5, 7].enumerated() {
            let cuts = (0..<3).map { _ in random.next(below: model.all.count) }
            // Stages have equal and unequal shares in turn.
            var stages = RowStages.tiled(outline, cuts: cuts, tiles: tiles, isEqual: true, &random)
            let others = RowStages.tiled(outline, cuts: cuts, tiles: tiles, isEqual: false, &random)
            for index in stages.indices where (index + round) % 2 == 0 {
                stages[index] = others[index]
            }
            #expect(RowStages.areExact(stages, outline))
            let found = try model.run(stages, inputs: inputs)
            for output in outline.outputs {
                let difference = Difference(found[output] ?? [], expected[output] ?? [])
                #expect(difference.isNone, "\(stages): \(difference.relative)")
            }
            tileCount += stages.reduce(0) { $0 + $1.tiles.count }
        }
        // All but the tail behind the last image is split.
        let barriers = outline.operators.count { $0.rowNeeds == nil }
        #expect(barriers <= 3 && tileCount > 25, "\(barriers) barriers, \(tileCount) tiles")
    }
}
