import CDNSSD
import Dispatch
import Synchronization
import TesseraCore

/// Announces this agent by mDNS and finds the addresses of others, through the Avahi daemon.
///
/// All calls of the library run on this actor's own lane, because each may block for 25 s while the
/// daemon hangs. One request costs a thread and a bus connection, so lookups are few at once and
/// end with their answer. When the daemon goes away everything is torn down and built anew: the
/// library does not recover a request by itself.
actor MulticastDNS: LaneActor {
    /// Whether the daemon is of use.
    enum Health: Hashable, Sendable {
        case usable
        case unusable(MulticastDNSFault)
    }

    /// What a request is for.
    enum Purpose {
        case registration
        case browser
        case probe
        case lookup(ServiceKey)
    }

    /// One open request of the library.
    private struct Reference {
        let pointer: DNSServiceRef
        let inbox: ServiceInbox
        let source: any DispatchSourceRead
        let purpose: Purpose
        /// No further answer counts; its cancel handler will give it back.
        var isClosing = false
    }

    /// Where the connection to the daemon stands.
    private enum State {
        /// Not started.
        case idle
        /// Everything is torn down; the next try is scheduled.
        case waiting
        /// Registered and browsing; the daemon has not confirmed the registration.
        case registering
        /// Confirmed.
        case running
        /// For good.
        case stopped
    }

    nonisolated let lane = Lane(label: "tessera.discovery.mdns")
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    let settings: DiscoverySettings
    let ledger: DiscoveryLedger
    private let watch = CallWatch()
    private var onHealth: @Sendable (Health) -> Void = { _ in }
    /// Set at once by `stop`, so that a lane that comes out of a hung call makes no other.
    private nonisolated let isStopRequested = Atomic(false)

    private var state = State.idle
    private var references: [UInt64: Reference] = [:]
    private var nextReference: UInt64 = 0
    /// Grows with each teardown, so that timers of the time before do nothing.
    private var generation = 0
    private var retries = 0
    private var timers: [any DispatchSourceTimer] = []
    private var onStopped: (@Sendable () -> Void)?
    /// The name that this agent announces; the daemon changes it in a conflict.
    private(set) var ownName: String
    /// What is known of announced services, and the lookups under way (`MulticastDNS+Lookup`).
    var services: [ServiceKey: AnnouncedService] = [:]
    var lookups: [ServiceKey: ServiceLookup] = [:]
    var waitingLookups: [ServiceKey] = []
    /// Whether it was said that there are too many services.
    var saidTooMany = false

    /// Makes it; nothing happens before `start`.
    init(settings: DiscoverySettings, ledger: DiscoveryLedger) {
        self.settings = settings
        self.ledger = ledger
        ownName = Self.instanceName(node: settings.node, boot: settings.boot)
    }

    /// The name of a node's service: a new boot is a new name, since a name that came back soon
    /// after a crash would not be reported as new.
    static func instanceName(node: NodeID, boot: Boot) -> String {
        "\(node.short)-\(hexadecimal(boot.random).prefix(8))"
    }

    /// Begins to announce and to browse; `onHealth` is told each change, and must not block.
    nonisolated func start(onHealth: @escaping @Sendable (Health) -> Void) {
        submit { actor in
            guard case .idle = actor.state, !actor.isStopping else { return }
            actor.onHealth = onHealth
            actor.timers = [
                actor.watch.makeTimer { @Sendable in onHealth(.unusable(.hung)) },
                actor.makeTimer(everyMilliseconds: DiscoveryLimits.lookupRetryMilliseconds) {
                    $0.lookUpWhatIsDue()
                },
                actor.makeTimer(everyMilliseconds: DiscoveryLimits.proposalPeriodMilliseconds) {
                    $0.proposeAgain()
                },
                actor.makeTimer(everyMilliseconds: DiscoveryLimits.probePeriodMilliseconds) {
                    $0.probe()
                },
            ]
            actor.connect()
        }
    }

    /// Withdraws the announcement; `onStopped` is called when all is given back, which takes until
    /// the end of a hung call.
    nonisolated func stop(onStopped: @escaping @Sendable () -> Void) {
        isStopRequested.store(true, ordering: .releasing)
        submit { actor in
            if case .stopped = actor.state { return onStopped() }
            actor.state = .stopped
            actor.onStopped = onStopped
            for timer in actor.timers { timer.cancel() }
            actor.timers = []
            actor.tearDown()
            actor.finishStopIfDone()
        }
    }

    /// Whether no further call may be made.
    nonisolated var isStopping: Bool { isStopRequested.load(ordering: .acquiring) }
}

// MARK: The connection to the daemon

extension MulticastDNS {
    private func connect() {
        let text = ServiceText(
            version: Version.datagrams, node: settings.node, mesh: settings.meshTag,
            boot: settings.boot)
        let registration = ServiceRequest.register(
            name: Self.instanceName(node: settings.node, boot: settings.boot), port: settings.port,
            text: text.encoded)
        state = .registering
        guard open(registration, for: .registration) != nil, open(.browse, for: .browser) != nil
        else { return }
        let generation = generation
        submit(afterMilliseconds: DiscoveryLimits.registrationMilliseconds) { actor in
            guard case .registering = actor.state, actor.generation == generation else { return }
            actor.onHealth(.unusable(.unconfirmed))
        }
    }

