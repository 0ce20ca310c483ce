public import TesseraCore

/// What an agent is.
public struct ServerInformation: Hashable, Sendable {
    /// The node.
    public var node: NodeID
    /// The name that its owner gave it.
    public var name: String
    /// The name of its mesh.
    public var mesh: String
    /// The version of the program.
    public var version: String
    /// How long it has been running.
    public var uptime: TimeSpan

    /// Makes the information.
    public init(node: NodeID, name: String, mesh: String, version: String, uptime: TimeSpan) {
        self.node = node
        self.name = name
        self.mesh = mesh
        self.version = version
        self.uptime = uptime
    }
}

/// Whether something can be used, and if not, why.
public enum Readiness: Hashable, Sendable {
    /// It can.
    case ready
    /// It cannot, for this reason.
    case notReady(reason: String)

    /// The reason; nil if it is ready.
    public var reason: String? {
        switch self {
        case .ready: nil
        case .notReady(let reason): reason
        }
    }
}

/// A model as clients see it.
public struct ModelInformation: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Which model the name stands for.
    public var manifest: ManifestID
    /// Its inputs for one item.
    public var inputs: [TensorDescriptor]
    /// Its outputs for one item.
    public var outputs: [TensorDescriptor]
    /// The names of the outputs that are early exits.
    public var exits: [String]
    /// The bytes of its weights.
    public var weightBytes: Int
    /// Whether a plan serves it.
    public var readiness: Readiness

    /// Makes the information.
    public init(
        name: String, manifest: ManifestID, inputs: [TensorDescriptor],
        outputs: [TensorDescriptor], exits: [String] = [], weightBytes: Int,
        readiness: Readiness
    ) {
        self.exits = exits
        self.name = name
        self.manifest = manifest
        self.inputs = inputs
        self.outputs = outputs
        self.weightBytes = weightBytes
        self.readiness = readiness
    }
}
