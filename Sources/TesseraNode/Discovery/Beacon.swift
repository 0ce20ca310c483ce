import Dispatch
import TesseraCore

/// Finds agents by small sealed multicast datagrams, where no mDNS daemon helps.
///
/// A beacon carries node, boot and port; the receiver proposes the source address with that port. A
/// node that was not heard before is answered at once, so that a newcomer knows all within a second
/// and nobody has to send often. A recorded beacon that is sent again from elsewhere proposes a
/// wrong address and nothing more: the handshake fails there.
actor Beacon: LaneActor {
    /// How often it is sent.
    ///
    /// It is heard and answered always.
    enum Pace: Hashable, Sendable {
        /// Every second while young, then every five.
        case full
        /// Every ten seconds, for nodes that have no mDNS.
        case quiet
    }

    /// Whether it works.
    enum Health: Hashable, Sendable {
        case usable(interfaces: Int)
        case unusable(String)
    }

    private struct Channel {
        let socket: BeaconSocket
        let source: any DispatchSourceRead
    }

    private struct Heard {
        var boot: Boot
        var lastMilliseconds: UInt64
    }

    nonisolated let lane = Lane(label: "tessera.discovery.beacon")
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    private let settings: DiscoverySettings
    private let ledger: DiscoveryLedger
    private let seal: @Sendable ([UInt8]) -> [UInt8]
    private let open: @Sendable ([UInt8]) -> [UInt8]?
    private var onHealth: @Sendable (Health) -> Void = { _ in }

    private var channels: [UInt32: Channel] = [:]
    /// Descriptors whose cancel handler has not run yet.
    private var openDescriptors = 0
    private var pace = Pace.full
    private var youngUntilMilliseconds: UInt64 = 0
    /// Grows with each scheduled sending, so that only the newest schedule counts.
    private var schedule = 0
    private var scanTimer: (any DispatchSourceTimer)?
    private var heard: [NodeID: Heard] = [:]
    private var lastAnswerMilliseconds: UInt64 = 0
    private var isAnswerDue = false
    private var bucket: TokenBucket
    private var buffer = [UInt8](repeating: 0, count: DiscoveryLimits.datagramBytesMax)
    /// The datagrams of the last two sendings: the kernel gives them to this socket too.
    private var ownDatagrams: (last: Set<[UInt8]>, before: Set<[UInt8]>) = ([], [])
    private var lastHealth: Health?
    private var isStopped = false
    private var onStopped: (@Sendable () -> Void)?

    /// Makes it; nothing happens before `start`.
    init(
        settings: DiscoverySettings, ledger: DiscoveryLedger,
        seal: @escaping @Sendable ([UInt8]) -> [UInt8],
        open: @escaping @Sendable ([UInt8]) -> [UInt8]?
    ) {
        self.settings = settings
        self.ledger = ledger
        self.seal = seal
        self.open = open
        bucket = TokenBucket(
            perSecond: DiscoveryLimits.datagramsPerSecondMax,
            atMilliseconds: monotonicMilliseconds())
    }

    /// Begins to listen and to send; `onHealth` is told each change.
    nonisolated func start(onHealth: @escaping @Sendable (Health) -> Void) {
        submit { actor in
            guard !actor.isStopped, actor.scanTimer == nil else { return }
            actor.onHealth = onHealth
            actor.scanTimer = actor.makeTimer(
                everyMilliseconds: DiscoveryLimits.interfaceScanMilliseconds
            ) { $0.scan() }
            actor.scan()
            actor.beYoung()
            actor.sendAndSchedule()
        }
    }

    /// Changes how often it is sent; a return to the full pace begins young.
    nonisolated func setPace(_ pace: Pace) {
        submit { actor in
            guard !actor.isStopped, actor.pace != pace else { return }
            actor.pace = pace
            switch pace {
            case .full:
                actor.beYoung()
                actor.sendAndSchedule()
            case .quiet:
                actor.scheduleSending()
            }
        }
    }

    /// Ends all; `onStopped` is called when every socket is closed.
    nonisolated func stop(onStopped: @escaping @Sendable () -> Void) {
        submit { actor in
            guard !actor.isStopped else { return onStopped() }
            actor.isStopped = true
            actor.onStopped = onStopped
            actor.scanTimer?.cancel()
            actor.scanTimer = nil
            for channel in actor.channels.values { channel.source.cancel() }
            actor.channels = [:]
            actor.finishStopIfDone()
        }
    }

    private func finishStopIfDone() {
        guard isStopped, openDescriptors == 0 else { return }
        onStopped?()
        onStopped = nil
    }
}

// MARK: Interfaces

extension Beacon {
    /// Opens sockets on interfaces that came, closes those on interfaces that went.
    private func scan() {
        guard !isStopped else { return }
        forgetSilent()
        let wanted = Self.usable(NetworkInterface.list(), among: settings.beaconInterfaces)
        var isChanged = false
        for (index, channel) in channels where wanted[index] != channel.socket.interface {
            channel.source.cancel()
            channels[index] = nil
            isChanged = true
        }
        var failure: BeaconSocketError?
        for (index, interface) in wanted where channels[index] == nil {
            do throws(BeaconSocketError) {
                channels[index] = try makeChannel(on: interface)
                isChanged = true
            } catch {
                failure = error
            }
        }
        let reason = failure?.description ?? "no network interface can multicast"
        let health: Health =
            channels.isEmpty ? .unusable(reason) : .usable(interfaces: channels.count)
        if health != lastHealth { onHealth(health) }
        if isChanged, lastHealth != nil, !channels.isEmpty { send() }
        lastHealth = health
    }