    /// Opens a request; nil if that failed, in which case everything is being torn down unless
    /// only this request was refused.
    func open(_ request: ServiceRequest, for purpose: Purpose) -> UInt64? {
        guard !isStopping else { return nil }
        let inbox = ServiceInbox()
        let (opened, wasHung) = watch.run { request.open(into: inbox) }
        guard opened.code == 0, let pointer = opened.reference else {
            switch purpose {
            case .lookup where opened.code != Int32(kDNSServiceErr_Unknown): break
            case .registration, .browser, .lookup, .probe: fail(code: opened.code)
            }
            return nil
        }
        if wasHung, case .running = state { onHealth(.usable) }
        nextReference += 1
        let id = nextReference
        let source = DispatchSource.makeReadSource(
            fileDescriptor: DNSServiceRefSockFD(pointer), queue: lane.queue)
        // The handlers keep this actor until the reference was given back.
        source.setEventHandler { @Sendable in self.assumeIsolated { $0.process(id) } }
        source.setCancelHandler { @Sendable in self.assumeIsolated { $0.giveBack(id) } }
        references[id] = Reference(
            pointer: pointer, inbox: inbox, source: source, purpose: purpose)
        source.activate()
        // What was answered within the call waits until the caller knows the reference.
        submit { $0.handleReplies(of: id) }
        return id
    }

    /// Ends a request; what it still says does not count.
    func close(_ id: UInt64) {
        guard let reference = references[id], !reference.isClosing else { return }
        references[id]?.isClosing = true
        reference.source.cancel()
    }

    private func giveBack(_ id: UInt64) {
        guard let reference = references[id] else { return }
        // Closes the descriptor and joins the library's thread.
        let (_, wasHung) = watch.run { DNSServiceRefDeallocate(reference.pointer) }
        references[id] = nil
        if wasHung, case .running = state { onHealth(.usable) }
        finishStopIfDone()
    }

    private func finishStopIfDone() {
        guard case .stopped = state, references.isEmpty else { return }
        onStopped?()
        onStopped = nil
    }

    private func process(_ id: UInt64) {
        guard let reference = references[id], !reference.isClosing else { return }
        let (code, wasHung) = watch.run { DNSServiceProcessResult(reference.pointer) }
        if wasHung, code == 0, case .running = state { onHealth(.usable) }
        handleReplies(of: id)
        if code != 0 { onReply(.failed(code: code), of: id) }
    }

    private func handleReplies(of id: UInt64) {
        guard let inbox = references[id]?.inbox else { return }
        for reply in inbox.takeAll() { onReply(reply, of: id) }
    }

    private func onReply(_ reply: ServiceReply, of id: UInt64) {
        guard let reference = references[id], !reference.isClosing else { return }
        switch (reference.purpose, reply) {
        case (.registration, .registered(let name)): onRegistered(as: name)
        case (.registration, .failed(let code)), (.browser, .failed(let code)): fail(code: code)
        case (.browser, .added(let key, let domain)): onAdded(key, domain: domain)
        case (.browser, .removed(let key)): onRemoved(key)
        case (.probe, _): close(id)
        case (.lookup(let key), _): onLookupReply(reply, of: id, for: key)
        case (.registration, _), (.browser, _): break
        }
    }

    private func onRegistered(as name: String) {
        ownName = name
        retries = 0
        state = .running
        onHealth(.usable)
    }

    /// The daemon is gone or useless: gives everything back and tries again later.
    private func fail(code: Int32) {
        switch state {
        case .idle, .waiting, .stopped: return
        case .registering, .running: state = .waiting
        }
        tearDown()
        guard !isStopping else { return }
        let isGone = code == Int32(kDNSServiceErr_Unknown)
        onHealth(.unusable(isGone ? .noDaemon(code: code) : .refused(code: code)))
        let generation = generation
        submit(afterMilliseconds: Self.retryMilliseconds(afterRetries: retries)) { actor in
            guard case .waiting = actor.state, actor.generation == generation else { return }
            actor.connect()
        }
        retries += 1
    }

    /// How long to wait before the next try.
    static func retryMilliseconds(afterRetries retries: Int) -> Int {
        guard retries < DiscoveryLimits.quickRetriesMax else {
            return DiscoveryLimits.slowRetryMilliseconds
        }
        let doubled = DiscoveryLimits.retryMilliseconds << min(retries, 10)
        return min(doubled, DiscoveryLimits.retryMillisecondsMax)
    }

    private func tearDown() {
        generation += 1
        for id in references.keys.sorted() { close(id) }
        services = [:]
        lookups = [:]
        waitingLookups = []
    }

    /// Asks for the own service, only to see whether the daemon answers the call.
    private func probe() {
        guard case .running = state else { return }
        for (id, reference) in references {
            if case .probe = reference.purpose { close(id) }
        }
        let key = ServiceKey(name: ownName, interface: 0)
        _ = open(.resolve(key, domain: "local"), for: .probe)
    }
}
