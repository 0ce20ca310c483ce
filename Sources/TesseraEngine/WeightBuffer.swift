#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Owns one contiguous piece of memory with the weights of a fragment, each constant at the offset
/// that the fragment's text names.
///
/// The engine reads the weights where they lie, so whatever the engine makes of them keeps the buffer
/// alive. The memory starts at a page, so offsets that are multiples of `alignmentBytes` are aligned.
public final class WeightBuffer: Sendable {
    /// What offsets of constants should be multiples of: one cache line, the widest vector register.
    public static let alignmentBytes = 64

    /// How many bytes.
    public let byteCount: Int
    // Written only during `init`, before anybody else can see the object; read-only from then on.
    nonisolated(unsafe) let start: UnsafeMutableRawPointer?

    /// Allocates the memory and lets `fill` write it, once.
    ///
    /// - Parameters:
    ///   - byteCount: how many bytes; 0 for a fragment without constants.
    ///   - fill: writes the bytes. They are zero before.
    /// - Throws: `EngineError.outOfMemory`, or what `fill` throws.
    public init(
        byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void = { _ in }
    ) throws {
        guard byteCount >= 0 else { throw EngineError.outOfMemory(byteCount: byteCount) }
        self.byteCount = byteCount
        guard byteCount > 0 else {
            start = nil
            return
        }
        // Straight from the kernel: zero without being touched, and given back at once when freed.
        let memory = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            throw EngineError.outOfMemory(byteCount: byteCount)
        }
        start = memory
        try fill(UnsafeMutableRawBufferPointer(start: memory, count: byteCount))
    }

    deinit {
        if let start { munmap(start, byteCount) }
    }

    /// Lends the bytes for reading.
    public func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: byteCount))
    }
}
