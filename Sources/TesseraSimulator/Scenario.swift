public import TesseraCore

/// One thing that goes wrong, at a time of the run.
public enum Fault: Hashable, Sendable {
    /// The process of a node ends without a word; peers see their connections break.
    case crash(node: Int)
    /// The device loses power: nobody sees a connection break until silence tells.
    case powerLoss(node: Int)
    /// A crashed node starts again on its disk.
    case restart(node: Int)
    /// A node stops running and goes on later as if nothing had been (SIGSTOP, a long stall).
    case pause(node: Int, for: TimeSpan)
    /// Nothing passes between two nodes until `heal`.
    case cut(Int, Int)
    /// Every cut is mended.
    case heal
    /// An operator's SIGTERM.
    case leave(node: Int)
    /// A node that was not there before starts.
    case join(node: Int)
}

/// A fault and its time.
public struct TimedFault: Hashable, Sendable {
    /// When.
    public var at: Timestamp
    /// What.
    public var fault: Fault

    /// Makes a timed fault.
    public init(at: Timestamp, fault: Fault) {
        self.at = at
        self.fault = fault
    }
}

/// Everything a run is made of, drawn from one seed.
///
/// Printing it and running it again gives the same run.
public struct Scenario: Hashable, Sendable {
    /// Draws every knob.
    public var seed: UInt64
    /// How many nodes start at once; faults may name later ones.
    public var nodes: Int
    /// Operations per microsecond of each node, later ones included.
    public var speeds: [UInt64]
    /// Memory of each node in bytes.
    public var memory: [Int]
    /// Datagrams lost, in thousandths.
    public var lossPerMille: Int
    /// The least one-way delay of a message.
    public var delayLeast: TimeSpan
    /// The most.
    public var delayMost: TimeSpan
    /// The operators of the model.
    public var operators: Int
    /// A request every so often at a random living node.
    public var requestPeriod: TimeSpan
    /// How many requests.
    public var requests: Int
    /// What goes wrong, and when.
    public var faults: [TimedFault]
    /// When faults end, cuts heal and crashed nodes start again.
    public var healAt: Timestamp
    /// When the run ends.
    public var until: Timestamp

    /// A run without faults.
    public static func quiet(
        seed: UInt64, nodes: Int, requests: Int = 100, until: Timestamp = .zero + .seconds(30)
    ) -> Scenario {
        Scenario(
            seed: seed, nodes: nodes, speeds: .init(repeating: 1_000, count: nodes + 4),
            memory: .init(repeating: 1 << 30, count: nodes + 4), lossPerMille: 0,
            delayLeast: .microseconds(50), delayMost: .microseconds(300), operators: 24,
            requestPeriod: .milliseconds(100), requests: requests, faults: [],
            healAt: until, until: until)
    }

    /// A run whose every knob is drawn from the seed, zero included, so that each run has another
    /// mix of faults (swarm testing).
    public static func drawn(seed: UInt64) -> Scenario {
        var knobs = SeededGenerator(seed: seed).derived(name: "knobs")
        let nodes = 2 + knobs.next(below: 5)
        var scenario = Scenario.quiet(seed: seed, nodes: nodes)
        scenario.speeds = (0..<nodes + 4).map { _ in UInt64(200 + knobs.next(below: 2_000)) }
        scenario.lossPerMille = knobs.chance(1, outOf: 3) ? 0 : knobs.next(below: 150)
        scenario.delayMost = .microseconds(Int64(100 + knobs.next(below: 20_000)))
        scenario.operators = 4 + knobs.next(below: 40)
        scenario.requestPeriod = .milliseconds(Int64(5 + knobs.next(below: 60)))
        scenario.requests = 100 + knobs.next(below: 300)
        if knobs.chance(1, outOf: 4) {
            // Tight memory: no node can hold the whole model.
            for node in scenario.memory.indices { scenario.memory[node] = 64 << 20 }
        }
        scenario.healAt = .zero + .seconds(20)
        scenario.until = .zero + .seconds(60)
        scenario.faults = drawFaults(&knobs, nodes: nodes, until: scenario.healAt)
        return scenario
    }

    private static func drawFaults(
        _ knobs: inout SeededGenerator, nodes: Int, until end: Timestamp
    ) -> [TimedFault] {
        var faults: [TimedFault] = []
        var time = Timestamp.zero + .seconds(4)
        for _ in 0..<knobs.next(below: 8) {
            time = time + .milliseconds(Int64(knobs.next(below: 4_000)))
            guard time < end else { break }
            let node = knobs.next(below: nodes)
            let other = (node + 1 + knobs.next(below: max(1, nodes - 1))) % nodes
            switch knobs.next(below: 8) {
            case 0, 1:
                faults.append(TimedFault(at: time, fault: .crash(node: node)))
                let back = time + .milliseconds(Int64(100 + knobs.next(below: 5_000)))
                if back < end { faults.append(TimedFault(at: back, fault: .restart(node: node))) }
            case 2:
                faults.append(TimedFault(at: time, fault: .powerLoss(node: node)))
            case 3:
                let length = TimeSpan.milliseconds(Int64(100 + knobs.next(below: 6_000)))
                faults.append(TimedFault(at: time, fault: .pause(node: node, for: length)))
            case 4:
                faults.append(TimedFault(at: time, fault: .cut(node, other)))
            case 5:
                faults.append(TimedFault(at: time, fault: .heal))
            case 6:
                faults.append(TimedFault(at: time, fault: .leave(node: node)))
            default:
                faults.append(
                    TimedFault(at: time, fault: .join(node: nodes + knobs.next(below: 4))))
            }
        }
        return faults.sorted { $0.at < $1.at }
    }
}
