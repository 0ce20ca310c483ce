import Testing

@testable import TesseraCore

private typealias Bench = MembershipBench

private func member(_ number: UInt64, run: UInt64 = 1) -> NodeBoot {
    Bench.member(number, run: run)
}

private func address(_ number: UInt64) -> Address { Bench.address(number) }

private func rumour(
    _ member: NodeBoot, _ status: MemberStatus, _ incarnation: UInt64, by accuser: NodeBoot? = nil
) -> Rumour {
    Bench.rumour(member, status, incarnation, by: accuser)
}

@Suite struct MembershipConnectionTests {
    @Test("discovered addresses are dialled one by one, and never our own")
    func discovery() {
        var bench = Bench()
        for number in UInt64(1)...30 {
            bench.membership.onDiscovered(address(number), now: bench.now, into: &bench.out)
        }
        bench.membership.onDiscovered(address(50), now: bench.now, into: &bench.out)
        bench.membership.onDiscovered(address(1), now: bench.now, into: &bench.out)
        #expect(Bench.dials(bench.take()) == [address(1)])
        bench.wait(1_000)
        #expect(Bench.dials(bench.take()) == (2...11).map { address($0) })
        bench.wait(3_000)
        #expect(Bench.dials(bench.take()) == (12...30).map { address($0) })
    }

    @Test("an address where nobody answers is tried six times, then forgotten")
    func hopelessAddress() {
        var bench = Bench()
        bench.membership.onDiscovered(address(1), now: bench.now, into: &bench.out)
        for _ in 0..<10 {
            bench.membership.onUnreachable(address(1), now: bench.now, into: &bench.out)
            bench.wait(20_000)
        }
        #expect(Bench.dials(bench.take()).count == 6)
        #expect(bench.membership.nextWake == .never)
        #expect(bench.membership.candidates.isEmpty)
    }

    @Test("an address is without an answer from the first failure until somebody answers")
    func unanswered() {
        var bench = Bench()
        bench.membership.onDiscovered(address(1), now: bench.now, into: &bench.out)
        #expect(bench.membership.unanswered.isEmpty)
        bench.membership.onUnreachable(address(1), now: bench.now, into: &bench.out)
        #expect(bench.membership.unanswered == [address(1)])
        bench.wait(20_000)
        #expect(bench.membership.unanswered == [address(1)])
        bench.membership.onConnected(
            member(1), address: address(1), now: bench.now, into: &bench.out)
        #expect(bench.membership.unanswered.isEmpty)
    }

    @Test("no more than 256 discovered addresses wait, and the rest is counted")
    func discoveryLimit() {
        var bench = Bench()
        for number in UInt64(100)...400 {
            bench.membership.onDiscovered(address(number), now: bench.now, into: &bench.out)
        }
        #expect(bench.membership.candidates.count == MembershipLimits.candidates)
        #expect(bench.out.contains(.report(.limit("discovered addresses", count: 256))))
    }

