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

@Suite struct MembershipProbeTests {
    @Test("an answered probe measures the round trip and suspects nobody")
    func answered() throws {
        var bench = Bench()
        bench.connect(member(1))
        bench.wait(200)
        let ping = try #require(Bench.pings(bench.take()).first)
        bench.now = bench.now + .milliseconds(3)
        bench.receive(.ack(sequence: ping.0, rumours: []), from: member(1))
        #expect(bench.membership.roundTrip(of: member(1)) != nil)
        #expect(bench.membership.probes.isEmpty)
        bench.live(10_000)
        #expect(bench.membership.status(of: member(1)) == .alive)
    }

    @Test("an unanswered probe asks helpers and the connection, then suspects")
    func unanswered() throws {
        var bench = Bench()
        bench.connect(member(1), member(2), member(3), member(4), member(5))
        _ = bench.changes()
        bench.membership.probe(member(1).node, now: bench.now, into: &bench.out)
        let sequence = try #require(Bench.pings(bench.take()).last?.0)
        bench.now = bench.now + .milliseconds(100)
        bench.membership.endProbes(now: bench.now, into: &bench.out)
        let asked = bench.take().filter {
            if case .sendDatagram(.pingRequest(sequence, member(1), _, _), let peer, _) = $0 {
                peer != member(1)
            } else {
                $0 == .send(.membership(.sync(rumours: [], isReply: false)), to: member(1))
            }
        }
        #expect(asked.count == 4)
        bench.now = bench.now + .milliseconds(99)
        bench.membership.endProbes(now: bench.now, into: &bench.out)
        #expect(bench.changes() == [])
        bench.now = bench.now + .milliseconds(1)
        bench.membership.endProbes(now: bench.now, into: &bench.out)
        #expect(bench.changes() == [.suspected(member(1))])
        #expect(bench.membership.health == 3)
    }

    @Test("an answer over the connection ends a probe whose datagrams are lost")
    func connectionAnswers() {
        var bench = Bench()
        bench.connect(member(1))
        bench.membership.probe(member(1).node, now: bench.now, into: &bench.out)
        bench.now = bench.now + .milliseconds(100)
        bench.membership.endProbes(now: bench.now, into: &bench.out)
        bench.receive(.sync(rumours: [], isReply: true), from: member(1))
        #expect(bench.membership.probes.isEmpty)
    }

    @Test("an empty sync gets a short answer, a full one everything")
    func syncAnswers() {
        var bench = Bench()
        bench.connect(member(1))
        for number in UInt64(100)..<200 {
            bench.hear(rumour(member(number), .alive, 0), from: member(1))
        }
        _ = bench.take()
        bench.receive(.sync(rumours: [], isReply: false), from: member(1))
        #expect((1...21).contains(Bench.told(bench.take()).first?.1.count ?? 0))
        bench.receive(
            .sync(
                rumours: [rumour(member(1), .alive, 0), rumour(member(50), .alive, 0)],
                isReply: false), from: member(1))
        #expect(Bench.told(bench.take()).first?.1.count == 102)
    }

