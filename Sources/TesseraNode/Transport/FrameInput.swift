import NIOCore
import TesseraWire

/// Drives a frame decoder over what a connection receives.
///
/// Frames are cut from the buffers as they arrive. Only a frame that is cut in two by the end of a
/// buffer is put together, and of the next buffer no more than that needs is copied.
struct FrameInput {
    private var decoder: FrameDecoder
    /// The beginning of a frame whose rest has not come.
    private var pending = ByteBuffer()

    /// Bytes that were copied to put cut frames together.
    private(set) var copiedBytes = 0

    /// The first step when a cut frame is put together: a header; then twice as much each time.
    private static let firstStepBytes = 20

    /// Makes an input for one end of a connection.
    init(side: FrameDecoder.Side, versions: WireVersions = .supported) {
        decoder = FrameDecoder(side: side, versions: versions)
    }

    /// The version that the greetings agreed on.
    var agreedVersion: UInt16? { decoder.agreedVersion }

    /// Takes the next frame; nil when the input is used up.
    mutating func next(_ input: inout ByteBuffer) throws -> Frame? {
        var step = Self.firstStepBytes
        while pending.readableBytes > 0 {
            if let frame = try decoder.decode(buffer: &pending) { return frame }
            // The decoder may have used up a header without giving a frame.
            guard pending.readableBytes > 0 else { break }
            guard let part = input.readSlice(length: min(step, input.readableBytes)),
                part.readableBytes > 0
            else { return nil }
            pending.writeImmutableBuffer(part)
            copiedBytes += part.readableBytes
            step *= 2
        }
        if let frame = try decoder.decode(buffer: &input) { return frame }
        if input.readableBytes > 0 {
            copiedBytes += input.readableBytes
            // A copy of its own, so that few bytes do not keep a large buffer alive.
            pending = ByteBuffer(bytes: input.readableBytesView)
            input.moveReaderIndex(to: input.writerIndex)
        }
        return nil
    }
}
