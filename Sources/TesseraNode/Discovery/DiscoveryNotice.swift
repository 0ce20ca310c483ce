/// Something about discovery that a person wants to know; each change is said once.
public enum DiscoveryNotice: Hashable, Sendable {
    /// mDNS works, at first or again.
    case multicastDNSInUse
    /// mDNS does not work; it is tried again until it does. With `beaconTakesOver` the beacon finds
    /// peers until then.
    case multicastDNSUnusable(MulticastDNSFault, beaconTakesOver: Bool)
    /// The beacon is sent on so many interfaces, at first or again.
    case beaconInUse(interfaces: Int)
    /// The beacon can neither be sent nor heard; it is tried again.
    case beaconUnusable(String)
    /// The seed's name has no address now; it is looked up again.
    case seedUnresolved(SeedAddress, reason: String)
    /// More services are announced on the network than discovery remembers.
    case tooManyServices(limit: Int)

    /// Whether a person should look at it.
    public var isProblem: Bool {
        switch self {
        case .multicastDNSInUse, .beaconInUse: false
        case .multicastDNSUnusable(_, let beaconTakesOver): !beaconTakesOver
        case .beaconUnusable, .seedUnresolved, .tooManyServices: true
        }
    }
}

extension DiscoveryNotice: CustomStringConvertible {
    /// What happened, why, and what to do.
    public var description: String {
        switch self {
        case .multicastDNSInUse:
            "finding peers by mDNS"
        case .multicastDNSUnusable(let fault, beaconTakesOver: true):
            "finding peers by the multicast beacon, because \(fault); mDNS is used as soon as it "
                + "works"
        case .multicastDNSUnusable(let fault, beaconTakesOver: false):
            "mDNS finds no peers, because \(fault); start avahi-daemon, or use --discovery auto"
        case .beaconInUse(let interfaces):
            "the multicast beacon uses \(interfaces) network interface(s)"
        case .beaconUnusable(let reason):
            "the multicast beacon finds no peers: \(reason); it is tried again, and --seed "
                + "HOST:PORT works without multicast"
        case .seedUnresolved(let seed, let reason):
            "the seed \(seed) has no address now (\(reason)); it is looked up again, check the name"
        case .tooManyServices(let limit):
            "more than \(limit) mDNS services of this type are announced here; the others are "
                + "ignored, name peers with --seed HOST:PORT"
        }
    }
}

/// Why mDNS cannot be used.
public enum MulticastDNSFault: Hashable, Sendable {
    /// A call failed at once: no bus, or no daemon on it.
    case noDaemon(code: Int32)
    /// A call does not return: the daemon or the bus hangs.
    case hung
    /// The daemon took the registration and never confirmed it.
    case unconfirmed
    /// The daemon refused.
    case refused(code: Int32)
}

extension MulticastDNSFault: CustomStringConvertible {
    /// The reason as a clause.
    public var description: String {
        switch self {
        case .noDaemon: "no Avahi daemon answers on the system bus"
        case .hung: "the Avahi daemon does not answer (it hangs)"
        case .unconfirmed: "the Avahi daemon has no network interface to announce on"
        case .refused(let code): "the Avahi daemon refuses (error \(code))"
        }
    }
}

/// What discovery is doing now, for `status` and `doctor`.
public struct DiscoveryState: Hashable, Sendable {
    /// The state of mDNS.
    public enum MulticastDNS: Hashable, Sendable {
        /// The mode does not use it.
        case off
        /// The daemon has not answered yet.
        case starting
        /// It works.
        case inUse
        /// It does not work now.
        case unusable(MulticastDNSFault)
    }

    /// The state of the beacon.
    public enum Beacon: Hashable, Sendable {
        /// The mode does not use it.
        case off
        /// It is sent at its full rate on so many interfaces.
        case sending(interfaces: Int)
        /// mDNS works: it is heard as ever, and rarely sent, on so many interfaces.
        case quiet(interfaces: Int)
        /// It can neither be sent nor heard.
        case unusable(String)
    }

    /// mDNS.
    public var multicastDNS = MulticastDNS.off
    /// The beacon.
    public var beacon = Beacon.off
    /// What was counted since the start.
    public var counts = DiscoveryCounts()

    /// Makes the state of a discovery that was not started.
    public init() {}
}

/// What discovery counts.
public struct DiscoveryCounts: Hashable, Sendable {
    /// Proposals, repeated ones too.
    public var proposals: UInt64 = 0
    /// Beacons sent, one per interface.
    public var beaconsSent: UInt64 = 0
    /// Datagrams that could not be sent.
    public var beaconsUnsent: UInt64 = 0
    /// Beacons of other nodes of this mesh.
    public var beaconsReceived: UInt64 = 0
    /// Datagrams that the mesh's key does not open, or that hold no beacon.
    public var beaconsRefused: UInt64 = 0
    /// Datagrams above the rate limit, not looked at.
    public var beaconsOverRate: UInt64 = 0
    /// Services of other meshes or other versions, or with a broken description.
    public var servicesForeign: UInt64 = 0
    /// Services above the limit, not looked at.
    public var servicesOverLimit: UInt64 = 0

    /// Makes counts of nothing.
    public init() {}
}
