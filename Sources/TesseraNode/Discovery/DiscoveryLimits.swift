/// The bounds and periods of discovery, each with its reason.
public enum DiscoveryLimits {
    /// Seeds in use.
    ///
    /// A name in the domain name system may hold a thread while it is looked up.
    public static let seedsMax = 32
    /// Addresses taken from one seed's name: a name with more is a mistake.
    static let addressesPerSeedMax = 8
    /// How often seeds and resolved services are proposed again.
    ///
    /// The transport ignores those that it knows; the others may have been down when they were
    /// tried last.
    static let proposalPeriodMilliseconds = 5_000

    /// Services known at once.
    ///
    /// Anyone on the network can announce; this is far above any mesh.
    static let servicesMax = 1_024
    /// Lookups at once.
    ///
    /// Each holds a thread and one of the bus's 256 connections per user, which all agents of the
    /// user share.
    static let lookupsMax = 8
    /// One question of a lookup.
    ///
    /// A service that is just being registered answers after about a second; the library itself
    /// gives up after five.
    static let resolveMilliseconds = 6_000
    /// How long to wait for an IPv4 address, and then for an IPv6 one.
    ///
    /// The record comes with the service's, so it is in the daemon's cache.
    static let addressMilliseconds = 1_000
    /// When a resolved service is looked up again: records of a device that lost power stay listed
    /// for 75 minutes, but stop being resolved after two.
    static let lookupPeriodMilliseconds = 60_000
    /// First wait after a failed lookup; doubles up to `lookupPeriodMilliseconds`.
    static let lookupRetryMilliseconds = 1_000

    /// First wait before the daemon is tried again; doubles up to `retryMillisecondsMax`.
    static let retryMilliseconds = 100
    /// The wait while a restart is likely.
    static let retryMillisecondsMax = 1_000
    /// After so many tries in a row a restart is not likely any more.
    static let quickRetriesMax = 30
    /// The wait after that.
    static let slowRetryMilliseconds = 3_000
    /// A call that takes longer is called hung.
    ///
    /// Calls take 1 to 11 ms; the library gives up after 25 s.
    static let hangMilliseconds = 2_000
    /// How often the time of the running call is looked at.
    static let watchPeriodMilliseconds = 250
    /// The daemon confirms a registration after about a second of probing.
    static let registrationMilliseconds = 5_000
    /// How often the daemon is asked for something while all is quiet: nothing else shows a hang.
    static let probePeriodMilliseconds = 15_000

    /// Interfaces that carry a beacon; more is a container host that should name some.
    static let beaconInterfacesMax = 32
    /// How often interfaces are listed: cables and radio links come and go.
    static let interfaceScanMilliseconds = 5_000
    /// The beacon's period while it is young, so that one lost datagram costs a second.
    static let youngBeaconMilliseconds = 1_000
    /// How long the beacon is young.
    static let youngMilliseconds = 10_000
    /// The beacon's period after that.
    static let beaconMilliseconds = 5_000
    /// The beacon's period while mDNS works: only for nodes that have no mDNS.
    static let quietBeaconMilliseconds = 10_000
    /// Periods vary by so much either way, so that nodes started together do not stay in step.
    static let jitterPercent = 20
    /// The time between two answers to unknown nodes; one datagram answers all of them.
    static let answerMilliseconds = 200
    /// A node that was not heard for so long is unknown again, and is answered when it returns.
    static let forgetMilliseconds: UInt64 = 60_000
    /// Nodes remembered as heard; above that an unknown one is proposed, but not answered.
    static let heardMax = 1_024
    /// Datagrams opened per second: opening costs microseconds, so that a flood costs no more than
    /// about one percent of a core.
    static let datagramsPerSecondMax = 1_000
    /// Datagrams read from one socket before others get their turn.
    static let datagramsPerTurnMax = 64
    /// A beacon is far below that; longer datagrams are dropped.
    static let datagramBytesMax = 512

    /// How long `stop` waits for farewells before it leaves a hung daemon behind.
    static let stopMilliseconds = 1_000
}
