import Foundation
import OpenVINOShim
import TesseraCore
import TesseraEngine

/// A folder that lives as long as one test.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory
            .appendingPathComponent("tessera-engine-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        // A folder that stays behind harms no other test.
        try? FileManager.default.removeItem(at: url)
    }
}

/// The committed files of these tests.
func fixture(_ name: String) -> URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures/\(name)")
}

/// The numbers in a committed file of 32-bit floats.
func floats(inFixture name: String) throws -> [Float] {
    try Data(contentsOf: fixture(name)).withUnsafeBytes { bytes in
        (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
}

/// What an import leaves, and its text if it fails.
struct ImportFailure: Error {
    var text: String
}

/// Imports a model as the command line does; returns graph and constants.
func importModel(
    _ file: URL, shapes: [(name: String, dimensions: [Int64])] = []
) throws -> FragmentSource {
    let folder = try TemporaryFolder()
    let xml = folder.url.appendingPathComponent("model.xml")
    let bin = folder.url.appendingPathComponent("model.bin")
    try importFiles(file, shapes: shapes, xml: xml, bin: bin)
    let constants = try Data(contentsOf: bin)
    return FragmentSource(
        xml: [UInt8](try Data(contentsOf: xml)),
        weights: try WeightBuffer(byteCount: constants.count) { _ = constants.copyBytes(to: $0) })
}

/// Imports a model into two files.
func importFiles(
    _ file: URL, shapes: [(name: String, dimensions: [Int64])] = [], xml: URL, bin: URL
) throws {
    var error: UnsafeMutablePointer<CChar>?
    let ok = withShapes(shapes) { array in
        tessera_import_model(
            file.path, array.baseAddress, array.count, nil, xml.path, bin.path, &error)
    }
    if let error {
        defer { tessera_free_text(error) }
        throw ImportFailure(text: String(cString: error))
    }
    guard ok else { throw ImportFailure(text: "no text") }
}

private func withShapes<Result>(
    _ shapes: [(name: String, dimensions: [Int64])],
    _ body: (UnsafeBufferPointer<tessera_shape>) -> Result
) -> Result {
    let names = shapes.map { strdup($0.name) }
    defer { for name in names { free(name) } }
    let starts = shapes.indices.map { index in
        shapes[..<index].reduce(0) { $0 + $1.dimensions.count }
    }
    return shapes.flatMap(\.dimensions).withUnsafeBufferPointer { dimensions in
        var array: [tessera_shape] = []
        for (index, shape) in shapes.enumerated() {
            guard let name = names[index] else { continue }
            array.append(
                tessera_shape(
                    name: name, dimensions: dimensions.baseAddress?.advanced(by: starts[index]),
                    rank: shape.dimensions.count))
        }
        return array.withUnsafeBufferPointer(body)
    }
}

/// The kinds of the operators in an IR text, in its order, constants left out.
func operatorKinds(_ source: FragmentSource) -> [String] {
    matches(of: "<layer [^>]*type=\"([^\"]*)\"", in: source).filter { $0 != "Const" }
}

/// The first group of every match of `pattern` in an IR text.
func matches(of pattern: String, in source: FragmentSource) -> [String] {
    let text = String(decoding: source.xml, as: UTF8.self)
    // A pattern that cannot be read matches nothing, and the test that wrote it fails.
    guard let expression = try? NSRegularExpression(pattern: pattern) else { return [] }
    return expression.matches(in: text, range: NSRange(text.startIndex..., in: text)).compactMap {
        Range($0.range(at: 1), in: text).map { String(text[$0]) }
    }
}

extension CompiledFragment {
    /// Runs on arrays, each of the element type that the tensor has.
    func run(_ inputs: [[UInt8]]) throws -> [[UInt8]] {
        var results = outputs.map { [UInt8](repeating: 0xAA, count: $0.byteCount) }
        let readable = inputs.map { bytes in
            let memory = UnsafeMutableRawBufferPointer.allocate(
                byteCount: bytes.count, alignment: 64)
            memory.copyBytes(from: bytes)
            return memory
        }
        let writable = outputs.map {
            UnsafeMutableRawBufferPointer.allocate(byteCount: $0.byteCount, alignment: 64)
        }
        defer { for memory in readable + writable { memory.deallocate() } }
        try run(inputs: readable.map { UnsafeRawBufferPointer($0) }, outputs: writable)
        for index in results.indices { results[index] = [UInt8](writable[index]) }
        return results
    }

    /// Runs on 32-bit floats.
    func run(floats inputs: [[Float]]) throws -> [[Float]] {
        try run(inputs.map { bytes(of: $0) }).map { values(in: $0) }
    }
}

/// The bytes of an array of numbers.
func bytes<Element>(of values: [Element]) -> [UInt8] {
    values.withUnsafeBytes { [UInt8]($0) }
}

/// The numbers in an array of bytes.
func values<Element: BitwiseCopyable>(
    in bytes: [UInt8], as: Element.Type = Element.self
) -> [Element] {
    bytes.withUnsafeBytes { raw in
        let stride = MemoryLayout<Element>.stride
        return (0..<(raw.count / stride)).map {
            raw.loadUnaligned(fromByteOffset: stride * $0, as: Element.self)
        }
    }
}

/// Imports to given places; returns the text of the error, nil if there is none.
func importProblem(_ file: URL, xml: URL, bin: URL) -> String? {
    var error: UnsafeMutablePointer<CChar>?
    guard !tessera_import_model(file.path, nil, 0, nil, xml.path, bin.path, &error) else {
        return nil
    }
    guard let error else { return "no text" }
    defer { tessera_free_text(error) }
    return String(cString: error)
}
