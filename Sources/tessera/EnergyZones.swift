#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The energy counters of the processor (RAPL), as Linux shows them under `/sys/class/powercap`.
///
/// Counted are the packages, `intel-rapl:N` with a name that begins with `package`, and memory,
/// `intel-rapl:N:M` with the name `dram`, which is no part of a package. Cores and graphics are parts
/// of their package, and `psys` holds packages: they would count twice.
struct EnergyZones: Equatable {
    /// One counter, as it was read.
    struct Zone: Equatable {
        /// What people know it by, such as `package-0`; of memory with its package, `package-0-dram`.
        var name: String
        /// The reading; nil if it could not be read.
        var microjoules: UInt64?
        /// Behind this it begins again at 0.
        var range: UInt64
    }

    /// Where Linux shows them.
    static let usualRoot = "/sys/class/powercap"
    /// More counters than any machine has.
    private static let zonesMax = 64

    /// The counters, ascending by name.
    private(set) var zones: [Zone] = []
    /// Why a counter that is there could not be read; nil if all were, or none is there.
    private(set) var fault: String?

    /// Whether there is a counter, and every one was read.
    var areReadable: Bool { !zones.isEmpty && fault == nil }

    /// Reads them; a machine without has none.
    init(root: String = usualRoot) {
        // A machine without the folder has no counters.
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let folders = entries.filter { Self.numbers($0) != nil }.sorted().prefix(Self.zonesMax)
        var packages: [Int: String] = [:]
        for folder in folders {
            guard let number = Self.numbers(folder), number.count == 1,
                let name = Self.text("\(root)/\(folder)/name"), name.hasPrefix("package")
            else { continue }
            packages[number[0]] = name
            add(name, "\(root)/\(folder)")
        }
        for folder in folders {
            guard let number = Self.numbers(folder), number.count == 2,
                let package = packages[number[0]],
                Self.text("\(root)/\(folder)/name") == "dram"
            else { continue }
            add("\(package)-dram", "\(root)/\(folder)")
        }
        zones.sort { $0.name < $1.name }
    }

    private mutating func add(_ name: String, _ folder: String) {
        guard let range = Self.text(folder + "/max_energy_range_uj").flatMap({ UInt64($0) }),
            range > 0
        else {
            fault = fault ?? "\(folder)/max_energy_range_uj cannot be read"
            return
        }
        let path = folder + "/energy_uj"
        var reading: UInt64?
        do {
            let bytes = try Data(contentsOf: URL(filePath: path))
            reading = UInt64(Self.trimmed(bytes))
            if reading == nil { fault = fault ?? "\(path) holds no number" }
        } catch {
            fault = fault ?? "\(path) cannot be read: \(Files.reason(error))"
        }
        zones.append(Zone(name: name, microjoules: reading, range: range))
    }

    /// The numbers of a zone's folder: of `intel-rapl:0:1` 0 and 1; nil for other folders.
    private static func numbers(_ folder: String) -> [Int]? {
        let parts = folder.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.first == "intel-rapl", (2...3).contains(parts.count) else { return nil }
        let numbers = parts.dropFirst().compactMap { Int($0) }
        return numbers.count == parts.count - 1 ? numbers : nil
    }

    private static func text(_ path: String) -> String? {
        // What cannot be read is not there for us; who needs it says so.
        (try? Data(contentsOf: URL(filePath: path))).map(trimmed)
    }

    private static func trimmed(_ bytes: Data) -> String {
        String(String(decoding: bytes, as: UTF8.self).prefix { !$0.isWhitespace })
    }
}