    @Test("a ping is answered, and tells the accused of the charge")
    func buddy() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        bench.membership.gossip = []
        bench.hear(rumour(member(1), .suspect, 0, by: member(2)), from: member(2))
        #expect(
            Bench.told(bench.take()).contains {
                $0.0 == member(1) && $0.1 == [rumour(member(1), .suspect, 0, by: member(2))]
            })
        bench.receive(.ping(sequence: 77, rumours: []), from: member(1))
        #expect(
            bench.take() == [
                .sendDatagram(
                    .ack(
                        sequence: 77, rumours: [rumour(member(1), .suspect, 0, by: member(2))]),
                    to: member(1), at: address(1))
            ])
    }

    @Test("a helper passes the answer on, or says that there is none")
    func relay() throws {
        var bench = Bench()
        bench.connect(member(1), member(2))
        _ = bench.take()
        for sequence in UInt64(5)...6 {
            bench.receive(
                .pingRequest(
                    sequence: sequence, target: member(2), address: address(2), rumours: []),
                from: member(1))
        }
        let asked = Bench.pings(bench.take())
        #expect(asked.map(\.1) == [member(2), member(2)])
        bench.receive(.ack(sequence: asked[0].0, rumours: []), from: member(2))
        #expect(
            bench.take().contains {
                if case .sendDatagram(.ack(sequence: 5, _), member(1), _) = $0 {
                    true
                } else {
                    false
                }
            })
        bench.wait(80)
        #expect(
            bench.take().contains(
                .sendDatagram(.nack(sequence: 6), to: member(1), at: address(1))))
        bench.wait(1_200)
        #expect(bench.membership.relays.isEmpty)
    }

    @Test("messages of runs that are not known or older are not heard")
    func unknownSender() {
        var bench = Bench()
        bench.connect(member(1, run: 3))
        _ = bench.take()
        for peer in [member(2), member(1, run: 2), member(1, run: 4)] {
            bench.receive(.ping(sequence: 1, rumours: [rumour(member(9), .alive, 0)]), from: peer)
        }
        #expect(bench.take() == [])
        #expect(bench.membership.status(of: member(9)) == nil)
    }

    @Test("a loop that stood still blames nobody, probes again and raises its incarnation")
    func stalled() {
        var bench = Bench()
        bench.connect(member(1))
        bench.membership.onDisconnected(member(1), now: bench.now, into: &bench.out)
        bench.connect(member(1))
        _ = bench.changes()
        _ = bench.take()
        bench.now = bench.now + .seconds(3)
        bench.membership.onWake(now: bench.now, into: &bench.out)
        #expect(bench.changes() == [])
        #expect(bench.membership.incarnation == 1)
        let directives = bench.take()
        #expect(Bench.told(directives).contains { $0.1 == [rumour(member(50), .alive, 1)] })
        #expect(Bench.pings(directives).map(\.1) == [member(1)])
    }

    @Test("after a stall a closed connection is no accusation")
    func closedAfterStall() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        bench.now = bench.now + .seconds(3)
        bench.membership.onDisconnected(member(1), now: bench.now, into: &bench.out)
        #expect(bench.membership.status(of: member(1)) == .alive)
        #expect(Bench.dials(bench.take()) == [address(1)])
    }

    @Test("who left says so, is silent, and answers nothing more")
    func leaving() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        _ = bench.take()
        bench.membership.onLeave(now: bench.now, into: &bench.out)
        let directives = bench.take()
        #expect(Bench.told(directives).map(\.0) == [member(1), member(2)])
        #expect(Bench.told(directives).allSatisfy { $0.1 == [rumour(member(50), .left, 1)] })
        #expect(bench.membership.nextWake == .never)
        bench.hear(rumour(member(50), .dead, 5), from: member(1))
        #expect(bench.take() == [])
    }
}

@Suite struct MembershipRumourTests {
    @Test("suspicion ends after 1 s with one accuser and after 500 ms with four")
    func patience() {
        for (accusers, milliseconds) in [(1, 1_000), (2, 750), (3, 604), (4, 500)] {
            var bench = Bench()
            bench.connect(member(1))
            bench.hear(rumour(member(60), .alive, 0), from: member(1))
            for number in 0..<accusers {
                bench.hear(
                    rumour(member(60), .suspect, 0, by: member(UInt64(2 + number))),
                    from: member(1))
            }
            bench.live(Int64(milliseconds) - 1)
            #expect(bench.membership.status(of: member(60)) == .suspect)
            bench.live(1)
            #expect(bench.membership.status(of: member(60)) == .dead)
        }
    }

    @Test("who answers slowly is given more time to contradict a suspicion")
    func slowMember() {
        for (answer, milliseconds) in [(Int64(50), Int64(700)), (250, 1_800)] {
            var bench = Bench()
            bench.connect(member(1), member(60))
            for _ in 0..<40 { bench.answerPings(after: answer) }
            bench.hear(rumour(member(60), .suspect, 0, by: member(2)), from: member(1))
            bench.live(milliseconds, without: member(60))
            #expect(bench.membership.status(of: member(60)) == .suspect)
            bench.live(800, without: member(60))
            #expect(bench.membership.status(of: member(60)) == .dead)
        }
    }

