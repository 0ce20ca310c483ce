import Foundation
import TesseraAPI
import TesseraCore
import Testing

@testable import tessera

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite("Energy")
struct EnergyTests {
    /// A folder as Linux has it: a package with cores, graphics and memory; a second package; and
    /// counters that hold the first one's again.
    private final class Counters {
        let root: String

        init() throws {
            root = NSTemporaryDirectory() + "tessera-energy-\(UUID().uuidString)"
            let range = "262143328850"
            for (folder, name, range) in [
                ("intel-rapl:0", "package-0", range), ("intel-rapl:0:0", "core", range),
                ("intel-rapl:0:1", "uncore", range), ("intel-rapl:0:2", "dram", "65712999613"),
                ("intel-rapl:1", "package-1", range), ("intel-rapl:2", "psys", range),
                ("intel-rapl-mmio:0", "package-0", range), ("dtpm", "x", "1"),
                ("intel-rapl", "control", "1"),
            ] {
                try FileManager.default.createDirectory(
                    atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
                try write(name, folder, "name")
                try write(range, folder, "max_energy_range_uj")
                try write("1000000", folder, "energy_uj")
            }
        }

        deinit {
            // What cannot be removed is the temporary folder's to clear.
            try? FileManager.default.removeItem(atPath: root)
        }

        func write(_ text: String, _ folder: String, _ file: String = "energy_uj") throws {
            try Data((text + "\n").utf8).write(to: URL(filePath: "\(root)/\(folder)/\(file)"))
        }
    }

    @Test("a counter adds up, goes round, and leaves out what lies beside a missing reading")
    func counter() {
        var counter = EnergyCounter()
        counter.take(900, range: 1_000)
        #expect(counter.microjoules == 0)
        counter.take(950, range: 1_000)
        #expect(counter.microjoules == 50)
        counter.take(20, range: 1_000)
        #expect(counter.microjoules == 120)
        counter.take(nil, range: 1_000)
        counter.take(500, range: 1_000)
        #expect(counter.microjoules == 120)
        counter.take(1_001, range: 1_000)
        counter.take(600, range: 1_000)
        #expect(counter.microjoules == 120)
        counter.take(600, range: 1_000)
        counter.take(601, range: 1_000)
        #expect(counter.microjoules == 121)
        var full = EnergyCounter()
        full.take(0, range: .max)
        full.take(.max, range: .max)
        full.take(5, range: .max)
        #expect(full.microjoules == .max)
    }

    @Test("packages and their memory are counted, and nothing twice")
    func zones() throws {
        let counters = try Counters()
        let zones = EnergyZones(root: counters.root)
        #expect(zones.zones.map(\.name) == ["package-0", "package-0-dram", "package-1"])
        #expect(zones.zones.map(\.range) == [262_143_328_850, 65_712_999_613, 262_143_328_850])
        #expect(zones.zones.allSatisfy { $0.microjoules == 1_000_000 })
        #expect(zones.areReadable)
        #expect(
            EnergyMeter.summary(zones) == "measured by package-0, package-0-dram, package-1")
    }

    @Test("where there is no counter nothing is measured, and that is said")
    func missing() {
        let zones = EnergyZones(root: "/nowhere")
        #expect(zones.zones.isEmpty && !zones.areReadable)
        #expect(EnergyMeter.summary(zones).contains("no energy counter"))
        let meter = EnergyMeter(root: "/nowhere")
        meter.read(at: .seconds(1), figures: [])
        meter.read(at: .seconds(2), figures: [])
        #expect(meter.zones.isEmpty)
        #expect(meter.measured(node: "a", keys: [Self.key]) == nil)
    }

    @Test("a counter that only root may read is told with its path and the reason")
    func permission() throws {
        let counters = try Counters()
        let path = "\(counters.root)/intel-rapl:1/energy_uj"
        #expect(chmod(path, 0) == 0)
        let zones = try Self.asNobody { EnergyZones(root: counters.root) }
        #expect(!zones.areReadable)
        #expect(zones.zones.map { $0.microjoules == nil } == [false, false, true])
        let summary = EnergyMeter.summary(zones)
        #expect(summary.contains(path) && summary.contains("Permission denied"), "\(summary)")
        let meter = EnergyMeter(root: counters.root)
        meter.take(zones, at: .seconds(1), runs: [:])
        meter.take(zones, at: .seconds(2), runs: [Self.key: 7])
        // A part of what the machine takes is no figure for an item.
        #expect(meter.measured(node: "a", keys: [Self.key]) == nil)
        #expect(meter.zones.map(\.name) == ["package-0", "package-0-dram"])
    }

    @Test("what is no number, or has no range, is not read")
    func malformed() throws {
        let counters = try Counters()
        try counters.write("many", "intel-rapl:0")
        #expect(EnergyMeter.summary(EnergyZones(root: counters.root)).contains("holds no number"))
        try counters.write("5", "intel-rapl:0")
        try counters.write("0", "intel-rapl:1", "max_energy_range_uj")
        let zones = EnergyZones(root: counters.root)
        #expect(!zones.areReadable)
        #expect(EnergyMeter.summary(zones).contains("max_energy_range_uj"))
    }

