import TesseraCore

@testable import TesseraWire

/// Random events: `all(seed:)` has every case at least once.
enum RandomEvents {
    static func all(seed: UInt64) -> [Event] {
        var generator = SampleGenerator(seed: seed)
        return RandomMessages.all(seed: seed).map { .received($0, from: generator.member()) }
            + peers(&generator) + models(&generator) + engine(&generator) + requests(&generator)
            + [.woke, .leaveRequested]
    }

    private static func peers(_ generator: inout SampleGenerator) -> [Event] {
        [
            .discovered(Address(host: "", port: 0)),
            .connected(generator.member(), address: generator.address()),
            .disconnected(generator.member()), .unreachable(generator.address()),
            .signed(generator.signedRecord()),
            .linkMeasured(
                LinkMeasurement(
                    peer: generator.identity(), bytesPerSecond: UInt64(generator.below(1 << 30)),
                    roundTripMicroseconds: generator.microseconds())),
            .unpacks(generator.member()),
            .sliceSent(
                SentSlice(
                    peer: generator.member(), plan: generator.identity(), route: generator.below(9),
                    codec: generator.choice(), byteCount: generator.below(1 << 30),
                    sentByteCount: generator.below(1 << 30),
                    packMicroseconds: generator.microseconds())),
        ]
    }

    private static func models(_ generator: inout SampleGenerator) -> [Event] {
        let settings = generator.catalogueEntry(0).settings
        return [
            .catalogueRestored((0..<3).map { generator.catalogueEntry($0) }),
            .manifestStored(outline(&generator), blobs: [0, 2]),
            .blobStored(generator.identity()),
            .fetchFailed(generator.identity(), from: generator.identity(), reason: "cut off"),
            .blobLost(generator.identity()),
            .modelAdded(name: "digits", manifest: generator.identity(), settings: settings),
            .modelRemoved(name: "digits"),
        ]
    }

    private static func engine(_ generator: inout SampleGenerator) -> [Event] {
        let key = FragmentKey(manifest: generator.identity(), operators: 2..<9, rows: 0..<4)
        // Longer than a reason on the wire may be.
        let reason = String(repeating: "why ", count: 1_000)
        return [
            .capabilityMeasured(generator.capability()),
            .codecsMeasured([
                CodecSpeed(
                    codec: generator.choice(), packedPerMicrosecond: generator.next(),
                    unpackedPerMicrosecond: generator.next())
            ]), .compiled(key, memoryBytes: 12_345),
            .compileLacks(key, generator.identity()), .compileFailed(key, reason: reason),
            .executed(
                attempt: generator.attempt(), fragment: 3, outputs: [payload(7), payload(8)],
                microseconds: -1),
            .executionFailed(attempt: generator.attempt(), fragment: 0, reason: reason),
            .planned(
                token: generator.next(),
                .bundle(
                    generator.bundle(),
                    leftOut: [LeftOut(node: generator.identity(), reason: reason)])),
            .planned(token: 1, .impossible(reason: reason)),
        ]
    }

    private static func requests(_ generator: inout SampleGenerator) -> [Event] {
        [
            .submitted(
                client: ClientID(number: generator.next()), manifest: generator.identity(),
                inputs: [payload(1)], deadline: TimeSpan(nanoseconds: 1_234_567_891)),
            .submitted(
                client: ClientID(number: generator.next()), manifest: generator.identity(),
                inputs: [payload(2)], deadline: TimeSpan(nanoseconds: 1),
                exits: .threshold(750_000)),
            .judged(attempt: generator.attempt(), exit: 1, confidence: 999_999),
            .abandoned(ClientID(number: 5)),
            .digested(ClientID(number: 6), generator.identity()),
            .crashesFound([
                CrashMark(
                    member: generator.member(),
                    work: .compiling(
                        FragmentKey(manifest: generator.identity(), operators: 0..<2)),
                    signal: nil),
                CrashMark(
                    member: generator.member(),
                    work: .running(
                        FragmentKey(manifest: generator.identity(), operators: 0..<2, rows: 1..<3),
                        generator.attempt().request), signal: 6),
            ]),
            .sliceArrived(
                SliceHeader(
                    attempt: generator.attempt(), route: 4, type: .float32, shape: [1, 3, 8],
                    remaining: generator.remaining(), leftOut: [3, 700]), payload(9),
                from: generator.member()),
            .filled(attempt: generator.attempt(), route: 4, payload(10)),
        ]
    }

    private static func payload(_ number: UInt64) -> Payload {
        Payload(id: PayloadID(number: number), byteCount: Int(number) * 100)
    }

    static func outline(_ generator: inout SampleGenerator) -> ModelOutline {
        func tensor(
            _ producer: Int?, _ consumers: [Int], isOutput: Bool = false
        )
            -> ModelOutline.Tensor
        {
            ModelOutline.Tensor(
                descriptor: TensorDescriptor(
                    name: generator.text(20), type: generator.choice(), shape: [1, 16, 8, 8]),
                producer: producer, consumers: consumers, isOutput: isOutput,
                rowAxis: generator.optional { _ in 2 })
        }
        let need = RowNeed.window(RowWindow(scale: 2, lower: -1, upper: 1, divisor: 3))
        let operators = (0..<2).map { index in
            ModelOutline.Operator(
                name: generator.text(40), kind: "Convolution", operationCount: generator.next(),
                movedBytes: generator.next(), blobs: [index, 2], reads: [index, index],
                rowNeeds: generator.optional { _ in [need, .all] }, rowCount: 8,
                hasExactRows: generator.flag())
        }
        let blobs = (0..<3).map { _ in
            ModelOutline.Blob(
                id: generator.identity(), byteCount: generator.number(max: 1 << 40))
        }
        return ModelOutline(
            manifest: generator.identity(), operators: operators,
            tensors: [tensor(nil, [0]), tensor(0, [1]), tensor(1, [], isOutput: true)],
            inputs: [0], outputs: [2], blobs: blobs)
    }
}
