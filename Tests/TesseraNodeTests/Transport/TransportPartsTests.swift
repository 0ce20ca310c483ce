import NIOCore
import TesseraCore
import TesseraWire
import Testing

@testable import TesseraNode

@Suite("Transport: parts")
struct TransportPartsTests {
    @Test("a preamble is recognised whole and its beginnings are possible, nothing else is")
    func preamble() {
        for purpose in Preamble.Purpose.allCases {
            let bytes = Preamble.bytes(purpose)
            #expect(Preamble.purpose(bytes) == purpose)
            for count in 0..<bytes.count {
                #expect(Preamble.isPossible(bytes.prefix(count)))
                #expect(Preamble.purpose(bytes.prefix(count)) == nil)
            }
        }
        #expect(!Preamble.isPossible(Array("GET".utf8)))
        #expect(Preamble.purpose(Array("TESSERAX".utf8)) == nil)
    }

    @Test("frames are the same however the bytes are cut", arguments: [1, 2, 7, 19, 20, 21, 300])
    func cuts(step: Int) throws {
        let member = NodeIdentity.test().member
        let hello = Frame.hello(
            Greeting(
                meshTag: "tag", member: member, listenPort: 1, purpose: .data, name: "n"))
        let tensor = ByteBuffer(bytes: patternBytes(1_000))
        let begin = SliceBegin(
            stream: 1, header: .test(member, 1, byteCount: 1_000), totalBytes: 1_000)
        var bytes = ByteBuffer()
        try FrameEncoder().write(hello, into: &bytes)
        let encoder = FrameEncoder(version: Version.wireProtocol)
        let frames: [Frame] = [
            .sliceBegin(begin), .sliceBytes(stream: 1, tensor), .probe(7),
            .message(numbered(9)), .transferred(bytes: 5, microseconds: 6),
        ]
        for frame in frames { try encoder.write(frame, into: &bytes) }
        var input = FrameInput(side: .listener)
        var got: [Frame] = []
        var gathered = ByteBuffer()
        while bytes.readableBytes > 0 {
            let length = min(step, bytes.readableBytes)
            guard var part = bytes.readSlice(length: length) else { break }
            while let frame = try input.next(&part) {
                if case .sliceBytes(1, let piece) = frame {
                    gathered.writeImmutableBuffer(piece)
                } else {
                    got.append(frame)
                }
            }
            #expect(part.readableBytes == 0)
        }
        #expect(gathered == tensor)
        #expect(
            got == [
                hello, .sliceBegin(begin), .probe(7), .message(numbered(9)),
                .transferred(bytes: 5, microseconds: 6),
            ])
    }

    @Test("half-open places are bounded per address and in all, and come back")
    func places() {
        let limiter = HalfOpenLimiter()
        var places = (0..<TransportLimits.halfOpenPerAddress).compactMap { _ in
            limiter.take(host: "a")
        }
        #expect(places.count == TransportLimits.halfOpenPerAddress)
        #expect(limiter.take(host: "a") == nil)
        for host in 0..<1_000 {
            if let place = limiter.take(host: "\(host)") { places.append(place) }
        }
        #expect(limiter.count == TransportLimits.halfOpenTotal)
        places.first?.giveBack()
        places.first?.giveBack()
        #expect(limiter.count == TransportLimits.halfOpenTotal - 1)
        places.removeAll()
        #expect(limiter.count == 0)
    }

    @Test("known runs expire and are bounded")
    func known() {
        var known = KnownBoots()
        let start = NIODeadline.uptimeNanoseconds(1)
        let first = NodeBoot(node: NodeID(0, 0, 0, 0), boot: Boot(counter: 0, random: 0))
        known.insert(first, at: start)
        #expect(known.contains(first, at: start + .hours(23)))
        #expect(!known.contains(first, at: start + .hours(24)))
        for number in 1...UInt64(TransportLimits.knownBootsMax) {
            let member = NodeBoot(
                node: NodeID(number, 0, 0, 0), boot: Boot(counter: 1, random: 0))
            known.insert(member, at: start + .seconds(Int64(number)))
            #expect(known.contains(member, at: start + .seconds(Int64(number))))
        }
        #expect(!known.contains(first, at: start + .hours(1)))
    }

    @Test("a link's rate rises fast and falls slowly, and its round trip is smoothed")
    func link() {
        var link = LinkEstimator()
        let peer = NodeID(1, 2, 3, 4)
        #expect(link.measurement(of: peer) == nil)
        link.returned(nanoseconds: 800_000)
        link.returned(nanoseconds: 1_600_000)
        link.transferred(bytes: 1_000_000, microseconds: 10_000)
        #expect(
            link.measurement(of: peer)
                == LinkMeasurement(
                    peer: peer, bytesPerSecond: 100_000_000, roundTripMicroseconds: 900))
        #expect(link.measurement(of: peer) == nil)
        link.transferred(bytes: 2_000_000, microseconds: 10_000)
        #expect(link.bytesPerSecond == 150_000_000)
        link.transferred(bytes: 700_000, microseconds: 10_000)
        #expect(link.bytesPerSecond == 140_000_000)
        // Less than a byte per microsecond counts as what it is.
        var slow = LinkEstimator()
        slow.transferred(bytes: 30_000, microseconds: 100_000)
        #expect(slow.bytesPerSecond == 300_000)
    }

    @Test("a link's rate is what was delivered while something was on its way")
    func kernelRate() {
        var link = LinkEstimator()
        link.rated(bytesPerSecond: 900_000_000)
        #expect(link.bytesPerSecond == 900_000_000)
        // Together they are long enough for the kernel's clock.
        for _ in 0..<24 { link.delivered(bytes: 400_000, microseconds: 4_000) }
        #expect(link.bytesPerSecond == 900_000_000)
        link.delivered(bytes: 400_000, microseconds: 4_000)
        #expect(link.bytesPerSecond == 100_000_000)
        link.rated(bytesPerSecond: 900_000_000)
        #expect(link.bytesPerSecond == 100_000_000)
        // Another transfer may have shared the link: what looks slower counts less.
        link.delivered(bytes: 10_000_000, microseconds: 200_000)
        #expect(link.bytesPerSecond == 93_750_000)
        link.delivered(bytes: 20_000_000, microseconds: 200_000)
        #expect(link.bytesPerSecond == 96_875_000)
    }

    @Test("a link is tried until its rate is known, then now and then, and never for long")
    func trials() {
        // 40 ms of the link, between 192 KiB and 1 MiB.
        #expect(TransportLimits.trialFrames(bytesPerSecond: 0) == 3)
        #expect(TransportLimits.trialFrames(bytesPerSecond: 625_000) == 3)
        #expect(TransportLimits.trialFrames(bytesPerSecond: 12_500_000) == 7)
        #expect(TransportLimits.trialFrames(bytesPerSecond: .max) == 16)
        // At a gigabit per second they are enough for the kernel's clock.
        var link = LinkEstimator()
        for _ in 0..<TransportLimits.trialsUntilKnown {
            #expect(!link.hasBusyRate)
            link.delivered(bytes: 1 << 20, microseconds: 8_400)
            if link.hasBusyRate { break }
        }
        #expect(link.hasBusyRate)
    }

    @Test("of two looks at a connection the difference counts, without the last round trip")
    func kernelLooks() throws {
        func look(_ bytes: UInt64, _ microseconds: UInt64) -> KernelRate {
            KernelRate(
                deliveredBytes: bytes, busyMicroseconds: microseconds,
                roundTripMicroseconds: 500, lastBytesPerSecond: 0)
        }
        let found = try #require(look(1_500_000, 9_000).since(look(500_000, 4_000)))
        #expect(found.bytes == 1_000_000)
        #expect(found.microseconds == 4_500)
        let short = try #require(look(600_000, 4_900).since(look(500_000, 4_000)))
        #expect(short.microseconds == 900)
        #expect(look(500_000, 4_000).since(look(500_000, 4_000)) == nil)
        // Another connection.
        #expect(look(600_000, 900).since(look(500_000, 4_000)) == nil)
    }

    @Test("Linux's figures of a connection are read at their places")
    func kernelFigures() {
        var figures = KernelRate.Figures()
        #expect(figures.rate == nil)
        figures.second[7] = 5_000
        #expect(figures.rate == nil)
        figures.third[2] = 70 << 32 | 3
        figures.third[4] = 123_456_789
        figures.third[5] = 900
        figures.third[6] = 300
        #expect(
            figures.rate
                == KernelRate(
                    deliveredBytes: 5_000, busyMicroseconds: 600, roundTripMicroseconds: 70,
                    lastBytesPerSecond: 123_456_789))
    }
}
