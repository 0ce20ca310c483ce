import NIOCore
import TesseraWire

// Tests/FuzzTests/Parsers has a link to this file.

extension [Frame] {
    /// The frames with the bytes of slices and blobs in one piece: where chunks are cut does not count.
    var joined: [Frame] {
        var result: [Frame] = []
        for frame in self {
            switch (result.last, frame) {
            case (.sliceBytes(let open, var bytes), .sliceBytes(let stream, let more))
            where open == stream:
                bytes.writeImmutableBuffer(more)
                result[result.count - 1] = .sliceBytes(stream: stream, bytes)
            case (.blobChunk(var chunk), .blobChunk(let more))
            where chunk.id == more.id && chunk.total == more.total
                && chunk.offset + chunk.bytes.readableBytes == more.offset:
                chunk.bytes.writeImmutableBuffer(more.bytes)
                result[result.count - 1] = .blobChunk(chunk)
            default: result.append(frame)
            }
        }
        return result
    }
}
