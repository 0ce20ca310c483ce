@testable import TesseraCore

/// Some memberships over a lossy network in virtual time: everything follows from the seed.
struct MembershipNetwork {
    struct Node {
        var membership: Membership
        var isUp = true
        /// A dead host answers nothing, not even a refusal.
        var isSilent = false
        /// Until then the loop stands still and events queue up.
        var pausedUntil = Timestamp.zero
        var wakeAt = Timestamp.never
        var changes: [(at: Timestamp, Membership.Change)] = []
        /// The runs that connected to this run: only their datagrams are read.
        var met: [NodeBoot] = []
        var me: NodeBoot { membership.me }
    }

    enum Delivery {
        case wake
        case datagram(MembershipMessage, from: NodeBoot)
        case message(MembershipMessage, from: NodeBoot, connection: Int)
        case connected(NodeBoot, Address, connection: Int)
        case disconnected(NodeBoot, connection: Int)
        case unreachable(Address)
        case discovered(Address)
    }

    struct Entry {
        var at: Timestamp
        var order: Int
        var node: Int
        var me: NodeBoot
        var delivery: Delivery
    }

    struct DeathKey: Hashable {
        var observer: NodeBoot
        var subject: NodeBoot
    }

    struct Connection {
        var number: Int
        var ends: [NodeBoot]
        /// When the last message in each direction arrives: a stream keeps its order.
        var lastArrival: [Timestamp] = [.zero, .zero]
    }

    var nodes: [Node] = []
    var now = Timestamp.zero
    var lossPercent = 0
    /// Pairs of node indices between which nothing passes.
    var cuts: [[Int]] = []
    /// Whether datagrams pass at all.
    var passesDatagrams = true
    var violations: [String] = []
    var messages = 0
    private var queue: [Entry] = []
    private var order = 0
    private var connections: [Connection] = []
    private var connectionCounter = 0
    private var generator: SeededGenerator
    private var deaths: [DeathKey: UInt64] = [:]

    init(count: Int, seed: UInt64, settings: MembershipSettings = MembershipSettings()) {
        generator = SeededGenerator(seed: seed)
        for index in 0..<count {
            nodes.append(Node(membership: make(index, counter: 1, settings: settings)))
        }
        for index in 0..<count { start(index) }
    }

    private func make(
        _ index: Int, counter: UInt64, settings: MembershipSettings
    ) -> Membership {
        Membership(
            me: NodeBoot(
                node: NodeID(UInt64(index + 1) << 40, 0, 0, 0),
                boot: Boot(counter: counter, random: 7)),
            address: Self.address(index), settings: settings,
            generator: generator.derived(name: "node \(index) run \(counter)"))
    }

    static func address(_ index: Int) -> Address {
        Address(host: "10.0.0.\(index + 1)", port: 7000)
    }

    private mutating func start(_ index: Int) {
        handle(index) { membership, now, directives in
            membership.onStart(now: now, into: &directives)
        }
        // Everybody hears of the first two only; the rest is membership's work.
        for other in 0..<min(2, nodes.count) where other != index {
            push(.discovered(Self.address(other)), to: index, after: .milliseconds(1))
        }
    }

    // MARK: What tests do

    mutating func run(for span: TimeSpan) {
        let end = now + span
        while let next = pop(until: end) {
            now = max(now, next.at)
            deliver(next)
        }
        now = end
    }

    /// The process is gone: its host refuses connections, or if it is silent not even that.
    mutating func crash(_ index: Int, isSilent: Bool = false) {
        nodes[index].isUp = false
        nodes[index].isSilent = isSilent
        let me = nodes[index].me
        for connection in connections where connection.ends.contains(me) {
            breakConnection(connection, after: isSilent ? .seconds(5) : .microseconds(200))
        }
    }

    mutating func restart(_ index: Int) {
        let old = nodes[index].membership
        nodes[index] = Node(
            membership: make(
                index, counter: old.me.boot.counter + 1, settings: old.settings))
        start(index)
    }

    mutating func pause(_ index: Int, for span: TimeSpan) {
        nodes[index].pausedUntil = now + span
    }

    mutating func leave(_ index: Int) {
        handle(index) { membership, now, directives in
            membership.onLeave(now: now, into: &directives)
        }
    }

    mutating func cut(_ left: [Int], from right: [Int]) {
        for first in left {
            for second in right { cuts.append([first, second].sorted()) }
        }
        for connection in connections {
            let ends = connection.ends.compactMap { index(of: $0) }
            if cuts.contains(ends.sorted()) { breakConnection(connection, after: .seconds(3)) }
        }
    }

    mutating func heal() { cuts = [] }

