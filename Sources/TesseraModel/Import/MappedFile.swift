/// A file mapped for reading: its bytes are there without being in memory.
///
/// The file must not be made shorter while it is mapped; the import's own temporary file is not.
public final class MappedFile: Sendable {
    /// How many bytes.
    public let byteCount: Int
    /// The bytes; never written to, and valid while the object lives.
    // Why unsafe: the pointer is set once, read only, and unmapped in deinit, so any thread may
    // read through it.
    nonisolated(unsafe) private let start: UnsafeMutableRawPointer?

    /// Maps a file.
    public init(path: String) throws(ModelError) {
        do {
            (start, byteCount) = try Files.map(path)
        } catch {
            throw .unreadable(path: path, reason: error.reason)
        }
    }

    deinit {
        if let start { Files.unmap(start, byteCount) }
    }

    /// Gives `body` the bytes of a range, which must lie inside the file.
    public func withBytes<Result, Failure: Error>(
        _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard range.lowerBound >= 0, range.upperBound <= byteCount else {
            fatalError("range \(range) is outside of the \(byteCount) mapped bytes")
        }
        let all = UnsafeRawBufferPointer(start: start, count: byteCount)
        return try withExtendedLifetime(self) { () throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: all[range]))
        }
    }
}
