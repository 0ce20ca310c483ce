import TesseraCore
import TesseraEngine
import Testing

@testable import TesseraNode

@Suite("What a node says of its speed")
struct SpeedTests {
    private static let quarter = 250

    private func time(
        span: Int64, thread: Int64, process: Int64, runs: Int = 1
    ) -> RunTime {
        RunTime(
            span: .milliseconds(span), threadTime: .milliseconds(thread),
            processTime: .milliseconds(process), runCount: runs)
    }

    @Test("without a quota a run takes its span, or its part of the threads")
    func unlimited() {
        let run = time(span: 40, thread: 39, process: 60)
        #expect(run.microseconds(threads: 1, streams: 1, share: 1_000) == 40_000)
        #expect(run.microseconds(threads: 4, streams: 4, share: 1_000) == 10_000)
    }

    @Test("under a quota a run that found some left takes what a stream of them would")
    func burst() {
        let run = time(span: 2, thread: 2, process: 2)
        #expect(run.microseconds(threads: 1, streams: 1, share: Self.quarter) == 8_000)
    }

    @Test("under a quota what else the process computes meanwhile does not count")
    func interference() {
        // Of 200 ms at a quarter, 40 ms were the engine's and 10 ms the sockets'.
        let run = time(span: 200, thread: 40, process: 50)
        #expect(run.microseconds(threads: 1, streams: 1, share: Self.quarter) == 160_000)
        // Somebody else took half of the quota.
        let slowed = time(span: 400, thread: 40, process: 50)
        #expect(slowed.microseconds(threads: 1, streams: 1, share: Self.quarter) == 320_000)
    }

    @Test("runs side by side under a quota share what there is of it")
    func sideBySide() {
        // Two threads and 1.2 processors: 60 ms of computing take 50 ms of all.
        let both = time(span: 100, thread: 0, process: 120, runs: 2)
        #expect(both.microseconds(threads: 2, streams: 2, share: 600) == 50_000)
        let alone = time(span: 60, thread: 0, process: 60)
        #expect(alone.microseconds(threads: 2, streams: 2, share: 600) == 50_000)
    }

    @Test("what a node does anyway is told apart from what its runs cost it")
    func ownWork() {
        var work = OwnWork()
        var reading = OwnWork.Reading(
            at: .zero, own: .zero, engine: .zero, tally: RunTally())
        work.add(reading, processors: 250)
        for _ in 0..<5 {
            reading.at = reading.at + .seconds(1)
            reading.own = reading.own + .milliseconds(10)
            work.add(reading, processors: 250)
        }
        #expect(work.idleThousandths == 10)
        #expect(work.handoverThousandths == nil)
        #expect(work.handover(processors: 1_000) == TransferCost.assumed)
        // Ten runs a second of two slices of 500 kB: 530 µs each are assumed, 2.12 ms are spent.
        for _ in 0..<10 {
            reading.at = reading.at + .seconds(1)
            reading.own = reading.own + .microseconds(10_000 + 21_200)
            reading.engine = reading.engine + .milliseconds(200)
            reading.tally = reading.tally + RunTally(runs: 10, slices: 20, bytes: 10_000_000)
            work.add(reading, processors: 250)
        }
        #expect(work.handoverThousandths == 4_000)
        #expect(
            work.handover(processors: 250)
                == HandoverCost(
                    nanosecondsPerSlice: TransferCost.assumed.nanosecondsPerSlice * 16,
                    picosecondsPerByte: TransferCost.assumed.picosecondsPerByte * 16))
    }

    @Test("what a node does while it starts is not taken for what it always does")
    func starting() {
        var work = OwnWork()
        var reading = OwnWork.Reading(at: .zero, own: .zero, engine: .zero, tally: RunTally())
        work.add(reading, processors: 1_000)
        for second in 0..<20 {
            reading.at = reading.at + .seconds(1)
            reading.own = reading.own + .milliseconds(second < 8 ? 400 : 10)
            work.add(reading, processors: 1_000)
        }
        #expect(work.idleThousandths == 10)
    }

    @Test("while blobs come and go, nothing is learnt of tensors")
    func blobs() {
        var work = OwnWork()
        var reading = OwnWork.Reading(
            at: .zero, own: .zero, engine: .zero, tally: RunTally())
        for _ in 0..<60 {
            work.add(reading, processors: 250)
            reading.at = reading.at + .seconds(1)
            reading.own = reading.own + .milliseconds(50)
            reading.engine = reading.engine + .milliseconds(200)
            reading.tally = reading.tally + RunTally(runs: 10, slices: 20, bytes: 10_000_000)
            reading.blobBytes += 10_000_000
        }
        #expect(work.handoverThousandths == nil)
    }

    @Test("a few runs in an idle second say nothing of what each costs")
    func fewRuns() {
        var work = OwnWork()
        var reading = OwnWork.Reading(
            at: .zero, own: .zero, engine: .zero, tally: RunTally())
        for _ in 0..<60 {
            work.add(reading, processors: 250)
            reading.at = reading.at + .seconds(1)
            reading.own = reading.own + .milliseconds(10)
            reading.engine = reading.engine + .milliseconds(20)
            reading.tally = reading.tally + RunTally(runs: 1, slices: 2, bytes: 1_000)
        }
        #expect(work.handoverThousandths == nil)
    }

    #if os(Linux)
    @Test("the threads of this process are read")
    func threads() throws {
        // Threads of other tests may end between two looks and take their time with them.
        var (isSeen, sum) = (false, 0)
        for _ in 0..<200 where !isSeen {
            let before = try #require(OwnWork.threadTimes())
            let end = ContinuousClock.now + .milliseconds(20)
            while ContinuousClock.now < end { sum &+= 1 }
            let after = try #require(OwnWork.threadTimes())
            isSeen = after.own + after.engine > before.own + before.engine
        }
        #expect(isSeen)
        #expect(sum > 0)
    }
    #endif

    @Test("what was measured is read back for its key alone")
    func file() throws {
        let speed = EngineSpeed(
            operationsPerMicrosecond: 50_000,
            rates: [
                OperatorRate(family: .convolution, operationsPerMicrosecond: 50_000),
                OperatorRate(family: .elementwise, operationsPerMicrosecond: 900),
            ], movedBytesPerMicrosecond: 4_000)
        let text = SpeedFile.text(of: speed, key: "one")
        #expect(SpeedFile.speed(of: text, key: "one") == speed)
        #expect(SpeedFile.speed(of: text, key: "two") == nil)
        for length in 0..<(text.count - 1) {
            let cut = SpeedFile.speed(of: String(text.prefix(length)), key: "one")
            // A whole line may be missing at the end; a number is never taken from half a line.
            #expect(cut == nil || cut?.operationsPerMicrosecond == 50_000)
        }
        #expect(SpeedFile.speed(of: text + "family 9 1\n", key: "one") == nil)
    }
}
