import TesseraCore
import Testing

@testable import TesseraModel

@Suite("A model's rows, and the fragments of tiles")
struct RowOutlineTests {
    @Test("Every operator's needs stand beside what it reads", arguments: Fixture.names)
    func outline(name: String) throws {
        let outline = try ModelCutter(Fixture(name).manifest).outline
        for (index, made) in outline.operators.enumerated() {
            #expect(
                made.reads
                    == outline.tensors.indices.filter {
                        outline.tensors[$0].consumers.contains(index)
                    })
            let outputs = outline.tensors.indices.filter { outline.tensors[$0].producer == index }
            guard let needs = made.rowNeeds else {
                #expect(made.rowCount == 1)
                continue
            }
            #expect(needs.count == made.reads.count)
            for tensor in outputs { #expect(outline.rowCount(ofTensor: tensor) == made.rowCount) }
            for (tensor, need) in zip(made.reads, needs) where need != .all {
                #expect(outline.tensors[tensor].rowAxis != nil)
            }
        }
    }

    @Test("A residual network is split up to its classifier")
    func residual() throws {
        let outline = try ModelCutter(Fixture("residual-cnn").manifest).outline
        let barriers = outline.operators.indices.filter { outline.operators[$0].rowNeeds == nil }
        #expect(barriers.map { outline.operators[$0].kind } == ["AvgPool", "MatMul"])
        #expect(outline.tensors[0].rowAxis == 2)
        #expect(
            outline.operators[0].rowNeeds
                == [.window(RowWindow(scale: 1, lower: -1, upper: 1))])
    }

    @Test("A transformer's tokens are its rows, and attention needs all of them")
    func transformer() throws {
        let outline = try ModelCutter(Fixture("transformer").manifest).outline
        let attention = try #require(
            outline.operators.first { $0.kind == "ScaledDotProductAttention" })
        #expect(attention.rowNeeds == [.all])
        let product = try #require(outline.operators.first { $0.kind == "MatMul" })
        #expect(product.rowNeeds == [.window(.same)])
    }

    @Test(
        "Every tile of every range is a graph with the slices of the tile",
        arguments: ["residual-cnn", "transformer"])
    func tiles(name: String) throws {
        let cutter = try ModelCutter(Fixture(name).manifest)
        let count = cutter.outline.operators.count
        var tileCount = 0
        for lower in 0..<count {
            for upper in (lower + 1)...count {
                let range = lower..<upper
                guard let rows = cutter.outline.referenceRowCount(of: range) else { continue }
                let middle = (rows + 1) / 2
                for tile in [0..<middle, (middle - 1)..<rows, 0..<rows] {
                    try check(cutter, range, tile)
                    tileCount += 1
                }
            }
        }
        #expect(tileCount > 20)
    }

    private func check(_ cutter: ModelCutter, _ range: Range<Int>, _ rows: Range<Int>) throws {
        let outline = cutter.outline
        let fragment = try cutter.fragment(operators: range, rows: rows)
        let tile = try #require(outline.rowTile(of: range, rows: rows))
        let graph = try IRReader.read(
            xml: fragment.xml, weightByteCount: fragment.weightByteCount)
        let inputs = graph.layers.filter { $0.type == "Parameter" }.map { $0.outputs[0] }
        let outputs = graph.layers.filter { $0.type == "Result" }.map { graph.port($0.inputs[0]) }
        for (slices, tensors, ports) in [
            (tile.inputs, fragment.inputs, inputs), (tile.outputs, fragment.outputs, outputs),
        ] {
            let present = slices.filter { $0.rows?.isEmpty != true }
            #expect(present.map(\.tensor) == tensors)
            #expect(
                ports.map(\.shape)
                    == present.map { slice in
                        var shape = outline.tensors[slice.tensor].descriptor.shape
                        if let rows = slice.rows, let axis = outline.tensors[slice.tensor].rowAxis {
                            shape[axis] = rows.count
                        }
                        return shape
                    })
        }
    }

    @Test(
        "A graph whose figures do not fit each other is cut without a trap",
        arguments: Fixture.names)
    func strangeGraphs(name: String) throws {
        let manifest = try Fixture(name).manifest
        var random = SeededGenerator(seed: 4)
        var tileCount = 0
        for _ in 0..<400 {
            var graph = manifest.graph
            for _ in 0...random.next(below: 3) { Self.edit(&graph, &random) }
            // Most edits leave a manifest that is accepted: shapes are the engine's business.
            guard let other = try? Manifest(graph: graph, blobs: manifest.blobs) else { continue }
            let cutter = try ModelCutter(other)
            for index in cutter.outline.operators.indices {
                for range in [index..<(index + 1), 0..<(index + 1)] {
                    guard let rows = cutter.outline.referenceRowCount(of: range) else { continue }
                    let first = random.next(below: rows)
                    let last = first + 1 + random.next(below: rows - first)
                    _ = try cutter.fragment(operators: range, rows: first..<last)
                    tileCount += 1
                }
            }
        }
        #expect(name == "several" || tileCount > 1_000)
    }

    /// Changes an extent, a figure of an attribute, a small constant or a connection.
    private static func edit(_ graph: inout ModelGraph, _ random: inout SeededGenerator) {
        let figures = [0, 1, 2, 3, 5, 7, 8, 16, 31, 1 << 20, (1 << 39) + 1]
        let index = random.next(below: graph.layers.count)
        switch random.next(below: 4) {
        case 0:
            let port = random.next(below: max(1, graph.layers[index].outputs.count))
            guard port < graph.layers[index].outputs.count,
                let axis = random.pick(Array(graph.layers[index].outputs[port].shape.indices)),
                let extent = random.pick(figures)
            else { return }
            graph.layers[index].outputs[port].shape[axis] = extent
        case 1:
            guard let place = random.pick(Array(graph.layers[index].attributes.indices)) else {
                return
            }
            let count = 1 + random.next(below: 3)
            let values = (0..<count).map { _ in "\((random.pick(figures) ?? 0) - 1)" }
            graph.layers[index].attributes[place].value = values.joined(separator: ",")
        case 2:
            guard case .inline(var bytes) = graph.layers[index].constant,
                let place = random.pick(Array(bytes.indices))
            else { return }
            bytes[place] = UInt8(random.next(below: 256))
            graph.layers[index].constant = .inline(bytes)
        default:
            guard let place = random.pick(Array(graph.layers[index].inputs.indices)) else { return }
            let source = random.next(below: index)
            guard !graph.layers[source].outputs.isEmpty else { return }
            graph.layers[index].inputs[place] = .init(layer: source, port: 0)
        }
    }

    @Test("Rows that a range does not make are refused")
    func refuses() throws {
        let cutter = try ModelCutter(Fixture("residual-cnn").manifest)
        let rows = try #require(cutter.outline.referenceRowCount(of: 0..<1))
        for wrong in [0..<0, 0..<(rows + 1), -1..<1] {
            #expect(
                throws: ModelError.invalidRows(
                    lower: wrong.lowerBound, upper: wrong.upperBound, count: rows)
            ) {
                try cutter.fragment(operators: 0..<1, rows: wrong)
            }
        }
        let count = cutter.outline.operators.count
        #expect(throws: ModelError.invalidRows(lower: 0, upper: 1, count: nil)) {
            try cutter.fragment(operators: 0..<count, rows: 0..<1)
        }
    }
}
