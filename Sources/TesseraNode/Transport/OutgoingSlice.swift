import NIOCore
import TesseraCore

/// A slice on its way out.
struct OutgoingSlice: Sendable {
    /// What it is.
    let header: SliceHeader
    /// What is left to send: the engine's own memory, never copied here, or what a codec made of it.
    var bytes: ByteBuffer
    /// How the bytes are packed.
    var codec = Codec.none
    /// What to tell when they were handed to the kernel; nil if nobody asks.
    var sent: SentSlice?
    /// Its number on the connection; 0 until it begins.
    var stream: UInt32 = 0

    /// Makes a slice that has not begun.
    init(header: SliceHeader, bytes: ByteBuffer) {
        self.header = header
        self.bytes = bytes
    }
}

/// A slice on its way in.
struct IncomingSlice {
    /// What it is.
    let header: SliceHeader
    /// How its bytes are packed.
    let codec: Codec
    /// The bytes that must come.
    let expected: Int
    /// Where they are gathered: allocated once at the announced size.
    var bytes: ByteBuffer
    /// When it began.
    let began: NIODeadline
    /// Bytes of slices that the connection had received when it began.
    let receivedBefore: Int

    /// The memory that it takes: its bytes, and the unpacked ones if a codec packs them.
    var budgetBytes: Int { codec == .none ? expected : expected + header.byteCount }
}
