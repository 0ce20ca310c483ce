import TesseraCore

/// Links as data: who is connected with whom, what is cut or clogged, and when what is sent arrives.
///
/// It draws no chance of its own: the fate of a message follows from the seed, its link and its
/// number on that link.
struct SimulatedNetwork {
    /// What a message is sent by; each keeps its own order on a connection.
    enum Lane: Int {
        case control
        case data
    }

    /// A connection of two runs.
    struct Connection {
        /// What was sent over one connection never comes out of a later one.
        let number: Int
        let low: Int
        let high: Int
        /// The last arrival by direction and lane.
        var lastArrival = SIMD4<Int64>()
    }

    private let mesh: SimulatedMesh
    private let knobs: Scenario.Network
    private let seed: UInt64
    private let count: Int
    /// Nothing ever passes between two parts from the healing on.
    private let parts: [Int]
    private let healAt: Timestamp
    /// By link: nothing passes until then.
    private var cutUntil: [Timestamp]
    /// By link: what is sent arrives then at the earliest.
    private var clogUntil: [Timestamp]
    /// By link: the data lane is busy until then.
    private var busyUntil: [Timestamp]
    private var mediumBusyUntil = Timestamp.zero
    /// By link: how many messages and datagrams were sent.
    private var sent: [UInt64]
    /// By the numbers of both runs, the lower one first.
    private var connections: [UInt64: Connection] = [:]
    private var nextConnection = 1
    private(set) var isHealed = false

    init(_ scenario: Scenario) {
        mesh = scenario.mesh
        knobs = scenario.network
        seed = scenario.seed
        parts = scenario.parts
        healAt = scenario.healAt
        count = scenario.mesh.devices.count
        let links = count * count
        cutUntil = .init(repeating: .zero, count: links)
        clogUntil = cutUntil
        busyUntil = cutUntil
        sent = .init(repeating: 0, count: links)
    }

    // MARK: Faults

    mutating func cut(from source: Int, to target: Int, until: Timestamp) {
        guard source != target else { return }
        let link = source * count + target
        cutUntil[link] = max(cutUntil[link], min(until, healAt))
    }

    mutating func clog(from source: Int, to target: Int, until: Timestamp) {
        guard source != target else { return }
        let link = source * count + target
        clogUntil[link] = max(clogUntil[link], min(until, healAt))
    }

    mutating func heal() { isHealed = true }

    /// Whether nothing passes on the way from one device to another now.
    func isCut(from source: Int, to target: Int, at now: Timestamp) -> Bool {
        if isHealed, parts[source] != parts[target] { return true }
        return now < cutUntil[source * count + target]
    }

    /// Whether a connection cannot hold: it needs both ways.
    func isCut(_ one: Int, _ other: Int, at now: Timestamp) -> Bool {
        isCut(from: one, to: other, at: now) || isCut(from: other, to: one, at: now)
    }

    /// When a cut link is open again; `never` if that is not foreseen.
    func opens(from source: Int, to target: Int) -> Timestamp {
        if isHealed, parts[source] != parts[target] { return .never }
        return cutUntil[source * count + target]
    }

    // MARK: Connections

    private static func key(_ one: Int, _ other: Int) -> UInt64 {
        UInt64(min(one, other)) << 32 | UInt64(max(one, other))
    }

    /// The number of the connection; nil if there is none.
    func connection(_ one: Int, _ other: Int) -> Int? {
        connections[Self.key(one, other)]?.number
    }

    /// True if there was no connection before.
    mutating func connect(_ one: Int, _ other: Int) -> Bool {
        guard connections[Self.key(one, other)] == nil else { return false }
        connections[Self.key(one, other)] = Connection(
            number: nextConnection, low: min(one, other), high: max(one, other))
        nextConnection += 1
        return true
    }

    /// True if there was a connection.
    mutating func disconnect(_ one: Int, _ other: Int) -> Bool {
        connections.removeValue(forKey: Self.key(one, other)) != nil
    }

    /// The runs that a run is connected with, ascending.
    func peers(of run: Int) -> [Int] {
        connections.values.compactMap { $0.low == run ? $0.high : $0.high == run ? $0.low : nil }
            .sorted()
    }

    // MARK: Messages

    /// What becomes of a message on a connection.
    struct Arrival {
        var time: Timestamp
        /// A byte is wrong: the receiver closes the connection.
        var isCorrupt: Bool
    }

    /// When a message of a run at `source` arrives at a run at `target`; nil without a connection.
    mutating func arrival(
        from source: Int, _ run: Int, to target: Int, _ other: Int, lane: Lane, byteCount: Int,
        now: Timestamp
    ) -> Arrival? {
        let key = Self.key(run, other)
        guard connections[key] != nil else { return nil }
        let link = source * count + target
        sent[link] += 1
        var fate = Fate(seed: seed, .message, source, target, sent[link])
        var begin = now
        let properties = mesh.link(source, target)
        var transfer = properties.transfer(byteCount)
        if lane == .data {
            begin = max(begin, busyUntil[link])
            if let medium = mesh.mediumBitsPerSecond {
                begin = max(begin, mediumBusyUntil)
                transfer = max(transfer, SimulatedMesh.Link.transfer(byteCount, medium))
                mediumBusyUntil = begin + transfer
            }
            busyUntil[link] = begin + transfer
        }
        var time = begin + transfer + delay(properties, &fate)
        // A lost segment is sent again.
        if fate.chance(perMille: knobs.lossPerMille) {
            time = time + fate.span(.milliseconds(200), .milliseconds(400))
        }
        time = max(time, clogUntil[link])
        if now < cutUntil[link] { time = max(time, cutUntil[link] + properties.latency) }
        let place = (run < other ? 0 : 1) * 2 + lane.rawValue
        time = max(
            time, Timestamp(nanoseconds: connections[key]?.lastArrival[place] ?? 0))
        connections[key]?.lastArrival[place] = time.nanoseconds
        return Arrival(
            time: time,
            isCorrupt: !isHealed && fate.chance(perMille: knobs.corruptPerMille)
                && fate.chance(perMille: 100))
    }

    /// When a datagram arrives, and when its double does; nothing if it is lost.
    mutating func datagram(
        from source: Int, to target: Int, now: Timestamp
    ) -> (arrivals: [Timestamp], corruption: UInt64?) {
        let link = source * count + target
        sent[link] += 1
        guard !isCut(from: source, to: target, at: now) else { return ([], nil) }
        var fate = Fate(seed: seed, .datagram, source, target, sent[link])
        guard !fate.chance(perMille: knobs.lossPerMille) else { return ([], nil) }
        let corruption = fate.chance(perMille: knobs.corruptPerMille) ? fate.next() : nil
        let properties = mesh.link(source, target)
        var arrivals = [max(now + delay(properties, &fate), clogUntil[link])]
        if fate.chance(perMille: knobs.duplicatePerMille) {
            arrivals.append(max(now + delay(properties, &fate), clogUntil[link]))
        }
        return (arrivals, corruption)
    }

    /// A way there and back, for a call.
    func callDelay(from source: Int, to target: Int, number: UInt64) -> TimeSpan {
        var fate = Fate(seed: seed, .dial, source, target, number)
        return delay(mesh.link(source, target), &fate) + delay(mesh.link(target, source), &fate)
    }

    private func delay(_ link: SimulatedMesh.Link, _ fate: inout Fate) -> TimeSpan {
        var delay = link.latency + fate.span(.zero, knobs.jitter)
        if fate.chance(perMille: knobs.tailPerMille) {
            delay = delay + fate.tail(mean: knobs.tailMean)
        }
        return delay
    }
}
