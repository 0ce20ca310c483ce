import ArgumentParser
import NIOCore
import TesseraCodec
import TesseraCore

/// `tessera-benchmarks codecs`: how quickly slices are packed and unpacked, and what is left of them.
struct CodecsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codecs", abstract: "Pack and unpack made-up tensors and print the times.",
        discussion: "Prints a line of JSON for each codec, all its times in it.")

    @Option(help: "Kibibytes of the tensor.")
    var size = 1_024

    @Option(help: "How often each codec packs and unpacks it.")
    var count = 50

    /// The times of one codec.
    private struct Result: Encodable {
        var codec: String
        var bytes: Int
        var packedBytes: Int
        var packNanoseconds: [UInt64]
        var unpackNanoseconds: [UInt64]
    }

    func run() throws {
        let channels = 64
        let values = max(size, 1) * 1_024 / 4 / channels
        let shape = [1, channels, values]
        let tensor = Self.activation(channels * values)
        for codec in Codec.allCases where codec != .none {
            guard let packed = TensorCodec.pack(tensor, type: .float32, shape: shape, by: codec)
            else { throw BenchmarkError("codec \(codec) does not pack the tensor") }
            let packing = Repetition.times(count) {
                _ = TensorCodec.pack(tensor, type: .float32, shape: shape, by: codec)
            }
            let unpacking = try Repetition.times(count) {
                _ = try TensorCodec.unpack(packed, type: .float32, shape: shape, by: codec)
            }
            try Output.line(
                Result(
                    codec: "\(codec)", bytes: tensor.readableBytes,
                    packedBytes: packed.readableBytes, packNanoseconds: packing.nanoseconds,
                    unpackNanoseconds: unpacking.nanoseconds))
        }
    }

    /// What a layer with an activation leaves: half of it zero, the rest with noise in every bit.
    private static func activation(_ count: Int) -> ByteBuffer {
        var generator = SeededGenerator(seed: 1)
        var tensor = ByteBufferAllocator().buffer(capacity: count * 4)
        for _ in 0..<count {
            let sum = (0..<4).reduce(Float(0)) { sum, _ in
                sum + Float(generator.next(below: 1 << 24)) / Float(1 << 24) - 0.5
            }
            tensor.writeInteger(max(sum, 0).bitPattern, endianness: .little)
        }
        return tensor
    }
}
