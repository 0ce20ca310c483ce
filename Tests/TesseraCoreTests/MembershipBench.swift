@testable import TesseraCore

/// One membership whose world is the test.
struct MembershipBench {
    var membership: Membership
    var now = Timestamp.zero
    var out: [Directive] = []

    init(settings: MembershipSettings = MembershipSettings()) {
        membership = Membership(
            me: Self.member(50), address: Self.address(50), settings: settings,
            generator: SeededGenerator(seed: 1))
        membership.onStart(now: now, into: &out)
    }

    mutating func connect(_ peers: NodeBoot...) {
        for peer in peers {
            membership.onConnected(peer, address: Self.address(of: peer), now: now, into: &out)
        }
    }

    mutating func receive(_ message: MembershipMessage, from peer: NodeBoot) {
        membership.onReceived(message, from: peer, now: now, into: &out)
    }

    mutating func hear(_ rumour: Rumour, from peer: NodeBoot) {
        receive(.sync(rumours: [rumour], isReply: true), from: peer)
    }

    /// Lets the time pass and wakes the membership whenever it wants to be woken.
    mutating func wait(_ milliseconds: Int64) {
        let end = now + .milliseconds(milliseconds)
        while membership.nextWake <= end {
            now = max(now, membership.nextWake)
            membership.onWake(now: now, into: &out)
        }
        now = end
    }

    /// Lets a connected member fall silent until all hold it dead.
    mutating func kill(_ victim: NodeBoot, by witness: NodeBoot, incarnation: UInt64 = 0) {
        hear(Self.rumour(victim, .dead, incarnation), from: witness)
        live(500, without: victim)
        hear(Self.rumour(victim, .dead, incarnation), from: witness)
    }

    /// As `wait`, but every ping is answered, or all but those to one member.
    mutating func live(_ milliseconds: Int64, without silent: NodeBoot? = nil) {
        let end = now + .milliseconds(milliseconds)
        while membership.nextWake <= end {
            now = max(now, membership.nextWake)
            let before = out.count
            membership.onWake(now: now, into: &out)
            for directive in out[before...] {
                if case .sendDatagram(.ping(let sequence, _), let peer, _) = directive,
                    peer != silent
                {
                    receive(.ack(sequence: sequence, rumours: []), from: peer)
                }
            }
        }
        now = end
    }

    /// Lets the next pings go out, and be answered so much later.
    mutating func answerPings(after milliseconds: Int64) {
        out = []
        while Self.pings(out).isEmpty {
            now = max(now, membership.nextWake)
            membership.onWake(now: now, into: &out)
        }
        let asked = Self.pings(out)
        now = now + .milliseconds(milliseconds)
        for (sequence, peer, _) in asked {
            receive(.ack(sequence: sequence, rumours: []), from: peer)
        }
    }

    mutating func take() -> [Directive] {
        defer { out = [] }
        return out
    }

    mutating func changes() -> [Membership.Change] { membership.takeChanges() }

    // MARK: Words of the tests

    static func member(_ number: UInt64, run: UInt64 = 1) -> NodeBoot {
        NodeBoot(node: NodeID(number << 40, 0, 0, 0), boot: Boot(counter: run, random: 0))
    }

    static func address(_ number: UInt64) -> Address {
        Address(host: "10.0.0.\(number)", port: 7000)
    }

    static func address(of member: NodeBoot) -> Address { address(member.node.words.0 >> 40) }

    static func rumour(
        _ member: NodeBoot, _ status: MemberStatus, _ incarnation: UInt64,
        by accuser: NodeBoot? = nil
    ) -> Rumour {
        Rumour(
            member: member, address: address(of: member), status: status, incarnation: incarnation,
            accuser: accuser?.node)
    }

    static func dials(_ directives: [Directive]) -> [Address] {
        directives.compactMap { if case .connect(let address) = $0 { address } else { nil } }
    }

    static func pings(_ directives: [Directive]) -> [(UInt64, NodeBoot, [Rumour])] {
        directives.compactMap {
            if case .sendDatagram(.ping(let sequence, let rumours), let peer, _) = $0 {
                (sequence, peer, rumours)
            } else {
                nil
            }
        }
    }

    static func told(_ directives: [Directive]) -> [(NodeBoot, [Rumour])] {
        directives.compactMap {
            if case .send(.membership(.sync(let rumours, isReply: true)), let peer) = $0 {
                (peer, rumours)
            } else {
                nil
            }
        }
    }
}
