import ArgumentParser
import OpenVINOShim
import TesseraCore
import TesseraModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A model file on its way into the mesh.
struct ModelFile: Sendable {
    /// The shape that an input is to have.
    struct Shape: Hashable, Sendable {
        /// The input's name.
        var input: String
        /// The extents.
        var extents: [Int64]

        /// Reads a shape as it is written on the command line: `input=1,3,224,224`.
        init(parsing text: String) throws {
            guard let sign = text.lastIndex(of: "="), sign != text.startIndex else {
                throw ValidationError("'\(text)' is not INPUT=1,3,224,224.")
            }
            input = String(text[..<sign])
            extents = text[text.index(after: sign)...]
                .split(separator: ",", omittingEmptySubsequences: false)
                .map { Int64($0) ?? 0 }
            guard extents.allSatisfy({ $0 > 0 }) else {
                throw ValidationError("'\(text)' has an extent that is no number above 0.")
            }
        }
    }

    /// The file.
    let path: String
    /// Shapes of inputs.
    let shapes: [Shape]
    /// What becomes a part of the graph; nil leaves the input as it is.
    var preprocessing: ImageInput?

    /// Reads the file, cleans the graph up and makes the manifest; the weights stay in `folder`.
    func imported(into folder: String) async throws -> ModelImport {
        guard access(path, R_OK) == 0 else {
            throw CommandFailure(
                "the model file \(path) cannot be read: \(Files.systemReason()). Check the path.")
        }
        Console.message("importing \(path)")
        return try await Blocking.run {
            let xml = folder + "/model.xml"
            let bin = folder + "/model.bin"
            try clean(xml: xml, bin: bin)
            do {
                return try ModelImport.make(xmlPath: xml, binPath: bin)
            } catch {
                throw CommandFailure("\(path) cannot be used: \(error)")
            }
        }
    }

    private func withPreprocessing(
        _ body: (UnsafePointer<tessera_preprocessing>?) -> Bool
    ) -> Bool {
        guard let preprocessing else { return body(nil) }
        return preprocessing.mean.withUnsafeBufferPointer { mean in
            preprocessing.scale.withUnsafeBufferPointer { scale in
                guard let mean = mean.baseAddress, let scale = scale.baseAddress else {
                    return false
                }
                var all = tessera_preprocessing(
                    mean: mean, scale: scale, channel_count: preprocessing.channels.count,
                    is_channels_last: preprocessing.layout == .nhwc)
                return body(&all)
            }
        }
    }

    private func clean(xml: String, bin: String) throws {
        var names: [UnsafeMutablePointer<CChar>] = []
        var extents: [UnsafeMutableBufferPointer<Int64>] = []
        defer {
            for name in names { free(name) }
            for extent in extents { extent.deallocate() }
        }
        var cShapes: [tessera_shape] = []
        for shape in shapes {
            guard let name = strdup(shape.input) else { throw CommandFailure("out of memory") }
            names.append(name)
            let values = UnsafeMutableBufferPointer<Int64>.allocate(capacity: shape.extents.count)
            _ = values.initialize(from: shape.extents)
            extents.append(values)
            cShapes.append(
                tessera_shape(
                    name: name, dimensions: values.baseAddress, rank: shape.extents.count))
        }
        var error: UnsafeMutablePointer<CChar>?
        let isDone = withPreprocessing { preprocessing in
            tessera_import_model(
                path, cShapes, cShapes.count, preprocessing, xml, bin, &error)
        }
        guard !isDone else { return }
        defer { tessera_free_text(error) }
        let reason = error.map { String(cString: $0) } ?? "no reason is given"
        throw CommandFailure("\(path) cannot be imported: \(reason)")
    }
}
