import Foundation
import TesseraCore
import TesseraNode
import Testing

@Suite("Discovery by mDNS with a real daemon", .serialized, .enabled(if: PrivateMDNS.isAvailable))
struct MulticastDNSTests {
    private func isUnusable(_ notice: DiscoveryNotice) -> Bool {
        if case .multicastDNSUnusable = notice { true } else { false }
    }

    private func withDaemon(_ body: () async throws -> Void) async rethrows {
        #expect(PrivateMDNS.run("up") == 0)
        defer { PrivateMDNS.run("down") }
        try await body()
    }

    @Test("Two agents of one mesh find each other, and neither finds itself nor another mesh")
    func findsOwnMesh() async {
        await withDaemon {
            let first = TestAgent(1, mode: .mdns)
            let second = TestAgent(2, mode: .mdns)
            let stranger = TestAgent(3, mode: .mdns, mesh: "fedcba9876543210")
            #expect(await eventually { first.finds(second) && second.finds(first) })
            #expect(await eventually { first.discovery.state.counts.servicesForeign > 0 })
            #expect(await eventually { stranger.discovery.state.counts.servicesForeign > 1 })
            #expect(first.findings.ports() == [second.port])
            #expect(second.findings.ports() == [first.port])
            #expect(stranger.findings.addresses.isEmpty)
            #expect(first.findings.notices == [.multicastDNSInUse])
            #expect(first.discovery.state.multicastDNS == .inUse)
            for agent in [first, second, stranger] { await agent.discovery.stop() }
        }
    }

    @Test("After the daemon was killed and started again all find each other again")
    func survivesRestart() async {
        await withDaemon {
            let first = TestAgent(1, mode: .mdns)
            let second = TestAgent(2, mode: .mdns)
            #expect(await eventually { first.finds(second) && second.finds(first) })
            for round in 1...2 {
                PrivateMDNS.signal(SIGKILL)
                #expect(await eventually { first.findings.count(isUnusable) == round })
                #expect(await eventually { second.findings.count(isUnusable) == round })
                first.findings.forgetAddresses()
                second.findings.forgetAddresses()
                #expect(PrivateMDNS.run("up") == 0)
                #expect(await eventually { first.finds(second) && second.finds(first) })
                #expect(await eventually { first.discovery.state.multicastDNS == .inUse })
            }
            #expect(first.findings.count { $0 == .multicastDNSInUse } == 3)
            let late = TestAgent(3, mode: .mdns)
            #expect(await eventually { first.finds(late) && late.finds(first) })
            for agent in [first, second, late] { await agent.discovery.stop() }
        }
    }

    @Test(
        "A hung daemon holds up neither start nor stop, and is said once", .timeLimit(.minutes(1)))
    func survivesHang() async {
        await withDaemon {
            let running = TestAgent(1, mode: .mdns)
            #expect(await eventually { running.discovery.state.multicastDNS == .inUse })
            PrivateMDNS.signal(SIGSTOP)
            // The daemon stays stopped until the end: what waited for it would wait for ever.
            let starting = TestAgent(2, mode: .auto)
            let other = TestAgent(3, mode: .beacon)
            let hung = DiscoveryNotice.multicastDNSUnusable(.hung, beaconTakesOver: true)
            #expect(await eventually { starting.findings.notices.contains(hung) })
            #expect(await eventually { starting.finds(other) && other.finds(starting) })
            for agent in [running, starting, other] {
                await agent.discovery.stop()
            }
            #expect(starting.findings.count(isUnusable) == 1)
            PrivateMDNS.signal(SIGCONT)
        }
    }

    @Test("A daemon that hung for a while is used again")
    func recoversFromHang() async {
        await withDaemon {
            PrivateMDNS.signal(SIGSTOP)
            let agent = TestAgent(1, mode: .auto)
            #expect(await eventually { agent.findings.count(isUnusable) == 1 })
            PrivateMDNS.signal(SIGCONT)
            #expect(await eventually { agent.discovery.state.multicastDNS == .inUse })
            #expect(agent.findings.notices.last == .multicastDNSInUse)
            await agent.discovery.stop()
        }
    }

    @Test("Without a bus the beacon takes over, said once, until the daemon appears")
    func beaconTakesOver() async {
        let first = TestAgent(1, mode: .auto)
        let second = TestAgent(2, mode: .auto)
        #expect(await eventually { first.finds(second) && second.finds(first) })
        #expect(await eventually { first.discovery.state.beacon == .sending(interfaces: 1) })
        #expect(first.findings.notices.count == 1)
        #expect(first.findings.count(isUnusable) == 1)
        await withDaemon {
            #expect(await eventually { first.findings.notices.last == .multicastDNSInUse })
            #expect(first.findings.notices.count == 2)
            #expect(first.discovery.state.beacon == .quiet(interfaces: 1))
            // An agent that has nothing but the beacon is found all the same.
            let beaconOnly = TestAgent(3, mode: .beacon)
            #expect(await eventually { first.finds(beaconOnly) && beaconOnly.finds(first) })
            await beaconOnly.discovery.stop()
        }
        #expect(await eventually { first.findings.count(isUnusable) == 2 })
        for agent in [first, second] { await agent.discovery.stop() }
    }
}
