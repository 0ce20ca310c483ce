import TesseraAPI

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

/// What this process takes of the machine, as the system says.
enum ProcessFigures {
    /// The figures now.
    static var now: AgentMetrics.Process {
        AgentMetrics.Process(
            residentBytes: residentBytes, descriptors: descriptors,
            processorSeconds: processorSeconds)
    }

    /// The second number of `statm` is pages in memory; not there on other systems than Linux.
    private static var residentBytes: Int? {
        guard let text = read("/proc/self/statm") else { return nil }
        let numbers = text.split(separator: " ")
        guard numbers.count > 1, let pages = Int(numbers[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static var descriptors: Int? {
        // A system without the folder does not say.
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count
    }

    private static var processorSeconds: Double? {
        // In millionths of a second (POSIX), whatever the system's own ticks are.
        let ticks = clock()
        return ticks < 0 ? nil : Double(ticks) / 1e6
    }

    private static func read(_ path: String) -> String? {
        // A system without the file does not say.
        guard let data = try? Data(contentsOf: URL(filePath: path)) else { return nil }
        return String(decoding: data, as: UTF8.self)
    }
}
