import CodecShim
public import NIOCore
public import TesseraCore

/// Why packed bytes are not what they are said to be.
public enum CodecError: Error, Hashable, Sendable {
    /// The codec packs no elements of this type.
    case wrongType(Codec, ElementType)
    /// There are more or fewer bytes than the codec makes of such a tensor.
    case wrongSize(Codec, byteCount: Int, expected: Int)
    /// The bytes are none that the codec makes.
    case corrupt(Codec)
}

extension CodecError: CustomStringConvertible {
    /// What is wrong.
    public var description: String {
        switch self {
        case .wrongType(let codec, let type): "codec \(codec) does not pack elements of \(type)"
        case .wrongSize(let codec, let count, let expected):
            "codec \(codec) gave \(count) bytes where \(expected) were to come"
        case .corrupt(let codec): "these bytes are none that codec \(codec) makes"
        }
    }
}

/// Packs the bytes of tensors for a link, and unpacks them.
public enum TensorCodec {
    /// Groups of fewer values than this have one scale in common: a scale would take too much.
    static let groupValuesMin = 64

    /// The packed bytes; nil if they would not be fewer, or if the codec cannot hold the values: then
    /// the tensor goes as it is.
    public static func pack(
        _ bytes: ByteBuffer, type: ElementType, shape: [Int], by codec: Codec
    ) -> ByteBuffer? {
        let count = bytes.readableBytes
        guard codec != .none, codec.takes(type), count > 0, count % type.byteCount == 0 else {
            return nil
        }
        let elements = count / type.byteCount
        switch codec {
        case .none: return nil
        case .lossless: return packLossless(bytes, width: type.byteCount)
        case .float16:
            return packed(bytes, into: elements * 2) { tessera_to_float16($0, elements, $1) }
        case .bfloat16:
            return packed(bytes, into: elements * 2) { tessera_to_bfloat16($0, elements, $1) }
        case .int8:
            let (groups, values) = groups(shape: shape, elements: elements)
            let size = tessera_int8_size(groups, values)
            guard size < count else { return nil }
            return packed(bytes, into: size) { tessera_to_int8($0, groups, values, $1) }
        }
    }

    /// The bytes of a tensor of this type and shape, whatever was sent.
    ///
    /// Takes no more memory than twice the tensor's bytes.
    public static func unpack(
        _ packed: ByteBuffer, type: ElementType, shape: [Int], by codec: Codec
    ) throws(CodecError) -> ByteBuffer {
        guard codec.takes(type) else { throw .wrongType(codec, type) }
        let elements = shape.reduce(1, *)
        let count = elements * type.byteCount
        func check(_ expected: Int) throws(CodecError) {
            guard packed.readableBytes == expected else {
                throw .wrongSize(codec, byteCount: packed.readableBytes, expected: expected)
            }
        }
        let result: ByteBuffer?
        switch codec {
        case .none:
            try check(count)
            return packed
        case .lossless:
            result = unpackLossless(packed, byteCount: count, width: type.byteCount)
        case .float16:
            try check(elements * 2)
            result = unpacked(packed, into: count) {
                tessera_from_float16($0, elements, $1)
                return true
            }
        case .bfloat16:
            try check(elements * 2)
            result = unpacked(packed, into: count) {
                tessera_from_bfloat16($0, elements, $1)
                return true
            }
        case .int8:
            let (groups, values) = groups(shape: shape, elements: elements)
            try check(tessera_int8_size(groups, values))
            result = unpacked(packed, into: count) {
                tessera_from_int8($0, groups, values, $1)
            }
        }
        guard let result else { throw .corrupt(codec) }
        return result
    }

    /// What has one scale in an 8-bit tensor: its channels (or tokens), or all of it where those are
    /// small.
    ///
    /// Of `[n, c, …]` each of the `n * c` channels, of `[n, v]` each of the `n` rows.
    static func groups(shape: [Int], elements: Int) -> (groups: Int, values: Int) {
        let groups =
            switch shape.count {
            case 0, 1: 1
            case 2: shape[0]
            default: shape[0] * shape[1]
            }
        guard groups > 1, elements / groups >= groupValuesMin else { return (1, elements) }
        return (groups, elements / groups)
    }

    private typealias Step = (UnsafeRawPointer, UnsafeMutableRawPointer) -> Bool

    private static func packed(_ bytes: ByteBuffer, into size: Int, _ step: Step) -> ByteBuffer? {
        unpacked(bytes, into: size, step)
    }

    private static func unpacked(
        _ bytes: ByteBuffer, into size: Int, _ step: Step
    ) -> ByteBuffer? {
        var result = ByteBufferAllocator().buffer(capacity: size)
        var isDone = false
        result.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { target in
            bytes.withUnsafeReadableBytes { source in
                guard let from = source.baseAddress, let to = target.baseAddress else { return }
                isDone = step(from, to)
            }
            return isDone ? size : 0
        }
        return isDone || size == 0 ? result : nil
    }

    private static func packLossless(_ bytes: ByteBuffer, width: Int) -> ByteBuffer? {
        let count = bytes.readableBytes
        let room = tessera_pack_bound(count)
        var result = ByteBufferAllocator().buffer(capacity: room)
        var written = 0
        _ = withUnsafeTemporaryAllocation(byteCount: count, alignment: 16) { planes in
            result.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                written = bytes.withUnsafeReadableBytes { source in
                    tessera_pack(
                        source.baseAddress, count, width, planes.baseAddress, target.baseAddress,
                        room)
                }
                return written
            }
        }
        return written > 0 && written < count ? result : nil
    }

    private static func unpackLossless(
        _ packed: ByteBuffer, byteCount: Int, width: Int
    ) -> ByteBuffer? {
        guard byteCount > 0 else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 16) { planes in
            unpacked(packed, into: byteCount) { from, to in
                tessera_unpack(
                    from, packed.readableBytes, planes.baseAddress, byteCount, width, to)
            }
        }
    }
}
