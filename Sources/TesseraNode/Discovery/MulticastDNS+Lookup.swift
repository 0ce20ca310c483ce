import CDNSSD
import TesseraCore

/// What is known of an announced service on one interface.
struct AnnouncedService {
    /// Where the name is registered.
    var domain: String
    /// Announcements less withdrawals: the daemon reports one per internet protocol.
    var announcements = 1
    /// Whether it is another mesh's, or this agent's own: not looked up again, since a service
    /// never changes what it tells under one name.
    var isForeign = false
    /// Where it listens, as of the last lookup if that succeeded.
    var addresses: [Address] = []
    /// Lookups that failed in a row.
    var failures = 0
    /// When to look it up; nil while it waits for its lookup or has one.
    var dueMilliseconds: UInt64?
}

/// A lookup under way: first where the service is, then its host's address.
struct ServiceLookup {
    /// The open request.
    var reference: UInt64
    /// What it asks.
    var stage: Stage
    /// When to go on without an answer.
    var deadlineMilliseconds: UInt64

    /// The question that is open.
    enum Stage {
        /// Where the service is.
        case place
        /// The host's address record of this type.
        case address(host: String, port: UInt16, recordType: UInt16)
    }
}

extension MulticastDNS {
    /// The browser names a service on an interface, perhaps one that is known.
    func onAdded(_ key: ServiceKey, domain: String) {
        if services[key] != nil {
            services[key]?.announcements += 1
            return
        }
        guard key.name != ownName else { return }
        guard services.count < DiscoveryLimits.servicesMax else {
            ledger.count(\.servicesOverLimit)
            if !saidTooMany {
                ledger.say(.tooManyServices(limit: DiscoveryLimits.servicesMax))
            }
            saidTooMany = true
            return
        }
        services[key] = AnnouncedService(domain: domain)
        waitingLookups.append(key)
        startLookups()
    }

    /// The browser withdraws a service on an interface.
    func onRemoved(_ key: ServiceKey) {
        guard let service = services[key] else { return }
        guard service.announcements <= 1 else {
            services[key]?.announcements -= 1
            return
        }
        services[key] = nil
        if let lookup = lookups.removeValue(forKey: key) { close(lookup.reference) }
        startLookups()
    }

    /// Proposes what was resolved; called from time to time.
    func proposeAgain() {
        for (_, service) in services { ledger.propose(service.addresses) }
    }

    /// Ends lookups without an answer and starts those that are due; called from time to time.
    func lookUpWhatIsDue() {
        let now = monotonicMilliseconds()
        for (key, lookup) in lookups where lookup.deadlineMilliseconds <= now {
            goOn(withoutAnswerOf: lookup, for: key)
        }
        for (key, service) in services {
            guard let due = service.dueMilliseconds, due <= now else { continue }
            services[key]?.dueMilliseconds = nil
            waitingLookups.append(key)
        }
        startLookups()
    }

    private func startLookups() {
        while lookups.count < DiscoveryLimits.lookupsMax, !waitingLookups.isEmpty, !isStopping {
            let key = waitingLookups.removeFirst()
            guard let service = services[key], lookups[key] == nil else { continue }
            let asked = ask(.resolve(key, domain: service.domain), .place, for: key)
            if !asked { endLookup(of: key, with: []) }
        }
    }

    /// Opens a lookup's next question; false if that failed.
    private func ask(
        _ request: ServiceRequest, _ stage: ServiceLookup.Stage, for key: ServiceKey
    ) -> Bool {
        let milliseconds =
            switch stage {
            case .place: DiscoveryLimits.resolveMilliseconds
            case .address: DiscoveryLimits.addressMilliseconds
            }
        guard let reference = open(request, for: .lookup(key)) else { return false }
        lookups[key] = ServiceLookup(
            reference: reference, stage: stage,
            deadlineMilliseconds: monotonicMilliseconds() + UInt64(milliseconds))
        return true
    }

