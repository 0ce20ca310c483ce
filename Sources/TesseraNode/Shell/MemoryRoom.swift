#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// How much more memory this process may take before the kernel kills it: what its control groups
/// leave, and those above them.
///
/// The budget of `--memory` is what the operator allows; a container or a service may allow less, and
/// the agent's own needs, the cost of compiling and other processes of the group count there too.
enum MemoryRoom {
    /// Left free beside what is asked for: buffers of requests and of connections take it meanwhile.
    static let marginBytes = 16 << 20
    /// A limit from here on is the kernel's way to say that there is none.
    private static let limitBytesMax = 1 << 60
    /// The files that are read here are a few lines; `memory.stat` is the longest.
    private static let fileBytesMax = 1 << 16

    /// Refuses what has no room.
    static func admit(_ bytes: Int) throws(EngineRoomError) {
        guard let free = freeBytes(reading: file) else { return }
        guard bytes <= free - marginBytes else {
            throw .noRoom(neededBytes: bytes, freeBytes: max(0, free - marginBytes))
        }
    }

    /// Bytes that may still be taken; nil where there is no limit, or none that can be read.
    static func freeBytes(reading file: (String) -> String?) -> Int? {
        guard let groups = file("/proc/self/cgroup") else { return nil }
        var least: Int?
        for line in groups.split(separator: "\n") {
            // "4:memory:/board", or "0::/board" in version 2.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let form: Form
            if parts[1].split(separator: ",").contains("memory") {
                form = .version1
            } else if parts[1].isEmpty {
                form = .version2
            } else {
                continue
            }
            for folder in folders(from: String(parts[2]), below: form.root) {
                guard let free = form.freeBytes(in: folder, file) else { continue }
                least = min(least ?? free, free)
            }
        }
        return least
    }

    /// The group and all above it.
    ///
    /// In a container the path may be that outside of it: then only the root is there, which is the
    /// container's own group.
    private static func folders(from path: String, below root: String) -> [String] {
        var folders = [root]
        for name in path.split(separator: "/") {
            folders.append(folders[folders.count - 1] + "/" + name)
        }
        return folders
    }

    /// The two forms of control groups.
    private enum Form {
        case version1
        case version2

        var root: String { self == .version1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup" }

        func freeBytes(in folder: String, _ file: (String) -> String?) -> Int? {
            let names: (limit: String, used: String, cache: [Substring])
            switch self {
            case .version1:
                names = (
                    "memory.limit_in_bytes", "memory.usage_in_bytes",
                    ["total_inactive_file", "total_active_file"]
                )
            case .version2:
                names = ("memory.max", "memory.current", ["inactive_file", "active_file"])
            }
            guard let limit = file("\(folder)/\(names.limit)").flatMap(number),
                limit < limitBytesMax, let used = file("\(folder)/\(names.used)").flatMap(number)
            else { return nil }
            // Pages of files are given back when memory is needed.
            var cache = 0
            for line in (file("\(folder)/memory.stat") ?? "").split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.count == 2, names.cache.contains(words[0]) { cache += Int(words[1]) ?? 0 }
            }
            return limit - used + min(cache, used)
        }
    }

    /// A number on a line of its own; "max" is none.
    private static func number(_ text: String) -> Int? {
        Int(text.split(separator: "\n").first ?? "")
    }

    /// A small file; nil if it is not there.
    private static func file(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: fileBytesMax)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            guard got > 0 else { break }
            count += got
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
