// In an optimised build the compiler takes `stat` for a part of CoreFoundation, whose headers
// another file of this target brings in first.
#if canImport(Glibc)
import CoreFoundation
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What tells one state of a file from another, and who may touch it.
public struct FileStamp: Hashable, Sendable {
    /// The permission bits.
    public let mode: UInt32
    /// The owner.
    public let user: UInt32
    /// The owner's group.
    public let group: UInt32
    // A file that is written in place keeps its number; one that is replaced may keep its time.
    private let number: UInt64
    private let byteCount: Int64
    private let changed: [Int64]

    /// The stamp of what is at the path; nil if there is nothing.
    public init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        mode = UInt32(status.st_mode) & 0o7777
        user = UInt32(status.st_uid)
        group = UInt32(status.st_gid)
        number = UInt64(status.st_ino)
        byteCount = Int64(status.st_size)
        #if canImport(Darwin)
        let time = status.st_mtimespec
        #else
        let time = status.st_mtim
        #endif
        changed = [Int64(time.tv_sec), Int64(time.tv_nsec)]
    }
}