    @Test("who connects is alive and is told everything")
    func connected() {
        var bench = Bench()
        bench.connect(member(1))
        #expect(bench.changes() == [.alive(member(1), address(1)), .connected(member(1))])
        #expect(
            Bench.told(bench.take()).first?.1 == [
                rumour(member(50), .alive, 0), rumour(member(1), .alive, 0),
            ])
        #expect(bench.membership.usable == [member(1), member(50)])
        #expect(bench.membership.members.map(\.member) == [member(1), member(50)])
        #expect(bench.membership.isReachable(member(1)))
    }

    @Test("our own address by another name is never dialled again")
    func selfConnection() {
        var bench = Bench()
        bench.membership.onDiscovered(address(7), now: bench.now, into: &bench.out)
        bench.membership.onConnected(
            member(50), address: address(7), now: bench.now, into: &bench.out)
        _ = bench.take()
        bench.membership.onDiscovered(address(7), now: bench.now, into: &bench.out)
        bench.wait(5_000)
        #expect(bench.take() == [])
        #expect(bench.changes() == [])
    }

    @Test("who is only heard of is dialled, the lower identity at once and the higher one later")
    func hearsay() {
        var bench = Bench()
        bench.connect(member(1))
        _ = bench.take()
        bench.hear(rumour(member(9), .alive, 0), from: member(1))
        bench.hear(rumour(member(60), .alive, 0), from: member(1))
        bench.live(1)
        #expect(Bench.dials(bench.take()) == [address(60)])
        bench.live(150)
        #expect(Bench.dials(bench.take()) == [address(9)])
        #expect(bench.membership.status(of: member(9)) == .alive)
        #expect(bench.membership.usable == [member(1), member(50)])
    }

    @Test("a member that cannot be reached is dialled again and again, with growing pauses")
    func redial() {
        var bench = Bench()
        bench.connect(member(1))
        bench.hear(rumour(member(60), .alive, 0), from: member(1))
        var times: [Int64] = []
        for _ in 0..<1_000 {
            bench.live(10)
            if Bench.dials(bench.take()).contains(address(60)) {
                times.append(bench.now.nanoseconds / 1_000_000)
                bench.membership.onUnreachable(address(60), now: bench.now, into: &bench.out)
            }
        }
        #expect(times.prefix(7) == [10, 110, 310, 710, 1_510, 3_110, 5_110])
    }

    @Test("a refused redial right after a break is proof: dead in 200 ms")
    func refused() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        _ = bench.changes()
        _ = bench.take()
        bench.membership.onDisconnected(member(1), now: bench.now, into: &bench.out)
        let directives = bench.take()
        #expect(Bench.dials(directives) == [address(1)])
        #expect(Bench.told(directives).map(\.0) == [member(2)])
        #expect(Bench.told(directives).first?.1 == [rumour(member(1), .suspect, 0, by: member(50))])
        bench.membership.onUnreachable(address(1), now: bench.now, into: &bench.out)
        bench.wait(199)
        #expect(bench.membership.status(of: member(1)) == .suspect)
        bench.wait(1)
        #expect(
            bench.changes().suffix(3) == [
                .disconnected(member(1)), .suspected(member(1)),
                .dead(member(1), reason: "connection broke and was refused"),
            ])
        #expect(Bench.told(bench.take()).contains { $0.1 == [rumour(member(1), .dead, 0)] })
    }

    @Test("proof is void if another member gets an answer")
    func refusedButAnswered() throws {
        var bench = Bench()
        bench.connect(member(1), member(2))
        bench.membership.onDisconnected(member(1), now: bench.now, into: &bench.out)
        let sequence = try #require(Bench.pings(bench.take()).first?.0)
        bench.membership.onUnreachable(address(1), now: bench.now, into: &bench.out)
        bench.wait(1)
        #expect(
            bench.take().contains {
                if case .sendDatagram(.pingRequest(sequence, member(1), address(1), _), _, _) = $0 {
                    true
                } else {
                    false
                }
            })
        bench.receive(.ack(sequence: sequence, rumours: []), from: member(2))
        bench.wait(490)
        #expect(bench.membership.status(of: member(1)) == .suspect)
        bench.hear(rumour(member(1), .alive, 1), from: member(2))
        #expect(bench.membership.status(of: member(1)) == .alive)
        #expect(bench.changes().last == .recovered(member(1)))
    }

    @Test("a newer run proves the older one dead, and the older one is turned away")
    func newerRun() {
        var bench = Bench()
        bench.connect(member(1))
        _ = bench.changes()
        _ = bench.take()
        bench.connect(member(1, run: 2))
        #expect(
            bench.changes() == [
                .dead(member(1), reason: "it runs anew"), .disconnected(member(1)),
                .alive(member(1, run: 2), address(1)), .connected(member(1, run: 2)),
            ])
        #expect(bench.take().contains(.disconnect(member(1))))
        #expect(bench.membership.status(of: member(1)) == .dead)
        bench.connect(member(1))
        #expect(bench.take() == [.disconnect(member(1))])
        #expect(bench.changes() == [])
        bench.hear(rumour(member(1), .alive, 99), from: member(1, run: 2))
        #expect(bench.membership.status(of: member(1)) == .dead)
    }

    @Test("who came back is not used for 10 s, then for 20 s")
    func flapping() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        bench.kill(member(1), by: member(2))
        bench.hear(rumour(member(1), .alive, 1), from: member(2))
        #expect(bench.membership.isReachable(member(1)))
        bench.live(9_999)
        #expect(bench.membership.usable == [member(2), member(50)])
        bench.live(1)
        #expect(bench.membership.usable == [member(1), member(2), member(50)])
        #expect(bench.changes().last == .stable(member(1)))
        bench.kill(member(1), by: member(2), incarnation: 1)
        bench.hear(rumour(member(1), .alive, 2), from: member(2))
        bench.live(19_999)
        #expect(bench.membership.usable == [member(2), member(50)])
        bench.live(1)
        #expect(bench.membership.usable == [member(1), member(2), member(50)])
    }

    @Test(
        "a dead member is closed after a grace, knocked at each second, and forgotten in the end")
    func deadMember() {
        var settings = MembershipSettings()
        #expect(settings.deadRemembered == .seconds(24 * 3_600))
        settings.deadRemembered = .seconds(60)
        var bench = Bench(settings: settings)
        bench.connect(member(1), member(2))
        bench.kill(member(1), by: member(2))
        #expect(bench.membership.status(of: member(1)) == .dead)
        #expect(!bench.take().contains(.disconnect(member(1))))
        bench.live(1_000)
        #expect(bench.take().contains(.disconnect(member(1))))
        #expect(bench.changes().last == .disconnected(member(1)))
        bench.live(10_000)
        #expect(Bench.dials(bench.take()).count == 10)
        bench.live(60_000)
        #expect(bench.membership.status(of: member(1)) == nil)
    }

    @Test("a connected member of whom others say that it is dead is heard first")
    func heardFirst() {
        var bench = Bench()
        bench.connect(member(1), member(2), member(3))
        for witness in [member(2), member(3)] {
            bench.hear(rumour(member(1), .dead, 4), from: witness)
        }
        #expect(bench.membership.status(of: member(1)) == .suspect)
        // It is told what is said of it.
        let told = Bench.told(bench.take()).filter { $0.0 == member(1) }.flatMap(\.1)
        #expect(told.contains { $0.member == member(1) && $0.status == .suspect })
        bench.hear(rumour(member(1), .alive, 5), from: member(1))
        #expect(bench.membership.status(of: member(1)) == .alive)
        #expect(bench.membership.usable.contains(member(1)))
        #expect(!bench.changes().contains { if case .dead = $0 { true } else { false } })
    }

    @Test("there is room for 1024 members, and the longest dead one makes room")
    func memberLimit() {
        var bench = Bench()
        bench.connect(member(1))
        let many = (100..<UInt64(100 + MembershipLimits.members)).map {
            rumour(member($0), .alive, 0)
        }
        bench.receive(.sync(rumours: many, isReply: true), from: member(1))
        #expect(bench.membership.others.count == MembershipLimits.members)
        #expect(bench.take().contains(.report(.limit("members", count: 1))))
        bench.hear(rumour(member(200), .dead, 0), from: member(1))
        bench.hear(rumour(member(9_000), .alive, 0), from: member(1))
        #expect(bench.membership.status(of: member(9_000)) == .alive)
        #expect(bench.membership.status(of: member(200)) == nil)
    }
}
