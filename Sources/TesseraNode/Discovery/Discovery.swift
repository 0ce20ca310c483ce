import Dispatch
import Synchronization
public import TesseraCore

/// Finds addresses where other agents of the mesh may listen, and nothing else.
///
/// Every address is a proposal: it may be stale, a stranger's or this agent's own, and it comes
/// again and again. The transport dials what it does not know at a limited rate, and membership
/// decides.
///
/// - mDNS announces and browses `_tessera._tcp` through the Avahi daemon; it survives the daemon's
///   absence, hang, crash and restart.
/// - The beacon is a small datagram to a multicast group, sealed with the mesh's key, on every
///   interface that can multicast and on loopback.
/// - Seeds are addresses that a person named.
///
/// In the mode `auto` the beacon is always heard and always answered. It is sent at its full rate
/// until mDNS works and whenever it does not, else rarely: others may have nothing but the beacon.
public final class Discovery: Sendable {
    private struct Status {
        var isStarted = false
        var isStopped = false
        var state = DiscoveryState()
        var beaconHealth: Beacon.Health?
        /// What was said last, so that each change is said once.
        var saidMulticastDNSUsable: Bool?
        var saidBeaconUsable: Bool?
    }

    private let settings: DiscoverySettings
    private let status = Mutex(Status())
    private let ledger: DiscoveryLedger
    /// One queue for both reporting parts, so that what is said comes in the order in which it
    /// happened.
    private let reports = DispatchQueue(label: "tessera.discovery.reports")
    private let seeds: SeedResolver
    private let beacon: Beacon?
    private let multicastDNS: MulticastDNS?

    /// Makes it; nothing happens before `start`.
    ///
    /// - Parameters:
    ///   - settings: What to announce and how to look.
    ///   - seal: Seals a beacon with the mesh's key; called once per datagram, so that each may
    ///     carry a counter of its own.
    ///   - open: Opens a datagram that some holder of the mesh's key sealed, whether that node and
    ///     boot are known or not; nil for anything else.
    ///   - onFound: Called with each proposal, on a queue of discovery's own; it must not block.
    ///   - onNotice: Called with each change worth a log line, likewise.
    public init(
        settings: DiscoverySettings,
        seal: @escaping @Sendable ([UInt8]) -> [UInt8],
        open: @escaping @Sendable ([UInt8]) -> [UInt8]?,
        onFound: @escaping @Sendable (Address) -> Void,
        onNotice: @escaping @Sendable (DiscoveryNotice) -> Void
    ) {
        self.settings = settings
        let ledger = DiscoveryLedger(onFound: onFound, onNotice: onNotice)
        self.ledger = ledger
        seeds = SeedResolver(seeds: settings.seeds, ledger: ledger)
        let usesBeacon = settings.mode == .auto || settings.mode == .beacon
        let usesMulticastDNS = settings.mode == .auto || settings.mode == .mdns
        beacon =
            usesBeacon
            ? Beacon(settings: settings, ledger: ledger, seal: seal, open: open) : nil
        multicastDNS =
            usesMulticastDNS ? MulticastDNS(settings: settings, ledger: ledger) : nil
    }

    deinit {
        ledger.close()
        endParts { part in part({}) }
    }

    /// Prepares the process for the mDNS library; `start` does it otherwise.
    ///
    /// To be called first thing in `main`, before there are other threads, because it sets an
    /// environment variable.
    public static func prepareProcess() {
        _ = ServiceRequest.prepared
    }

    /// Begins to announce and to look; never blocks.
    ///
    /// Once only.
    public func start() {
        let isFirst = status.withLock { status in
            guard !status.isStarted, !status.isStopped else { return false }
            status.isStarted = true
            if multicastDNS != nil { status.state.multicastDNS = .starting }
            return true
        }
        guard isFirst else { return }
        Self.prepareProcess()
        multicastDNS?.start { @Sendable [weak self, reports] health in
            reports.async { @Sendable [weak self] in self?.onHealth(ofMulticastDNS: health) }
        }
        beacon?.start { @Sendable [weak self, reports] health in
            reports.async { @Sendable [weak self] in self?.onHealth(ofBeacon: health) }
        }
        seeds.start()
    }

