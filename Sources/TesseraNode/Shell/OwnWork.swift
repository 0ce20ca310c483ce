import TesseraCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How much this process computes beside its engine: sockets, encryption, the API, gossip.
///
/// While the node is idle that is its *idle share* of a processor. What comes on top while the engine
/// is busy belongs to the fragments that it runs, however it came about: a node where requests come
/// in spends more for each of them.
struct OwnWork: Sendable {
    /// What the clocks and counters say at a moment.
    struct Reading: Equatable, Sendable {
        /// The moment.
        var at: Timestamp
        /// Processor time of the threads that are not the engine's.
        var own: TimeSpan
        /// Processor time of the engine's threads.
        var engine: TimeSpan
        /// What the engine did.
        var tally: RunTally
        /// Bytes of blobs that came and went.
        var blobBytes = 0
    }

    /// While more than this is fetched or given between two readings, they say nothing of tensors.
    private static let blobBytesMax = 64 << 10

    /// A node counts as busy while its engine has at least this part of its processors: below, what it
    /// does anyway would count for too few runs.
    private static let busyPercent: Int64 = 50
    /// Busy time that makes one figure.
    private static let batch = TimeSpan.seconds(5)
    private static let batchRunsMin = 8
    /// The last figures of handing over whose median counts.
    private static let ratiosMax = 3
    /// The last readings of an idle node; a quarter of them may be less than what counts.
    ///
    /// Starting, importing a model and meeting others are no lasting work, and may take most of the
    /// time at first.
    private static let idleMax = 20
    private static let idleQuantile = 4
    /// A node that spends more than so many times the assumed cost is taken to do something else.
    private static let ratioMax: Int64 = 1_000

    /// Processor time per second of an idle node, in thousandths of a processor.
    private(set) var idleThousandths = 0
    /// What handing over costs, in thousandths of what is assumed (`TransferCost.assumed`); nil until
    /// it is known.
    private(set) var handoverThousandths: Int?

    private var last: Reading?
    private var idle: [Int] = []
    private var ratios: [Int] = []
    private var open = (time: TimeSpan.zero, own: TimeSpan.zero, tally: RunTally())

    /// Notes a reading; `processors` is how many the process may use, in thousandths.
    mutating func add(_ reading: Reading, processors: Int) {
        defer { last = reading }
        guard let last, reading.at > last.at else { return }
        let time = reading.at - last.at
        let own = reading.own - last.own
        let engine = reading.engine - last.engine
        let tally = reading.tally - last.tally
        guard own.nanoseconds >= 0, engine.nanoseconds >= 0,
            reading.blobBytes - last.blobBytes <= Self.blobBytesMax
        else { return }
        if tally.runs == 0, engine.nanoseconds * 100 < time.nanoseconds {
            Self.note(Int(own.nanoseconds * 1_000 / time.nanoseconds), in: &idle, max: Self.idleMax)
            idleThousandths = idle.sorted()[idle.count / Self.idleQuantile]
        }
        let capacity = time.nanoseconds / 1_000 * Int64(processors)
        guard tally.runs > 0, engine.nanoseconds * 100 >= capacity * Self.busyPercent else {
            return
        }
        open.time = open.time + time
        open.own = open.own + own
        open.tally = open.tally + tally
        guard open.time >= Self.batch, open.tally.runs >= Self.batchRunsMin else { return }
        close()
    }

    private mutating func close() {
        defer { open = (.zero, .zero, RunTally()) }
        let anyway = open.time.nanoseconds / 1_000 * Int64(idleThousandths)
        let assumed = Self.assumedNanoseconds(open.tally)
        guard assumed > 0 else { return }
        let ratio = max(open.own.nanoseconds - anyway, 0) / max(assumed / 1_000, 1)
        Self.note(Int(min(ratio, Self.ratioMax * 1_000)), in: &ratios, max: Self.ratiosMax)
        handoverThousandths = ratios.sorted()[ratios.count / 2]
    }

    /// What handing over is assumed to cost.
    private static func assumedNanoseconds(_ tally: RunTally) -> Int64 {
        let cost = TransferCost.assumed
        return Int64(tally.slices) * Int64(cost.nanosecondsPerSlice)
            + Int64(tally.bytes) / 1_000 * Int64(cost.picosecondsPerByte)
    }

    private static func note(_ value: Int, in values: inout [Int], max: Int) {
        values.append(value)
        if values.count > max { values.removeFirst() }
    }

    /// The handover cost to tell: processor time spread over the processors that the process may use
    /// beside `threads` threads of the engine, in thousandths.
    func handover(processors: Int) -> HandoverCost {
        let ratio = UInt64(max(handoverThousandths ?? 1_000, 1))
        let processors = UInt64(max(processors, 1))
        let assumed = TransferCost.assumed
        return HandoverCost(
            nanosecondsPerSlice: assumed.nanosecondsPerSlice * ratio / processors,
            picosecondsPerByte: assumed.picosecondsPerByte * ratio / processors)
    }

    // MARK: Reading

    /// What the process's threads have computed, those of the engine (and of what else works on
    /// threads of a pool) apart; nil where the system does not tell.
    static func threadTimes() -> (own: TimeSpan, engine: TimeSpan)? {
        #if os(Linux)
        guard let folder = opendir("/proc/self/task") else { return nil }
        defer { closedir(folder) }
        var (own, engine): (Int64, Int64) = (0, 0)
        var found = false
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.first?.isNumber == true else { continue }
            let place = "/proc/self/task/\(name)"
            // A thread that ended meanwhile has no files any more.
            guard let comm = ControlGroup.file("\(place)/comm", bytesMax: lineBytesMax),
                let times = ControlGroup.file("\(place)/schedstat", bytesMax: lineBytesMax),
                let ran = times.split(separator: " ").first.flatMap({ Int64($0) })
            else { continue }
            found = true
            if comm.hasPrefix(poolPrefix) { engine += ran } else { own += ran }
        }
        return found ? (TimeSpan(nanoseconds: own), TimeSpan(nanoseconds: engine)) : nil
        #else
        return nil
        #endif
    }

    /// What threads of NIO's pools are called; the engine's own threads take over the name of the one
    /// that makes them.
    private static let poolPrefix = "TP-"
    /// Each of the files is one short line.
    private static let lineBytesMax = 128
}
