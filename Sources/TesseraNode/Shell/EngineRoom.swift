#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Dispatch
import NIOCore
import NIOPosix
import Synchronization
import TesseraCore
import TesseraEngine
import TesseraModel

/// Compiles and runs fragments on threads of its own, at a lower priority than the event loops, so
/// that a saturated node still answers probes.
///
/// `fragments` is used on the control loop only; the rest is immutable.
final class EngineRoom: @unchecked Sendable {
    private let engine: Engine
    private let threads: Int
    private let library: ModelLibrary
    private let marks: CrashMarks
    /// Runs fragments, on a thread for each of the engine's: a run that is ahead waits in the queue
    /// and starts the moment a thread is free, and one after the other meets a warm cache.
    private let runners: NIOThreadPool
    /// Compiles, cuts and measures, one at a time.
    private let builder: NIOThreadPool
    /// Plans: on a small device a search takes seconds, and what is compiled does not wait for it.
    private let planner: NIOThreadPool
    /// The share of its threads that the engine may use, in thousandths.
    private let share: Atomic<Int>
    private let runCount = Atomic<Int>(0)
    private let tallied = Mutex(RunTally())
    // Only looked up; sorted when it is read. Its keys are those of `fragments`.
    private let figures = Mutex([FragmentKey: FragmentFigures]())
    // `@unchecked Sendable`: touched on the control loop only.
    private var fragments: [FragmentKey: CompiledFragment] = [:]

    /// The engine's priority: below the event loops, above idle work.
    private static let niceness: Int32 = 5
    /// The planner's: a plan is waited for when a node is lost.
    private static let plannerNiceness: Int32 = 4

    init(threads: Int, library: ModelLibrary, marks: CrashMarks) throws(EngineError) {
        engine = try Engine(threads: threads)
        self.library = library
        self.marks = marks
        self.threads = threads
        share = Atomic(ProcessorShare.ofThreads(threads))
        runners = NIOThreadPool(numberOfThreads: threads)
        builder = NIOThreadPool(numberOfThreads: 1)
        planner = NIOThreadPool(numberOfThreads: 1)
    }

    var fingerprint: EngineFingerprint { engine.fingerprint }

    func start() {
        runners.start()
        builder.start()
        planner.start()
        // The engine's own threads are made by the builder's thread and take its priority over.
        builder.submit { _ in Self.lowerPriority() }
        planner.submit { _ in Self.lowerPriority(Self.plannerNiceness) }
        // Each runner lowers itself: the barrier keeps one thread from taking two of these.
        let barrier = DispatchGroup()
        for _ in 0..<threads { barrier.enter() }
        for _ in 0..<threads {
            runners.submit { _ in
                Self.lowerPriority()
                barrier.leave()
                barrier.wait()
            }
        }
    }

    func stop() {
        runners.shutdownGracefully { _ in }
        builder.shutdownGracefully { _ in }
        planner.shutdownGracefully { _ in }
    }

    private static func lowerPriority(_ niceness: Int32 = niceness) {
        #if os(Linux)
        // Zero is the calling thread, on Linux. Failing changes nothing but the priority.
        _ = setpriority(__priority_which_t(0), 0, niceness)
        #endif
    }

    /// Work for the planner's thread.
    func plan(_ work: @escaping @Sendable () -> Void) {
        planner.submit { state in
            if case .active = state { work() }
        }
    }

    /// Work for the builder's thread.
    func build(_ work: @escaping @Sendable () -> Void) {
        builder.submit { state in
            if case .active = state { work() }
        }
    }

    /// Measures this node; on the builder's thread.
    func measure() throws(EngineError) -> EngineSpeed { try engine.measure() }

    /// Whether what was measured before still holds; on the builder's thread.
    func confirms(_ speed: EngineSpeed) throws(EngineError) -> Bool {
        try engine.confirms(speed)
    }

    /// Cuts, compiles and warms a fragment; on the builder's thread.
    ///
    /// What would bring the process over the limit of its control group is refused: else the kernel
    /// would kill it, with all that it serves.
    func compile(_ key: FragmentKey, concurrency: Int) throws -> CompiledFragment {
        let source = try library.source(of: key) { xml, weightByteCount in
            try MemoryRoom.admit(
                engine.memoryBytes(
                    xml: xml, weightByteCount: weightByteCount, concurrency: concurrency))
        }
        let mark = marks.begin(.compiling(key))
        defer { marks.end(mark) }
        let fragment = try engine.compile(source, concurrency: concurrency)
        try Self.warm(fragment)
        return fragment
    }

    /// The first run allocates; no request should pay for it.
    private static func warm(_ fragment: CompiledFragment) throws {
        let inputs = fragment.inputs.map { ByteBuffer(repeating: 0, count: $0.byteCount) }
        var outputs = fragment.outputs.map {
            ByteBufferAllocator().buffer(capacity: $0.byteCount)
        }
        try run(fragment, inputs: inputs, outputs: &outputs)
    }

    // MARK: On the control loop

    func keep(_ fragment: CompiledFragment, as key: FragmentKey) {
        fragments[key] = fragment
        figures.withLock { $0[key] = $0[key] ?? FragmentFigures(key: key) }
    }

