import NIOCore
import TesseraCore

/// A slice on its way out.
struct OutgoingSlice: Sendable {
    /// What it is.
    let header: SliceHeader
    /// What is left to send; the engine's own memory, never copied here.
    var bytes: ByteBuffer
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
    /// The bytes that must come.
    let expected: Int
    /// Where they are gathered: allocated once at the announced size.
    var bytes: ByteBuffer
    /// When it began.
    let began: NIODeadline
    /// Bytes of slices that the connection had received when it began.
    let receivedBefore: Int
}
