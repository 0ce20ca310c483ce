import Dispatch
import Glibc
import TesseraCore

/// Proposes the addresses of seeds again and again, looking names up each time.
///
/// A lookup may block for many seconds, so each name has at most one under way, on a queue where it
/// holds up neither the others nor this actor.
actor SeedResolver: LaneActor {
    /// The outcome of a lookup.
    enum Outcome: Hashable, Sendable {
        case addresses([Address])
        case failed(String)
    }

    nonisolated let lane = Lane(label: "tessera.discovery.seeds")
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    private let ledger: DiscoveryLedger
    private let lookups = DispatchQueue(
        label: "tessera.discovery.seeds.lookups", attributes: .concurrent)
    private var seeds: [SeedAddress]
    private var underWay: Set<SeedAddress> = []
    private var unresolved: Set<SeedAddress> = []
    private var timer: (any DispatchSourceTimer)?
    private var isStopped = false

    /// Makes it; nothing happens before `start`.
    init(seeds: [SeedAddress], ledger: DiscoveryLedger) {
        self.seeds = Self.bounded(seeds)
        self.ledger = ledger
    }

    /// Begins to propose.
    nonisolated func start() {
        submit { actor in
            guard !actor.isStopped, actor.timer == nil else { return }
            actor.timer = actor.makeTimer(
                everyMilliseconds: DiscoveryLimits.proposalPeriodMilliseconds
            ) { $0.resolveAll() }
            actor.resolveAll()
        }
    }

    /// Takes other seeds from now on.
    nonisolated func update(_ seeds: [SeedAddress]) {
        submit { actor in
            actor.seeds = Self.bounded(seeds)
            actor.unresolved.formIntersection(actor.seeds)
            if actor.timer != nil { actor.resolveAll() }
        }
    }

    /// Ends all; lookups under way end by themselves, unheard.
    nonisolated func stop(onStopped: @escaping @Sendable () -> Void) {
        submit { actor in
            actor.isStopped = true
            actor.timer?.cancel()
            actor.timer = nil
            onStopped()
        }
    }

    private static func bounded(_ seeds: [SeedAddress]) -> [SeedAddress] {
        var seen: Set<SeedAddress> = []
        return Array(seeds.filter { seen.insert($0).inserted }.prefix(DiscoveryLimits.seedsMax))
    }

    private func resolveAll() {
        guard !isStopped else { return }
        for seed in seeds where underWay.count < DiscoveryLimits.seedsMax {
            guard underWay.insert(seed).inserted else { continue }
            lookups.async { @Sendable [weak self] in
                let outcome = Self.resolve(seed)
                self?.submit { $0.onOutcome(outcome, of: seed) }
            }
        }
    }

    private func onOutcome(_ outcome: Outcome, of seed: SeedAddress) {
        underWay.remove(seed)
        guard !isStopped, seeds.contains(seed) else { return }
        switch outcome {
        case .addresses(let addresses):
            unresolved.remove(seed)
            ledger.propose(addresses)
        case .failed(let reason):
            if unresolved.insert(seed).inserted {
                ledger.say(.seedUnresolved(seed, reason: reason))
            }
        }
    }

    /// Looks one seed up; blocks, unless its host is numeric.
    nonisolated static func resolve(_ seed: SeedAddress) -> Outcome {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var head: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(seed.host, nil, &hints, &head)
        guard code == 0 else { return .failed(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(head) }
        var addresses: [Address] = []
        var next = head
        while let entry = next?.pointee, addresses.count < DiscoveryLimits.addressesPerSeedMax {
            next = entry.ai_next
            guard let host = numericHost(of: entry) else { continue }
            let address = Address(host: host, port: seed.port)
            if !addresses.contains(address) { addresses.append(address) }
        }
        return addresses.isEmpty ? .failed("no usable address") : .addresses(addresses)
    }

    private nonisolated static func numericHost(of entry: addrinfo) -> String? {
        let capacity = Int(NI_MAXHOST)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { text in
            guard let start = text.baseAddress,
                getnameinfo(
                    entry.ai_addr, entry.ai_addrlen, start, socklen_t(capacity), nil, 0,
                    NI_NUMERICHOST) == 0
            else { return nil }
            return String(cString: start)
        }
    }
}
