import TesseraCore
import TesseraWire

/// The simulated nodes' keys and the identities that follow from them, drawn anew for each seed so
/// that nothing leans on the order of starting.
///
/// A device whose disk was emptied has another key, and is another node.
struct NodeDirectory {
    /// A device's identity.
    struct Identity {
        /// What signs its records: its hash is the node's identity.
        let key: [UInt8]
        let id: NodeID
    }

    private let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    /// The identity of a device, with so many disks before this one.
    func identity(of index: Int, disk: Int) -> Identity {
        var draw = SeededGenerator(seed: seed).derived(name: "key \(index) \(disk)")
        let key = (0..<32).map { _ in UInt8(draw.next(below: 256)) }
        return Identity(key: key, id: key.withUnsafeBytes { NodeID(sha256Of: $0) })
    }
}
