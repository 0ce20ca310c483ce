import Synchronization
import TesseraCore
import TesseraNode

/// Whether the daemon of mDNS takes a service and shows it to others: two parts of this process
/// announce themselves as agents of a mesh that nobody else has, and one looks for the other.
enum MulticastDNSCheck {
    /// The daemon confirms within two seconds, and shows what it has at once.
    private static let limit = Duration.seconds(8)
    /// Where the one that is looked for says that it listens; nobody dials it.
    private static let port: UInt16 = 9

    private enum Word: Sendable {
        case found
        case unusable(MulticastDNSFault)
        case silent
    }

    /// Runs the check.
    static func run() async -> DoctorFinding {
        let (words, continuation) = AsyncStream.makeStream(
            of: Word.self, bufferingPolicy: .bufferingNewest(16))
        var generator = SystemRandomNumberGenerator()
        let tag = TraceContext.hexadecimal(generator.next())
        let isTaken = Mutex(false)
        func part(_ port: UInt16, onFound: @escaping @Sendable (Address) -> Void) -> Discovery {
            let random = generator.next()
            return Discovery(
                settings: DiscoverySettings(
                    mode: .mdns, node: NodeID(random, 0, 0, 0),
                    boot: Boot(counter: 1, random: random), port: port, meshTag: tag),
                seal: { $0 }, open: { _ in nil }, onFound: onFound,
                onNotice: { notice in
                    switch notice {
                    case .multicastDNSInUse: isTaken.withLock { $0 = true }
                    case .multicastDNSUnusable(let fault, _): continuation.yield(.unusable(fault))
                    default: break
                    }
                })
        }
        let parts = [
            part(port) { _ in },
            part(port + 1) { if $0.port == port { continuation.yield(.found) } },
        ]
        for part in parts { part.start() }
        let word = await withTaskGroup(of: Word.self) { group in
            group.addTask {
                for await word in words { return word }
                return .silent
            }
            group.addTask {
                // Cancelled as soon as there is a word.
                try? await Task.sleep(for: limit)
                return .silent
            }
            let first = await group.next() ?? .silent
            group.cancelAll()
            return first
        }
        for part in parts { await part.stop() }
        return finding(word, isTaken: isTaken.withLock { $0 })
    }

    private static func finding(_ word: Word, isTaken: Bool) -> DoctorFinding {
        let until = "until then agents find each other by the beacon"
        switch word {
        case .found:
            return .good("mDNS", "the Avahi daemon takes a service and shows it")
        case .unusable(let fault):
            return .warning("mDNS", "not usable: \(fault)", next: "start avahi-daemon; \(until)")
        case .silent where isTaken:
            return .warning(
                "mDNS",
                "the Avahi daemon takes a service, and does not show it within "
                    + "\(limit.components.seconds) s",
                next: "look at `avahi-browse -r _tessera._tcp` and its allow-interfaces; \(until)")
        case .silent:
            return .warning(
                "mDNS", "the Avahi daemon said nothing within \(limit.components.seconds) s",
                next: "restart avahi-daemon; \(until)")
        }
    }
}
