import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What this machine has.
enum Machine {
    /// Processors that this process may use.
    static var processors: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }

    /// Memory that this process may use: that of the machine, or of the container that it runs in.
    static var memoryBytes: Int {
        let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        return min(machine, containerMemoryBytes ?? machine)
    }

    private static var containerMemoryBytes: Int? {
        // Not there outside of containers: then the machine's memory counts.
        guard let data = try? Data(contentsOf: URL(filePath: "/sys/fs/cgroup/memory.max")) else {
            return nil
        }
        // "max" is no number: no limit.
        return Int(String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace })
    }

    /// Memory that programs can still get; nil where the system does not say.
    static var availableMemoryBytes: Int? {
        // Not there on other systems than Linux.
        guard let data = try? Data(contentsOf: URL(filePath: "/proc/meminfo")) else { return nil }
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("MemAvailable:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return kilobytes << 10
    }

    /// Whether a host, as a URL names it, is certainly this machine; other names than localhost are
    /// not looked up, because anybody may answer.
    static func isOwn(host: String) -> Bool {
        if host == "localhost" { return true }
        guard let address = try? SocketAddress(ipAddress: host, port: 0).ipAddress else {
            // A name.
            return false
        }
        if address == "::1" || address.hasPrefix("127.") { return true }
        // Without the list of addresses none is known to be ours.
        let devices = (try? System.enumerateDevices()) ?? []
        return devices.contains { $0.address?.ipAddress == address }
    }

    /// What the clock of this machine shows.
    static var secondsSince1970: Double { Date().timeIntervalSince1970 }

    /// Free space for this user on the disk that holds a folder, which need not exist yet.
    static func freeDiskBytes(at folder: String) -> Int {
        var path = folder.hasPrefix("/") ? folder : "./" + folder
        while true {
            var status = statvfs()
            if statvfs(path, &status) == 0 {
                return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
            }
            guard let slash = path.lastIndex(of: "/"), path != "/" else { return 0 }
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
    }
}
