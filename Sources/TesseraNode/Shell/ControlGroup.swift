#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The control groups that this process is in, and what their files say.
///
/// In a container the path of a group may be that outside of it: then only the root is there, which
/// is the container's own group. So the root always counts too.
enum ControlGroup {
    /// The two forms of control groups.
    enum Version {
        case one
        case two
    }

    /// The files that are read here are a few lines; `memory.stat` is the longest.
    private static let fileBytesMax = 1 << 16

    /// Which groups this process is in: those of its first thread.
    static let list = "/proc/self/cgroup"
    /// Which groups the calling thread is in: an operator may put some threads into groups of theirs.
    static let threadList = "/proc/thread-self/cgroup"

    /// The folders of the groups of a controller, each before those in it, in both versions.
    static func folders(
        of controller: String, reading file: (String) -> String?
    ) -> [(version: Version, path: String)] {
        var result: [(version: Version, path: String)] = []
        for line in (file(list) ?? "").split(separator: "\n") {
            // "4:memory:/board", or "0::/board" in version 2.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            var folder: String
            let version: Version
            if parts[1].split(separator: ",").contains(Substring(controller)) {
                (version, folder) = (.one, "/sys/fs/cgroup/\(controller)")
            } else if parts[1].isEmpty {
                (version, folder) = (.two, "/sys/fs/cgroup")
            } else {
                continue
            }
            result.append((version, folder))
            for name in parts[2].split(separator: "/") {
                folder += "/" + name
                result.append((version, folder))
            }
        }
        return result
    }

    /// A number on a line of its own; words such as "max" are none.
    static func number(_ text: String) -> Int? {
        Int(text.split(separator: "\n").first ?? "")
    }

    /// A small file; nil if it is not there.
    static func file(_ path: String) -> String? { file(path, bytesMax: fileBytesMax) }

    /// The first bytes of a file; nil if it is not there.
    static func file(_ path: String, bytesMax: Int) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: bytesMax)
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
