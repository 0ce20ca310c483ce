/// What it costs to hand tensors over: the time that both ends spend on them, and what is assumed
/// of links that nobody measured yet.
public enum TransferCost {
    /// Half nanoseconds of processor time that each end spends per byte: about one pass of TLS and
    /// one of copying at 2 GB/s on a desktop core.
    public static let halfNanosecondsPerByte = 1
    /// Processor time that each end spends per slice, whatever its size: a system call, a TLS
    /// record, and waking the threads that pass it on.
    public static let nanosecondsPerSlice = 15_000
    /// Bytes per second of a link of unknown speed: 1 Gbit/s, a usual wired network.
    public static let assumedBytesPerSecond: UInt64 = 125_000_000
    /// Latency of a link that nobody measured.
    public static let assumedLatencyMicroseconds: Int64 = 200

    /// What a node is taken to spend before it has measured it.
    public static let assumed = HandoverCost(
        nanosecondsPerSlice: UInt64(nanosecondsPerSlice),
        picosecondsPerByte: UInt64(halfNanosecondsPerByte * 500))

    /// Time that one end spends on slices of so many bytes together: what it measured itself, or
    /// what is assumed.
    static func endpointNanoseconds(
        bytes: Int, slices: Int, cost: HandoverCost? = nil
    ) -> Int {
        let cost = cost ?? assumed
        let perByte = CostArithmetic.scaled(
            bytes, by: Int(clamping: cost.picosecondsPerByte), over: 1_000)
        return perByte
            + CostArithmetic.scaled(
                slices, by: Int(clamping: cost.nanosecondsPerSlice), over: 1)
    }
}

/// The links between the nodes of a problem, by the nodes' indices.
struct LinkTable: Sendable {
    /// How many nodes.
    let nodeCount: Int
    private var bytesPerSecond: [UInt64]
    private var latencies: [Int]

    /// Reads the links of a problem for these nodes.
    init(_ links: [PlanningProblem.Link], nodes: [PlanningProblem.Node]) {
        nodeCount = nodes.count
        let assumed = CostArithmetic.nanoseconds(
            microseconds: TransferCost.assumedLatencyMicroseconds)
        bytesPerSecond = Array(
            repeating: TransferCost.assumedBytesPerSecond, count: nodeCount * nodeCount)
        latencies = Array(repeating: assumed, count: nodeCount * nodeCount)
        // A table from node to index; it is only looked up, never walked.
        var indices: [NodeID: Int] = [:]
        for (index, node) in nodes.enumerated() { indices[node.member.node] = index }
        for link in links {
            guard let source = indices[link.source], let destination = indices[link.destination]
            else { continue }
            let slot = source * nodeCount + destination
            latencies[slot] = CostArithmetic.nanoseconds(microseconds: link.latencyMicroseconds)
            if link.bytesPerSecond > 0 { bytesPerSecond[slot] = link.bytesPerSecond }
        }
    }

    /// How long the link is busy with so many bytes.
    ///
    /// Within one node nothing travels.
    func occupancy(from source: Int, to destination: Int, bytes: Int) -> Int {
        guard source != destination else { return 0 }
        return CostArithmetic.scaled(
            bytes, by: 1_000_000_000,
            over: Int(clamping: bytesPerSecond[source * nodeCount + destination]))
    }

    /// Bytes per second of a link, or what is assumed.
    func bytesPerSecond(from source: Int, to destination: Int) -> UInt64 {
        bytesPerSecond[source * nodeCount + destination]
    }

    /// The link as a plan space has it.
    func link(from source: Int, to destination: Int) -> PlanSpace.Link {
        let rate = Int(clamping: bytesPerSecond[source * nodeCount + destination])
        let (bits, overflow) = rate.multipliedReportingOverflow(by: 8)
        return PlanSpace.Link(
            bitsPerSecond: overflow ? .max : bits,
            latencyNanoseconds: latency(from: source, to: destination))
    }

    /// Time that the first byte takes.
    func latency(from source: Int, to destination: Int) -> Int {
        source == destination ? 0 : latencies[source * nodeCount + destination]
    }
}
