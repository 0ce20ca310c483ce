public import TesseraCore

/// How fast an engine computes and how fast it moves memory.
public struct EngineSpeed: Hashable, Sendable {
    /// Arithmetic operations per microsecond in a convolution, at least 1.
    public var operationsPerMicrosecond: UInt64
    /// The same for each family of operators, ascending by family.
    public var rates: [OperatorRate]
    /// Bytes read and written per microsecond, at least 1.
    public var movedBytesPerMicrosecond: UInt64

    /// Makes a speed.
    public init(
        operationsPerMicrosecond: UInt64, rates: [OperatorRate], movedBytesPerMicrosecond: UInt64
    ) {
        self.operationsPerMicrosecond = operationsPerMicrosecond
        self.rates = rates
        self.movedBytesPerMicrosecond = movedBytesPerMicrosecond
    }
}

extension Engine {
    /// Measures how fast this engine computes and how fast it moves memory, in about half a second.
    ///
    /// All figures come from the engine itself, on work of its own making: one operator of each
    /// family, of a size that is common in image models, and a sum over more memory than caches
    /// hold. The shortest of several runs counts: whatever else the machine does only ever makes a
    /// run longer.
    ///
    /// - Throws: `EngineError` if the engine cannot do even that.
    public func measure() throws(EngineError) -> EngineSpeed {
        var rates: [OperatorRate] = []
        for family in OperatorFamily.allCases {
            rates.append(
                OperatorRate(
                    family: family, operationsPerMicrosecond: try rate(of: .probe(of: family))))
        }
        return EngineSpeed(
            operationsPerMicrosecond: rates[0].operationsPerMicrosecond, rates: rates,
            movedBytesPerMicrosecond: try rate(of: .sum))
    }

    /// Whether a speed that was measured before still holds, within a fifth; takes a tenth of a
    /// second.
    ///
    /// - Throws: `EngineError` if the engine cannot do even that.
    public func confirms(_ speed: EngineSpeed) throws(EngineError) -> Bool {
        let now = try rate(of: .probe(of: .convolution))
        let before = speed.operationsPerMicrosecond
        return now <= before + before / 5 && now >= before - before / 5
    }

    private func rate(of probe: ProbeModel) throws(EngineError) -> UInt64 {
        let fragment = try compile(try probe.source(), concurrency: 1)
        let inputs = fragment.inputs.map { Self.zeros($0.byteCount) }
        let outputs = fragment.outputs.map { Self.zeros($0.byteCount) }
        defer { for buffer in inputs + outputs { buffer.deallocate() } }
        let readable = inputs.map { UnsafeRawBufferPointer($0) }
        // The first run allocates and fills caches.
        try fragment.run(inputs: readable, outputs: outputs)
        let clock = ContinuousClock()
        let start = clock.now
        var shortest = Duration.seconds(3_600)
        var runs = 0
        // At least three runs on a slow device, no more than the time needs on a fast one.
        while runs < 3 || clock.now - start < .milliseconds(80) {
            let (began, used) = (clock.now, ThreadClock.nanoseconds)
            try fragment.run(inputs: readable, outputs: outputs)
            // One thread is the calling one: what else runs here, and a quota, do not count.
            shortest = min(
                shortest,
                threads == 1
                    ? .nanoseconds(ThreadClock.nanoseconds - used) : clock.now - began)
            runs += 1
        }
        let nanoseconds = max(1, UInt64(shortest / .nanoseconds(1)))
        return max(1, probe.workCount * 1_000 / nanoseconds)
    }

    private static func zeros(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: byteCount, alignment: WeightBuffer.alignmentBytes)
        _ = memory.initializeMemory(as: UInt8.self, repeating: 0)
        return memory
    }
}
