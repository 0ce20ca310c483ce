import TesseraCore

/// What is taken out of a drawn scenario: how a shrunk one is told and run again.
public struct Reduction: Hashable, Sendable {
    /// A knob that can be turned to nothing.
    public enum Knob: String, Hashable, Sendable, CaseIterable {
        case loss
        case duplicates
        case corruption
        case tail
        case jitter
        case discovery
        case noise
        case parts
        case rates
    }

    /// The faults that stay, by their place in the drawn list; nil for all.
    public var faults: [Int]?
    /// So many nodes stay, and none joins; nil for all.
    public var nodes: Int?
    /// So many requests; nil for all.
    public var requests: Int?
    /// Knobs that are turned to nothing.
    public var without: [Knob]

    /// Takes nothing out.
    public init(
        faults: [Int]? = nil, nodes: Int? = nil, requests: Int? = nil, without: [Knob] = []
    ) {
        self.faults = faults
        self.nodes = nodes
        self.requests = requests
        self.without = without
    }

    /// Whether nothing is taken out.
    public var isEmpty: Bool { self == Reduction() }
}

extension Scenario {
    /// The scenario without what the reduction takes out.
    ///
    /// What stays keeps its fate: no chance is drawn from a stream that something else shares.
    public func reduced(by reduction: Reduction) -> Scenario {
        var result = self
        if let kept = reduction.faults {
            result.faults = kept.compactMap { faults.indices.contains($0) ? faults[$0] : nil }
        }
        for knob in reduction.without { result.turnOff(knob) }
        if let requests = reduction.requests {
            result.workload.requests = min(requests, workload.requests)
        }
        if let count = reduction.nodes, count >= 1, count < mesh.devices.count {
            let old = mesh.devices.count
            result.mesh = SimulatedMesh(
                devices: Array(mesh.devices.prefix(count)),
                links: (0..<count * count).map { mesh.links[$0 / count * old + $0 % count] },
                mediumBitsPerSecond: mesh.mediumBitsPerSecond, entry: mesh.entry)
            result.nodes = min(nodes, count)
            result.parts = Array(result.parts.prefix(count))
            result.faults.removeAll { $0.fault.nodes.contains { $0 >= count } }
        }
        return result
    }

    private mutating func turnOff(_ knob: Reduction.Knob) {
        switch knob {
        case .loss: network.lossPerMille = 0
        case .duplicates: network.duplicatePerMille = 0
        case .corruption: network.corruptPerMille = 0
        case .tail: network.tailPerMille = 0
        case .jitter: network.jitter = .zero
        case .discovery: discovery = Discovery()
        case .noise: engine.noisePercent = 0
        case .parts: parts = parts.map { _ in 0 }
        case .rates: network.measuresLinks = false
        }
    }
}

extension Fault {
    /// The nodes that the fault names.
    var nodes: [Int] {
        func node(_ target: Target) -> [Int] {
            if case .node(let index) = target { [index] } else { [] }
        }
        return switch self {
        case .stop(let target, _, _, _), .pause(let target, _), .isolate(let target, _),
            .slow(let target, _, _), .trouble(let target, _, _), .burst(let target, _),
            .cancel(let target):
            node(target)
        case .leave(let index), .join(let index), .discovery(_, let index),
            .command(_, let index), .damage(let index):
            [index]
        case .cut(let from, let to, _), .clog(let from, let to, _),
            .breakConnection(let from, let to):
            [from, to]
        case .split, .swizzle, .lose, .restartVoter, .slowPlanning: []
        }
    }
}
