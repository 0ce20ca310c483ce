import ArgumentParser
import Foundation
import OpenVINOShim
import TesseraCore
import TesseraEngine
import TesseraModel

/// `tessera-benchmarks engine`: the whole model through the engine, with nothing around it.
struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine", abstract: "Run a whole model in the bare engine.",
        discussion: """
            Imports the model exactly as `tessera model add` does, compiles it as one fragment, and \
            then reads commands: `run COUNT` for one run after the other, `stream MILLISECONDS`, \
            `output` for the bytes of the last result in base64.
            """)

    @Argument(help: "The model file.")
    var model: String

    @Option(help: "The threads of the engine.")
    var threads = 1

    @Option(help: "A file with the bytes of all inputs, in the model's order.")
    var input: String

    func run() throws {
        let bare = try BareModel(path: model, threads: threads, inputPath: input)
        try Output.line(bare.description)
        while let command = try Command.next() {
            switch command.word {
            case "run":
                try Output.line(try Repetition.times(try command.number(0)) { try bare.run() })
            case "stream":
                let ends = Repetition.stream(
                    milliseconds: try command.number(0), [{ try bare.run() }])
                try Output.line(ends)
            case "output":
                try Output.line(["base64": bare.outputBase64])
            default: throw BenchmarkError("unknown command \"\(command.word)\"")
            }
        }
    }
}

/// A model's inputs and outputs, as the script needs them to write requests.
struct ModelDescription: Encodable {
    struct Tensor: Encodable {
        var name: String
        var type: String
        var shape: [Int]
        var byteCount: Int
    }

    var inputs: [Tensor]
    var outputs: [Tensor]
    var operators: Int
    var weightBytes: Int
}

/// A whole model, compiled, with memory for one run.
///
/// Used by one thread at a time: its memory is written by each run.
final class BareModel: @unchecked Sendable {
    let description: ModelDescription
    private let fragment: CompiledFragment
    // `@unchecked Sendable`: the command uses it from one thread at a time.
    private let inputs: [UnsafeMutableRawBufferPointer]
    private let outputs: [UnsafeMutableRawBufferPointer]

    init(path: String, threads: Int, inputPath: String) throws {
        let imported = try Self.imported(path)
        let cutter = try ModelCutter(imported.manifest)
        let whole = try cutter.fragment(operators: 0..<cutter.outline.operators.count)
        let weights = try WeightBuffer(byteCount: whole.weightByteCount) { buffer in
            for constant in whole.constants {
                let range = constant.offset..<(constant.offset + constant.byteCount)
                let place = UnsafeMutableRawBufferPointer(rebasing: buffer[range])
                switch constant.source {
                case .inline(let bytes): place.copyBytes(from: bytes)
                case .blob(let index):
                    imported.withBlob(at: index) { place.copyMemory(from: $0) }
                }
            }
        }
        fragment = try Engine(threads: threads).compile(
            FragmentSource(xml: whole.xml, weights: weights), concurrency: 1)
        func allocate(_ tensors: [TensorDescriptor]) -> [UnsafeMutableRawBufferPointer] {
            tensors.map {
                .allocate(byteCount: $0.byteCount, alignment: WeightBuffer.alignmentBytes)
            }
        }
        inputs = allocate(fragment.inputs)
        outputs = allocate(fragment.outputs)
        func tensors(_ descriptors: [TensorDescriptor]) -> [ModelDescription.Tensor] {
            descriptors.map {
                .init(
                    name: $0.name, type: "\($0.type)", shape: $0.shape, byteCount: $0.byteCount)
            }
        }
        description = ModelDescription(
            inputs: tensors(fragment.inputs), outputs: tensors(fragment.outputs),
            operators: cutter.outline.operators.count, weightBytes: whole.weightByteCount)
        try readInputs(inputPath)
        try run()
    }

    deinit {
        for memory in inputs + outputs { memory.deallocate() }
    }

    /// Runs the model once.
    func run() throws {
        try fragment.run(inputs: inputs.map { UnsafeRawBufferPointer($0) }, outputs: outputs)
    }

    /// The bytes of the last result.
    var outputBase64: String {
        outputs.reduce(into: Data()) { $0.append(contentsOf: $1) }.base64EncodedString()
    }

    private func readInputs(_ path: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let needed = inputs.reduce(0) { $0 + $1.count }
        guard data.count >= needed else {
            throw BenchmarkError("\(path) has \(data.count) bytes; the inputs have \(needed)")
        }
        var offset = 0
        for input in inputs {
            data.copyBytes(to: input, from: offset..<(offset + input.count))
            offset += input.count
        }
    }

    /// What `tessera model add` makes of a file.
    private static func imported(_ path: String) throws -> ModelImport {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("tessera-benchmark-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        // The weights stay mapped; the names need not stay. A failing removal leaves a folder in
        // the place for temporary ones, which harms nothing.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (xml, bin) = (folder + "/model.xml", folder + "/model.bin")
        var error: UnsafeMutablePointer<CChar>?
        guard !tessera_import_model(path, nil, 0, nil, xml, bin, &error) else {
            return try ModelImport.make(xmlPath: xml, binPath: bin)
        }
        defer { tessera_free_text(error) }
        throw BenchmarkError(
            "\(path) cannot be imported: \(error.map { String(cString: $0) } ?? "no reason")")
    }
}
