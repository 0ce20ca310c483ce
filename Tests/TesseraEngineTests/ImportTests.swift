import Foundation
import TesseraCore
import TesseraEngine
import Testing

@Suite("Importing a model")
struct ImportTests {
    private func problem(
        _ file: URL, shapes: [(name: String, dimensions: [Int64])] = []
    ) -> String {
        do {
            _ = try importModel(file, shapes: shapes)
            return "no error"
        } catch let failure as ImportFailure {
            return failure.text
        } catch {
            return "another error: \(error)"
        }
    }

    @Test("An imported network gives what an independent engine gives")
    func matchesIndependentEngine() throws {
        let source = try importModel(fixture("network.onnx"))
        let fragment = try Engine(threads: 1).compile(source, concurrency: 1)
        #expect(
            fragment.inputs == [
                TensorDescriptor(name: "image", type: .float32, shape: [1, 3, 8, 8])
            ])
        #expect(fragment.outputs.map(\.name) == ["scores"])
        let scores = try fragment.run(floats: [floats(inFixture: "network.image.f32")])
        let expected = try floats(inFixture: "network.scores.f32")
        #expect(scores.count == 1 && scores[0].count == expected.count)
        for (score, wanted) in zip(scores[0], expected) {
            #expect(abs(score - wanted) <= 1e-5 * max(1, abs(wanted)))
        }
    }

    @Test("A network with its weights in a file of their own gives the same bits")
    func readsExternalData() throws {
        let engine = try Engine(threads: 1)
        let image = try floats(inFixture: "network.image.f32")
        let whole = try engine.compile(importModel(fixture("network.onnx")), concurrency: 1)
        let external = try engine.compile(importModel(fixture("external.onnx")), concurrency: 1)
        #expect(try external.run(floats: [image]) == whole.run(floats: [image]))
    }

    @Test("Missing external data is an error that names the file")
    func namesMissingExternalData() throws {
        let folder = try TemporaryFolder()
        let copy = folder.url.appendingPathComponent("external.onnx")
        try FileManager.default.copyItem(at: fixture("external.onnx"), to: copy)
        let text = problem(copy)
        #expect(text.contains("external.data"), "\(text)")
    }

    @Test("A given batch replaces the default of one")
    func takesGivenBatch() throws {
        let source = try importModel(fixture("network.onnx"), shapes: [("image", [3, 3, 8, 8])])
        let fragment = try Engine(threads: 1).compile(source, concurrency: 1)
        #expect(fragment.outputs[0].shape == [3, 5])
    }

    @Test("Inputs and outputs keep their names, types and order")
    func keepsOrder() throws {
        let fragment = try Engine(threads: 1).compile(
            importModel(fixture("several.onnx")), concurrency: 1)
        #expect(fragment.inputs.map(\.name) == ["left", "right", "indices"])
        #expect(fragment.inputs.map(\.type) == [.float32, .float32, .int64])
        #expect(fragment.outputs.map(\.name) == ["picked", "product", "sum"])
        let results = try fragment.run([
            bytes(of: [1, 2, 3, 4, 5, 6] as [Float]), bytes(of: [6, 5, 4, 3, 2, 1] as [Float]),
            bytes(of: [2, 0] as [Int64]),
        ])
        #expect(values(in: results[0]) == [3, 1, 6, 4] as [Float])
        #expect(values(in: results[1]) == [6, 10, 12, 12, 10, 6] as [Float])
        #expect(values(in: results[2]) == [7, 7, 7, 7, 7, 7] as [Float])
    }

    @Test("A mean over the image becomes the mean of its rows' means; other means stay")
    func replacesSpatialMeans() throws {
        let source = try importModel(fixture("means.onnx"))
        let kinds = operatorKinds(source)
        #expect(kinds.filter { $0 == "AvgPool" }.count == 4)
        #expect(
            matches(of: "<data [^>]*kernel=\"([^\"]*)\"", in: source).sorted()
                == ["1, 6", "1, 6", "6, 1", "6, 1"])
        #expect(kinds.filter { $0 == "ReduceMean" }.count == 1)
        let fragment = try Engine(threads: 1).compile(source, concurrency: 1)
        #expect(fragment.outputs.map(\.shape) == [[1, 4, 1, 1], [1, 4], [1, 1, 6, 6]])
        let image = (0..<144).map { Float($0) }
        let results = try fragment.run(floats: [image])
        #expect(results[0] == [17.5, 53.5, 89.5, 125.5])
        #expect(results[1] == results[0])
        #expect(results[2] == (0..<36).map { Float($0) + 54 })
    }

    @Test("Textbook forms of Swish and Gelu become one operator each")
    func fusesTextbookForms() throws {
        let kinds = try operatorKinds(importModel(fixture("fused.onnx")))
        #expect(kinds.sorted() == ["Gelu", "Parameter", "Result", "Result", "Swish"])
    }

    @Test("Inputs and outputs keep their names when the clean-up merges tensors")
    func keepsNamesOfMergedTensors() throws {
        let fragment = try Engine(threads: 1).compile(
            importModel(fixture("merged.onnx")), concurrency: 1)
        #expect(fragment.inputs.map(\.name) == ["x"])
        #expect(fragment.outputs.map(\.name) == ["y"])
    }

    @Test("Every operator has a name of its own", arguments: ["names.onnx", "network.onnx"])
    func namesAreUnique(name: String) throws {
        let names = try matches(
            of: "<layer [^>]*?name=\"([^\"]*)\"", in: importModel(fixture(name)))
        #expect(names.count > 3)
        #expect(Set(names).count == names.count)
        #expect(!names.contains(""))
    }

    @Test("Importing what was imported changes nothing in its results")
    func importsOwnOutput() throws {
        let first = try importModel(fixture("network.onnx"))
        let folder = try TemporaryFolder()
        let xml = folder.url.appendingPathComponent("again.xml")
        try Data(first.xml).write(to: xml)
        try first.weights.withUnsafeBytes { bytes in
            try Data(bytes).write(to: folder.url.appendingPathComponent("again.bin"))
        }
        let second = try importModel(xml)
        let engine = try Engine(threads: 1)
        let image = try floats(inFixture: "network.image.f32")
        #expect(
            try engine.compile(first, concurrency: 1).run(floats: [image])
                == engine.compile(second, concurrency: 1).run(floats: [image]))
    }

    @Test("A dynamic axis without a given shape is an error that names input and shape")
    func refusesDynamicAxis() {
        let text = problem(fixture("dynamic.onnx"))
        #expect(text.contains("'image'") && text.contains("[?,3,?,?]"), "\(text)")
        #expect(text.contains("--shape image="), "\(text)")
    }

    @Test("Shapes that do not fit are refused with the reason")
    func refusesWrongShapes() {
        let file = fixture("dynamic.onnx")
        #expect(problem(file, shapes: [("picture", [1, 3, 4, 4])]).contains("no input 'picture'"))
        #expect(problem(file, shapes: [("image", [1, 4, 4, 4])]).contains("[?,3,?,?]"))
        #expect(problem(file, shapes: [("image", [1, 3, 4])]).contains("[?,3,?,?]"))
        #expect(problem(file, shapes: [("image", [1, 3, 0, 4])]).contains("at least 1"))
        #expect(problem(file, shapes: [("image", [1, 3, .max, 4])]).contains("at most 2^40"))
        #expect(
            problem(file, shapes: [("image", [1, 3, 4, 4]), ("image", [1, 3, 4, 4])])
                .contains("two shapes"))
    }

    @Test("A shape that depends on values is refused with the operator's name")
    func refusesDataDependentShape() {
        let text = problem(fixture("counting.onnx"))
        #expect(text.contains("'places' (NonZero)"), "\(text)")
    }

    @Test("Text tensors are refused")
    func refusesText() {
        #expect(problem(fixture("words.onnx")).contains("type string"))
    }

    @Test("Files that are no models are refused by name")
    func refusesForeignFiles() throws {
        let folder = try TemporaryFolder()
        #expect(problem(folder.url.appendingPathComponent("none.onnx")).contains("no file"))
        #expect(problem(folder.url).contains("folder without"))
        for ending in ["onnx", "xml", "tflite", "pdmodel", "txt"] {
            let file = folder.url.appendingPathComponent("garbage.\(ending)")
            try Data((0..<4_096).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 3) })
                .write(to: file)
            #expect(problem(file).contains("garbage.\(ending)"))
        }
    }

    @Test("A damaged model is an error or another model, never a crash")
    func survivesDamage() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("damaged.onnx")
        let whole = [UInt8](try Data(contentsOf: fixture("network.onnx")))
        for length in stride(from: 0, to: whole.count, by: 97) {
            try Data(whole[..<length]).write(to: file)
            #expect(problem(file) != "")
        }
        for position in stride(from: 0, to: whole.count, by: 41) {
            var damaged = whole
            damaged[position] ^= 0xFF
            try Data(damaged).write(to: file)
            #expect(problem(file) != "")
        }
    }

    @Test("A place that cannot be written is an error, and nothing stays behind")
    func reportsUnwritablePlace() throws {
        let folder = try TemporaryFolder()
        let blocked = folder.url.appendingPathComponent("file")
        try Data().write(to: blocked)
        let text = importProblem(
            fixture("means.onnx"), xml: blocked.appendingPathComponent("model.xml"),
            bin: folder.url.appendingPathComponent("model.bin"))
        #expect(text?.contains("could not be written") == true, "\(text ?? "no error")")
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
        #expect(left == ["file"])
    }
}