    /// A lookup's request answers.
    func onLookupReply(_ reply: ServiceReply, of id: UInt64, for key: ServiceKey) {
        guard let lookup = lookups[key], lookup.reference == id else { return }
        switch (lookup.stage, reply) {
        case (.place, .resolved(let host, let port, let text)):
            close(id)
            onPlace(host: host, port: port, text: text, of: key)
        case (.address(_, let port, let asked), .record(let type, let data)) where type == asked:
            if let addresses = Self.addresses(inRecord: data, port: port) {
                close(id)
                endLookup(of: key, with: addresses)
            }
        case (_, .failed):
            goOn(withoutAnswerOf: lookup, for: key)
        case (.place, _), (.address, _):
            break
        }
        startLookups()
    }

    private func onPlace(host: String, port: UInt16, text: [UInt8], of key: ServiceKey) {
        guard let description = try? ServiceText(parsing: text),  // anyone may announce anything
            description.version == Version.datagrams,
            settings.acceptedTags.contains(description.mesh), port != 0
        else {
            ledger.count(\.servicesForeign)
            return endLookup(of: key, isForeign: true)
        }
        guard description.node != settings.node else { return endLookup(of: key, isForeign: true) }
        askForAddress(of: host, port: port, recordType: ServiceRequest.recordA, for: key)
    }

    private func askForAddress(
        of host: String, port: UInt16, recordType: UInt16, for key: ServiceKey
    ) {
        let request = ServiceRequest.address(
            host: host, recordType: recordType, interface: key.interface)
        let stage = ServiceLookup.Stage.address(host: host, port: port, recordType: recordType)
        if !ask(request, stage, for: key) { endLookup(of: key, with: []) }
    }

    private func goOn(withoutAnswerOf lookup: ServiceLookup, for key: ServiceKey) {
        close(lookup.reference)
        switch lookup.stage {
        case .address(let host, let port, ServiceRequest.recordA):
            askForAddress(of: host, port: port, recordType: ServiceRequest.recordAAAA, for: key)
        case .address, .place:
            endLookup(of: key, with: [])
        }
    }

    /// Ends a lookup; without addresses it failed, and is tried again later and later.
    private func endLookup(
        of key: ServiceKey, with addresses: [Address] = [], isForeign: Bool = false
    ) {
        lookups[key] = nil
        guard var service = services[key] else { return }
        service.isForeign = isForeign
        service.addresses = addresses
        service.failures = addresses.isEmpty ? service.failures + 1 : 0
        let period = DiscoveryLimits.lookupPeriodMilliseconds
        let wait =
            addresses.isEmpty
            ? min(DiscoveryLimits.lookupRetryMilliseconds << min(service.failures - 1, 10), period)
            : period
        service.dueMilliseconds = isForeign ? nil : monotonicMilliseconds() + UInt64(wait)
        services[key] = service
        ledger.propose(addresses)
    }

    /// The addresses that a record proposes; nil if it holds none that can be dialled.
    ///
    /// An address of this machine is proposed as loopback too: an agent on this machine may listen
    /// there only.
    static func addresses(inRecord data: [UInt8], port: UInt16) -> [Address]? {
        switch data.count {
        case 4:
            let host = data.map(String.init).joined(separator: ".")
            let address = Address(host: host, port: port)
            let isOwn = NetworkInterface.list().contains {
                numericHost(ofIPv4: $0.address) == host
            }
            guard isOwn, data[0] != 127 else { return [address] }
            return [address, Address(host: "127.0.0.1", port: port)]
        case 16:
            // A link-local address means nothing without its interface, which an address cannot
            // name.
            guard data[0] != 0xFE || data[1] & 0xC0 != 0x80 else { return nil }
            return numericHost(ofIPv6: data).map { [Address(host: $0, port: port)] }
        default:
            return nil
        }
    }
}