    /// Lets a fragment go; its memory is free before the builder's thread does anything else, unless
    /// the fragment runs.
    func unload(_ key: FragmentKey) {
        figures.withLock { _ = $0.removeValue(forKey: key) }
        guard let fragment = fragments.removeValue(forKey: key) else { return }
        let last = Mutex(Optional(fragment))
        builder.submit { _ in
            last.withLock { $0 = nil }
            // Compiling leaves holes in the allocator's heaps.
            ProcessMemory.giveBack()
        }
    }

    /// Puts inputs together and runs a compiled fragment for a request, on a runner's thread; `done`
    /// is called there.
    ///
    /// `sliceCount` is in how many slices the inputs came.
    func run(
        _ key: FragmentKey, for request: RequestID, inputs: [TensorSource], sliceCount: Int,
        done:
            @escaping @Sendable (Result<(outputs: [ByteBuffer], microseconds: Int64), any Error>)
            -> Void
    ) {
        guard let fragment = fragments[key] else {
            return done(.failure(EngineRoomError.notCompiled(key)))
        }
        let submitted = MonotonicClock.now
        runners.submit { state in
            guard case .active = state else { return }
            var outputs = fragment.outputs.map {
                ByteBufferAllocator().buffer(capacity: $0.byteCount)
            }
            let inputs = inputs.map { $0.bytes() }
            let runCount = self.runCount.add(1, ordering: .relaxed).newValue
            let (start, thread, process) = (
                MonotonicClock.now, ThreadClock.nanoseconds, ProcessClock.nanoseconds
            )
            let mark = self.marks.begin(.running(key, request))
            defer { self.marks.end(mark) }
            #if DEBUG
            TestCrash.strike(inputs)
            #endif
            let result = Result { try Self.run(fragment, inputs: inputs, outputs: &outputs) }
            let time = RunTime(
                span: MonotonicClock.now - start,
                threadTime: TimeSpan(nanoseconds: ThreadClock.nanoseconds - thread),
                processTime: TimeSpan(nanoseconds: ProcessClock.nanoseconds - process),
                runCount: runCount)
            self.runCount.subtract(1, ordering: .relaxed)
            let bytes = (inputs + outputs).reduce(0) { $0 + $1.readableBytes }
            let tally = RunTally(
                runs: 1, slices: sliceCount + outputs.count, bytes: bytes)
            self.tallied.withLock { $0 = $0 + tally }
            let isFailure = if case .failure = result { true } else { false }
            self.figures.withLock { figures in
                // Taken out by `unload` while it ran: then nobody asks any more.
                figures[key]?.note(
                    waited: start - submitted, ran: time.span,
                    isFailure: isFailure)
            }
            let microseconds = time.microseconds(
                threads: self.threads, streams: fragment.concurrency,
                share: self.share.load(ordering: .relaxed))
            done(result.map { (outputs, microseconds) })
        }
    }

    /// How each fragment that is held ran, ascending by key; from everywhere.
    var fragmentFigures: [FragmentFigures] {
        figures.withLock { $0.values.sorted { $0.key < $1.key } }
    }

    /// What the engine did since the start; from everywhere.
    var tally: RunTally { tallied.withLock { $0 } }

    /// The share of the threads that quotas leave now, in thousandths; on the builder's thread.
    var quotaShare: Int { ProcessorShare.ofThreads(threads) }

    /// Runs are measured by this share of the threads from now on.
    func use(share: Int) { self.share.store(share, ordering: .relaxed) }

    /// Lends the buffers' own memory to the engine: nothing is copied either way.
    private static func run(
        _ fragment: CompiledFragment, inputs: [ByteBuffer], outputs: inout [ByteBuffer]
    ) throws {
        for index in outputs.indices {
            outputs[index].clear(minimumCapacity: fragment.outputs[index].byteCount)
            outputs[index].moveWriterIndex(forwardBy: fragment.outputs[index].byteCount)
        }
        func lend(
            _ index: Int, _ read: [UnsafeRawBufferPointer],
            _ written: [UnsafeMutableRawBufferPointer]
        ) throws {
            if index < inputs.count {
                try inputs[index].withUnsafeReadableBytes { bytes in
                    try lend(index + 1, read + [bytes], written)
                }
            } else if index < inputs.count + outputs.count {
                // Taken out of the array meanwhile, so that its memory has one owner and is lent
                // without a copy.
                var buffer = ByteBuffer()
                swap(&buffer, &outputs[index - inputs.count])
                try buffer.withUnsafeMutableReadableBytes { bytes in
                    try lend(index + 1, read, written + [bytes])
                }
                swap(&buffer, &outputs[index - inputs.count])
            } else {
                try fragment.run(inputs: read, outputs: written)
            }
        }
        try lend(0, [], [])
    }
}

/// Why the engine was not asked to do something.
enum EngineRoomError: Error, CustomStringConvertible {
    /// The core ran a fragment that is not compiled (any more).
    case notCompiled(FragmentKey)
    /// The process may not take so much more memory.
    case noRoom(neededBytes: Int, freeBytes: Int)

    var description: String {
        switch self {
        case .notCompiled(let key): "operators \(key.operators) are not compiled on this node"
        case .noRoom(let needed, let free):
            "it takes \(needed) bytes, and this process's control group leaves \(free)"
        }
    }
}