    /// Something at a node needs a session with another one.
    mutating func use(_ subject: Int, at observer: Int) {
        let node = nodes[subject].me.node
        handle(observer) { membership, now, _ in membership.use(node, now: now) }
    }

    // MARK: What tests see

    func changes(of index: Int) -> [Membership.Change] { nodes[index].changes.map(\.1) }

    func status(of subject: Int, at observer: Int) -> MemberStatus? {
        nodes[observer].membership.status(of: nodes[subject].me)
    }

    /// Whether every running node sees every running node alive and is connected to it.
    var isWhole: Bool {
        let up = nodes.indices.filter { nodes[$0].isUp }
        return up.allSatisfy { observer in
            up.allSatisfy {
                status(of: $0, at: observer) == .alive
                    && nodes[observer].membership.isConnected(nodes[$0].me)
            }
        }
    }

    /// Whether every running node sees every running node alive, connected or not.
    var isKnown: Bool {
        let up = nodes.indices.filter { nodes[$0].isUp }
        return up.allSatisfy { observer in
            up.allSatisfy { status(of: $0, at: observer) == .alive }
        }
    }

    /// How many sessions each running node has.
    var sessionCounts: [Int] {
        nodes.filter(\.isUp).map { node in node.membership.others.count { $0.isConnected } }
    }

    var deathCount: Int {
        nodes.reduce(0) { sum, node in
            sum
                + node.changes.count {
                    if case .dead = $0.1 { true } else { false }
                }
        }
    }

    var suspicionCount: Int {
        nodes.reduce(0) { sum, node in
            sum
                + node.changes.count {
                    if case .suspected = $0.1 { true } else { false }
                }
        }
    }

    // MARK: Machine

    private mutating func deliver(_ entry: Entry) {
        let index = entry.node
        guard nodes[index].isUp, nodes[index].me == entry.me else { return }
        if nodes[index].pausedUntil > now {
            var later = entry
            later.at = nodes[index].pausedUntil
            insert(later)
            return
        }
        switch entry.delivery {
        case .wake:
            guard nodes[index].wakeAt <= now else { return }
            nodes[index].wakeAt = .never
            handle(index) { $0.onWake(now: $1, into: &$2) }
        case .datagram(let message, let sender):
            guard nodes[index].met.contains(sender) else { return }
            handle(index) { $0.onReceived(message, from: sender, now: $1, into: &$2) }
        case .message(let message, let sender, let number):
            guard connections.contains(where: { $0.number == number }) else { return }
            handle(index) { $0.onReceived(message, from: sender, now: $1, into: &$2) }
        case .connected(let peer, let address, let number):
            guard connections.contains(where: { $0.number == number }) else { return }
            if !nodes[index].met.contains(peer) { nodes[index].met.append(peer) }
            handle(index) { $0.onConnected(peer, address: address, now: $1, into: &$2) }
        case .disconnected(let peer, let number):
            connections.removeAll { $0.number == number }
            if connections.contains(where: { $0.ends.contains(peer) && $0.ends.contains(entry.me) })
            {
                return
            }
            handle(index) { $0.onDisconnected(peer, now: $1, into: &$2) }
        case .unreachable(let address):
            handle(index) { $0.onUnreachable(address, now: $1, into: &$2) }
        case .discovered(let address):
            handle(index) { $0.onDiscovered(address, now: $1, into: &$2) }
        }
    }

    private mutating func handle(
        _ index: Int, _ body: (inout Membership, Timestamp, inout [Directive]) -> Void
    ) {
        var directives: [Directive] = []
        body(&nodes[index].membership, now, &directives)
        for change in nodes[index].membership.takeChanges() {
            nodes[index].changes.append((now, change))
        }
        check(index)
        for directive in directives { interpret(directive, of: index) }
        let wake = nodes[index].membership.nextWake
        if wake != .never, wake < nodes[index].wakeAt || nodes[index].wakeAt <= now {
            nodes[index].wakeAt = wake
            push(.wake, to: index, after: wake - now)
        } else if wake == .never {
            nodes[index].wakeAt = .never
        }
    }

    private mutating func interpret(_ directive: Directive, of index: Int) {
        let me = nodes[index].me
        switch directive {
        case .connect(let address):
            connect(index, to: address)
        case .disconnect(let peer):
            for connection in connections
            where connection.ends.contains(peer) && connection.ends.contains(me) {
                connections.removeAll { $0.number == connection.number }
                if let other = self.index(of: peer) {
                    push(
                        .disconnected(me, connection: connection.number), to: other,
                        after: delay())
                }
            }
        case .send(.membership(let message), let peer):
            messages += 1
            send(message, from: index, to: peer)
        case .sendDatagram(let message, let peer, let address):
            messages += 1
            guard passesDatagrams,
                let other = nodes.indices.first(where: { Self.address($0) == address }),
                nodes[other].me == peer, nodes[other].isUp,
                !cuts.contains([index, other].sorted()),
                !generator.chance(lossPercent, outOf: 100)
            else { return }
            push(.datagram(message, from: me), to: other, after: delay())
        case .hear(let peer):
            if !nodes[index].met.contains(peer) { nodes[index].met.append(peer) }
        case .report:
            break
        default:
            violate("unexpected directive \(directive)")
        }
    }

