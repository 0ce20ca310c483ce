import Crypto
import Foundation
import Synchronization
import TesseraCore
import TesseraNode

/// Collects what a discovery finds and says.
final class Findings: Sendable {
    private struct Contents {
        var addresses: [Address] = []
        var notices: [DiscoveryNotice] = []
    }

    private let contents = Mutex(Contents())

    var addresses: [Address] { contents.withLock { $0.addresses } }
    var notices: [DiscoveryNotice] { contents.withLock { $0.notices } }

    func ports() -> Set<UInt16> { Set(addresses.map(\.port)) }

    func found(_ address: Address) { contents.withLock { $0.addresses.append(address) } }
    func noticed(_ notice: DiscoveryNotice) { contents.withLock { $0.notices.append(notice) } }
    func forgetAddresses() { contents.withLock { $0.addresses = [] } }

    func count(_ isMeant: (DiscoveryNotice) -> Bool) -> Int { notices.count(where: isMeant) }
}

/// Waits until the condition holds; false if it does not within the deadline.
func eventually(withinSeconds seconds: Int = 30, _ condition: () -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !condition() {
        guard ContinuousClock.now < deadline else { return false }
        // The poll's period; the condition decides.
        try? await Task.sleep(for: .milliseconds(10))  // cancelled: the next look decides
    }
    return true
}

/// Seals beacons as a mesh with this key would; other test processes on this machine have others.
struct TestSeal: Sendable {
    private static let salt = SymmetricKey(size: .bits256)
    let key: SymmetricKey

    init(_ byte: UInt8) {
        key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: Self.salt, info: [byte], outputByteCount: 32)
    }

    func seal(_ bytes: [UInt8]) -> [UInt8] {
        // It throws for a bad key only.
        guard let box = try? ChaChaPoly.seal(bytes, using: key) else { return [] }
        return Array(box.combined)
    }

    func open(_ bytes: [UInt8]) -> [UInt8]? {
        guard let box = try? ChaChaPoly.SealedBox(combined: bytes) else { return nil }  // too short
        return (try? ChaChaPoly.open(box, using: key)).map { Array($0) }  // another key's
    }
}

/// One agent's discovery with what it found.
struct TestAgent {
    let findings = Findings()
    let discovery: Discovery
    let port: UInt16

    init(
        _ number: UInt8, mode: DiscoveryMode, mesh: String = "0123456789abcdef", key: UInt8 = 1,
        seeds: [SeedAddress] = []
    ) {
        port = 40_000 + UInt16(number)
        let seal = TestSeal(key)
        let findings = findings
        discovery = Discovery(
            settings: DiscoverySettings(
                mode: mode, seeds: seeds, node: TestAgent.node(number),
                boot: Boot(counter: 1, random: .random(in: 0 ... .max)), port: port, meshTag: mesh,
                beaconInterfaces: ["lo"]),
            seal: { seal.seal($0) }, open: { seal.open($0) },
            onFound: { findings.found($0) }, onNotice: { findings.noticed($0) })
        discovery.start()
    }

    static func node(_ number: UInt8) -> NodeID {
        NodeID(UInt64(number) << 56, 0, 0, UInt64(number))
    }

    func finds(_ other: TestAgent) -> Bool {
        findings.addresses.contains(Address(host: "127.0.0.1", port: other.port))
    }
}

/// Runs `Tools/private-mdns`, always in one folder: the bus library reads its address once.
enum PrivateMDNS {
    static let folder = "/tmp/tessera-mdns-\(getpid())"
    private static let tool = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../Tools/private-mdns").standardizedFileURL.path

    /// Whether this machine has the daemons and lets them run.
    static let isAvailable: Bool = {
        setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=\(folder)/bus", 1)
        defer { run("down") }
        return run("up") == 0
    }()

    @discardableResult
    static func run(_ command: String) -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: tool)
        process.arguments = [command, folder]
        guard (try? process.run()) != nil else { return -1 }  // -1 says it
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// The id of the daemon's process.
    static func daemon() -> pid_t? {
        // No file: no daemon.
        let text = try? String(contentsOfFile: "\(folder)/avahi.pid", encoding: .utf8)
        return text?.split(separator: " ").first.flatMap { pid_t($0) }
    }

    /// Signals the daemon.
    static func signal(_ number: Int32) {
        if let daemon = daemon() { kill(daemon, number) }
    }
}
