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

/// Why a small file could not be read or written.
public struct StoredFileError: Error, Hashable, Sendable {
    /// What was tried, as a verb: "read", "write".
    public var action: String
    /// The file or folder.
    public var path: String
    /// The system's error number; 0 if the system did not object.
    public var errorNumber: Int32
    /// What is wrong.
    public var reason: String

    /// Makes an error from the system's error number.
    init(_ action: String, _ path: String, errorNumber: Int32) {
        self.action = action
        self.path = path
        self.errorNumber = errorNumber
        reason = String(cString: strerror(errorNumber))
    }

    /// Makes an error of our own.
    init(_ action: String, _ path: String, reason: String) {
        self.action = action
        self.path = path
        errorNumber = 0
        self.reason = reason
    }
}

extension StoredFileError: CustomStringConvertible {
    /// What happened, why, and what to do.
    public var description: String {
        let advice =
            switch errorNumber {
            case EACCES, EPERM, EROFS:
                " Give the user that runs the agent access to it, or name another place."
            case ENOSPC, EDQUOT: " Free some space on that disk."
            case ENOENT: " Check the path."
            default: ""
            }
        return "Cannot \(action) \(path): \(reason).\(advice)"
    }
}

/// Small files that must be whole or not there at all, whatever crashes.
enum StoredFile {
    /// What a file holds and who may touch it.
    struct Contents {
        /// The bytes.
        var bytes: [UInt8]
        /// The permission bits.
        var mode: UInt32
    }

    /// Only the owner may read and write.
    private static let ownerOnly: mode_t = 0o600

    /// Whether something is at the path.
    static func exists(_ path: String) -> Bool {
        access(path, F_OK) == 0
    }

    /// Whether a plain file is at the path, and no device, folder or link.
    static func isPlain(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Makes the folder, and those above it, unless they are there.
    static func makeFolder(_ path: String) throws(StoredFileError) {
        if exists(path) { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeFolder(String(path[..<slash]))
        }
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw StoredFileError("make the folder", path, errorNumber: errno)
        }
    }

    /// Reads a whole regular file of at most `bytesMax` bytes.
    static func read(_ path: String, bytesMax: Int) throws(StoredFileError) -> Contents {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw StoredFileError("read", path, errorNumber: errno) }
        defer { _ = close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw StoredFileError("read", path, errorNumber: errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw StoredFileError("read", path, reason: "it is not a regular file")
        }
        guard status.st_size <= bytesMax else {
            throw StoredFileError(
                "read", path, reason: "it has \(status.st_size) bytes, more than \(bytesMax)")
        }
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let start = count
            let got = bytes.withUnsafeMutableBytes { buffer in
                systemRead(
                    descriptor, buffer.baseAddress?.advanced(by: start), buffer.count - start)
            }
            if got < 0 {
                if errno == EINTR { continue }
                throw StoredFileError("read", path, errorNumber: errno)
            }
            if got == 0 { break }
            count += got
        }
        return Contents(bytes: Array(bytes.prefix(count)), mode: UInt32(status.st_mode) & 0o7777)
    }

    /// Puts the bytes in place of the file at once and durably; readers see the old or the new.
    static func replace(
        _ path: String, bytes: [UInt8], isOfFoldersOwner: Bool = false
    ) throws(StoredFileError) {
        let temporary = path + ".new"
        if unlink(temporary) != 0, errno != ENOENT {
            throw StoredFileError("write", temporary, errorNumber: errno)
        }
        try writeDurably(temporary, bytes: bytes, isOfFoldersOwner: isOfFoldersOwner)
        guard rename(temporary, path) == 0 else {
            throw StoredFileError("write", path, errorNumber: errno)
        }
        try syncFolder(of: path)
    }

    /// Writes a file that is not there yet, durably.
    static func create(
        _ path: String, bytes: [UInt8], isOfFoldersOwner: Bool = false
    ) throws(StoredFileError) {
        try writeDurably(path, bytes: bytes, isOfFoldersOwner: isOfFoldersOwner)
        try syncFolder(of: path)
    }

    private static func writeDurably(
        _ path: String, bytes: [UInt8], isOfFoldersOwner: Bool
    ) throws(StoredFileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, ownerOnly)
        guard descriptor >= 0 else { throw StoredFileError("write", path, errorNumber: errno) }
        var failure: Int32 = 0
        var owner = stat()
        // What root puts into the folder of the agent's user is for that user.
        if isOfFoldersOwner, geteuid() == 0 {
            if stat(folder(of: path), &owner) != 0
                || fchown(descriptor, owner.st_uid, owner.st_gid) != 0
            {
                failure = errno
            }
        }
        var written = 0
        while written < bytes.count, failure == 0 {
            let start = written
            let count = bytes.withUnsafeBytes { buffer in
                systemWrite(
                    descriptor, buffer.baseAddress?.advanced(by: start), buffer.count - start)
            }
            if count >= 0 { written += count } else if errno != EINTR { failure = errno }
        }
        if failure == 0, fsync(descriptor) != 0 { failure = errno }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        guard failure == 0 else {
            unlink(path)
            throw StoredFileError("write", path, errorNumber: failure)
        }
    }

    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    }

    /// A new name is durable only when its folder is.
    private static func syncFolder(of path: String) throws(StoredFileError) {
        let folder = folder(of: path)
        let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoredFileError("write", folder, errorNumber: errno) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw StoredFileError("write", folder, errorNumber: errno)
        }
    }
}

/// A file that one process at a time may hold; let go when the object or the process ends.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock, or throws at once if another process holds it.
    init(_ path: String) throws(StoredFileError) {
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode_t(0o600))
        guard opened >= 0 else { throw StoredFileError("open", path, errorNumber: errno) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            _ = close(opened)
            if reason == EWOULDBLOCK {
                throw StoredFileError(
                    "lock", path,
                    reason: "another agent runs on this data folder. Stop it, or give this "
                        + "agent its own with --data-dir")
            }
            throw StoredFileError("lock", path, errorNumber: reason)
        }
        descriptor = opened
    }

    deinit {
        _ = close(descriptor)
    }
}

// The members `read` and `create` above hide the C functions' names inside the enum.
private func systemRead(
    _ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int
) -> Int {
    read(descriptor, buffer, count)
}

func systemWrite(_ descriptor: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, buffer, count)
}
