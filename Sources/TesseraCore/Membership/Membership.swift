// Signatures first; the bodies follow on this branch.
struct Membership {
    enum Change: Hashable, Sendable {
        case alive(NodeBoot, Address)
        case suspected(NodeBoot)
        case recovered(NodeBoot)
        case dead(NodeBoot, reason: String)
        case left(NodeBoot)
        case connected(NodeBoot)
        case disconnected(NodeBoot)
        /// A member that flapped was stable for long enough: it is usable again.
        case stable(NodeBoot)
    }
    let me: NodeBoot
    private(set) var nextWake = Timestamp.never
    init(
        me: NodeBoot, address: Address, settings: MembershipSettings, generator: SeededGenerator
    ) { self.me = me }
    mutating func takeChanges() -> [Change] { [] }

    mutating func onStart(now: Timestamp, into directives: inout [Directive]) {}
    mutating func onWake(now: Timestamp, into directives: inout [Directive]) {}
    mutating func onDiscovered(
        _ address: Address, now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onConnected(
        _ peer: NodeBoot, address: Address, now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onDisconnected(
        _ peer: NodeBoot, now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onUnreachable(
        _ address: Address, now: Timestamp, into directives: inout [Directive]
    ) {}
    mutating func onTold(
        unreachable member: NodeBoot, by accuser: NodeID, now: Timestamp,
        into directives: inout [Directive]
    ) {}
    mutating func onReceived(
        _ message: MembershipMessage, from peer: NodeBoot, now: Timestamp,
        into directives: inout [Directive]
    ) {}
    mutating func onLeave(now: Timestamp, into directives: inout [Directive]) {}
    mutating func onStalled(
        for span: TimeSpan, now: Timestamp, into directives: inout [Directive]
    ) {}

    /// Nil if the run is not known; dead if a newer run of the node is.
    func status(of member: NodeBoot) -> MemberStatus? { nil }
    /// This node and every other one that is remembered, ascending.
    var members: [Member] { [] }
    /// Alive or suspect, connected and stable; ascending, this node always included.
    var usable: [NodeBoot] { [me] }
    func isConnected(_ member: NodeBoot) -> Bool { member == me }
    /// Connected, and neither dead nor left.
    func isReachable(_ member: NodeBoot) -> Bool { member == me }
    func roundTrip(of member: NodeBoot) -> TimeSpan? { nil }
}

struct Member: Hashable, Sendable {
    var member: NodeBoot
    var address: Address
    var status: MemberStatus
    var incarnation: UInt64
    var isConnected: Bool
}

public struct MembershipSettings: Hashable, Sendable { public init() {} }
