import TesseraCore
import Testing

@testable import TesseraNode

@Suite("Discovery's texts")
struct DiscoveryTextTests {
    private let text = ServiceText(
        version: 1, node: NodeID(1, 2, 3, 4), mesh: "0123456789abcdef",
        boot: Boot(counter: 7, random: 0xAB))

    @Test("A service's description is read back, in any order and with unknown keys")
    func serviceText() throws {
        #expect(try ServiceText(parsing: text.encoded) == text)
        var strings: [[UInt8]] = []
        var rest = text.encoded[...]
        while let length = rest.popFirst() {
            strings.append([length] + rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
        }
        let noise: [[UInt8]] = [[0], [1, 0x78], [3, 0x78, 0x3D, 0x79], [2, 0xFF, 0x3D]]
        let mixed = (noise + strings.reversed()).flatMap { $0 }
        #expect(try ServiceText(parsing: mixed) == text)
        for missing in strings.indices {
            var fewer = strings
            fewer.remove(at: missing)
            #expect(throws: ServiceTextError.self) {
                try ServiceText(parsing: fewer.flatMap { $0 })
            }
        }
    }

    @Test("No cut and no changed byte of a description crashes the parser or passes as the same")
    func serviceTextCorruption() {
        let bytes = text.encoded
        for count in 0..<bytes.count {
            #expect(throws: ServiceTextError.self) {
                try ServiceText(parsing: bytes.prefix(count))
            }
        }
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                let parsed = try? ServiceText(parsing: changed)  // refused is as good as different
                // Keys and hexadecimal digits do not distinguish upper and lower case.
                if bit != 5 { #expect(parsed != text) }
            }
        }
        #expect(throws: ServiceTextError.tooLong(20_000)) {
            try ServiceText(parsing: [UInt8](repeating: 0, count: 20_000))
        }
    }

    @Test("An instance's name changes with the boot")
    func instanceName() {
        let name = MulticastDNS.instanceName(
            node: NodeID(0x0011_2233_4455_6677, 0, 0, 0),
            boot: Boot(counter: 1, random: 0x8899_AABB_CCDD_EEFF))
        #expect(name == "00112233-8899aabb")
    }

    @Test("Retries double up to a second, and slow down when nothing comes")
    func retries() {
        let waits = (0..<6).map(MulticastDNS.retryMilliseconds(afterRetries:))
        #expect(waits == [100, 200, 400, 800, 1_000, 1_000])
        #expect(MulticastDNS.retryMilliseconds(afterRetries: 1_000_000) == 3_000)
    }

    @Test("An address record becomes an address, a link-local IPv6 one does not")
    func records() {
        let far = MulticastDNS.addresses(inRecord: [203, 0, 113, 9], port: 5)
        #expect(far == [Address(host: "203.0.113.9", port: 5)])
        let own = MulticastDNS.addresses(inRecord: [127, 0, 0, 1], port: 5)
        #expect(own == [Address(host: "127.0.0.1", port: 5)])
        let local = [0xFE, 0x80] + [UInt8](repeating: 0, count: 14)
        #expect(MulticastDNS.addresses(inRecord: local, port: 5) == nil)
        let global = [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        let expected = [Address(host: "2001:db8::1", port: 5)]
        #expect(MulticastDNS.addresses(inRecord: global, port: 5) == expected)
        #expect(MulticastDNS.addresses(inRecord: [1, 2, 3], port: 5) == nil)
    }

    @Test("Seeds are read as written, and errors say what to write")
    func seeds() throws {
        #expect(try SeedAddress(parsing: "host:1") == SeedAddress(host: "host", port: 1))
        let six = try SeedAddress(parsing: "[fd00::2]:8701")
        #expect(six == SeedAddress(host: "fd00::2", port: 8_701))
        #expect(six.description == "[fd00::2]:8701")
        let wrong: [(String, SeedAddressError)] = [
            ("host", .noPort("host")), ("host:", .badPort("host:")),
            ("host:0", .badPort("host:0")), ("host:65536", .badPort("host:65536")),
            (":1", .badHost(":1")), ("a b:1", .badHost("a b:1")), ("[]:1", .badHost("[]:1")),
            ("fd00::2:1", .bareIPv6("fd00::2:1")), ("[[fd00::2]]:1", .badHost("[[fd00::2]]:1")),
            ("a]b:1", .badHost("a]b:1")),
        ]
        for (text, error) in wrong {
            #expect(throws: error) { try SeedAddress(parsing: text) }
            #expect(error.description.contains("PORT") || error.description.contains("port"))
        }
    }
}

@Suite("Discovery by seeds")
struct SeedTests {
    @Test("Numeric seeds and names are proposed, again and again, in every mode")
    func proposes() async {
        let agent = TestAgent(
            31, mode: .none,
            seeds: [
                SeedAddress(host: "192.0.2.7", port: 1), SeedAddress(host: "localhost", port: 2),
                SeedAddress(host: "::1", port: 3),
            ])
        let expected = [
            Address(host: "192.0.2.7", port: 1), Address(host: "127.0.0.1", port: 2),
            Address(host: "::1", port: 3),
        ]
        for address in expected {
            #expect(
                await eventually { agent.findings.addresses.count { $0 == address } >= 2 })
        }
        agent.discovery.update(seeds: [SeedAddress(host: "192.0.2.8", port: 4)])
        #expect(await eventually { agent.findings.ports().contains(4) })
        await agent.discovery.stop()
    }

    @Test("A name without an address is said once")
    func saysUnresolved() async {
        // A label of more than 63 bytes is refused without asking the network.
        let host = String(repeating: "x", count: 70)
        let agent = TestAgent(32, mode: .none, seeds: [SeedAddress(host: host, port: 1)])
        #expect(await eventually { agent.findings.notices.count == 1 })
        agent.discovery.update(seeds: [SeedAddress(host: host, port: 1)])
        agent.discovery.update(seeds: [
            SeedAddress(host: host, port: 1), SeedAddress(host: "192.0.2.9", port: 9),
        ])
        #expect(await eventually { agent.findings.ports() == [9] })
        #expect(agent.findings.notices.count == 1)
        await agent.discovery.stop()
    }
}
