import ServiceLifecycle
import Synchronization
import TesseraAPI
import TesseraCore
import TesseraNode

/// What the energy counters of this machine counted since the agent started, and how many items its
/// fragments did meanwhile.
final class EnergyMeter: Sendable {
    /// What is measured per item is taken over so many seconds.
    static let windowSeconds: Int64 = 60

    /// The counters and the runs at one moment.
    private struct Sample {
        var at: TimeSpan
        var microjoules: UInt64
        var runs: [FragmentKey: Int]
    }

    private struct State {
        var counters: [(name: String, counter: EnergyCounter)] = []
        /// Moments of late, oldest first, between which no reading is missing.
        var samples: [Sample] = []
        var last = EnergyZones(root: "")
    }

    private let root: String
    private let state = Mutex(State())

    /// Reads counters under a folder.
    init(root: String = EnergyMeter.usualRoot) { self.root = root }

    /// The system's own place; in debug builds another one if a test names it in
    /// `TESSERA_TEST_POWERCAP`.
    static var usualRoot: String {
        #if DEBUG
        return Environment.value("TESSERA_TEST_POWERCAP") ?? EnergyZones.usualRoot
        #else
        return EnergyZones.usualRoot
        #endif
    }

    /// Reads the counters.
    ///
    /// These are small files, so it is not for the cooperative pool.
    func read(at time: TimeSpan, figures: [FragmentFigures]) {
        let zones = EnergyZones(root: root)
        var runs: [FragmentKey: Int] = [:]
        for figure in figures { runs[figure.key] = figure.runs - figure.failures }
        take(zones, at: time, runs: runs)
    }

    /// Takes what was read.
    func take(_ zones: EnergyZones, at time: TimeSpan, runs: [FragmentKey: Int]) {
        state.withLock { state in
            for zone in zones.zones
            where !state.counters.contains(where: { $0.name == zone.name }) {
                state.counters.append((zone.name, EnergyCounter()))
            }
            for index in state.counters.indices {
                let zone = zones.zones.first { $0.name == state.counters[index].name }
                state.counters[index].counter.take(zone?.microjoules, range: zone?.range ?? 0)
            }
            let isWhole =
                zones.areReadable && zones.zones.map(\.name) == state.last.zones.map(\.name)
            if !isWhole { state.samples = [] }
            state.last = zones
            guard zones.areReadable else { return }
            let sum = state.counters.reduce(0 as UInt64) { sum, one in
                let (next, isTooLarge) = sum.addingReportingOverflow(one.counter.microjoules)
                return isTooLarge ? .max : next
            }
            let oldest = time.microseconds - Self.windowSeconds * 1_000_000
            state.samples.removeAll { $0.at.microseconds < oldest }
            state.samples.append(Sample(at: time, microjoules: sum, runs: runs))
        }
    }

    /// Joules by zone since the start, of counters that could be read.
    var zones: [AgentMetrics.Energy.Zone] {
        state.withLock { state in
            state.counters.filter { one in
                state.last.zones.contains { $0.name == one.name && $0.microjoules != nil }
            }.map {
                AgentMetrics.Energy.Zone(
                    name: $0.name, joules: Double($0.counter.microjoules) / 1e6)
            }
        }
    }

    /// What the counters said of late for each item of which a part was done here; nil if none was, or
    /// nothing is measured.
    ///
    /// An item is one run of each of `keys`, which is what the node of that name runs of the plan.
    func measured(
        node: String, keys: [FragmentKey]
    ) -> EnergyDocument.MeasuredDocument? {
        state.withLock { state in
            guard let first = state.samples.first, let last = state.samples.last else { return nil }
            let items =
                keys.map { (last.runs[$0] ?? 0) - (first.runs[$0] ?? 0) }.max() ?? 0
            guard items > 0 else { return nil }
            return EnergyDocument.MeasuredDocument(
                node: node, joules: Double(last.microjoules - first.microjoules) / 1e6,
                seconds: Double(last.at.microseconds - first.at.microseconds) / 1e6,
                items: items)
        }
    }

    /// For people: whether there is a measurement.
    var summary: String { state.withLock { Self.summary($0.last) } }

    /// For people: whether these counters measure, and why not.
    static func summary(_ zones: EnergyZones) -> String {
        if let fault = zones.fault { return "not measured: \(fault)" }
        guard zones.areReadable else {
            return "not measured: this machine shows no energy counter (RAPL)"
        }
        return "measured by " + zones.zones.map(\.name).joined(separator: ", ")
    }
}

/// Reads the counters each second.
struct EnergyWatch: Service {
    /// Counters go round within minutes, and what they count of late is shown over a minute.
    static let period = Duration.seconds(1)

    private let meter: EnergyMeter
    private let node: Node

    init(_ meter: EnergyMeter, node: Node) {
        self.meter = meter
        self.node = node
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let (meter, node) = (meter, node)
                await Blocking.value { meter.read(at: node.uptime, figures: node.fragmentFigures) }
                // A sleep that is cancelled ends the loop.
                try? await Task.sleep(for: Self.period)
            }
        }
    }
}
