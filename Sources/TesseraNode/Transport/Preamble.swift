/// The eight bytes that a dialler sends in the open before TLS.
///
/// A mark, and what the connection is for, so that it starts on the right event loop. What they say
/// is checked again by the hello.
enum Preamble {
    /// What a connection carries.
    enum Purpose: UInt8, CaseIterable, Sendable {
        /// Messages, over TLS.
        case control = 0x43
        /// Slices and blobs, over TLS.
        case data = 0x44
        /// Slices and blobs without encryption, between peers that agreed on it.
        case plainData = 0x50
    }

    /// Bytes of a preamble.
    static let byteCount = 8
    private static let mark = Array("TESSERA".utf8)

    /// The bytes for a purpose.
    static func bytes(_ purpose: Purpose) -> [UInt8] { mark + [purpose.rawValue] }

    /// Whether these bytes can still become a preamble.
    static func isPossible(_ bytes: some Collection<UInt8>) -> Bool {
        zip(bytes, mark).allSatisfy { $0 == $1 } && bytes.count <= byteCount
    }

    /// What a whole preamble says; nil if it is none.
    static func purpose(_ bytes: some Collection<UInt8>) -> Purpose? {
        guard bytes.count == byteCount, isPossible(bytes) else { return nil }
        return bytes.dropFirst(mark.count).first.flatMap { Purpose(rawValue: $0) }
    }
}
