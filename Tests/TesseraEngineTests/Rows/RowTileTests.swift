import Foundation
import TesseraCore
import TesseraEngine
import TesseraModel
import Testing

/// What tiles make together must be what the whole makes: networks drawn from seeds.
@Suite("Row tiles of random networks")
struct RowTileTests {
    private static let networksPerPart = 100
    private static let relativeMax: Float = 1e-5

    /// How many tiles of a part were bit for bit equal.
    struct Counts {
        var outputs = 0
        var exact = 0
        var equal = 0
        var operators = 0
        var barriers = 0
    }

    @Test("Tiles give the bits of the whole, or what they may differ by", arguments: 0..<10)
    func randomNetworks(part: Int) throws {
        let engine = try Engine(threads: 1)
        let folder = try TemporaryFolder()
        var counts = Counts()
        for seed in (part * Self.networksPerPart)..<((part + 1) * Self.networksPerPart) {
            try check(seed: UInt64(seed), engine, folder.url, &counts)
        }
        print(
            """
            part \(part): \(counts.outputs) outputs, \(counts.exact) called exact, \
            \(counts.equal) equal; \(counts.barriers) of \(counts.operators) operators are barriers
            """)
        #expect(counts.exact * 2 > counts.outputs)
        #expect(counts.barriers * 10 < counts.operators)
        try judge(folder.url)
    }

    private func check(
        seed: UInt64, _ engine: Engine, _ folder: URL, _ counts: inout Counts
    ) throws {
        let network = RandomNetwork.file(seed: seed)
        let model = try CutModel(network.file, engine: engine)
        var random = SeededGenerator(seed: seed).derived(name: "tiles")
        let image = bytes(
            of: (0..<network.input.shape.reduce(1, *)).map { _ in
                Float(random.next(below: 1 << 20)) / Float(1 << 19) - 1
            })
        let tiles = [2, 2, 2, 3, 3, 3, 5, 5, 7][random.next(below: 9)]
        let isEqual = random.chance(1, outOf: 2)
        let stages = RowStages.drawn(model.outline, tiles: tiles, isEqual: isEqual, &random)
        let expected = try model.run([.init(operators: model.all)], inputs: [image])
        let found = try model.run(stages, inputs: [image])
        let isExact = RowStages.areExact(stages, model.outline)
        counts.operators += model.all.count
        counts.barriers += model.outline.operators.count { $0.rowNeeds == nil }
        for output in model.outline.outputs {
            let difference = Difference(found[output] ?? [], expected[output] ?? [])
            counts.outputs += 1
            counts.exact += isExact ? 1 : 0
            counts.equal += difference.isNone ? 1 : 0
            #expect(
                difference.isNone || (!isExact && difference.relative <= Self.relativeMax),
                "seed \(seed), output \(output), \(stages): \(difference.relative)")
        }
        try save(network.file, image, found, model.outline, to: folder, name: "\(seed)")
    }

    // MARK: Outside judge

    private static var python: String? { ProcessInfo.processInfo.environment["TESSERA_PYTHON"] }

    /// Leaves a network, its input and what the tiles made of it for ONNX Runtime.
    private func save(
        _ file: ONNXWriter, _ image: [UInt8], _ found: [Int: [UInt8]], _ outline: ModelOutline,
        to folder: URL, name: String
    ) throws {
        guard Self.python != nil else { return }
        let place = folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        try file.file().write(to: place.appendingPathComponent("model.onnx"))
        try Data(image).write(to: place.appendingPathComponent("input.f32"))
        for output in outline.outputs {
            let name = outline.tensors[output].descriptor.name
            try Data(found[output] ?? []).write(to: place.appendingPathComponent("\(name).f32"))
        }
    }

    /// Has ONNX Runtime compute the same, where `TESSERA_PYTHON` names an interpreter that has it.
    private func judge(_ folder: URL) throws {
        guard let python = Self.python else { return }
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Tools/Tests/judge.py")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = [script.path, folder.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "ONNX Runtime disagrees:\n\(output)")
    }
}