    private mutating func connect(_ index: Int, to address: Address) {
        let me = nodes[index].me
        guard let other = nodes.indices.first(where: { Self.address($0) == address }),
            !nodes[other].isSilent, !cuts.contains([index, other].sorted())
        else {
            push(.unreachable(address), to: index, after: .seconds(2))
            return
        }
        guard nodes[other].isUp else {
            push(.unreachable(address), to: index, after: delay())
            return
        }
        let peer = nodes[other].me
        if let open = connections.first(where: {
            $0.ends.contains(peer) && $0.ends.contains(me)
        }) {
            push(.connected(peer, address, connection: open.number), to: index, after: delay())
            return
        }
        connectionCounter += 1
        connections.append(Connection(number: connectionCounter, ends: [me, peer]))
        push(.connected(peer, address, connection: connectionCounter), to: index, after: delay())
        push(
            .connected(me, Self.address(index), connection: connectionCounter), to: other,
            after: delay())
    }

    private mutating func send(_ message: MembershipMessage, from index: Int, to peer: NodeBoot) {
        let me = nodes[index].me
        guard let other = self.index(of: peer), !cuts.contains([index, other].sorted()),
            let place = connections.firstIndex(where: {
                $0.ends.contains(peer) && $0.ends.contains(me)
            })
        else { return }
        // A lost segment comes 200 ms later, and all that follows it waits.
        var span = delay()
        while generator.chance(lossPercent, outOf: 100) { span = span + .milliseconds(200) }
        let direction = connections[place].ends[0] == me ? 0 : 1
        let arrival = max(now + span, connections[place].lastArrival[direction])
        connections[place].lastArrival[direction] = arrival
        push(
            .message(message, from: me, connection: connections[place].number), to: other,
            after: arrival - now)
    }

    private mutating func breakConnection(_ connection: Connection, after span: TimeSpan) {
        for end in connection.ends {
            guard let index = index(of: end),
                let peer = connection.ends.first(where: { $0 != end })
            else { continue }
            push(.disconnected(peer, connection: connection.number), to: index, after: span)
        }
    }

    private mutating func delay() -> TimeSpan {
        .microseconds(100) + generator.next(below: .microseconds(900))
    }

    private func index(of member: NodeBoot) -> Int? {
        let index = Int(member.node.words.0 >> 40) - 1
        return nodes[index].membership.me == member ? index : nil
    }

    /// Only the owner raises an incarnation, and nobody returns from dead without a higher one.
    private mutating func check(_ index: Int) {
        for member in nodes[index].membership.others {
            let key = DeathKey(observer: nodes[index].me, subject: member.member)
            if let subject = self.index(of: member.member),
                member.incarnation > nodes[subject].membership.incarnation
            {
                violate("\(index) sees \(subject) at \(member.incarnation)")
            }
            if member.status == .dead {
                deaths[key] = member.incarnation
            } else if member.isPresent, let died = deaths[key], member.incarnation <= died {
                violate("\(member.member) returned to \(index) at \(died)")
            }
        }
        if nodes[index].membership.nextWake < now {
            violate("\(index) wants to be woken in the past")
        }
    }

    private mutating func violate(_ text: String) {
        if violations.count < 5 { violations.append("\(now.nanoseconds) \(text)") }
    }

    // MARK: Queue

    private mutating func push(_ delivery: Delivery, to node: Int, after span: TimeSpan) {
        order += 1
        insert(
            Entry(
                at: now + span, order: order, node: node, me: nodes[node].me, delivery: delivery))
    }

    private mutating func insert(_ entry: Entry) {
        queue.append(entry)
        var child = queue.count - 1
        while child > 0, isEarlier(child, (child - 1) / 2) {
            queue.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop(until end: Timestamp) -> Entry? {
        guard let first = queue.first, first.at <= end else { return nil }
        queue.swapAt(0, queue.count - 1)
        queue.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < queue.count && isEarlier(child, least) { least = child }
            if least == parent { return first }
            queue.swapAt(parent, least)
            parent = least
        }
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        (queue[left].at, queue[left].order) < (queue[right].at, queue[right].order)
    }
}