    /// One address per interface of those that may be used, by interface.
    static func usable(
        _ interfaces: [NetworkInterface], among names: [String]?
    ) -> [UInt32: NetworkInterface] {
        var result: [UInt32: NetworkInterface] = [:]
        for interface in interfaces where interface.isMulticast && result[interface.index] == nil {
            guard names?.contains(interface.name) ?? true,
                result.count < DiscoveryLimits.beaconInterfacesMax
            else { continue }
            result[interface.index] = interface
        }
        return result
    }

    private func makeChannel(
        on interface: NetworkInterface
    ) throws(BeaconSocketError) -> Channel {
        let socket = try BeaconSocket.open(on: interface)
        let source = DispatchSource.makeReadSource(
            fileDescriptor: socket.descriptor, queue: lane.queue)
        let index = interface.index
        source.setEventHandler { @Sendable [weak self] in
            self?.assumeIsolated { $0.receive(on: index) }
        }
        source.setCancelHandler { @Sendable in
            socket.close()
            self.assumeIsolated { actor in
                actor.openDescriptors -= 1
                actor.finishStopIfDone()
            }
        }
        openDescriptors += 1
        source.activate()
        return Channel(socket: socket, source: source)
    }
}

// MARK: Sending

extension Beacon {
    private func beYoung() {
        youngUntilMilliseconds =
            monotonicMilliseconds() + UInt64(DiscoveryLimits.youngMilliseconds)
    }

    private func sendAndSchedule() {
        send()
        scheduleSending()
    }

    private func scheduleSending() {
        schedule += 1
        let due = schedule
        let period =
            switch pace {
            case .quiet: DiscoveryLimits.quietBeaconMilliseconds
            case .full where monotonicMilliseconds() < youngUntilMilliseconds:
                DiscoveryLimits.youngBeaconMilliseconds
            case .full: DiscoveryLimits.beaconMilliseconds
            }
        let jitter = period * DiscoveryLimits.jitterPercent / 100
        submit(afterMilliseconds: period + Int.random(in: -jitter...jitter)) { actor in
            guard !actor.isStopped, actor.schedule == due else { return }
            actor.sendAndSchedule()
        }
    }

    private func send() {
        guard !isStopped else { return }
        let message = BeaconMessage(node: settings.node, boot: settings.boot, port: settings.port)
        let bytes = message.encoded
        ownDatagrams = (last: [], before: ownDatagrams.last)
        for channel in channels.values {
            // Sealed for each interface anew: a receiver on two of them may refuse a repetition.
            let datagram = seal(bytes)
            ownDatagrams.last.insert(datagram)
            let isSent = channel.socket.send(datagram)
            ledger.count(isSent ? \.beaconsSent : \.beaconsUnsent)
        }
    }

    /// Answers one or many unknown nodes, now or when the last answer is long enough ago.
    private func answer() {
        guard !isAnswerDue else { return }
        isAnswerDue = true
        let passed = Int(min(monotonicMilliseconds() - lastAnswerMilliseconds, 1_000_000))
        submit(afterMilliseconds: max(0, DiscoveryLimits.answerMilliseconds - passed)) { actor in
            actor.isAnswerDue = false
            actor.lastAnswerMilliseconds = monotonicMilliseconds()
            actor.send()
        }
    }
}

// MARK: Hearing

extension Beacon {
    private func receive(on index: UInt32) {
        guard let channel = channels[index] else { return }
        for _ in 0..<DiscoveryLimits.datagramsPerTurnMax {
            guard let (bytes, host) = channel.socket.receive(into: &buffer) else { return }
            onDatagram(Array(bytes), from: host)
        }
    }

    private func onDatagram(_ bytes: [UInt8], from host: String) {
        guard !ownDatagrams.last.contains(bytes), !ownDatagrams.before.contains(bytes) else {
            return
        }
        let now = monotonicMilliseconds()
        guard bucket.take(atMilliseconds: now) else { return ledger.count(\.beaconsOverRate) }
        guard let plain = open(bytes),
            let message = try? BeaconMessage(parsing: plain)  // counted, whatever it is
        else { return ledger.count(\.beaconsRefused) }
        guard message.node != settings.node else { return }
        ledger.count(\.beaconsReceived)
        let isKnown = heard[message.node]?.boot == message.boot
        if isKnown || heard.count < DiscoveryLimits.heardMax || heard[message.node] != nil {
            heard[message.node] = Heard(boot: message.boot, lastMilliseconds: now)
            if !isKnown { answer() }
        }
        ledger.propose([Address(host: host, port: message.port)])
    }

    private func forgetSilent() {
        let now = monotonicMilliseconds()
        heard = heard.filter {
            now - $0.value.lastMilliseconds < DiscoveryLimits.forgetMilliseconds
        }
    }
}
