import Testing

@testable import TesseraCore

@Suite struct CodecChoiceTests {
    /// A tensor of 1 MB that takes 0.8 s over 10 Mbit/s, in a plan with a pace of 300 ms.
    private func choice(
        rate: UInt64 = 1_250_000, present: Codec = .none, needed: Int = 300_000_000,
        queued: Int = 0, latency: Bool = false, lossless: Int? = 600,
        lossy: [Codec] = [.float16, .int8]
    ) -> CodecChoice {
        func option(_ codec: Codec, _ perMille: Int?, _ milliseconds: Int) -> CodecChoice.Option {
            .init(
                codec: codec, perMille: perMille, packNanoseconds: milliseconds * 1_000_000,
                unpackNanoseconds: milliseconds * 500_000)
        }
        return CodecChoice(
            byteCount: 1_000_000, bytesPerSecond: rate, queuedBytes: queued,
            neededNanoseconds: needed, isForLatency: latency,
            options: [option(.lossless, lossless, 8)]
                + lossy.map { option($0, $0.fixedPerMille, 1) }, present: present)
    }

    @Test("a link that keeps up, or of unknown speed, gets no codec")
    func idleLink() {
        #expect(choice(rate: 0).decide() == (.none, .unknownLink))
        #expect(choice(rate: 125_000_000).decide().codec == .none)
        #expect(choice(rate: 4_200_000).decide().codec == .none)
        #expect(choice(rate: 125_000_000, present: .int8).decide().codec == .none)
    }

    @Test("where the link binds, the codec that changes least and suffices is taken")
    func enough() {
        // 0.8 s as it is, 0.48 s lossless, 0.4 s in 16 bits, 0.216 s in 8.
        #expect(choice(needed: 700_000_000).decide().codec == .lossless)
        #expect(choice(needed: 550_000_000).decide().codec == .float16)
        #expect(choice(needed: 300_000_000).decide().codec == .int8)
        // Nothing suffices: what takes least.
        #expect(choice(needed: 10_000_000).decide().codec == .int8)
        #expect(choice(needed: 10_000_000, lossy: []).decide().codec == .lossless)
        #expect(choice(needed: 10_000_000, lossless: 980, lossy: []).decide().codec == .none)
    }

    @Test("how far a tensor packs is tried before anything that changes values")
    func trial() {
        #expect(choice(lossless: nil).decide() == (.lossless, .tried))
        #expect(choice(rate: 125_000_000, lossless: nil).decide().codec == .none)
        #expect(choice(latency: true, lossless: nil).decide() == (.lossless, .tried))
    }

    @Test("slices that wait before a link bind it, whatever was measured of it")
    func queue() {
        #expect(choice(rate: 5_000_000, queued: 2_000_000).decide().codec == .none)
        #expect(choice(rate: 5_000_000, queued: 3_500_000).decide().codec == .lossless)
    }

    @Test("a codec that packs more slowly than the link sends is left out")
    func slowCodec() {
        var question = choice(rate: 20_000_000, needed: 20_000_000, lossy: [])
        #expect(question.decide().codec == .lossless)
        question.options[0].packNanoseconds = 60_000_000
        #expect(question.decide() == (.none, .noGain))
    }

    @Test("between the two thresholds everything stays as it is")
    func hysteresis() {
        // The link is busy for 0.2 s: of 0.25 s that is 80 %, of 0.3 s 67 %, of 0.4 s 50 %.
        let rate: UInt64 = 5_000_000
        #expect(choice(rate: rate, present: .none, needed: 300_000_000).decide().codec == .none)
        let kept = choice(rate: rate, present: .lossless, needed: 300_000_000).decide().codec
        #expect(kept == .lossless)
        let freed = choice(rate: rate, present: .lossless, needed: 400_000_000).decide().codec
        #expect(freed == .none)
        // 16 bits take 0.4 s: a codec that changes less replaces them only with room to spare.
        #expect(choice(present: .float16, needed: 700_000_000).decide().codec == .float16)
        #expect(choice(present: .float16, needed: 801_000_000).decide().codec == .lossless)
    }

    @Test("for one item alone the shortest way counts, packing included")
    func latency() {
        #expect(choice(latency: true).decide().codec == .int8)
        #expect(choice(latency: true, lossy: []).decide().codec == .lossless)
        #expect(choice(rate: 125_000_000, latency: true).decide().codec == .int8)
        #expect(choice(rate: 125_000_000, latency: true, lossy: []).decide().codec == .none)
        #expect(choice(rate: 1_250_000_000, latency: true).decide().codec == .none)
    }

    @Test("reasons say figures")
    func reasons() {
        #expect(
            choice(needed: 300_000_000).decide().reason.description
                == "the link takes 800.0 ms where it has 300.0 ms; packed 216.0 ms")
    }

    // MARK: What is known of routes

    private let peer = NodeBoot(node: NodeID(1, 0, 0, 0), boot: Boot(counter: 1, random: 0))

    private func sent(_ codec: Codec, _ bytes: Int, _ count: Int = 10_000) -> SentSlice {
        SentSlice(
            peer: peer, plan: PlanID(1, 0, 0, 0), route: 0, codec: codec, byteCount: count,
            sentByteCount: bytes, packMicroseconds: 100)
    }

    private var key: LinkCodecs.RouteKey {
        LinkCodecs.RouteKey(plan: PlanID(1, 0, 0, 0), route: 0, peer: peer)
    }

    @Test(
        "what a trial shows is kept and smoothed; a codec that cannot hold the values is left out")
    func learning() {
        var codecs = LinkCodecs()
        let start = Timestamp.zero
        #expect(codecs.isTrialDue(key, at: start))
        let isNews = codecs.use(.lossless, on: key, isTrial: true, at: start)
        #expect(!isNews)
        #expect(!codecs.isTrialDue(key, at: start + .seconds(1)))
        codecs.onSent(sent(.lossless, 5_000))
        #expect(codecs.state(key).losslessPerMille == 500)
        codecs.onSent(sent(.lossless, 9_000))
        #expect(codecs.state(key).losslessPerMille == 600)
        #expect(codecs.isTrialDue(key, at: start + LinkCodecs.trialSpan))
        codecs.onSent(sent(.float16, 10_000))
        #expect(codecs.state(key).unfit == [.float16])
        codecs.onDisconnected(peer)
        #expect(codecs.state(key).losslessPerMille == nil)
    }

    @Test("a change is held, and what waits before a link is counted")
    func holding() {
        var codecs = LinkCodecs()
        let start = Timestamp.zero
        let isChange = codecs.use(.int8, on: key, isTrial: false, at: start)
        #expect(isChange)
        #expect(codecs.holds(key, at: start + .seconds(1)))
        #expect(!codecs.holds(key, at: start + LinkCodecs.holdSpan))
        let isChangeAgain = codecs.use(.int8, on: key, isTrial: false, at: start + .seconds(3))
        #expect(!isChangeAgain)
        codecs.onSending(10_000, to: peer)
        codecs.onSending(10_000, to: peer)
        #expect(codecs.queuedBytes(to: peer) == 20_000)
        codecs.onSent(sent(.none, 10_000))
        #expect(codecs.queuedBytes(to: peer) == 10_000)
        codecs.onDisconnected(peer)
        #expect(codecs.queuedBytes(to: peer) == 0)
    }
}
