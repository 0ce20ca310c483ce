import NIOCore
import TesseraCore
import Testing

@testable import TesseraWire

@Suite struct FrameTests {
    /// One frame of each kind, a slice and a blob larger than a chunk among them.
    private static func conversation(seed: UInt64, sliceBytes: Int) -> [Frame] {
        var generator = SampleGenerator(seed: seed)
        let greeting = Greeting(
            meshTag: "0011223344556677", member: generator.member(), listenPort: 8_701,
            purpose: .data, name: "küche", release: "0.1.0")
        var header = generator.sliceHeader()
        header.type = .uint8
        header.shape = [sliceBytes]
        header.trace = TraceContext(
            traceHigh: 1, traceLow: seed, span: seed + 1, isSampled: seed % 2 == 0)
        let bytes = ByteBuffer(bytes: (0..<sliceBytes).map { UInt8(truncatingIfNeeded: $0) })
        let blob = generator.identity(BlobID.self)
        var partial = header
        partial.leftOut = [1, Int(seed % 1_000) + 2]
        return [
            .hello(greeting), .keepalive,
            .sliceBegin(SliceBegin(stream: 2, header: partial, totalBytes: sliceBytes)),
            .message(.membership(.nack(sequence: 5))),
            .sliceBegin(SliceBegin(stream: 3, header: header, totalBytes: sliceBytes)),
            .sliceBytes(stream: 3, bytes),
            .sliceBegin(
                SliceBegin(
                    stream: 4, header: header, totalBytes: sliceBytes / 2, codec: .lossless)),
            .message(RandomMessages.all(seed: seed)[8]),
            .sliceAbort(stream: .max),
            .blobRequest(BlobRequest(id: blob, isManifest: true, offset: 7, length: 1 << 20)),
            .blobChunk(BlobChunk(id: blob, offset: 100, total: 200, bytes: bytes.prefix(100))),
            .blobChunk(BlobChunk(id: blob, offset: 0, total: 0, bytes: ByteBuffer())),
            .blobRefusal(BlobRefusal(id: blob, reason: .busy)),
            .probe(seed),
            .probeReply(ProbeReply(number: .max, timeOfDayMicroseconds: 1_795_000_000_000_000)),
            .transferred(bytes: sliceBytes, microseconds: 1_234_567),
            .trial(left: 3, bytes.getSlice(at: 0, length: min(sliceBytes, 64 << 10)) ?? bytes),
            .goodbye(Goodbye(.leaving, detail: "SIGTERM")),
        ]
    }