    @Test("we refute once, with a higher incarnation, to everybody at once")
    func refutation() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        _ = bench.take()
        for accuser in UInt64(1)...2 {
            bench.hear(rumour(member(50), .suspect, 0, by: member(accuser)), from: member(accuser))
        }
        #expect(bench.membership.incarnation == 1)
        #expect(Bench.told(bench.take()).map(\.0) == [member(1), member(2)])
        bench.hear(rumour(member(50), .dead, 7), from: member(2))
        #expect(bench.membership.incarnation == 8)
        #expect(Bench.told(bench.take()).allSatisfy { $0.1 == [rumour(member(50), .alive, 8)] })
        #expect(bench.changes().count == 4)
    }

    @Test("no peer drives our incarnation to its end")
    func absurdIncarnation() {
        var bench = Bench()
        bench.connect(member(1))
        for incarnation in [UInt64.max, UInt64.max - 1, 1 << 62] as [UInt64] {
            bench.hear(rumour(member(50), .dead, incarnation), from: member(1))
        }
        #expect(bench.membership.incarnation == 0)
    }

    @Test("the greater (incarnation, status) wins in every order of arrival")
    func everyOrder() {
        let said = [
            rumour(member(9), .alive, 0), rumour(member(9), .dead, 0),
            rumour(member(9), .suspect, 1, by: member(2)), rumour(member(9), .alive, 2),
            rumour(member(9), .suspect, 0, by: member(2)),
        ]
        var generator = SeededGenerator(seed: 9)
        for _ in 0..<200 {
            var order = said
            generator.shuffle(&order)
            var bench = Bench()
            bench.connect(member(1))
            for rumour in order { bench.hear(rumour, from: member(1)) }
            #expect(bench.membership.status(of: member(9)) == .alive, "\(order)")
            #expect(bench.membership.known(member(9))?.incarnation == 2)
        }
    }

    @Test("the dead return with a higher incarnation only, and who left never")
    func returning() {
        var bench = Bench()
        bench.connect(member(1))
        bench.hear(rumour(member(9), .alive, 3), from: member(1))
        bench.hear(rumour(member(9), .dead, 3), from: member(1))
        for status in [MemberStatus.alive, .suspect] {
            bench.hear(rumour(member(9), status, 3, by: member(2)), from: member(1))
        }
        #expect(bench.membership.status(of: member(9)) == .dead)
        bench.hear(rumour(member(9), .alive, 4), from: member(1))
        #expect(bench.membership.status(of: member(9)) == .alive)
        bench.hear(rumour(member(9), .left, 5), from: member(1))
        bench.hear(rumour(member(9), .alive, 6), from: member(1))
        #expect(bench.membership.status(of: member(9)) == .left)
    }

    @Test("what another node cannot reach is suspected and looked at; we ourselves are not")
    func toldUnreachable() {
        var bench = Bench()
        bench.connect(member(1), member(2))
        _ = bench.changes()
        _ = bench.take()
        bench.membership.onTold(
            unreachable: member(1), by: member(2).node, now: bench.now, into: &bench.out)
        #expect(bench.changes() == [.suspected(member(1))])
        #expect(Bench.pings(bench.take()).map(\.1) == [member(1)])
        bench.membership.onTold(
            unreachable: member(50), by: member(2).node, now: bench.now, into: &bench.out)
        #expect(bench.membership.incarnation == 0)
        bench.membership.onTold(
            unreachable: member(77), by: member(2).node, now: bench.now, into: &bench.out)
        #expect(bench.changes() == [])
    }

    @Test("a rumour rides on a bounded number of datagrams, at most ten on one")
    func gossipBudget() {
        var bench = Bench()
        bench.connect(member(1))
        for number in UInt64(100)..<140 {
            bench.hear(rumour(member(number), .alive, 0), from: member(1))
        }
        var carried = 0
        for sequence in UInt64(1)...500 {
            _ = bench.take()
            bench.receive(.ping(sequence: sequence, rumours: []), from: member(1))
            guard case .sendDatagram(.ack(_, let rumours), _, _) = bench.out.first else { continue }
            #expect(rumours.count <= MembershipLimits.rumoursPerDatagram)
            carried += rumours.count
        }
        #expect(carried == 40 * 18)
        #expect(bench.membership.gossip.isEmpty)
    }
}
