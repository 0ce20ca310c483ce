import NIOCore
import TesseraCodec
import TesseraCore

/// What arrives packed.
enum CodecParsers {
    /// Unpacks, packs and unpacks again.
    ///
    /// First byte: codec and element type; second and third: the extents. The rest is what came.
    static func codecs(_ bytes: [UInt8]) {
        guard bytes.count > 3, let codec = Codec(rawValue: bytes[0] & 7),
            let type = ElementType(rawValue: 1 + (bytes[0] >> 3) % 13)
        else { return }
        let shape = [1, 1 + Int(bytes[1] & 31), Int(bytes[2])]
        let packed = ByteBuffer(bytes: bytes.dropFirst(3))
        let count = shape.reduce(type.byteCount, *)
        guard
            let plain = attempt({
                try TensorCodec.unpack(packed, type: type, shape: shape, by: codec)
            })
        else { return }
        require(plain.readableBytes == count, "a tensor has another size than it should")
        guard let again = TensorCodec.pack(plain, type: type, shape: shape, by: codec) else {
            return
        }
        let back = attempt {
            try TensorCodec.unpack(again, type: type, shape: shape, by: codec)
        }
        require(back?.readableBytes == count, "what was packed cannot be unpacked")
        require(codec.isLossy || back == plain, "a lossless codec changes values")
    }
}
