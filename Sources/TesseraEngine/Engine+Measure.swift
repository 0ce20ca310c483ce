import TesseraCore

extension Engine {
    /// Measures how fast this engine computes and how fast it moves memory, in about 250 ms.
    ///
    /// Both figures come from the engine itself, on work of its own making: a convolution of a size
    /// that is common in image models, and a sum over more memory than caches hold. The shortest
    /// of several runs counts: whatever else the machine does only ever makes a run longer.
    ///
    /// - Returns: arithmetic operations and bytes read and written, each per microsecond and at
    ///   least 1.
    /// - Throws: `EngineError` if the engine cannot do even that.
    public func measure() throws(EngineError) -> (
        operationsPerMicrosecond: UInt64, movedBytesPerMicrosecond: UInt64
    ) {
        let operations = try rate(of: .convolution)
        let bytes = try rate(of: .sum)
        return (operationsPerMicrosecond: operations, movedBytesPerMicrosecond: bytes)
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
