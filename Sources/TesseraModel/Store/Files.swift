#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A failed call to the system.
struct FileError: Error, Hashable {
    /// What was tried, such as `write`.
    var operation: String
    /// On what.
    var path: String
    /// The system's error number.
    var code: Int32

    /// The system's words.
    var reason: String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text)
    }

    var isDiskFull: Bool { code == ENOSPC || code == EDQUOT }
    var isNotPermitted: Bool { code == EACCES || code == EROFS || code == EPERM }
    var isMissing: Bool { code == ENOENT }

    /// The error that the last call left behind.
    static func last(_ operation: String, _ path: String) -> FileError {
        FileError(operation: operation, path: path, code: errno)
    }
}

/// The few calls to the system that the store and the import make.
enum Files {
    /// Maps a whole file for reading; an empty file has no address.
    static func map(
        _ path: String
    ) throws(FileError) -> (start: UnsafeMutableRawPointer?, byteCount: Int) {
        let file = try OpenFile(path: path, .read)
        let byteCount = try file.byteCount()
        guard byteCount > 0 else { return (nil, 0) }
        let address = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
        guard let address, address != MAP_FAILED else { throw .last("map", path) }
        return (address, byteCount)
    }

    static func unmap(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
        munmap(start, byteCount)
    }

    /// Makes a folder that only its owner reads, unless it is there; says whether it is new.
    @discardableResult
    static func makeFolder(_ path: String) throws(FileError) -> Bool {
        if mkdir(path, 0o700) == 0 { return true }
        guard errno == EEXIST else { throw .last("make", path) }
        guard isFolder(path) else {
            throw FileError(operation: "make", path: path, code: ENOTDIR)
        }
        return false
    }

    private static func isFolder(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    /// The bytes of a plain file; nil for anything else, links included.
    static func byteCount(ofPlainFile path: String) -> Int? {
        var information = stat()
        guard lstat(path, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return Int(information.st_size)
    }

    /// The names in a folder, ascending.
    static func list(_ path: String) throws(FileError) -> [String] {
        guard let folder = opendir(path) else { throw .last("list", path) }
        defer { closedir(folder) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(
                    to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)
                ) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw .last("list", path) }
        return names.sorted()
    }

    /// Removes a file; it is well if there is none.
    static func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw .last("remove", path) }
    }

    /// Gives a file another name, in the place of what has it.
    static func rename(_ path: String, to other: String) throws(FileError) {
        #if canImport(Glibc)
        let result = Glibc.rename(path, other)
        #elseif canImport(Musl)
        let result = Musl.rename(path, other)
        #elseif canImport(Darwin)
        let result = Darwin.rename(path, other)
        #endif
        guard result == 0 else { throw .last("rename", path) }
    }

    /// Makes the names in a folder durable.
    static func syncFolder(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .last("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .last("sync", path) }
    }
}

/// An open file, closed when it goes.
struct OpenFile: ~Copyable {
    /// What a file is opened for.
    enum Mode {
        case read
        /// Made if it is not there.
        case readAndWrite

        fileprivate var flags: Int32 {
            switch self {
            case .read: O_RDONLY
            case .readAndWrite: O_RDWR | O_CREAT
            }
        }
    }

    let descriptor: Int32
    private let path: String

    /// Opens a file; a link in its place is refused.
    init(path: String, _ mode: Mode) throws(FileError) {
        var result: Int32
        repeat {
            result = open(path, mode.flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        } while result < 0 && errno == EINTR
        guard result >= 0 else { throw .last("open", path) }
        descriptor = result
        self.path = path
    }

    deinit { close(descriptor) }

    /// Takes the lock that only one process has; false if another one has it.
    func lock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func byteCount() throws(FileError) -> Int {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw .last("examine", path) }
        guard information.st_mode & S_IFMT == S_IFREG else {
            throw FileError(operation: "open", path: path, code: EINVAL)
        }
        return Int(information.st_size)
    }

    /// Reads until the buffer is full or the file ends.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(FileError) -> Int {
        var done = 0
        while done < buffer.count, let start = buffer.baseAddress {
            let count = pread(
                descriptor, start + done, buffer.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .last("read", path) }
            guard count > 0 else { break }
            done += count
        }
        return done
    }

    /// Writes all bytes.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        var done = 0
        while done < bytes.count, let start = bytes.baseAddress {
            let count = pwrite(descriptor, start + done, bytes.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .last("write", path) }
            done += count
        }
    }

    func truncate(to byteCount: Int) throws(FileError) {
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else { throw .last("cut", path) }
    }

    func sync() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw .last("sync", path) }
    }
}