    /// Withdraws the announcement and ends everything, within about a second even if the daemon
    /// hangs.
    ///
    /// No proposal or notice begins after it has returned.
    public func stop() async {
        ledger.close()
        status.withLock { $0.isStopped = true }
        await withCheckedContinuation { continuation in
            let ending = Ending { continuation.resume() }
            endParts { ending.wait(for: $0) }
            ending.partEnded()
            let limit = DispatchTime.now() + .milliseconds(DiscoveryLimits.stopMilliseconds)
            DispatchQueue.global().asyncAfter(deadline: limit) { @Sendable in ending.giveUp() }
        }
    }

    /// Takes other seeds from now on.
    public func update(seeds: [SeedAddress]) {
        self.seeds.update(seeds)
    }

    /// What discovery is doing now.
    public var state: DiscoveryState {
        var state = status.withLock { status in
            var state = status.state
            switch status.beaconHealth {
            case nil: state.beacon = .off
            case .unusable(let reason): state.beacon = .unusable(reason)
            case .usable(let interfaces):
                let isQuiet = status.saidMulticastDNSUsable == true
                state.beacon =
                    isQuiet ? .quiet(interfaces: interfaces) : .sending(interfaces: interfaces)
            }
            return state
        }
        state.counts = ledger.total
        return state
    }

    /// Ends every part; each is announced with what has to be called when it has ended.
    private func endParts(
        _ announce: (_ part: (@escaping @Sendable () -> Void) -> Void) -> Void
    ) {
        if let multicastDNS { announce { multicastDNS.stop(onStopped: $0) } }
        if let beacon { announce { beacon.stop(onStopped: $0) } }
        announce { self.seeds.stop(onStopped: $0) }
    }
}

// MARK: What the parts report

extension Discovery {
    private func onHealth(ofMulticastDNS health: MulticastDNS.Health) {
        let isUsable = health == .usable
        let isChange = status.withLock { status in
            switch health {
            case .usable: status.state.multicastDNS = .inUse
            case .unusable(let fault): status.state.multicastDNS = .unusable(fault)
            }
            defer { status.saidMulticastDNSUsable = isUsable }
            return status.saidMulticastDNSUsable != isUsable
        }
        guard isChange else { return }
        beacon?.setPace(isUsable ? .quiet : .full)
        switch health {
        case .usable: ledger.say(.multicastDNSInUse)
        case .unusable(let fault):
            ledger.say(.multicastDNSUnusable(fault, beaconTakesOver: beacon != nil))
        }
    }

    private func onHealth(ofBeacon health: Beacon.Health) {
        let isUsable = if case .usable = health { true } else { false }
        let saidBefore = status.withLock { status in
            status.beaconHealth = health
            defer { status.saidBeaconUsable = isUsable }
            return status.saidBeaconUsable
        }
        guard saidBefore != isUsable else { return }
        switch health {
        case .unusable(let reason): ledger.say(.beaconUnusable(reason))
        case .usable(let interfaces):
            // In the mode auto the start is silent: what is said about mDNS tells which is used.
            if settings.mode == .beacon || saidBefore == false {
                ledger.say(.beaconInUse(interfaces: interfaces))
            }
        }
    }
}

/// Calls something once, when all parts have ended or when it gives up on them.
private final class Ending: Sendable {
    private struct State {
        /// Parts that have not ended, and one more until all parts were told to.
        var waitingCount = 1
        var onEnd: (@Sendable () -> Void)?
    }

    private let state: Mutex<State>

    init(onEnd: @escaping @Sendable () -> Void) {
        state = Mutex(State(onEnd: onEnd))
    }

    /// Waits for a part too; it is given what it has to call.
    func wait(for part: (@escaping @Sendable () -> Void) -> Void) {
        state.withLock { $0.waitingCount += 1 }
        part { @Sendable in self.partEnded() }
    }

    /// One part ended, or all parts were told to.
    func partEnded() {
        end { $0.waitingCount -= 1 }
    }

    /// Waits no longer.
    func giveUp() {
        end { $0.waitingCount = 0 }
    }

    private func end(_ change: (inout State) -> Void) {
        let onEnd = state.withLock { state -> (@Sendable () -> Void)? in
            change(&state)
            guard state.waitingCount <= 0 else { return nil }
            defer { state.onEnd = nil }
            return state.onEnd
        }
        onEnd?()
    }
}