    private static let key = FragmentKey(manifest: ManifestID(1, 2, 3, 4), operators: 0..<4)
    private static let other = FragmentKey(manifest: ManifestID(1, 2, 3, 4), operators: 4..<5)

    @Test("joules per item are those of the last minute over the items in it, over a wrap too")
    func meter() throws {
        let counters = try Counters()
        let meter = EnergyMeter(root: counters.root)
        func look(_ second: Int64, _ microjoules: UInt64, runs: Int) throws {
            try counters.write("\(microjoules)", "intel-rapl:0")
            meter.take(
                EnergyZones(root: counters.root), at: .seconds(second),
                runs: [Self.key: runs, Self.other: runs / 2])
        }
        try look(0, 1_000_000, runs: 0)
        #expect(meter.measured(node: "a", keys: [Self.key]) == nil)
        try look(100, 262_140_328_850, runs: 100)
        #expect(meter.zones.first?.joules == 262_139.32885)
        try look(101, 2_000_000, runs: 104)
        let measured = try #require(meter.measured(node: "a", keys: [Self.key, Self.other]))
        #expect(measured.items == 4 && measured.seconds == 1 && measured.node == "a")
        #expect(measured.joules == 5 && measured.joulesPerItem == 1.25)
        // Nothing was asked of a fragment that does not run here.
        #expect(meter.measured(node: "a", keys: []) == nil)
        // Behind a gap it begins anew.
        meter.take(EnergyZones(root: "/nowhere"), at: .seconds(102), runs: [:])
        try look(103, 9_000_000, runs: 200)
        #expect(meter.measured(node: "a", keys: [Self.key]) == nil)
        try look(104, 9_500_000, runs: 210)
        #expect(meter.measured(node: "a", keys: [Self.key])?.joulesPerItem == 0.05)
    }

    @Test("watts of the agent are read to the milliwatt, and nonsense is refused")
    func power() throws {
        func configuration(_ text: String) throws -> AgentConfiguration {
            try AgentConfiguration(
                AgentSettings(
                    flags: [.powerWatts: [text]], environment: { _ in nil }, file: nil))
        }
        #expect(try configuration("6.4").milliwatts == 6_400)
        #expect(try configuration("0").milliwatts == 0)
        #expect(try configuration("1000000").milliwatts == Capability.milliwattsMax)
        for text in ["-1", "1e3", "6,4", "much", "", "1000001", "nan"] {
            #expect(throws: CommandFailure.self) { try configuration(text) }
        }
        let none = try AgentConfiguration(
            AgentSettings(flags: [:], environment: { _ in nil }, file: nil))
        #expect(none.milliwatts == nil)
        let variable = try AgentSettings(
            flags: [:], environment: { $0 == "TESSERA_POWER_WATTS" ? "2.5" : nil }, file: nil)
        #expect(try AgentConfiguration(variable).milliwatts == 2_500)
    }

    @Test("a plan says that its energy is modelled, what is measured, or whose power is missing")
    func text() {
        var energy = EnergyDocument(joulesPerItem: 0.0125, unknownNodes: [])
        energy.counter = "not measured: this machine shows no energy counter (RAPL)"
        #expect(
            energy.modelledText
                == "12.5 mJ per item beyond idle, modelled from the nodes' powers")
        #expect(energy.measuredText == energy.counter)
        energy.measured = .init(node: "b", joules: 90, seconds: 60, items: 45)
        #expect(
            energy.measuredText
                == "2.00 J per item measured on b, idle and other programs included: 90.0 J in 60 s "
                + "for 45 items")
        let unknown = EnergyDocument(joulesPerItem: nil, unknownNodes: ["b", "c"])
        #expect(
            unknown.modelledText
                == "not known: no power is told by b, c; give its agent --power-watts")
    }

    @Test("doctor says whether energy is modelled and whether it is measured")
    func doctor() throws {
        let none = EnergyZones(root: "/nowhere")
        let bare = Doctor.energy(milliwatts: nil, none)
        #expect(bare.state == .good)
        #expect(bare.text.contains("not modelled") && bare.text.contains("not measured"))
        let counters = try Counters()
        let both = Doctor.energy(milliwatts: 6_400, EnergyZones(root: counters.root))
        #expect(both.text.contains("modelled with 6.400 W"))
        #expect(both.text.contains("measured by package-0"))
    }

    /// Runs `body` as a user who may read nothing of root's: root itself may read what nobody may.
    private static func asNobody<Result>(_ body: () throws -> Result) throws -> Result {
        guard geteuid() == 0 else { return try body() }
        // Changes the rights to files of this thread alone (setfsuid(2)), which no header of Glibc's
        // module declares.
        typealias Change = @convention(c) (UInt32) -> Int32
        let symbol = try #require(dlsym(dlopen(nil, RTLD_NOW), "setfsuid"))
        let change = unsafeBitCast(symbol, to: Change.self)
        _ = change(65_534)
        defer { _ = change(0) }
        return try body()
    }
}
