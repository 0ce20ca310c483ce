import Foundation
import NIOCore
import TesseraCore
import TesseraModel
import Testing

@testable import tessera

@Suite struct CalibrationTests {
    private static let digits = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Tools/models/digits")

    private static func npy(_ values: [Float]) -> [UInt8] {
        NpyArray(
            type: .float32, shape: [values.count],
            bytes: values.withUnsafeBytes { Array($0) }[...]
        ).file
    }

    @Test("arrays come out of an archive by name; what is none is refused at every length")
    func npz() throws {
        let file = NpzArchive.bytes([("a.npy", Self.npy([1, 2])), ("b.npy", Self.npy([3]))])
        let arrays = try NpzFile.arrays(in: file)
        #expect(arrays.map(\.name) == ["a", "b"])
        #expect(arrays.map(\.array.shape) == [[2], [1]])
        let packed = NpzArchive.bytes([("a.npy", Self.npy([1]))], method: 8)
        #expect(throws: NpzFile.Fault.compressed("a")) { try NpzFile.arrays(in: packed) }
        for length in 0..<file.count {
            #expect(throws: (any Error).self) { try NpzFile.arrays(in: Array(file[..<length])) }
        }
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            var wrong = file
            wrong[generator.next(below: file.count)] = UInt8(generator.next(below: 256))
            // Some bytes are not looked at; none may do more than throw.
            _ = try? NpzFile.arrays(in: wrong)
        }
    }

    @Test("answers are compared as it is said")
    func measures() {
        #expect(Calibration.best([1, 3, 3, 2]) == 1)
        #expect(Calibration.relativeError([0, 10], [0, 10]) == 0)
        #expect(Calibration.relativeError([0, 9], [0, 10]) == 0.1)
        #expect(Calibration.relativeError([.nan, 9], [0, 10]) == 1)
        #expect(Calibration.relativeError([5], [4]) == 1)
        #expect(CalibrationTally.perMillion(1, items: 3) == 333_334)
        #expect(CalibrationOptions.percent(5_000) == "0.5%")
        #expect(CalibrationOptions.percent(1_000_000) == "100%")
        #expect(CalibrationOptions.percent(123_456) == "12.3456%")
    }

    @Test("a model with real inputs: nothing lossy without an allowance, and within it with one")
    func digits() async throws {
        let images = Array(try Data(contentsOf: Self.digits.appendingPathComponent("images.npy")))
        try await Files.withTemporaryFolder { folder in
            let model = try await ModelFile(
                path: Self.digits.appendingPathComponent("digits-cnn.onnx").path, shapes: []
            ).imported(into: folder)
            let cutter = try ModelCutter(model.manifest)
            let items = Array(
                try CalibrationInputs.items(of: images, path: "images", outline: cutter.outline)
                    .prefix(4))
            #expect(items.count == 4)
            let measure = Calibration.measure(of: cutter.outline)
            #expect(measure == .topClass)
            let calibration = Calibration(
                model: model, cutter: cutter, items: items, measure: measure)
            let exact = try calibration.run(maxDropPerMillion: 0)
            #expect(!exact.tensors.isEmpty)
            #expect(exact.tensors.allSatisfy { $0.tried.isEmpty && $0.losslessPerMille < 1_000 })
            let some = try calibration.run(maxDropPerMillion: 100_000)
            #expect(some.dropPerMillion <= 100_000)
            #expect(some.tensors.contains { $0.tried.contains(where: \.isAllowed) })
            #expect(some.tensors.map(\.tensor) == exact.tensors.map(\.tensor))
            let error = try Calibration(
                model: model, cutter: cutter, items: Array(items.prefix(1)), measure: .relativeError
            ).run(maxDropPerMillion: 50)
            // A tenth of a thousandth of the range is more than 16 bits hold, and 8 bits lose more.
            #expect(error.dropPerMillion <= 50)
            #expect(
                error.tensors.allSatisfy { tensor in
                    tensor.tried.allSatisfy { !$0.isAllowed || $0.dropPerMillion <= 50 }
                })
            #expect(
                error.tensors.contains { tensor in
                    tensor.tried.contains { $0.codec == .int8 && !$0.isAllowed }
                })
        }
    }
}