    private static func encoded(_ frames: [Frame]) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        let encoder = FrameEncoder(version: Version.wireProtocol)
        for frame in frames { try encoder.write(frame, into: &buffer) }
        return buffer
    }

    /// Feeds the pieces and gives every frame, with the bytes of slices and blobs joined again.
    private static func decoded(
        _ pieces: [ByteBuffer], decoder: FrameDecoder = FrameDecoder(side: .listener)
    ) throws -> [Frame] {
        var frames: [Frame] = []
        let processor = NIOSingleStepByteToMessageProcessor(decoder)
        for piece in pieces {
            try processor.process(buffer: piece) { frames.append($0) }
        }
        try processor.finishProcessing(seenEOF: true) { frames.append($0) }
        return frames.joined
    }

    @Test("a conversation arrives the same however its bytes are split in two")
    func everySplit() throws {
        let frames = Self.conversation(seed: 1, sliceBytes: 150)
        let bytes = try Self.encoded(frames)
        for split in 0...bytes.readableBytes {
            let pieces = [bytes.prefix(split), bytes.dropFirst(split)]
            try #require(try Self.decoded(pieces) == frames, "split at \(split)")
        }
    }

    @Test("a conversation arrives the same byte by byte and in pieces of any size")
    func pieces() throws {
        let frames = Self.conversation(seed: 2, sliceBytes: 120)
        let bytes = try Self.encoded(frames)
        for size in [1, 2, 3, 19, 20, 21, 64, 1_000] {
            let pieces = stride(from: 0, to: bytes.readableBytes, by: size).map {
                bytes.dropFirst($0).prefix(size)
            }
            #expect(try Self.decoded(pieces) == frames)
        }
    }

    @Test("a connection that ends inside a frame is an error, between two frames it is not")
    func earlyEnd() throws {
        var frames = Self.conversation(seed: 3, sliceBytes: 60)
        frames.removeLast()
        let bytes = try Self.encoded(frames)
        var boundaries: Set<Int> = [0]
        for count in 1...frames.count {
            boundaries.insert(try Self.encoded(Array(frames.prefix(count))).readableBytes)
        }
        for length in 0...bytes.readableBytes {
            let part = [bytes.prefix(length)]
            if boundaries.contains(length) {
                #expect(throws: Never.self) { try Self.decoded(part) }
            } else {
                #expect(throws: WireError.self) { try Self.decoded(part) }
            }
        }
    }

    @Test("a changed header byte is always found")
    func headerCorruption() throws {
        let bytes = try Self.encoded(Self.conversation(seed: 4, sliceBytes: 60))
        for index in 0..<FrameHeader.byteCount {
            for change in (0..<8).map({ UInt8(1) << $0 }) + [0xFF] {
                var changed = bytes
                let old = try #require(changed.getInteger(at: index, as: UInt8.self))
                changed.setInteger(old ^ change, at: index)
                #expect(throws: WireError.self) { try Self.decoded([changed]) }
            }
        }
    }

    @Test("changed bytes anywhere never do more than throw")
    func corruption() throws {
        let bytes = try Self.encoded(Self.conversation(seed: 5, sliceBytes: 60))
        for index in 0..<bytes.readableBytes {
            for change in [UInt8(1), 0x40, 0xFF] {
                var changed = bytes
                let old = try #require(changed.getInteger(at: index, as: UInt8.self))
                changed.setInteger(old ^ change, at: index)
                do { _ = try Self.decoded([changed]) } catch is WireError {}
            }
        }
    }

    @Test("the bytes of a large slice are sent in chunks and neither end copies them")
    func noCopies() throws {
        let total = WireLimits.chunkBytesMax * 2 + 17
        let payload = ByteBuffer(repeating: 0x5A, count: total)
        let address = payload.withUnsafeReadableBytes { $0.baseAddress }
        var rest = payload
        let encoder = FrameEncoder(version: Version.wireProtocol)
        var sizes: [Int] = []
        while let parts = try encoder.nextSliceChunk(stream: 9, from: &rest) {
            let expected = address.map { $0 + sizes.reduce(0, +) }
            #expect(parts.payload.withUnsafeReadableBytes { $0.baseAddress } == expected)
            #expect(parts.head.readableBytes == FrameHeader.byteCount)
            sizes.append(parts.payload.readableBytes)
        }
        #expect(sizes == [WireLimits.chunkBytesMax, WireLimits.chunkBytesMax, 17])

        var decoder = FrameDecoder(side: .listener)
        var greeting = try Self.encoded([Self.conversation(seed: 6, sliceBytes: 1)[0]])
        _ = try decoder.decode(buffer: &greeting)
        var arrived = ByteBuffer()
        try encoder.writeSliceChunkHeader(stream: 9, byteCount: 1_000, into: &arrived)
        arrived.writeRepeatingByte(0x11, count: 400)
        let start = arrived.withUnsafeReadableBytes { $0.baseAddress }
        guard case .sliceBytes(9, let bytes) = try decoder.decode(buffer: &arrived) else {
            Issue.record("no bytes of the slice")
            return
        }
        #expect(bytes.readableBytes == 400)
        #expect(bytes.withUnsafeReadableBytes { $0.baseAddress } == start.map { $0 + 20 })
        #expect(arrived.readableBytes == 0)
    }

    @Test("a frame above its limit is refused by its header alone")
    func payloadLimits() throws {
        for kind in FrameKind.allCases {
            var decoder = FrameDecoder(side: .listener)
            var bytes = try Self.encoded([Self.conversation(seed: 7, sliceBytes: 1)[0]])
            _ = try decoder.decode(buffer: &bytes)
            FrameHeader(
                version: kind.isGreeting ? 0 : Version.wireProtocol, kind: kind,
                length: kind.payloadBytesMax + 1
            ).write(into: &bytes)
            #expect(
                throws: WireError.limitExceeded(what: "payload length", max: kind.payloadBytesMax)
            ) { try decoder.decode(buffer: &bytes) }
            // The error stays.
            #expect(throws: WireError.self) { try decoder.decode(buffer: &bytes) }
        }
    }

    @Test("the greeting comes first, once, and from the right side")
    func greetingOrder() throws {
        let frames = Self.conversation(seed: 8, sliceBytes: 1)
        guard case .hello(let greeting) = frames[0] else { return }
        let welcome = Frame.welcome(Welcome(version: Version.wireProtocol, greeting: greeting))
        for wrong in [[frames[1]], [welcome], [frames[0], frames[0]], [frames[0], welcome]] {
            let bytes = try Self.encoded(wrong)
            #expect(throws: WireError.self) { try Self.decoded([bytes]) }
        }
        let bytes = try Self.encoded([welcome, .keepalive])
        let dialer = FrameDecoder(side: .dialer)
        #expect(try Self.decoded([bytes], decoder: dialer) == [welcome, .keepalive])
        let refused = try Self.encoded([.goodbye(Goodbye(.otherMesh))])
        #expect(
            try Self.decoded([refused], decoder: dialer) == [.goodbye(Goodbye(.otherMesh))])
        let after = try Self.encoded([.goodbye(Goodbye(.leaving)), .keepalive])
        #expect(throws: WireError.self) { try Self.decoded([after], decoder: dialer) }
    }

    @Test("a greeting of a later version, with fields after the known ones, is understood")
    func laterGreeting() throws {
        var generator = SampleGenerator(seed: 9)
        let versions = try #require(WireVersions(minimum: 1, maximum: 9))
        let greeting = Greeting(
            versions: versions, meshTag: "t", member: generator.member(), listenPort: 1,
            purpose: .control, name: "later", release: "9.0.0")
        var payload = try greeting.encodedBytes()
        payload.writeString("fields of version 9")
        var bytes = ByteBuffer()
        FrameHeader(version: 0, kind: .hello, length: payload.readableBytes).write(into: &bytes)
        bytes.writeImmutableBuffer(payload)
        var decoder = FrameDecoder(side: .listener)
        #expect(try decoder.decode(buffer: &bytes) == .hello(greeting))
        #expect(decoder.agreedVersion == Version.wireProtocol)
    }

    @Test("a slice names its codec since version 3, and announces fewer bytes than it has")
    func codecs() throws {
        var generator = SampleGenerator(seed: 13)
        var header = generator.sliceHeader()
        header.type = .float32
        header.shape = [2, 8]
        let begin = SliceBegin(stream: 1, header: header, totalBytes: 21, codec: .int8)
        let payload = SliceBeginPayload(begin)
        #expect(try SliceBeginPayload(decodingBytes: payload.encodedBytes()) == payload)
        var buffer = ByteBuffer()
        #expect(throws: WireError.invalidValue(what: "codec")) {
            try FrameEncoder(version: 2).write(.sliceBegin(begin), into: &buffer)
        }
        for (bytes, codec) in [(64, Codec.int8), (65, .lossless), (0, .float16), (63, .none)] {
            var wrong = begin
            wrong.totalBytes = bytes
            wrong.codec = codec
            #expect(throws: WireError.invalidValue(what: "slice bytes")) {
                try SliceBeginPayload(wrong).encodedBytes()
            }
        }
        var whole = begin
        whole.header.type = .int32
        #expect(throws: WireError.invalidValue(what: "slice bytes")) {
            try SliceBeginPayload(whole).encodedBytes()
        }
    }

    @Test("a slice says since version 3 what was left out, and goes to no older peer without that")
    func leftOut() throws {
        var generator = SampleGenerator(seed: 14)
        var header = generator.sliceHeader()
        header.type = .float32
        header.shape = [2]
        header.leftOut = [3, 70_000]
        let begin = SliceBegin(stream: 1, header: header, totalBytes: 8)
        let payload = SliceBeginPayload(begin)
        #expect(try SliceBeginPayload(decodingBytes: payload.encodedBytes()) == payload)
        var buffer = ByteBuffer()
        #expect(throws: WireError.invalidValue(what: "left out")) {
            try FrameEncoder(version: 2).write(.sliceBegin(begin), into: &buffer)
        }
        for tensors in [[3, 3], [4, 3]] {
            var wrong = begin
            wrong.header.leftOut = tensors
            #expect(throws: WireError.invalidValue(what: "left out")) {
                try SliceBeginPayload(wrong).encodedBytes()
            }
        }
    }

    @Test("a peer of version 2 gets settings as it knows them", arguments: [UInt64](0..<40))
    func settingsOfVersionTwo(seed: UInt64) throws {
        var generator = SampleGenerator(seed: seed)
        let settings = generator.settings()
        var writer = WireWriter()
        writer.version = 2
        settings.encode(into: &writer)
        let bytes = try writer.finish()
        // What follows the three limits: headroom, modes of which three are known, baseline.
        let modes = try #require(
            bytes.getInteger(at: bytes.writerIndex - 2, as: UInt8.self))
        #expect((1...7).contains(modes))
        var reader = WireReader(bytes)
        reader.version = 2
        let read = try ModelSettings(from: &reader)
        try reader.finish()
        #expect(read == settings.asVersion2PassesOn)
    }

    @Test("between ends of which one speaks version 1 a slice travels without its trace")
    func firstVersion() throws {
        var generator = SampleGenerator(seed: 12)
        let greeting = Greeting(
            versions: try #require(WireVersions(minimum: 1, maximum: 1)), meshTag: "t",
            member: generator.member(), listenPort: 1, purpose: .data, name: "old")
        var header = generator.sliceHeader()
        header.type = .uint8
        header.shape = [7]
        let plain = SliceBegin(stream: 1, header: header, totalBytes: 7)
        var traced = plain
        traced.header.trace = TraceContext(
            traceHigh: 1, traceLow: 2, span: 3, isSampled: true)
        let encoder = FrameEncoder(version: 1)
        var bytes = ByteBuffer()
        try encoder.write(.hello(greeting), into: &bytes)
        let start = bytes.writerIndex
        try encoder.write(.sliceBegin(traced), into: &bytes)
        var old = ByteBuffer()
        try encoder.write(.sliceBegin(plain), into: &old)
        #expect(bytes.getSlice(at: start, length: old.readableBytes) == old)
        var decoder = FrameDecoder(side: .listener)
        #expect(try decoder.decode(buffer: &bytes) == .hello(greeting))
        #expect(decoder.agreedVersion == 1)
        #expect(try decoder.decode(buffer: &bytes) == .sliceBegin(plain))
        // Of version 2 each byte is the value's, and what is no trace is refused.
        var buffer = ByteBuffer()
        try FrameEncoder(version: 2).write(.sliceBegin(traced), into: &buffer)
        #expect(buffer.readableBytes == old.readableBytes + 26)
        var reader = WireReader(ByteBuffer(repeating: 0, count: 25))
        #expect(throws: WireError.invalidValue(what: "trace")) {
            try reader.read(TraceContext.self)
        }
    }

    @Test("ends of version 2 are told no time of day, and tell no release")
    func secondVersion() throws {
        var generator = SampleGenerator(seed: 13)
        let greeting = Greeting(
            versions: try #require(WireVersions(minimum: 1, maximum: 2)), meshTag: "t",
            member: generator.member(), listenPort: 1, purpose: .control, name: "old")
        let reply = ProbeReply(number: 7, timeOfDayMicroseconds: 5)
        var bytes = ByteBuffer()
        try FrameEncoder(version: 2).write(.hello(greeting), into: &bytes)
        try FrameEncoder(version: 2).write(.probeReply(reply), into: &bytes)
        var decoder = FrameDecoder(side: .listener)
        #expect(try decoder.decode(buffer: &bytes) == .hello(greeting))
        #expect(decoder.agreedVersion == 2)
        #expect(try decoder.decode(buffer: &bytes) == .probeReply(ProbeReply(number: 7)))
    }

    @Test("a clock that shows what cannot be is told as far as it can be, and refused beyond")
    func timesOfDay() throws {
        let max = WireLimits.timeOfDayMicrosecondsMax
        for (time, told) in [(-5, 0), (Int64.max, max), (max, max), (3, 3)] as [(Int64, Int64)] {
            let reply = ProbeReply(number: 1, timeOfDayMicroseconds: time)
            let bytes = try TimedProbePayload(reply).encodedBytes()
            #expect(try TimedProbePayload(decodingBytes: bytes).timeOfDayMicroseconds == told)
        }
        for wrong in [max + 1, -1] {
            var bytes = ByteBuffer(integer: UInt64(1))
            bytes.writeInteger(wrong)
            #expect(throws: WireError.invalidValue(what: "time of day")) {
                try TimedProbePayload(decodingBytes: bytes)
            }
        }
    }

    @Test("ends without a common version hear of it and exchange nothing more")
    func noCommonVersion() throws {
        var generator = SampleGenerator(seed: 10)
        let greeting = Greeting(
            versions: try #require(WireVersions(minimum: 8, maximum: 9)), meshTag: "t",
            member: generator.member(), listenPort: 1, purpose: .control, name: "new")
        var bytes = try Self.encoded([.hello(greeting), .keepalive])
        var decoder = FrameDecoder(side: .listener)
        #expect(try decoder.decode(buffer: &bytes) == .hello(greeting))
        #expect(decoder.agreedVersion == nil)
        #expect(throws: WireError.unknownVersion(Version.wireProtocol)) {
            try decoder.decode(buffer: &bytes)
        }
        var nothing = ByteBuffer()
        #expect(throws: WireError.self) {
            try FrameEncoder().write(.keepalive, into: &nothing)
        }
        #expect(nothing.readableBytes == 0)
    }

    @Test("the newest common version is chosen")
    func negotiation() throws {
        func choose(_ ours: (UInt16, UInt16), _ theirs: (UInt16, UInt16)) throws -> UInt16? {
            WireVersions.negotiate(
                ours: try #require(WireVersions(minimum: ours.0, maximum: ours.1)),
                theirs: try #require(WireVersions(minimum: theirs.0, maximum: theirs.1)))
        }
        #expect(try choose((1, 1), (1, 1)) == 1)
        #expect(try choose((1, 3), (2, 9)) == 3)
        #expect(try choose((4, 9), (1, 4)) == 4)
        #expect(try choose((1, 2), (3, 4)) == nil)
        #expect(WireVersions(minimum: 2, maximum: 1) == nil)
        #expect(WireVersions(minimum: 0, maximum: 1) == nil)
    }

    @Test("a message that cannot be sent leaves the buffer as it was")
    func failedWrite() throws {
        var buffer = ByteBuffer(string: "before")
        let plan = PlanID(1, 1, 1, 1)
        let message = Message.request(.ticketWish(plan: plan, count: -1))
        #expect(throws: WireError.invalidValue(what: "ticket wish")) {
            try FrameEncoder(version: Version.wireProtocol).write(message, into: &buffer)
        }
        #expect(buffer == ByteBuffer(string: "before"))
    }

    @Test("a header has the bytes that the protocol says, with the checksum of CRC-32C")
    func goldenHeader() throws {
        // The check value of CRC-32C is over the digits 1 to 9.
        let digits: UInt64 = 0x3132_3334_3536_3738
        let state = HeaderChecksum.update(.max, with: digits, byteCount: 8)
        #expect(~HeaderChecksum.update(state, with: 0x39, byteCount: 1) == 0xE306_9283)

        var buffer = ByteBuffer()
        FrameHeader(version: 1, kind: .sliceChunk, stream: 0x0A0B_0C0D, length: 0x0102)
            .write(into: &buffer)
        #expect(hexadecimal(buffer).hasPrefix("54530001" + "07000000" + "0a0b0c0d" + "00000102"))
    }

    @Test("streams count their bytes and refuse what does not belong")
    func streams() throws {
        var generator = SampleGenerator(seed: 11)
        var streams = SliceStreams()
        func begin(_ stream: UInt32, _ total: Int) -> SliceBegin {
            SliceBegin(stream: stream, header: generator.sliceHeader(), totalBytes: total)
        }
        #expect(try streams.begin(begin(1, 10)) == .init(offset: 0, isComplete: false))
        #expect(try streams.begin(begin(2, 5)) == .init(offset: 0, isComplete: false))
        #expect(try streams.begin(begin(4, 0)) == .init(offset: 0, isComplete: true))
        #expect(throws: WireError.duplicate(what: "stream")) { try streams.begin(begin(1, 3)) }
        #expect(
            try streams.take(stream: 1, byteCount: 4) == .init(offset: 0, isComplete: false))
        #expect(try streams.take(stream: 2, byteCount: 5) == .init(offset: 0, isComplete: true))
        #expect(throws: WireError.unknownStream(2)) { try streams.take(stream: 2, byteCount: 1) }
        #expect(throws: WireError.limitExceeded(what: "slice bytes", max: 10)) {
            try streams.take(stream: 1, byteCount: 7)
        }
        #expect(try streams.take(stream: 1, byteCount: 6) == .init(offset: 4, isComplete: true))
        #expect(throws: WireError.unknownStream(1)) { try streams.abort(stream: 1) }
        #expect(streams.count == 0)
    }
}

extension ByteBuffer {
    /// The first bytes, as many as there are up to the count.
    fileprivate func prefix(_ count: Int) -> ByteBuffer {
        getSlice(at: readerIndex, length: min(count, readableBytes)) ?? ByteBuffer()
    }

    /// All bytes but the first ones.
    fileprivate func dropFirst(_ count: Int) -> ByteBuffer {
        let dropped = min(count, readableBytes)
        return getSlice(at: readerIndex + dropped, length: readableBytes - dropped) ?? ByteBuffer()
    }
}
