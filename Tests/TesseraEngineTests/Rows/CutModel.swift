import Foundation
import TesseraCore
import TesseraEngine
@testable import TesseraModel

/// An imported model with an engine: runs it whole, or as stages that may be split by rows, handing
/// slices on as nodes would.
struct CutModel {
    let engine: Engine
    let cutter: ModelCutter
    private let imported: ModelImport
    private let folder: TemporaryFolder

    /// Operators that run together, whole or as tiles of these rows.
    struct Stage {
        var operators: Range<Int>
        var tiles: [Range<Int>] = []
    }

    init(_ file: URL, engine: Engine) throws {
        self.engine = engine
        folder = try TemporaryFolder()
        let xml = folder.url.appendingPathComponent("model.xml")
        let bin = folder.url.appendingPathComponent("model.bin")
        try importFiles(file, xml: xml, bin: bin)
        imported = try ModelImport.make(xmlPath: xml.path, binPath: bin.path)
        cutter = try ModelCutter(imported.manifest)
    }

    /// Takes an ONNX file from memory.
    init(_ onnx: ONNXWriter, engine: Engine) throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("model.onnx")
        try onnx.file().write(to: file)
        try self.init(file, engine: engine)
    }

    var outline: ModelOutline { cutter.outline }
    var all: Range<Int> { 0..<outline.operators.count }

    func compile(_ operators: Range<Int>, rows: Range<Int>? = nil) throws -> CompiledFragment {
        let fragment = try cutter.fragment(operators: operators, rows: rows)
        let weights = try WeightBuffer(byteCount: fragment.weightByteCount) { buffer in
            for constant in fragment.constants {
                let place = UnsafeMutableRawBufferPointer(
                    rebasing: buffer[constant.offset..<(constant.offset + constant.byteCount)])
                switch constant.source {
                case .inline(let bytes): place.copyBytes(from: bytes)
                case .blob(let blob): imported.withBlob(at: blob) { place.copyBytes(from: $0) }
                }
            }
        }
        return try engine.compile(
            FragmentSource(xml: fragment.xml, weights: weights), concurrency: 1)
    }

    /// Runs stages one after the other; gives every tensor between them, by its number.
    func run(_ stages: [Stage], inputs: [[UInt8]]) throws -> [Int: [UInt8]] {
        try run(stages, tensors: Dictionary(uniqueKeysWithValues: zip(outline.inputs, inputs)))
    }

    /// Runs stages on tensors that are there already.
    func run(_ stages: [Stage], tensors known: [Int: [UInt8]]) throws -> [Int: [UInt8]] {
        var tensors = known
        for stage in stages {
            if stage.tiles.isEmpty {
                let fragment = try compile(stage.operators)
                let read = outline.inputTensors(of: stage.operators)
                let made = outline.outputTensors(of: stage.operators)
                let results = try fragment.run(read.map { tensors[$0] ?? [] })
                for (tensor, bytes) in zip(made, results) { tensors[tensor] = bytes }
                continue
            }
            for rows in stage.tiles { try run(stage.operators, rows, &tensors) }
        }
        return tensors
    }

    private func run(
        _ operators: Range<Int>, _ rows: Range<Int>, _ tensors: inout [Int: [UInt8]]
    ) throws {
        guard let tile = outline.rowTile(of: operators, rows: rows) else { throw NoTile() }
        let fragment = try compile(operators, rows: rows)
        let read = tile.inputs.filter { $0.rows?.isEmpty != true }
        let made = tile.outputs.filter { $0.rows?.isEmpty != true }
        let inputs = read.map { slice in
            let whole = tensors[slice.tensor] ?? []
            return slice.rows.map { cut(slice.tensor, whole, $0) } ?? whole
        }
        let results = try fragment.run(inputs)
        for (slice, bytes) in zip(made, results) {
            guard let rows = slice.rows else { throw NoTile() }
            let byteCount = outline.tensors[slice.tensor].descriptor.byteCount
            var whole = tensors[slice.tensor] ?? [UInt8](repeating: 0xEE, count: byteCount)
            paste(slice.tensor, bytes, rows, into: &whole)
            tensors[slice.tensor] = whole
        }
    }

    /// The planner asked for rows of something that has none.
    struct NoTile: Error {}

    /// Extent before the row axis, rows, and bytes of one row behind it.
    private func layout(_ tensor: Int) -> (outer: Int, rows: Int, rowBytes: Int) {
        let descriptor = outline.tensors[tensor].descriptor
        let axis = outline.tensors[tensor].rowAxis ?? 0
        let inner = descriptor.shape[(axis + 1)...].reduce(1, *) * descriptor.type.byteCount
        return (descriptor.shape[..<axis].reduce(1, *), descriptor.shape[axis], inner)
    }

    func cut(_ tensor: Int, _ bytes: [UInt8], _ rows: Range<Int>) -> [UInt8] {
        let (outer, count, rowBytes) = layout(tensor)
        return (0..<outer).flatMap { index in
            let start = index * count
            return bytes[
                ((start + rows.lowerBound) * rowBytes)..<((start + rows.upperBound) * rowBytes)]
        }
    }

    private func paste(
        _ tensor: Int, _ bytes: [UInt8], _ rows: Range<Int>, into whole: inout [UInt8]
    ) {
        let (outer, count, rowBytes) = layout(tensor)
        let size = rows.count * rowBytes
        for index in 0..<outer {
            let start = (index * count + rows.lowerBound) * rowBytes
            whole.replaceSubrange(
                start..<(start + size), with: bytes[(index * size)..<((index + 1) * size)])
        }
    }
}

/// How far one result is from another.
struct Difference {
    /// Whether all bits are equal.
    var isNone: Bool
    /// The largest difference, as a share of the range of the expected values.
    var relative: Float

    init(_ found: [UInt8], _ expected: [UInt8]) {
        isNone = found == expected
        guard !isNone, found.count == expected.count else {
            relative = isNone ? 0 : .infinity
            return
        }
        let (left, right): ([Float], [Float]) = (values(in: found), values(in: expected))
        let worst = zip(left, right).reduce(Float(0)) { worst, pair in
            let distance = abs(pair.0 - pair.1)
            return distance.isNaN ? .infinity : max(worst, distance)
        }
        let range = (right.max() ?? 0) - (right.min() ?? 0)
        relative = worst / max(range, .leastNormalMagnitude)
    }
}
