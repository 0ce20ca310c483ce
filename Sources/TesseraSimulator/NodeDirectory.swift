import TesseraCore
import TesseraWire

/// The simulated nodes' keys and the identities that follow from them, drawn anew for each seed so
/// that nothing leans on the order of starting.
struct NodeDirectory {
    /// By index of the node.
    let keys: [[UInt8]]
    /// By index of the node.
    let ids: [NodeID]
    private let indices: [NodeID: Int]

    init(count: Int, seed: UInt64) {
        var draw = SeededGenerator(seed: seed).derived(name: "keys")
        keys = (0..<count).map { _ in (0..<32).map { _ in UInt8(draw.next(below: 256)) } }
        ids = keys.map { key in key.withUnsafeBytes { NodeID(sha256Of: $0) } }
        indices = Dictionary(uniqueKeysWithValues: zip(ids, ids.indices))
    }

    /// The index of a node; nil for one that nobody simulates.
    func index(of node: NodeID) -> Int? { indices[node] }
}
