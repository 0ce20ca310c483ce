/// The preferred chain within a period and a number of nodes: a shortest path over (set of nodes,
/// next node, position) by what is to load, then by latency.
struct PreferenceSearch {
    /// The best way to a state.
    private struct Entry {
        var change: Int
        var latency: Int
        /// The step that led here; nil at the start.
        var step: ChainStep?
    }

    private let table: StageTable
    private let probe: Probe
    private let nodeLimit: Int
    /// By set and next node: the entries by position; empty if nothing was reached.
    private var entries: [[Entry?]]

    /// A search within what the probe allows.
    init(_ table: StageTable, probe: Probe, nodeLimit: Int) {
        self.table = table
        self.probe = probe
        self.nodeLimit = nodeLimit
        entries = Array(repeating: [], count: (1 << table.nodeCount) * table.nodeCount)
    }

    /// The preferred chain; nil if there is none, or more than `statesMax` states.
    mutating func run(statesMax: Int) -> [ChainStep]? {
        let nodeCount = table.nodeCount
        var states = 0
        var best: (entry: Entry, set: Int)?
        for node in 0..<nodeCount {
            entries[node] = Array(repeating: nil, count: table.positionCount)
            entries[node][0] = Entry(change: 0, latency: 0, step: nil)
        }
        for set in 0..<(1 << nodeCount) where set.nonzeroBitCount < nodeLimit {
            for node in 0..<nodeCount where set >> node & 1 == 0 {
                let row = set * nodeCount + node
                guard !entries[row].isEmpty else { continue }
                states += table.positionCount
                guard states <= statesMax else { return nil }
                let finished = advance(set: set, node: node)
                if let entry = finished, best.map({ Self.isBetter(entry, $0.entry) }) ?? true {
                    best = (entry, set)
                }
            }
        }
        guard let best else { return nil }
        return chain(endingWith: best.entry, set: best.set)
    }

    /// Runs `node` behind the set, from everywhere it can start; gives the best way to the end.
    private mutating func advance(set: Int, node: Int) -> Entry? {
        let size = set.nonzeroBitCount + 1
        let lowest = probe.lowest[nodeLimit - size]
        let starts = entries[set * table.nodeCount + node]
        var reached = [Entry?](repeating: nil, count: table.positionCount)
        for from in 0..<table.end {
            guard let start = starts[from] else { continue }
            for to in max(from + 1, lowest)...table.end where probe.canRun(node, from, to) {
                let entry = Entry(
                    change: start.change + table.change(node, from, to),
                    latency: start.latency + table.stage(node, from, to),
                    step: ChainStep(node: node, from: from, to: to))
                if reached[to].map({ Self.isBetter(entry, $0) }) ?? true { reached[to] = entry }
            }
        }
        guard size < nodeLimit else { return reached[table.end] }
        let grown = set | 1 << node
        for next in 0..<table.nodeCount where grown >> next & 1 == 0 {
            pass(reached, from: node, to: next, grown: grown)
        }
        return reached[table.end]
    }

    private mutating func pass(_ reached: [Entry?], from node: Int, to next: Int, grown: Int) {
        let row = grown * table.nodeCount + next
        for position in 1..<table.end {
            guard var entry = reached[position],
                probe.canCut(from: node, to: next, at: position)
            else { continue }
            entry.latency += table.link(node, next, position) + table.latency(node, next)
            if entries[row].isEmpty {
                entries[row] = Array(repeating: nil, count: table.positionCount)
            }
            if entries[row][position].map({ Self.isBetter(entry, $0) }) ?? true {
                entries[row][position] = entry
            }
        }
    }

    /// Walks back: each state keeps the step that led to it, and the state before it is the set
    /// without that step's node.
    private func chain(endingWith last: Entry, set: Int) -> [ChainStep] {
        var chain: [ChainStep] = []
        var step = last.step
        var rest = set
        while let current = step {
            chain.append(current)
            guard current.from > 0 else { break }
            step = entries[rest * table.nodeCount + current.node][current.from]?.step
            if let before = step { rest &= ~(1 << before.node) }
        }
        return chain.reversed()
    }

    private static func isBetter(_ left: Entry, _ right: Entry) -> Bool {
        (left.change, left.latency) < (right.change, right.latency)
    }
}
