import NIOCore
import TesseraCore
import Testing

@testable import TesseraCodec

@Suite struct TensorCodecTests {
    private static func tensor(_ values: [Float]) -> ByteBuffer {
        var buffer = ByteBuffer()
        for value in values { buffer.writeInteger(value.bitPattern, endianness: .little) }
        return buffer
    }

    private static func values(_ buffer: ByteBuffer) -> [Float] {
        buffer.withUnsafeReadableBytes { raw in
            (0..<raw.count / 4).map { index in
                let bits = raw.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
                return Float(bitPattern: UInt32(littleEndian: bits))
            }
        }
    }

    /// What a layer with an activation leaves: half of it zero.
    private static func activation(_ count: Int, seed: UInt64) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            max(0, Float(generator.next(below: 1 << 20)) / Float(1 << 19) - 1)
        }
    }

    private static func packed(
        _ values: [Float], _ shape: [Int], _ codec: Codec
    ) throws -> (bytes: Int, values: [Float]) {
        let bytes = try #require(
            TensorCodec.pack(tensor(values), type: .float32, shape: shape, by: codec))
        let back = try TensorCodec.unpack(bytes, type: .float32, shape: shape, by: codec)
        return (bytes.readableBytes, Self.values(back))
    }

    @Test("lossless packing gives back every bit, also of values that are no numbers")
    func lossless() throws {
        var values = Self.activation(5_000, seed: 1)
        for index in stride(from: 0, to: 5_000, by: 7) { values[index] = 0 }
        values[3] = .nan
        values[4] = -.infinity
        values[5] = -0.0
        values[6] = .leastNonzeroMagnitude
        let result = try Self.packed(values, [1, 5, 1_000], .lossless)
        #expect(result.values.map(\.bitPattern) == values.map(\.bitPattern))
        #expect(result.bytes < 4 * values.count * 3 / 4)
    }

    @Test("lossless packing takes elements of every size", arguments: ElementType.allCases)
    func everyType(type: ElementType) throws {
        let count = 1_001
        let bytes = ByteBuffer(
            bytes: (0..<count * type.byteCount).map { UInt8(truncatingIfNeeded: $0 / 64) })
        let packed = try #require(
            TensorCodec.pack(bytes, type: type, shape: [count], by: .lossless))
        #expect(
            try TensorCodec.unpack(packed, type: type, shape: [count], by: .lossless) == bytes)
        guard type != .float32 else { return }
        #expect(TensorCodec.pack(bytes, type: type, shape: [count], by: .int8) == nil)
        #expect(throws: CodecError.wrongType(.int8, type)) {
            try TensorCodec.unpack(packed, type: type, shape: [count], by: .int8)
        }
    }

    @Test("bytes that do not pack stay as they are")
    func noise() {
        var generator = SeededGenerator(seed: 3)
        let noise = ByteBuffer(
            bytes: (0..<4_096).map { _ in UInt8(truncatingIfNeeded: generator.next() >> 33) })
        #expect(TensorCodec.pack(noise, type: .uint8, shape: [4_096], by: .lossless) == nil)
        #expect(TensorCodec.pack(noise, type: .uint8, shape: [4_096], by: .none) == nil)
        let empty = ByteBuffer()
        for codec in Codec.allCases {
            #expect(TensorCodec.pack(empty, type: .float32, shape: [0], by: codec) == nil)
        }
    }

    #if arch(arm64) || !os(macOS)
    @Test("16-bit floats are the nearest, as the hardware rounds")
    func float16() throws {
        var generator = SeededGenerator(seed: 4)
        var values: [Float] = [0, -0.0, 1, -1, 65_504, 65_519.99, 6.1e-5, 5.9e-8, 2.98e-8, 1e-12]
        values += [.infinity, -.infinity, 0.1, 1 / 3, 2_049, 2_051]
        for exponent in -30...15 {
            for _ in 0..<50 {
                let fraction = 1 + Float(generator.next(below: 1 << 23)) / Float(1 << 23)
                let value = Float(sign: .plus, exponent: exponent, significand: fraction)
                if value < 65_520 { values += [value, -value] }
            }
        }
        let result = try Self.packed(values, [values.count], .float16)
        #expect(result.values.map(\.bitPattern) == values.map { Float(Float16($0)).bitPattern })
        #expect(result.bytes == values.count * 2)
        #expect(try Self.packed([.nan, 1, 2], [3], .float16).values[0].isNaN)
    }
    #endif

    @Test("values that 16 bits cannot hold are not packed by them")
    func overflow() {
        let large = Self.tensor([1, 65_520, 3])
        #expect(TensorCodec.pack(large, type: .float32, shape: [3], by: .float16) == nil)
        #expect(TensorCodec.pack(large, type: .float32, shape: [3], by: .bfloat16) != nil)
        let huge = Self.tensor([.greatestFiniteMagnitude, 1, 1])
        #expect(TensorCodec.pack(huge, type: .float32, shape: [3], by: .bfloat16) == nil)
    }

    @Test("upper halves keep 8 significant bits, to the nearest, halves to even")
    func bfloat16() throws {
        let exact: [Float] = [0, -0.0, 1, -2.5, .infinity, 1e38, 1e-38]
        let result = try Self.packed(exact + [1 + 1 / 256, 1 + 3 / 256], [9], .bfloat16)
        #expect(result.values[7] == 1)
        #expect(result.values[8] == 1.015625)
        for (value, back) in zip(exact, result.values) {
            #expect(value == back || abs(value - back) <= abs(value) / 256)
        }
        #expect(try Self.packed([.nan, 1], [2], .bfloat16).values[0].isNaN)
    }

    @Test("codes of 8 bits are within half a step of their channel, and zero stays zero")
    func int8() throws {
        var values: [Float] = []
        for channel in 0..<8 {
            let size = Float(sign: .plus, exponent: channel * 4 - 12, significand: 1)
            values += Self.activation(100, seed: UInt64(channel)).map {
                $0 == 0 ? 0 : ($0 - 0.3) * size
            }
        }
        let result = try Self.packed(values, [1, 8, 10, 10], .int8)
        #expect(result.bytes == 8 * 5 + 800)
        for channel in 0..<8 {
            let old = values[channel * 100..<channel * 100 + 100]
            let new = result.values[channel * 100..<channel * 100 + 100]
            let step = ((old.max() ?? 0) - (old.min() ?? 0)) / 255
            for (before, after) in zip(old, new) {
                #expect(abs(before - after) <= step * 0.501 + step * 0.5)
                if before == 0 { #expect(after == 0) }
            }
        }
    }

    @Test("a channel of zeros or of one value comes back; what is no number is not packed")
    func oddChannels() throws {
        let values =
            [Float](repeating: 0, count: 64) + [Float](repeating: 5, count: 64)
            + [Float](repeating: -3, count: 64)
        let result = try Self.packed(values, [1, 3, 64], .int8)
        for (before, after) in zip(values, result.values) {
            #expect(abs(before - after) <= 0.00001)
        }
        for odd: Float in [.nan, .infinity] {
            var values = values
            values[70] = odd
            #expect(
                TensorCodec.pack(
                    Self.tensor(values), type: .float32, shape: [1, 3, 64], by: .int8) == nil)
        }
        let wide: [Float] = [-.greatestFiniteMagnitude, .greatestFiniteMagnitude, 0, 0, 0, 0]
        #expect(TensorCodec.pack(Self.tensor(wide), type: .float32, shape: [6], by: .int8) == nil)
        let tiny = [Float](repeating: .leastNonzeroMagnitude, count: 64)
        #expect(try Self.packed(tiny, [64], .int8).values == [Float](repeating: 0, count: 64))
    }

    @Test("small channels have one scale in common")
    func groups() {
        #expect(TensorCodec.groups(shape: [1, 8, 8, 8], elements: 512) == (8, 64))
        #expect(TensorCodec.groups(shape: [1, 64, 2, 2], elements: 256) == (1, 256))
        #expect(TensorCodec.groups(shape: [2, 100], elements: 200) == (2, 100))
        #expect(TensorCodec.groups(shape: [1, 197, 768], elements: 197 * 768) == (197, 768))
        #expect(TensorCodec.groups(shape: [], elements: 1) == (1, 1))
    }

    @Test("bytes that no codec made end in an error", arguments: Codec.allCases)
    func hostile(codec: Codec) throws {
        let values = Self.activation(512, seed: 9)
        let shape = [1, 8, 64]
        let good =
            TensorCodec.pack(Self.tensor(values), type: .float32, shape: shape, by: codec)
            ?? Self.tensor(values)
        var longer = good
        longer.writeInteger(0 as UInt8)
        let shorter = good.getSlice(at: 0, length: good.readableBytes - 1) ?? good
        for wrong in [longer, shorter, ByteBuffer()] {
            #expect(throws: CodecError.self) {
                try TensorCodec.unpack(wrong, type: .float32, shape: shape, by: codec)
            }
        }
        var generator = SeededGenerator(seed: 10)
        for _ in 0..<300 {
            var wrong = good
            let place = generator.next(below: wrong.readableBytes)
            wrong.setInteger(UInt8(truncatingIfNeeded: generator.next() >> 40), at: place)
            do throws(CodecError) {
                let bytes = try TensorCodec.unpack(
                    wrong, type: .float32, shape: shape, by: codec)
                #expect(bytes.readableBytes == 2_048)
            } catch {
                #expect(error == .corrupt(codec))
            }
        }
    }

    @Test("a frame that would unpack to more than the tensor is refused before it does")
    func bomb() throws {
        let zeros = ByteBuffer(repeating: 0, count: 8 << 20)
        let bomb = try #require(
            TensorCodec.pack(zeros, type: .float32, shape: [2 << 20], by: .lossless))
        #expect(bomb.readableBytes < 4_096)
        #expect(throws: CodecError.corrupt(.lossless)) {
            try TensorCodec.unpack(bomb, type: .float32, shape: [1_024], by: .lossless)
        }
        var nan = ByteBuffer(repeating: 0, count: 5 + 100)
        nan.setInteger(Float.nan.bitPattern, at: 0, endianness: .little)
        #expect(throws: CodecError.corrupt(.int8)) {
            try TensorCodec.unpack(nan, type: .float32, shape: [100], by: .int8)
        }
    }

    @Test("every codec's speed is measured")
    func measured() {
        let speeds = TensorCodec.measure()
        #expect(speeds.map(\.codec) == [.lossless, .float16, .bfloat16, .int8])
        #expect(speeds.allSatisfy { $0.packedPerMicrosecond > 0 })
    }
}
