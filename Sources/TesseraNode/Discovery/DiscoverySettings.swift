public import TesseraCore

/// How an agent looks for others.
public enum DiscoveryMode: String, Hashable, Sendable, CaseIterable {
    /// mDNS, and the beacon while there is no usable daemon.
    case auto
    /// mDNS only.
    case mdns
    /// The beacon only.
    case beacon
    /// Neither: seeds only.
    case none
}

/// What discovery has to know; seeds serve in every mode.
public struct DiscoverySettings: Sendable {
    /// How to look.
    public var mode: DiscoveryMode
    /// Addresses to propose again and again; at most `DiscoveryLimits.seedsMax` are used.
    public var seeds: [SeedAddress]
    /// This node.
    public var node: NodeID
    /// This run of it.
    public var boot: Boot
    /// Where this agent listens, on every address of the machine.
    public var port: UInt16
    /// Sixteen hexadecimal digits that keep meshes apart on one network; it says nothing about the
    /// mesh's secret.
    public var meshTag: String
    /// The tags of what counts as this mesh; while a mesh exchanges its secret there are two.
    public var acceptedTags: [String]
    /// The names of the interfaces that the beacon uses; nil for every one that can multicast.
    public var beaconInterfaces: [String]?

    /// Makes settings.
    public init(
        mode: DiscoveryMode = .auto, seeds: [SeedAddress] = [], node: NodeID, boot: Boot,
        port: UInt16, meshTag: String, acceptedTags: [String]? = nil,
        beaconInterfaces: [String]? = nil
    ) {
        self.mode = mode
        self.seeds = seeds
        self.node = node
        self.boot = boot
        self.port = port
        self.meshTag = meshTag
        self.acceptedTags = acceptedTags ?? [meshTag]
        self.beaconInterfaces = beaconInterfaces
    }
}
